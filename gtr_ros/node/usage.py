# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the programs answer to --help. Needs no rclpy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import Field
from dataclasses import fields
import math
import shutil
import textwrap

from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.node.viewer.parameters import ViewerParameters
from gtr_ros.options import explain
from gtr_ros.options import Options

_MAX_WIDTH = 99

TRACKER_TOPICS = {
    'Subscribed topics': {
        'image': 'sensor_msgs/Image; with image_transport compressed: sensor_msgs/CompressedImage '
        'on image/compressed',
        'depth, camera_info': 'sensor_msgs/Image aligned with image, sensor_msgs/CameraInfo; with '
        'depth true',
        'value of detections_topic': 'vision_msgs/Detection2DArray of another detector, if set',
        '/tf, /tf_static': 'tf2_msgs/TFMessage; with target_frame or camera_motion_frame (also '
        'camera_info)',
    },
    'Published topics': {
        '~/detections': 'vision_msgs/Detection2DArray: the confirmed tracks of every processed '
        'image; id is the track id',
        '~/trajectories': 'gtr_ros/TrajectoryArray: the boxes of every track in the window',
        '~/debug_image': 'sensor_msgs/Image with boxes and ids; also ~/debug_image/compressed',
        '~/image_marker': 'visualization_msgs/ImageMarker: box outlines',
        '~/detections_3d, ~/markers': 'vision_msgs/Detection3DArray, '
        'visualization_msgs/MarkerArray; with depth true',
        '~/tracks_3d, ~/tracks_with_velocity': 'vision_msgs/Detection3DArray, '
        'gtr_ros/Track3DArray in target_frame',
        '~/obstacles': 'sensor_msgs/PointCloud2: outlines and predicted paths in target_frame',
        '~/tracks_3d/markers, ~/zones/markers': 'visualization_msgs/MarkerArray in target_frame',
        '~/people': 'people_msgs/People in target_frame; with people true',
        '~/events, ~/counts, ~/zones': 'gtr_ros/TrackEventArray: what happens; gtr_ros/Counts and '
        'gtr_ros/ZoneArray of zones_file (latched)',
        '~/crops': 'gtr_ros/Crop: the best picture of each track',
        '~/followed/state, ~/followed/pose': 'gtr_ros/FollowedState (latched), '
        'geometry_msgs/PoseStamped; also /tf, the frame follow_frame',
        '~/label_info, ~/vision_info': 'vision_msgs/LabelInfo, vision_msgs/VisionInfo: classes, '
        'model (latched)',
        '~/debug/processing_time_ms, ~/debug/pipeline_latency_ms': 'std_msgs/Float64',
        '/diagnostics': 'diagnostic_msgs/DiagnosticArray: rates, lost images, errors',
    },
    'Services': {
        '~/reset': 'std_srvs/Trigger: end all tracks',
        '~/enable': 'std_srvs/SetBool: false: ignore the images',
        '~/set_classes': 'gtr_ros/SetClasses: the classes to track',
        '~/follow, ~/unfollow': 'gtr_ros/Follow: the object to follow; std_srvs/Trigger',
    },
}

VIEWER_TOPICS = {
    'Subscribed topics': {
        'image': 'sensor_msgs/Image; with image_transport compressed: sensor_msgs/CompressedImage '
        'on image/compressed',
        'TRACKER/detections': 'vision_msgs/Detection2DArray; TRACKER is the parameter tracker',
        'TRACKER/trajectories': 'gtr_ros/TrajectoryArray',
        'TRACKER/zones, TRACKER/counts, TRACKER/followed/state': 'gtr_ros/ZoneArray, '
        'gtr_ros/Counts, gtr_ros/FollowedState; images are shown without them, too',
    },
    'Called services': {
        'TRACKER/follow': 'gtr_ros/Follow, when somebody clicks an object',
    },
}


def tracker_usage() -> str:
    """Return the help of tracker_node."""
    return _usage(
        'tracker_node',
        'Tracks the objects in the images of one or several cameras: each object keeps its id. '
        'A lifecycle node that configures and activates itself, unless autostart is false.',
        TRACKER_TOPICS,
        NodeParameters,
        '-r image:=/camera/image_raw -p score_threshold:=0.3 -p "class_names:=[person]"',
    )


def viewer_usage() -> str:
    """Return the help of web_viewer."""
    return _usage(
        'web_viewer',
        "Shows a camera's images and tracks in a browser, where a click chooses the object to "
        'follow. Subscribes only while a browser is connected.',
        VIEWER_TOPICS,
        ViewerParameters,
        '-r image:=/camera/image_raw -p port:=8090',
    )


def _number(least: float, most: float, kind: type = float) -> Callable[[str], float]:
    """Return a function that parses a number in a range, for argparse."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:  # also if it is nan
            raise argparse.ArgumentTypeError(
                f'{text} is not a {"whole " if kind is int else ""}number from {least} to {most}'
            )
        return value

    return parse


def video_parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments of video_publisher."""
    parser = argparse.ArgumentParser(
        prog='video_publisher',
        description='Publish the frames of a video file or a camera as images, at the rate of the '
        'video.',
        epilog='Published topics:\n'
        '  image  sensor_msgs/Image, rgb8, reliable\n\n'
        'Example, with ROS arguments after --ros-args:\n'
        '  video_publisher street.mp4 --loop --ros-args -r image:=/camera/image_raw',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'source', help='video file, folder or glob of images, or a camera such as /dev/video0'
    )
    parser.add_argument(
        '--rate',
        type=_number(0.001, 1000.0),
        metavar='HZ',
        help='frames per second (default: as in the video)',
    )
    parser.add_argument(
        '--frames', type=_number(1, 2**31, int), metavar='N', help='stop after N frames'
    )
    parser.add_argument('--loop', action='store_true', help='repeat the video until interrupted')
    parser.add_argument(
        '--wait',
        type=_number(0.0, 86400.0),
        default=5.0,
        metavar='S',
        help='maximum time to wait for a subscriber, seconds (default: %(default)s)',
    )
    parser.add_argument(
        '--frame-id', default='camera', help='frame_id of the images (default: %(default)s)'
    )
    return parser


def _usage(
    program: str,
    purpose: str,
    topics: Mapping[str, Mapping[str, str]],
    kind: type[Options],
    example: str,
) -> str:
    width = min(shutil.get_terminal_size().columns, _MAX_WIDTH)
    lines = [
        f'usage: {program} [--help] [--ros-args [-r NAME:=TOPIC] [-p PARAMETER:=VALUE] '
        '[--params-file FILE]]',
        '',
        *textwrap.wrap(purpose, width),
    ]
    for title, entries in topics.items():
        lines += ['', f'{title}:']
        for name, text in entries.items():
            lines += _entry(name, text, width)
    lines += ['', 'Parameters (live: can be changed while the node runs):']
    for spec in fields(kind):
        lines += _entry(f'{spec.name}: {_default(spec)}', _description(spec), width)
    lines += ['', 'Example:', f'  {program} --ros-args {example}']
    return '\n'.join(lines)


def _entry(name: str, text: str, width: int) -> list[str]:
    indent = ' ' * 6
    return [
        f'  {name}',
        *textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent),
    ]


def _description(spec: Field) -> str:
    return ('' if spec.metadata['read_only'] else '(live) ') + explain(spec)


def _default(spec: Field) -> str:
    """Return the default of an option as it is written on a command line."""
    default = spec.default
    if isinstance(default, bool):
        return str(default).lower()
    return str(list(default)) if isinstance(default, tuple) else str(default) or "''"
