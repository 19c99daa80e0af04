# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: one dataclass is the source of every default, range and description."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import Field
from dataclasses import field
from dataclasses import fields
from typing import Any
from typing import TYPE_CHECKING

from rcl_interfaces.msg import FloatingPointRange
from rcl_interfaces.msg import IntegerRange
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.exceptions import InvalidParameterValueException

if TYPE_CHECKING:
    from rclpy.node import Node


class ConfigurationError(ValueError):
    """The node cannot start as asked; the message names the value, the rule and the way out."""


def _parameter(
    default: Any,
    description: str,
    *,
    limits: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
    read_only: bool = True,
) -> Any:
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
class NodeParameters:
    """What can be set on the node; those that are read-only are read once, at start."""

    model: str = _parameter('mobile', 'Model to run.', choices=('mobile', 'mot', 'tao'))
    rule: str = _parameter(
        '',
        "What links detections to tracks: this package's rule (mobile), what the public code does "
        "with its models (mot, tao), the paper's (paper). Empty: the model's own.",
        choices=('', 'mobile', 'mot', 'tao', 'paper'),
    )
    checkpoint: str = _parameter(
        '',
        "Path of the model's weights (safetensors). Empty: those that come along (mobile), or "
        "those in the user's cache. 'random': untrained weights, for tests of everything else.",
    )
    device: str = _parameter(
        'auto',
        "Device of the model: 'auto' (CUDA where there is one), 'cpu', 'cuda' or 'cuda:N'.",
    )
    score_threshold: float = _parameter(
        0.4,
        'Detections of a lower score are not tracked. Can be changed while the node runs.',
        limits=(0.0, 1.0),
        read_only=False,
    )
    class_names: tuple[str, ...] = _parameter(
        (), 'Names of the classes to track; empty: all that the model knows.'
    )
    window: int = _parameter(
        32,
        'Frames that are looked at together. With the rule mobile they cover 4 seconds, whatever '
        "the camera's rate; with the others they are the last ones.",
        limits=(2, 256),
    )
    min_hits: int = _parameter(
        3,
        'Frames an object must be seen in before it is published as a detection.',
        limits=(1, 64),
    )
    threads: int = _parameter(
        0, "CPU threads of the model; 0: torch's own choice.", limits=(0, 256)
    )

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


def declare_all(node: Node) -> NodeParameters:
    """
    Declare every parameter on a node and read the values it was started with.

    :raises ConfigurationError: if one of those values has a wrong type or lies out of its range
    """
    return NodeParameters(**{spec.name: _declare(node, spec) for spec in fields(NodeParameters)})


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
        example = ['person'] if is_list else spec.default
        raise ConfigurationError(
            f'parameter {spec.name} was refused: {error}. Write it like {example!r}'
        ) from None
    return tuple(name for name in value if name) if is_list else value


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
