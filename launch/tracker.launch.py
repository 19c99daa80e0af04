# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch the tracker on one camera."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument
from launch.actions import OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext
from launch import LaunchDescription

# Arguments that override a parameter of the params_file when they are not empty.
PARAMETERS = {
    'device': "Device of the model: 'auto', 'cpu', 'cuda' or 'cuda:N'.",
    'model': 'Model to run.',
    'checkpoint': "Path of the model's weights (safetensors).",
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the node follows from them."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'image_topic',
                default_value='image',
                description='Topic of the images (sensor_msgs/Image) to track in.',
            ),
            *(
                DeclareLaunchArgument(
                    name, default_value='', description=f'{text} Empty: as in params_file.'
                )
                for name, text in PARAMETERS.items()
            ),
            DeclareLaunchArgument(
                'params_file',
                default_value='',
                description='File of parameters (yaml). Empty: config/MODEL.yaml of this package.',
            ),
            DeclareLaunchArgument(
                'namespace',
                default_value='',
                description='Namespace of the node and of its relative topics.',
            ),
            DeclareLaunchArgument(
                'use_sim_time',
                default_value='false',
                choices=['true', 'false'],
                description='Whether time comes from /clock, as in simulation.',
            ),
            DeclareLaunchArgument(
                'log_level',
                default_value='info',
                choices=['debug', 'info', 'warn', 'error', 'fatal'],
                description="Least severe of the node's log messages to show.",
            ),
            OpaqueFunction(function=_tracker),
        ]
    )


def _tracker(context: LaunchContext) -> list[Node]:
    # Plain values instead of substitutions: only those given may override the file, and launch
    # would read a path such as '1' as a number.
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    config = Path(get_package_share_directory('gtr_ros'), 'config')
    params_file = value('params_file') or str(config / f'{value("model") or "mobile"}.yaml')
    overrides = {name: value(name) for name in PARAMETERS if value(name)}
    overrides['use_sim_time'] = value('use_sim_time') == 'true'
    return [
        Node(
            package='gtr_ros',
            executable='tracker_node',
            name='tracker',
            namespace=value('namespace'),
            parameters=[params_file, overrides],
            remappings=[('image', value('image_topic'))],
            ros_arguments=['--log-level', value('log_level')],
            output='screen',
        )
    ]
