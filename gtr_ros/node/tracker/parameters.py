# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: one dataclass is the source of every default, range and description."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import Field
from dataclasses import field
from dataclasses import fields
import re
from typing import Any
from typing import TYPE_CHECKING
from typing import TypeVar

from rcl_interfaces.msg import FloatingPointRange
from rcl_interfaces.msg import IntegerRange
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.exceptions import InvalidParameterValueException

if TYPE_CHECKING:
    from rclpy.node import Node


# Of what ROS allows in a topic: nothing that ends a namespace.
_NAME = re.compile('[A-Za-z][A-Za-z0-9_]*')


Kind = TypeVar('Kind', bound='Parameters')


class ConfigurationError(ValueError):
    """The node cannot start as asked; the message names the value, the rule and the way out."""


def parameter(
    default: Any,
    description: str,
    *,
    limits: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
    read_only: bool = True,
) -> Any:
    """
    Make a field of `Parameters`.

    :param limits: least and most of a number
    :param choices: what a text may be; none: anything
    :param read_only: whether it is read once; else it can be changed while the node runs
    """
    return field(
        default=default,
        metadata={
            'description': description,
            'limits': limits,
            'choices': choices,
            'read_only': read_only,
        },
    )


@dataclass(frozen=True)
class Parameters:
    """
    What can be set on a node: a subclass has a field, made by `parameter`, for each.

    :raises ConfigurationError: if a value is out of its range
    """

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            limits, choices = spec.metadata['limits'], spec.metadata['choices']
            if limits and not limits[0] <= value <= limits[1]:
                raise ConfigurationError(
                    f'{spec.name} is {value}; expected a number from {limits[0]} to {limits[1]}'
                )
            if choices and value not in choices:
                raise ConfigurationError(
                    f'{spec.name} is {value!r}; expected one of {", ".join(choices)}'
                )


