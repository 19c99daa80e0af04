# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Obstacles for Nav2: tracks of a depth camera in odom, whose outlines are on /tracker/obstacles.

Start the driver of the camera and Nav2 beside it, with the lines of nav2_costmap.yaml in Nav2's
parameters. Written after the documentation of Nav2; it was not run with Nav2. The arguments of
depth_camera.launch.py and tracker.launch.py can be given to this file, too:
`predict_seconds:=3.0`.
"""

from pathlib import Path

from launch.actions import DeclareLaunchArgument
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Include depth_camera.launch.py, with tracks in a frame that does not move."""
    file = Path(__file__).with_name('depth_camera.launch.py')
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'target_frame',
                default_value='odom',
                description='Frame of the tracks: the global frame of the costmap.',
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(file)),
                launch_arguments=[('target_frame', LaunchConfiguration('target_frame'))],
            ),
        ]
    )
