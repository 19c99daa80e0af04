# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a node in this process until it ends or is interrupted."""

from __future__ import annotations

from collections.abc import Callable
import signal
import threading
from types import FrameType
from typing import Protocol
from typing import TYPE_CHECKING
from typing import TypeVar

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import get_logger

from gtr_ros.options import ConfigurationError

if TYPE_CHECKING:
    from rclpy.node import Node


class _Stoppable(Protocol):
    def stop(self) -> None:
        """Stop everything that the node has started."""

    def destroy_node(self) -> None:
        """Destroy the node."""


NodeType = TypeVar('NodeType', bound=_Stoppable)


def run_node(
    name: str,
    make: Callable[[], NodeType],
    run: Callable[[NodeType, SingleThreadedExecutor], int],
    args: list[str] | None,
    fatal: type[Exception] = ConfigurationError,
) -> int:
    """
    Initialize rclpy, create a node, run it, and shut everything down.

    :param name: of the logger used while there is no node
    :param make: creates the node
    :param run: runs the node until it ends; returns the exit code. It may use the executor
    :param args: command line arguments; None: those of the process
    :param fatal: exceptions that are logged as one line, without a traceback, as are parameters of
        another type than declared
    :return: exit code of the process: that of `run`, 0 after SIGINT or SIGTERM, 1 after an error
    """
    begin_shutdown = interrupt_once()
    try:
        rclpy.init(args=args)
    except RuntimeError as error:
        get_logger(name).fatal(str(error))
        return 1
    node = None
    try:
        # Before the node: no executor can be created after an interrupt while the node loads.
        executor = SingleThreadedExecutor()
        node = make()
        return run(node, executor)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except (fatal, ParameterException) as error:
        get_logger(name).fatal(str(error))
        return 1
    except Exception:
        # A SIGTERM during startup shuts the context down while something is being created.
        if rclpy.ok():
            raise
        return 0
    finally:
        begin_shutdown()
        if node is not None:
            node.stop()
            node.destroy_node()
        rclpy.try_shutdown()


def spin(node: Node, executor: SingleThreadedExecutor) -> int:
    """Spin a node until its context is shut down; return the exit code 0."""
    executor.add_node(node)
    executor.spin()
    return 0


def interrupt_once() -> Callable[[], None]:
    """
    Let the first SIGINT raise KeyboardInterrupt, and ignore all later ones.

    `ros2 launch` forwards SIGINT in addition to the terminal's, so two in a row are normal, and
    the second must not interrupt the shutdown. Call this before `rclpy.init`, whose handler calls
    this one. If SIGINT is ignored (a background job of a shell), it stays ignored. On a thread
    other than the main one, where Python accepts no handlers, this does nothing.

    :return: a function to be called when the shutdown begins: rclpy may have ended the node
        because of a SIGINT that Python has not handled yet; from then on, no SIGINT may raise an
        exception
    """
    interrupted = False

    def begin_shutdown() -> None:
        nonlocal interrupted
        interrupted = True

    if threading.current_thread() is not threading.main_thread():
        return begin_shutdown
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return begin_shutdown

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    return begin_shutdown
