# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch the tracker, on one camera or on several."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument
from launch.actions import OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext
from launch import LaunchDescription

# Topics of one camera, by the names that the node has for them. Several cameras (parameter
# cameras) have theirs under their names: remap those in a launch file that includes this one.
TOPICS = {
    'image': 'Topic of the images to track in.',
    'depth': 'Topic of the aligned depth images (parameter depth).',
    'camera_info': "Topic of the camera's calibration (parameter depth).",
}

# Arguments that override a parameter of the params_file when they are not empty.
PARAMETERS = {
    'device': "Device of the model: 'auto', 'cpu', 'cuda' or 'cuda:N'.",
    'model': 'Model to run.',
    'checkpoint': "Path of the model's weights (safetensors).",
    'runtime': 'torch, or onnxruntime.',
    'precision': "Of torch's network: float32, bfloat16 or float16.",
}


# Arguments that are true or false: default, and what they are.
SWITCHES = {
    'use_sim_time': ('false', 'Whether time comes from /clock, as in simulation.'),
    'autostart': ('true', 'Whether the node activates itself; false: a lifecycle manager does.'),
    'respawn': ('false', 'Whether the node is started again when it has ended.'),
    'profile': (
        'false',
        'Whether to log where the time of a frame goes; false: as in params_file.',
    ),
    'rviz': ('false', 'Whether to start rviz2, too, with the debug image and 3D markers.'),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the node follows from them."""
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
                description='File of parameters (yaml). Empty: config/MODEL.yaml of this package.',
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
                # Its topics are relative: in the namespace they are this tracker's.
                namespace=namespace,
                arguments=['-d', str(config / 'tracker.rviz')],
                parameters=[{'use_sim_time': overrides['use_sim_time']}],
                output='screen',
            )
        )
    return actions
