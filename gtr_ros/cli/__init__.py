# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr`: track videos, compare trackers and manage weights, without ROS."""

from gtr_ros.cli.program import main

__all__ = ['main']
