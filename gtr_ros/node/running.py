# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a node in this process until it ends or is interrupted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import signal
import threading
from time import monotonic
from time import sleep
import traceback
from types import FrameType
from typing import Protocol
from typing import TYPE_CHECKING
from typing import TypeVar

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import get_logger

from gtr_ros.node.throttle import Throttle
from gtr_ros.options import ConfigurationError

if TYPE_CHECKING:
    from rclpy.node import Node


_NAME_HINT = (
    '. Write -r NAME:=/topic, -r __ns:=/robot1 or -r __node:=name: names have letters, digits and '
    '_, do not begin with a digit, and are separated by single /'
)

_LOG_SECONDS = 5.0  # between log messages of one kind
_PAUSE = 0.01  # after an error: one that stays must not take a whole core, seconds


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
        hint = _NAME_HINT if "Couldn't parse remap rule" in str(error) else ''
        get_logger(name).fatal(f'{error}{hint}')
        return 1
    node = None
    try:
        # Before the node: no executor can be created after an interrupt while the node loads.
        executor = SingleThreadedExecutor()
        node = make()
        return run(node, executor)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except Exception as error:
        if isinstance(error, (fatal, ParameterException)):
            text = _explain(error)
        elif not rclpy.ok():
            # A SIGTERM during startup shuts the context down while something is being created.
            return 0
        elif node is None and type(error).__name__ == 'RCLError':
            # The middleware refused, such as for SROS 2; a traceback would say no more.
            text = f'cannot start: {" ".join(str(error).split())}'
        else:
            raise
        get_logger(name).fatal(text)
        return 1
    finally:
        begin_shutdown()
        if node is not None:
            node.stop()
            node.destroy_node()
        rclpy.try_shutdown()


def _explain(error: Exception) -> str:
    """Return the text of an error that is no fault of the program."""
    # rclpy's own parameters, such as use_sim_time, are declared before the node's.
    is_flag = "expecting type 'BOOL'" in str(error)
    return f'{error}; write true or false, without quotes' if is_flag else str(error)


def spin(node: Node, executor: SingleThreadedExecutor) -> int:
    """
    Spin a node until its context is shut down; return the exit code 0.

    What a callback raises, or a message that cannot be taken, is logged, and the node goes on.
    """
    executor.add_node(node)
    throttle, count, failed = Throttle(_LOG_SECONDS), 0, False
    while True:
        try:
            if failed:
                _release(node)
                failed = False
            executor.spin()
            return 0
        except ExternalShutdownException:
            raise
        except Exception:  # such as too little memory for a message
            if not node.context.ok():
                raise
            failed, count = True, count + 1
            with suppress(MemoryError):  # there may be too little to say so
                text = traceback.format_exc()
                if throttle.admits(text, monotonic()):
                    node.get_logger().error(
                        f'a message, a call or a timer failed, {count} so far; continuing:\n{text}'
                    )
            sleep(_PAUSE)


def _release(node: Node) -> None:
    """
    Let a node's callbacks be called again after the executor raised an exception.

    If a message cannot be taken, rclpy leaves its subscription and its callback group marked as
    being executed, for ever: no other callback of the node would be called.
    """
    entities = (*node.subscriptions, *node.timers, *node.services, *node.clients, *node.guards)
    for entity in entities:
        entity._executor_event = False
        with suppress(AssertionError):  # it is not marked, or for another entity
            entity.callback_group.ending_execution(entity)


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
