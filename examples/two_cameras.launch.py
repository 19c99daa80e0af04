# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Two cameras with one node, which loads the model once; ids are per camera.

The node publishes /tracker/front/detections and /tracker/left/detections. The arguments of
tracker.launch.py can be given to this file, too: `score_threshold:=0.3`.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import GroupAction
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import SetRemap

from launch import LaunchDescription

# The image topic of each camera; its name is part of the topics that the node publishes.
CAMERAS = {
    'front': '/front_camera/image_raw',
    'left': '/left_camera/image_raw',
}


def generate_launch_description() -> LaunchDescription:
    """Include tracker.launch.py, with the topics of the cameras."""
    file = Path(get_package_share_directory('gtr_ros'), 'launch', 'tracker.launch.py')
    return LaunchDescription(
        [
            GroupAction(
                [
                    *(SetRemap(f'{name}/image', topic) for name, topic in CAMERAS.items()),
                    IncludeLaunchDescription(
                        PythonLaunchDescriptionSource(str(file)),
                        launch_arguments=[('cameras', str(list(CAMERAS)))],
                    ),
                ]
            )
        ]
    )
