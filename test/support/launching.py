# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs launch files as `ros2 launch` does, without the ros2 command."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
import sys

from node_processes import Process
from node_processes import process

_LAUNCHER = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
file, *arguments = sys.argv[1:]
service = LaunchService()
service.include_launch_description(IncludeLaunchDescription(
    PythonLaunchDescriptionSource(file),
    launch_arguments=[argument.split(':=') for argument in arguments]))
sys.exit(service.run())
"""


def launch(file: Path, *arguments: str) -> AbstractContextManager[Process]:
    """Run a launch file for the length of a `with` block; arguments as NAME:=VALUE."""
    return process(sys.executable, '-c', _LAUNCHER, file, *arguments)
