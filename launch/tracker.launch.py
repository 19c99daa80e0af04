# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch the tracker node for one or several cameras."""

from dataclasses import fields
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument
from launch.actions import OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from gtr_ros.model.options import ModelOptions
from launch import LaunchContext
from launch import LaunchDescription

# Topics of a single camera, by their names in the node. With several cameras (parameter cameras),
# the topics are under the cameras' names: remap them in a launch file that includes this one.
TOPICS = {
    'image': 'Topic of the images.',
    'depth': 'Topic of the aligned depth images, used if the parameter depth is true.',
    'camera_info': "Topic of the camera's calibration, used if the parameter depth is true.",
}

# Arguments that override a parameter from params_file if they are not empty: the string options of
# the model.
PARAMETERS = {
    spec.name: spec.metadata['description']
    for spec in fields(ModelOptions)
    if isinstance(spec.default, str)
}

# Boolean arguments: default and description.
SWITCHES = {
    'use_sim_time': ('false', 'Whether to use the time of /clock, as in simulation.'),
    'autostart': ('true', 'Whether the node activates itself; false: a lifecycle manager does.'),
    'respawn': ('false', 'Whether to restart the node when it ends.'),
    'profile': (
        'false',
        'Whether to log how long each stage of a frame takes; false: as set in params_file.',
    ),
    'rviz': ('false', 'Whether to start rviz2 as well, with the debug image and 3D markers.'),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, and create the node from them."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(f'{name}_topic', default_value=name, description=text)
                for name, text in TOPICS.items()
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
                description='Parameter file (YAML). Empty: config/MODEL.yaml of this package.',
            ),
            DeclareLaunchArgument(
                'namespace',
                default_value='',
                description='Namespace of the node and of its relative topics.',
            ),
            *(
                DeclareLaunchArgument(
                    name, default_value=default, choices=['true', 'false'], description=text
                )
                for name, (default, text) in SWITCHES.items()
            ),
            DeclareLaunchArgument(
                'log_level',
                default_value='info',
                choices=['debug', 'info', 'warn', 'error', 'fatal'],
                description="Minimum severity of the node's log messages.",
            ),
            OpaqueFunction(function=_tracker),
        ]
    )


def _tracker(context: LaunchContext) -> list[Node]:
    # Plain values instead of substitutions, because only arguments that are given may override the
    # file, and launch would convert a path such as '1' to a number.
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    config = Path(get_package_share_directory('gtr_ros'), 'config')
    params_file = value('params_file') or str(config / f'{value("model") or "mobile"}.yaml')
    overrides = {name: value(name) for name in PARAMETERS if value(name)}
    overrides |= {name: value(name) == 'true' for name in ('use_sim_time', 'autostart')}
    if value('profile') == 'true':
        overrides['profile'] = True
    namespace = value('namespace')
    actions = [
        Node(
            package='gtr_ros',
            executable='tracker_node',
            name='tracker',
            namespace=namespace,
            parameters=[params_file, overrides],
            remappings=[(name, value(f'{name}_topic')) for name in TOPICS],
            ros_arguments=['--log-level', value('log_level')],
            respawn=value('respawn') == 'true',
            respawn_delay=2.0,
            output='screen',
        )
    ]
    if value('rviz') == 'true':
        actions.append(
            Node(
                package='rviz2',
                executable='rviz2',
                # Its topics are relative, so the namespace maps them to this tracker's topics.
                namespace=namespace,
                arguments=['-d', str(config / 'tracker.rviz')],
                parameters=[{'use_sim_time': overrides['use_sim_time']}],
                output='screen',
            )
        )
    return actions
