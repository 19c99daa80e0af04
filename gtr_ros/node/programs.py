# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The programs tracker_node, web_viewer and video_publisher: --help, then the node."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from contextlib import suppress
import gc
import os
import sys
from typing import NoReturn

from gtr_ros.node.environment import prepare_environment
from gtr_ros.node.usage import tracker_usage
from gtr_ros.node.usage import video_parser
from gtr_ros.node.usage import viewer_usage
from gtr_ros.runtime.process import end_with_reader

_WRONG_USAGE = 2  # exit code, as of argparse


def tracker_node() -> int:
    """Run the tracker node; return the exit code of the process."""
    if (code := _answer('tracker_node', tracker_usage)) is not None:
        return code
    prepare_environment()
    from gtr_ros.node.tracker.node import main

    return main()


def web_viewer() -> int:
    """Run the web viewer; return the exit code of the process."""
    if (code := _answer('web_viewer', viewer_usage)) is not None:
        return code
    prepare_environment()
    from gtr_ros.node.viewer.node import main

    return main()


def video_publisher() -> int:
    """Run the video publisher; return the exit code of the process."""
    # Ends the process after --help, and if an argument is wrong.
    with end_with_reader():
        video_parser().parse_args(own_arguments(sys.argv[1:]))
    prepare_environment()
    from gtr_ros.node.video_publisher import main

    return main()


def end(code: int) -> NoReturn:
    """
    End the process; its node has been destroyed before.

    Without clearing the interpreter: after torch was imported, that takes a second, while whoever
    pressed Ctrl-C waits. Only what is left of the node is collected, as otherwise the middleware
    leaves its shared memory behind.
    """
    gc.unfreeze()
    gc.collect()
    for output in (sys.stdout, sys.stderr):
        with suppress(BrokenPipeError):
            output.flush()
    os._exit(code)


def own_arguments(words: Sequence[str]) -> list[str]:
    """Return the arguments that are not for ROS, which are those from --ros-args to --."""
    own, of_ros = [], False
    for word in words:
        if word == '--ros-args':
            of_ros = True
        elif of_ros and word == '--':
            of_ros = False
        elif not of_ros:
            own.append(word)
    return own


def _answer(program: str, usage: Callable[[], str]) -> int | None:
    """Answer --help and wrong arguments; return the exit code, or None if the node shall start."""
    words = own_arguments(sys.argv[1:])
    if '-h' in words or '--help' in words:
        with end_with_reader():
            print(usage())
        return 0
    if words:
        print(
            f'{program}: unknown argument {words[0]!r}. Parameters are given as '
            f'{program} --ros-args -p NAME:=VALUE; {program} --help lists them',
            file=sys.stderr,
        )
        return _WRONG_USAGE
    return None