@dataclass(frozen=True)
class NodeParameters(Parameters):
    """What can be set on the node; those that are read-only are read when it is configured."""

    cameras: tuple[str, ...] = parameter(
        (),
        "Names of the cameras, such as ['front', 'left']: each has its topics under its name, "
        'front/image and ~/front/detections; all share one model. Empty: one without a name.',
    )
    image_transport: str = parameter(
        'raw',
        'How images arrive: sensor_msgs/Image on the topic image, or sensor_msgs/CompressedImage '
        '(JPEG, PNG) on image/compressed.',
        choices=('raw', 'compressed'),
    )
    model: str = parameter('mobile', 'Model to run.', choices=('mobile', 'mot', 'tao'))
    rule: str = parameter(
        '',
        'What links detections to tracks: evidence of motion, size, looks and class (evidence, '
        'once called mobile), what the public code does with its models (mot, tao), what the '
        'paper says (paper), what this package did before (gaussian). Empty: evidence for the '
        "model mobile and for another detector's boxes, else what the public code does.",
        choices=('', 'evidence', 'mot', 'tao', 'paper', 'gaussian', 'mobile'),
    )
    checkpoint: str = parameter(
        '',
        "Path of the model's weights (safetensors, or the authors' .pth). Empty: those that come "
        "along (mobile), or those in the user's cache. 'random': untrained weights, for tests of "
        'everything else.',
    )
    device: str = parameter(
        'auto',
        "Device of the model: 'auto' (CUDA where there is one), 'cpu', 'cuda' or 'cuda:N'.",
    )
    runtime: str = parameter(
        'torch',
        'What runs the networks: torch, or ONNX Runtime (onnxruntime), which is faster on some '
        'CPUs and needs the files that `gtr export` writes once.',
        choices=('torch', 'onnxruntime'),
    )
    precision: str = parameter(
        'float32',
        "Numbers that torch's network computes with, but for the sides of boxes: bfloat16 is "
        'faster on a CPU that has instructions for it (avx512_bf16, amx), float16 is for CUDA.',
        choices=('float32', 'bfloat16', 'float16'),
    )
    compile: bool = parameter(
        False,
        'Whether torch compiles the network, which needs a C++ compiler and, for each size of '
        'image, half a minute at the first one; on CUDA it is replayed as a graph.',
    )
    provider: str = parameter(
        'auto',
        "What ONNX Runtime computes with: 'auto' is CUDA where it is and device is not cpu, else "
        'the CPU; TensorRT needs engines that were built before.',
        choices=('auto', 'cpu', 'cuda', 'tensorrt'),
    )
    exported: str = parameter(
        '',
        "Folder that `gtr export --out` wrote, for ONNX Runtime. Empty: in the user's cache.",
    )
    threads: int = parameter(
        0, "CPU threads of the model; 0: torch's own choice.", limits=(0, 256)
    )
    autostart: bool = parameter(
        True,
        'Whether the node configures and activates itself at start; false: a lifecycle manager '
        'does.',
    )
    score_threshold: float = parameter(
        0.4,
        'Detections of a lower score begin no track, and are not looked at unless '
        'weak_score_threshold asks for them.',
        limits=(0.0, 1.0),
        read_only=False,
    )
    weak_score_threshold: float = parameter(
        0.0,
        'Detections of a score from this one to score_threshold may continue a track, and never '
        'begin one; 0: there are none.',
        limits=(0.0, 1.0),
        read_only=False,
    )
    class_names: tuple[str, ...] = parameter(
        (),
        'Names of the classes to track; empty: all that the model knows.',
        read_only=False,
    )
    window: int = parameter(
        32,
        'Frames of the trajectories, and of the association probability P_A. With the rules '
        "evidence and gaussian they cover 4.5 and 4 seconds, whatever the camera's rate; with the "
        'others they are the last ones.',
        limits=(2, 256),
        read_only=False,
    )
    min_hits: int = parameter(
        0,
        'Frames an object must be seen in before it is published as a detection; 0: until it '
        'exists with a probability of 0.9, by the scores of its boxes and by what was missed.',
        limits=(0, 64),
        read_only=False,
    )
    camera_motion: bool = parameter(
        True,
        "Whether the camera's own motion is estimated from its images, for cameras that turn or "
        'drive: about a millisecond an image. The rule evidence uses it; a camera that stands '
        'still loses nothing by it.',
    )
    gallery_size: int = parameter(
        1000,
        'Objects of each camera that the rule evidence remembers once they are lost for more than '
        '4.5 seconds, to know them again by their looks; the one lost longest ago goes. 0: none.',
        limits=(0, 100_000),
    )
    gallery_seconds: float = parameter(
        900.0, 'Seconds for which those are remembered.', limits=(0.0, 86400.0)
    )
    max_rate: float = parameter(
        0.0,
        'Images a second that are tracked of each camera at most, to leave the machine to others; '
        '0: as many as it can.',
        limits=(0.0, 1000.0),
        read_only=False,
    )
    max_age: float = parameter(
        1.0,
        'Seconds from the stamp of an image to its detections from which on the node warns; '
        '0: never.',
        limits=(0.0, 3600.0),
        read_only=False,
    )
    detections_topic: str = parameter(
        '',
        "Topic of another detector's vision_msgs/Detection2DArray, relative to the camera's: its "
        "boxes are tracked instead of our detector's. Empty: our detector.",
    )
    detections_slop: float = parameter(
        0.0,
        "Seconds that the stamps of another detector's boxes and of their image may differ by; "
        '0: they are equal.',
        limits=(0.0, 10.0),
    )
    detections_width: int = parameter(
        0,
        "Width, in pixels, of the image that another detector's boxes are in, where that is not "
        "the camera's but a resized one; 0: the camera's.",
        limits=(0, 65536),
    )
    detections_height: int = parameter(0, 'Height, likewise.', limits=(0, 65536))
    class_id_format: str = parameter(
        'name',
        'What class_id says in ~/detections: the name of the class, or its index in ~/label_info.',
        choices=('name', 'index'),
    )
    depth: bool = parameter(
        False,
        'Whether objects are published in 3D, too: from an aligned depth image on the topic depth '
        'and its camera_info.',
    )
    depth_slop: float = parameter(
        0.05,
        'Seconds that the stamps of an image and its depth image may differ by.',
        limits=(0.0, 10.0),
    )
    profile: bool = parameter(
        False,
        'Whether the log says, every ten seconds and at the end, where the time of a frame goes; '
        'the diagnostics say it, too.',
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.cameras:
            if not _NAME.fullmatch(name):
                raise ConfigurationError(
                    f'cameras has {name!r}; expected a name for topics: letters, digits and _, '
                    'beginning with a letter'
                )
        if len(set(self.cameras)) != len(self.cameras):
            raise ConfigurationError(f'cameras has a name twice: {", ".join(self.cameras)}')
        if self.cameras and self.detections_topic.startswith(('/', '~')):
            raise ConfigurationError(
                f'detections_topic is {self.detections_topic!r}, one for '
                f"{len(self.cameras)} cameras; write it relative to the cameras', and remap each"
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

    @property
    def camera_names(self) -> tuple[str, ...]:
        """The names of the cameras; '' is the one without a name."""
        return self.cameras or ('',)


def declare_all(node: Node, kind: type[Kind] = NodeParameters) -> Kind:
    """
    Declare every parameter on a node and read the values it was started with.

    :param kind: which parameters
    :raises ConfigurationError: if one of those values has a wrong type or lies out of its range
    """
    return kind(**{spec.name: _declare(node, spec) for spec in fields(kind)})


def from_message(value: Any) -> Any:
    """Return a parameter's value as the dataclass holds it; of a list what is not empty."""
    return tuple(part for part in value if part) if isinstance(value, list) else value


def _declare(node: Node, spec: Field) -> Any:
    is_list = spec.default == ()
    # rclpy takes an empty list for an array of bytes: one empty name stands for it.
    default = [''] if is_list else spec.default
    try:
        unset = is_list and _is_given_as_empty_list(node, spec.name)
        value = node.declare_parameter(
            spec.name, default, _descriptor(spec), ignore_override=unset
        ).value
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        example, limits = ['person'] if is_list else spec.default, spec.metadata['limits']
        way_out = f'Write it like {example!r}'
        if limits:
            way_out = f'Expected a value from {limits[0]} to {limits[1]}, such as {example!r}'
        raise ConfigurationError(
            f'parameter {spec.name} was refused: {error}. {way_out}'
        ) from None
    return from_message(value)


def _is_given_as_empty_list(node: Node, name: str) -> bool:
    # rclpy would leave such a parameter unset, and `ros2 param dump` shows nothing at all of a
    # node that has one.
    given = node.declare_parameter(name, [''])
    node.undeclare_parameter(name)
    return given.value is None


def _descriptor(spec: Field) -> ParameterDescriptor:
    limits, choices = spec.metadata['limits'], spec.metadata['choices']
    descriptor = ParameterDescriptor(
        description=spec.metadata['description'],
        additional_constraints=f'one of: {", ".join(choices)}' if choices else '',
        read_only=spec.metadata['read_only'],
    )
    if limits and isinstance(spec.default, float):
        low, high = map(float, limits)
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif limits:
        descriptor.integer_range = [IntegerRange(from_value=limits[0], to_value=limits[1])]
    return descriptor
