# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Declare the options of a dataclass as parameters of a node."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
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
from rclpy.parameter import Parameter

from gtr_ros.node.arguments import convert
from gtr_ros.node.arguments import from_text
from gtr_ros.node.arguments import is_typo
from gtr_ros.node.arguments import suggestion
from gtr_ros.options import choices_of
from gtr_ros.options import ConfigurationError
from gtr_ros.options import Options

if TYPE_CHECKING:
    from rclpy.node import Node


# Parameters of rclpy itself.
_OF_RCLPY = ('use_sim_time', 'start_type_description_service')

Kind = TypeVar('Kind', bound=Options)


def declare_all(
    node: Node,
    kind: type[Kind],
    own_defaults: Callable[[str], Mapping[str, Any]] = lambda first: {},
) -> Kind:
    """
    Declare all options as parameters of a node, and return their initial values.

    A name given on the command line or in a file that is almost that of an option is refused; any
    other unknown name is warned of, because files are shared between nodes.

    :param kind: dataclass of the options
    :param own_defaults: called with the value of the first option (model); returns the defaults
        that differ for it
    :raises ConfigurationError: if a value has the wrong type or is out of range, or a name is
        most likely a typo
    """
    _check_names(node, [spec.name for spec in fields(kind)])
    first, *others = fields(kind)
    value = _declare(node, first, first.default)
    defaults = own_defaults(value)
    values = {
        spec.name: _declare(node, spec, defaults.get(spec.name, spec.default)) for spec in others
    }
    return kind(**{first.name: value}, **values)


def from_message(value: Any) -> Any:
    """Convert a parameter's value to an option's: a list to a tuple of its non-empty items."""
    return tuple(part for part in value if part) if isinstance(value, list) else value


def accept_integers(kind: type[Options]) -> Callable[[list[Parameter]], list[Parameter]]:
    """
    Return a callback for `add_pre_set_parameters_callback`: a node accepts 1 where 1.0 is meant.

    :param kind: dataclass of the options
    """
    numbers = {spec.name for spec in fields(kind) if isinstance(spec.default, float)}

    def convert(changes: list[Parameter]) -> list[Parameter]:
        return [
            Parameter(change.name, value=float(change.value))
            if change.name in numbers and change.type_ == Parameter.Type.INTEGER
            else change
            for change in changes
        ]

    return convert


def _check_names(node: Node, options: list[str]) -> None:
    """
    Look for names that no parameter has.

    :raises ConfigurationError: if one of them is most likely a typo
    """
    # rclpy has no public way to list what was given and is not declared.
    given = getattr(node, '_parameter_overrides', {})
    unknown = [
        name
        for name in given
        if name not in options and not node.has_parameter(name) and not _is_of_rclpy(name)
    ]
    for name in unknown:
        text = f'there is no parameter {name!r}{suggestion(name, options)}'
        way_out = f'`ros2 param list {node.get_fully_qualified_name()}` lists all'
        if is_typo(name, options):
            raise ConfigurationError(f'{text}; correct or remove it')
        node.get_logger().warning(f'{text}: its value is ignored; {way_out}')


def _is_of_rclpy(name: str) -> bool:
    # These are declared later, or not at all in some distributions.
    return name.startswith('qos_overrides.') or name in _OF_RCLPY


def _declare(node: Node, spec: Field, default: Any) -> Any:
    ignore_override = False
    if default == ():
        # rclpy treats an empty list as an array of bytes, so [''] represents an empty list.
        default = ['']
        # rclpy would leave a parameter given as [] unset, and for a node with an unset parameter
        # `ros2 param dump` prints nothing at all.
        ignore_override = _given(node, spec.name, default) is None
    elif isinstance(default, (bool, int, float)):
        # 1 for 1.0, '0.3' for 0.3, 'true' for true.
        given = _given(node, spec.name, default)
        if type(given) is not type(default):
            meant = (from_text if isinstance(given, str) else convert)(given, default)
            if meant is not None:
                default, ignore_override = meant, True
    try:
        value = node.declare_parameter(
            spec.name, default, _descriptor(spec), ignore_override=ignore_override
        ).value
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        example, limits = (
            ['person'] if spec.default == () else spec.default,
            spec.metadata['limits'],
        )
        expected = f'Expected a value such as {example!r}'
        if limits:
            expected = f'Expected a value from {limits[0]} to {limits[1]}, such as {example!r}'
        raise ConfigurationError(
            f'parameter {spec.name} was refused: {error}. {expected}'
        ) from None
    return from_message(value)


def _given(node: Node, name: str, default: Any) -> Any:
    """Return the value that was given for a parameter, of any type; its default if none was."""
    descriptor = ParameterDescriptor(dynamic_typing=True)
    given = node.declare_parameter(name, default, descriptor).value
    if node.has_parameter(name):
        node.undeclare_parameter(name)
    return given


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
