# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Two cameras with one node, which loads the model once; ids are per camera.

The node publishes /tracker/front/detections and /tracker/left/detections. The arguments of
tracker.launch.py can be given to this file, too: `score_threshold:=0.3`. With depth cameras and
tf, an object has the same id in both: `share_ids:=true target_frame:=odom depth:=true`.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import GroupAction
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import SetRemap

from launch import LaunchDescription

# The namespace of each camera's driver; its name is part of the topics that the node publishes.
CAMERAS = {
    'front': '/front_camera',
    'left': '/left_camera',
}
# Topics of a driver, in its namespace; depth and camera_info are used with depth:=true only.
TOPICS = {
    'image': 'image_raw',
    'depth': 'aligned_depth/image_raw',
    'camera_info': 'camera_info',
}


def generate_launch_description() -> LaunchDescription:
    """Include tracker.launch.py, with the topics of the cameras."""
    file = Path(get_package_share_directory('gtr_ros'), 'launch', 'tracker.launch.py')
    return LaunchDescription(
        [
            GroupAction(
                [
                    *(
                        SetRemap(f'{name}/{topic}', f'{camera}/{driver_topic}')
                        for name, camera in CAMERAS.items()
                        for topic, driver_topic in TOPICS.items()
                    ),
                    IncludeLaunchDescription(
                        PythonLaunchDescriptionSource(str(file)),
                        launch_arguments=[('cameras', str(list(CAMERAS)))],
                    ),
                ]
            )
        ]
    )
