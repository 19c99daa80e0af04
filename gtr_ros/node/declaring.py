# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Declare the options of a dataclass as parameters of a node."""

from __future__ import annotations

from dataclasses import Field
from dataclasses import fields
from typing import Any
from typing import TYPE_CHECKING
from typing import TypeVar

from rcl_interfaces.msg import FloatingPointRange
from rcl_interfaces.msg import IntegerRange
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.exceptions import InvalidParameterValueException

from gtr_ros.options import choices_of
from gtr_ros.options import ConfigurationError
from gtr_ros.options import Options

if TYPE_CHECKING:
    from rclpy.node import Node


Kind = TypeVar('Kind', bound=Options)


def declare_all(node: Node, kind: type[Kind]) -> Kind:
    """
    Declare all options as parameters of a node, and return their initial values.

    :param kind: dataclass of the options
    :raises ConfigurationError: if a value has the wrong type or is out of range
    """
    return kind(**{spec.name: _declare(node, spec) for spec in fields(kind)})


def from_message(value: Any) -> Any:
    """Convert a parameter's value to an option's: a list to a tuple of its non-empty items."""
    return tuple(part for part in value if part) if isinstance(value, list) else value


def _declare(node: Node, spec: Field) -> Any:
    is_list = spec.default == ()
    # rclpy treats an empty list as an array of bytes, so [''] represents an empty list.
    default = [''] if is_list else spec.default
    try:
        unset = is_list and _is_given_as_empty_list(node, spec.name)
        value = node.declare_parameter(
            spec.name, default, _descriptor(spec), ignore_override=unset
        ).value
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        example, limits = ['person'] if is_list else spec.default, spec.metadata['limits']
        expected = f'Expected a value such as {example!r}'
        if limits:
            expected = f'Expected a value from {limits[0]} to {limits[1]}, such as {example!r}'
        raise ConfigurationError(
            f'parameter {spec.name} was refused: {error}. {expected}'
        ) from None
    return from_message(value)


def _is_given_as_empty_list(node: Node, name: str) -> bool:
    # rclpy would leave such a parameter unset, and for a node with an unset parameter `ros2 param
    # dump` prints nothing at all.
    given = node.declare_parameter(name, [''])
    node.undeclare_parameter(name)
    return given.value is None


def _descriptor(spec: Field) -> ParameterDescriptor:
    limits, choices = spec.metadata['limits'], choices_of(spec)
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
