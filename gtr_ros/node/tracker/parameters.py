# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the tracker node: the source of every default, range and description."""

from __future__ import annotations

from dataclasses import dataclass
import re
from typing import Any

from gtr_ros.model.options import ModelOptions
from gtr_ros.model.registry import rule_name
from gtr_ros.node.image_transport import image_transport_option
from gtr_ros.options import ConfigurationError
from gtr_ros.options import option
from gtr_ros.options import RANGES
from gtr_ros.options import RULES

# A ROS name that is a single token, so that it can be part of a topic.
_NAME = re.compile('[A-Za-z][A-Za-z0-9_]*')


@dataclass(frozen=True)
class NodeParameters(ModelOptions):
    """
    The parameters of the tracker node; the read-only ones are read when it is configured.

    :raises ConfigurationError: if a value is invalid, or two options conflict
    """

    cameras: tuple[str, ...] = option(
        (),
        "Names of the cameras, such as ['front', 'left']. The topics of a camera are under its "
        'name: front/image, ~/front/detections. All cameras share one model. Empty: one camera '
        'without a name.',
    )
    image_transport: str = image_transport_option()
    rule: str = option(
        '',
        'Rule that links detections to tracks: evidence (motion, size, appearance and class; '
        'also accepted as mobile), mot or tao (as in the public code for its models), paper (as '
        'described in the paper), gaussian (the former default of this package). Empty: evidence '
        "for the model mobile and for another detector's boxes, otherwise the model's own rule.",
        choices=('', *RULES, 'mobile'),
    )
    autostart: bool = option(
        True,
        'Whether the node configures and activates itself at startup; false: a lifecycle manager '
        'does.',
    )
    score_threshold: float = option(
        0.4,
        'Detections with a lower score do not start tracks, and are discarded unless '
        'weak_score_threshold keeps them.',
        limits=RANGES['score_threshold'],
        read_only=False,
    )
    weak_score_threshold: float = option(
        0.0,
        'Detections with a score between this and score_threshold can continue a track, but not '
        'start one; 0: off.',
        limits=RANGES['weak_score_threshold'],
        read_only=False,
    )
    class_names: tuple[str, ...] = option(
        (),
        'Names of the classes to track; empty: all classes of the model.',
        read_only=False,
    )
    window: int = option(
        32,
        'Number of frames in the window: in trajectories and for the association probability '
        'P_A. With the rules evidence and gaussian these frames span 4.5 and 4 seconds at any '
        'frame rate; with the other rules they are the most recent ones.',
        limits=RANGES['window'],
        read_only=False,
    )
    min_hits: int = option(
        0,
        'Number of detections after which a track is confirmed and published; 0: confirm it when '
        'its probability of existence, computed from scores and misses, reaches 0.9.',
        limits=RANGES['min_hits'],
        read_only=False,
    )
    camera_motion: bool = option(
        True,
        'Whether to estimate the motion of the camera from its images, for cameras that turn or '
        'move: about 1 ms per image. Used by the rule evidence; has no effect on the ids of a '
        'static camera.',
    )
    camera_motion_frame: str = option(
        '',
        'Frame that does not move with the camera, such as odom: its motion is then taken from '
        'the transforms on /tf, and estimated from the images only where one is missing. Needs '
        'camera_info. Empty: from the images.',
        needs=('camera_motion', 'rule evidence'),
    )
    gallery_size: int = option(
        1000,
        'Maximum number of lost tracks, per camera, that the rule evidence keeps in its gallery '
        'to re-identify them by appearance after more than 4.5 seconds; the oldest are removed '
        'first. 0: no gallery.',
        limits=RANGES['gallery_size'],
        needs=('rule evidence or share_ids',),
    )
    gallery_seconds: float = option(
        900.0,
        'Seconds for which the gallery keeps a lost track.',
        limits=RANGES['gallery_seconds'],
        needs=('gallery_size', 'rule evidence or share_ids'),
    )
    max_rate: float = option(
        0.0,
        'Maximum number of images per second to process per camera, to limit the load; 0: no '
        'limit.',
        limits=(0.0, 1000.0),
        read_only=False,
    )
    max_age: float = option(
        1.0,
        'Warn when detections are published more than this many seconds after the stamp of their '
        'image; 0: never.',
        limits=(0.0, 3600.0),
        read_only=False,
    )
    detections_topic: str = option(
        '',
        "Topic of another detector's vision_msgs/Detection2DArray, relative to the namespace of "
        'the camera: these boxes are tracked instead of those of the built-in detector. Empty: '
        'use the built-in detector.',
    )
    detections_slop: float = option(
        0.0,
        "Maximum difference, in seconds, between the stamps of an image and another detector's "
        'message for it; 0: they must be equal.',
        limits=(0.0, 10.0),
        needs=('detections_topic',),
    )
    detections_width: int = option(
        0,
        "Width, in pixels, of the image that another detector's boxes refer to, if it differs "
        "from the camera's; 0: the camera's.",
        limits=(0, 65536),
        needs=('detections_topic',),
    )
    detections_height: int = option(
        0,
        "Height of that image, in pixels; 0: the camera's.",
        limits=(0, 65536),
        needs=('detections_topic',),
    )
    class_id_format: str = option(
        'name',
        'Content of class_id in ~/detections: the name of the class, or its index in '
        '~/label_info.',
        choices=('name', 'index'),
    )
    depth: bool = option(
        False,
        'Whether to publish 3D detections as well, from an aligned depth image on the topic depth '
        'and its camera_info.',
    )
    depth_slop: float = option(
        0.05,
        'Maximum difference, in seconds, between the stamps of an image and its depth image.',
        limits=(0.0, 10.0),
        needs=('depth',),
    )
    target_frame: str = option(
        '',
        'Frame that does not move with the camera, such as odom or map: tracks are published in '
        'it, in metres, with velocity and covariance. Needs transforms on /tf, and depth or '
        'ground_frame. Empty: off.',
    )
    ground_frame: str = option(
        '',
        'Frame whose plane z = 0 is the ground, such as base_footprint: objects without depth are '
        'placed where the lower edge of their box meets it. Used with target_frame. Empty: only '
        'depth places objects.',
        needs=('target_frame',),
    )
    depth_error: float = option(
        0.002,
        'Standard deviation of the depth of an object at a distance of 1 m, in metres; it grows '
        'with the square of the distance. Used with target_frame.',
        limits=(0.0, 1.0),
        needs=('target_frame', 'depth'),
    )
    coast: float = option(
        1.0,
        'Seconds for which tracks in target_frame are predicted, and marked as coasted, while '
        'their position is not measured.',
        limits=(0.0, 60.0),
        needs=('target_frame',),
    )
    transform_timeout: float = option(
        0.2,
        'Maximum number of seconds to wait for the transform of an image to target_frame; '
        '~/detections does not wait.',
        limits=(0.0, 10.0),
        needs=('target_frame',),
    )
    predict_seconds: float = option(
        2.0,
        'Seconds for which ~/obstacles contains the predicted paths of moving objects; 0: only '
        'where objects are. Used with target_frame.',
        limits=(0.0, 10.0),
        needs=('target_frame',),
    )
    people: bool = option(
        False,
        'Whether to publish the tracks of people as people_msgs/People on ~/people as well. Used '
        'with target_frame; needs the package people_msgs.',
    )
    share_ids: bool = option(
        False,
        'Whether an object has the same id in all cameras: by its place in target_frame where '
        'their views overlap, by appearance and walking time where they do not. Needs '
        'target_frame and two cameras or more. False: ids are per camera.',
    )
    follow_frame: str = option(
        'followed',
        'Name of the TF frame of the object that ~/follow has chosen, published on /tf with depth '
        'or target_frame; with several cameras the name of the camera and _ are put before it. '
        'Empty: none.',
        needs=('depth or target_frame',),
    )
    follow_hidden: float = option(
        10.0,
        'Seconds after which a followed object that is hidden is reported as lost; it is still '
        'looked for.',
        limits=(0.0, 3600.0),
    )
    zones_file: str = option(
        '',
        'YAML file with areas and lines for ~/events and ~/counts, such as config/zones.yaml; '
        'empty: none.',
    )
    left_after: float = option(
        2.0,
        'Seconds without a detection after which ~/events reports that an object has left.',
        limits=(0.1, 3600.0),
    )
    still_seconds: float = option(
        10.0,
        'Seconds after which ~/events reports that an object stands still; 0: never.',
        limits=(0.0, 86400.0),
    )
    still_speed: float = option(
        0.05,
        'Mean speed below which an object stands still: m/s with target_frame, otherwise heights '
        'of its box per second, for cameras that do not move.',
        limits=(0.0, 100.0),
        needs=('still_seconds',),
    )
    crop_rate: float = option(
        1.0,
        'Maximum number of pictures of each object per second in ~/crops.',
        limits=(0.01, 100.0),
    )
    profile: bool = option(
        False,
        'Whether to log, every ten seconds and at shutdown, how long each stage of a frame takes; '
        'the diagnostics contain it as well.',
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.cameras:
            if not _NAME.fullmatch(name):
                raise ConfigurationError(
                    f'cameras has {name!r}; expected a topic name: letters, digits and _, '
                    'starting with a letter'
                )
        if len(set(self.cameras)) != len(self.cameras):
            raise ConfigurationError(f'cameras contains a name twice: {", ".join(self.cameras)}')
        if self.cameras and self.detections_topic.startswith(('/', '~')):
            raise ConfigurationError(
                f'detections_topic is {self.detections_topic!r}, the same for all '
                f'{len(self.cameras)} cameras; expected a relative name, which can be remapped '
                'for each camera'
            )
        if self.detector and self.detections_topic:
            raise ConfigurationError(
                f'detector is {self.detector!r} and detections_topic {self.detections_topic!r}: '
                'these are two detectors; leave one of them empty'
            )
        if self.target_frame and not (self.depth or self.ground_frame):
            raise ConfigurationError(
                f'target_frame is {self.target_frame!r}, but depth is false and ground_frame '
                'empty, so nothing tells where objects are; set one of them'
            )
        if self.people and not self.target_frame:
            raise ConfigurationError(
                'people is true, but target_frame is empty, so people have no place and no '
                'velocity; set target_frame, or people to false'
            )
        if self.share_ids and not (self.target_frame and len(self.cameras) > 1):
            raise ConfigurationError(
                f'share_ids is true, but target_frame is {self.target_frame!r} and cameras has '
                f'{len(self.cameras)} names; set a frame that the cameras share, such as odom, '
                'and two cameras or more, or share_ids to false'
            )
        if bool(self.detections_width) != bool(self.detections_height):
            raise ConfigurationError(
                f'detections_width is {self.detections_width}, detections_height '
                f'{self.detections_height}; set both, or neither'
            )
        if self.weak_score_threshold > self.score_threshold:
            raise ConfigurationError(
                f'weak_score_threshold is {self.weak_score_threshold}, above score_threshold '
                f'{self.score_threshold}; set it below that, or to 0.0: no weak detections'
            )

    def meaning(self, name: str) -> Any:
        """Return the value of an option; the name of the rule if it is ''."""
        if name != 'rule':
            return super().meaning(name)
        return rule_name(self.rule, self.model, not (self.detections_topic or self.detector))

    @property
    def compensates(self) -> bool:
        """Whether the motion of the cameras is used."""
        return self.camera_motion and self.meaning('rule') == 'evidence'

    @property
    def needs_transforms(self) -> bool:
        """Whether anything uses /tf and camera_info."""
        return bool(self.target_frame or (self.compensates and self.camera_motion_frame))

    @property
    def camera_names(self) -> tuple[str, ...]:
        """The names of the cameras; '' for a single camera without a name."""
        return self.cameras or ('',)
