# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
3D detections of a camera with an aligned depth image, such as a RealSense.

The node publishes /tracker/detections_3d beside /tracker/detections. The topic names are those of
realsense2_camera's documentation; this was not run with a camera. Start the driver first:

    ros2 launch realsense2_camera rs_launch.py align_depth.enable:=true

The arguments of tracker.launch.py can be given to this file, too: `rviz:=true`.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription

# The topics under the namespace and name of the driver.
TOPICS = {
    'image_topic': '/color/image_raw',
    'depth_topic': '/aligned_depth_to_color/image_raw',
    'camera_info_topic': '/color/camera_info',
}


def generate_launch_description() -> LaunchDescription:
    """Include tracker.launch.py, with the topics of the driver."""
    file = Path(get_package_share_directory('gtr_ros'), 'launch', 'tracker.launch.py')
    camera = LaunchConfiguration('camera')
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'camera',
                default_value='/camera/camera',
                description='Namespace and name of the driver, which its topics start with.',
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(file)),
                launch_arguments=[
                    ('depth', 'true'),
                    *((name, [camera, topic]) for name, topic in TOPICS.items()),
                ],
            ),
        ]
    )
