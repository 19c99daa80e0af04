# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch the tracker node for one or several cameras."""

from collections.abc import Iterator
from dataclasses import fields
import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument
from launch.actions import IncludeLaunchDescription
from launch.actions import OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch.utilities import normalize_to_list_of_substitutions
from launch.utilities import perform_substitutions
from launch_ros.actions import Node

from gtr_ros.node.arguments import parse_arguments
from gtr_ros.node.arguments import refuse_unknown
from gtr_ros.node.environment import dds_variables
from gtr_ros.node.environment import SWITCH
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.options import explain
from launch import LaunchContext
from launch import LaunchDescription
from launch import LaunchDescriptionEntity

# Topics of a single camera, by their names in the node. With several cameras (parameter cameras),
# the topics are under the cameras' names: remap them in a launch file that includes this one.
TOPICS = {
    'image': 'Topic of the images.',
    'depth': 'Topic of the aligned depth images, used if the parameter depth is true.',
    'camera_info': "Topic of the camera's calibration, used with depth, target_frame or "
    'camera_motion_frame.',
}

# The parameters of the node: an argument that is not empty overrides the value in params_file.
PARAMETERS = {spec.name: explain(spec) for spec in fields(NodeParameters)}

# Boolean arguments: default and description.
SWITCHES = {
    'respawn': ('false', 'Whether to restart the node when it ends.'),
    'dds_profile': (
        'true',
        'Whether Fast DDS uses config/fastdds_large_images.xml of this package, without which it '
        'loses large images. Other RMWs, and a profile that you have set, are left alone.',
    ),
    'rviz': (
        'false',
        'Whether to start rviz2 as well, with the debug image and 3D markers; if target_frame is '
        'an argument, in that frame.',
    ),
}

# `ros2 launch --launch-prefix` passes its options on as arguments.
OF_LAUNCH = ('launch-prefix', 'launch-prefix-filter')


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, and create the node from them."""
    return LaunchDescription([*_arguments(), OpaqueFunction(function=_tracker)])


def _arguments() -> list[DeclareLaunchArgument]:
    return [
        *(
            DeclareLaunchArgument(f'{name}_topic', default_value=name, description=text)
            for name, text in TOPICS.items()
        ),
        DeclareLaunchArgument(
            'params_file',
            default_value='',
            description='Parameter file (YAML). Empty: config/MODEL.yaml of this package.',
        ),
        *(
            DeclareLaunchArgument(
                name, default_value='', description=f'{text} Default: as in params_file.'
            )
            for name, text in PARAMETERS.items()
        ),
        DeclareLaunchArgument(
            'use_sim_time',
            default_value='',
            choices=['', 'true', 'false'],
            description='Whether to use the time of /clock, as in simulation. Default: as in '
            'params_file.',
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
    ]


def _tracker(context: LaunchContext) -> list[Node]:
    # Plain values instead of substitutions, because only arguments that are given may override the
    # file, and launch would convert a path such as '1' to a number.
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    known = [argument.name for argument in _arguments()]
    refuse_unknown(_given(context), [*known, *OF_LAUNCH])
    given = {name: value(name) for name in PARAMETERS if value(name)}
    overrides = {
        # An empty list has no type, so [''] represents it.
        name: (list(parsed) or ['']) if isinstance(parsed, tuple) else parsed
        for name, parsed in parse_arguments(NodeParameters, given).items()
    }
    if value('use_sim_time'):
        overrides['use_sim_time'] = value('use_sim_time') == 'true'
    config = Path(get_package_share_directory('gtr_ros'), 'config')
    params_file = value('params_file') or str(config / f'{value("model") or "mobile"}.yaml')
    if not Path(params_file).is_file():
        raise FileNotFoundError(f'params_file is {params_file!r}, which is not a file')
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
            additional_env=(
                dds_variables(os.environ) if value('dds_profile') == 'true' else {SWITCH: 'false'}
            ),
            respawn=value('respawn') == 'true',
            respawn_delay=2.0,
            output='screen',
        )
    ]
    if value('rviz') == 'true':
        frame = overrides.get('target_frame')
        displays = 'tracker_in_metres.rviz' if frame else 'tracker.rviz'
        fixed_frame = ['-f', frame] if frame else []
        actions.append(
            Node(
                package='rviz2',
                executable='rviz2',
                # Its topics are relative, so the namespace maps them to this tracker's topics.
                namespace=namespace,
                arguments=['-d', str(config / displays), *fixed_frame],
                parameters=[{'use_sim_time': overrides.get('use_sim_time', False)}],
                output='screen',
            )
        )
    return actions


def _given(context: LaunchContext) -> set[str]:
    """
    Return the names of the arguments that were given to this file.

    Launch itself ignores names that a file does not declare. Its configurations also have those of
    the files that include this one, so the names are taken from the actions that include it.
    """
    event = context.get_locals_as_dict().get('event')
    root = getattr(event, 'launch_description', None)
    return {
        perform_substitutions(context, normalize_to_list_of_substitutions(name))
        for action in ([] if root is None else _includes(root))
        for name, _ in action.launch_arguments
    }


def _includes(entity: LaunchDescriptionEntity) -> Iterator[IncludeLaunchDescription]:
    """Yield the actions that include this file, in an entity and all that it contains."""
    if isinstance(entity, IncludeLaunchDescription):
        location = entity.launch_description_source.location
        if os.path.realpath(location) == os.path.realpath(__file__):
            yield entity
            return
    for part in _parts(entity):
        yield from _includes(part)


def _parts(entity: LaunchDescriptionEntity) -> list[LaunchDescriptionEntity]:
    if isinstance(entity, LaunchDescription):
        return entity.entities
    return entity.get_sub_entities() if hasattr(entity, 'get_sub_entities') else []
