# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Options: frozen dataclasses whose fields define their default, description, range and choices.

ROS parameters, command line arguments, the yaml files and the tables in the docs are all generated
from these fields. Needs neither torch nor ROS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import Field
from dataclasses import field
from dataclasses import fields
from numbers import Real
from typing import Any

#: linking rules, by the names that users write; `gtr_ros.tracking.rules` implements them
RULES = ('evidence', 'mot', 'tao', 'paper', 'gaussian')


#: ranges of the numbers of a tracker, by the names that node, command line and Python give them
RANGES: dict[str, tuple[float, float]] = {
    'score_threshold': (0.0, 1.0),
    'weak_score_threshold': (0.0, 1.0),
    'window': (2, 256),
    'min_hits': (0, 64),
    'gallery_size': (0, 100_000),
    'gallery_seconds': (0.0, 86400.0),
}


class ConfigurationError(ValueError):
    """An option is invalid; the message names the value, the rule and a remedy."""


def option(
    default: Any,
    description: str,
    *,
    limits: tuple[float, float] | None = None,
    choices: tuple[str, ...] | Callable[[], tuple[str, ...]] = (),
    read_only: bool = True,
    needs: tuple[str, ...] = (),
) -> Any:
    """
    Make a field of `Options`.

    :param limits: minimum and maximum of a number
    :param choices: the allowed values of a string, or a function that returns them; empty: any
    :param read_only: False if a running node accepts changes
    :param needs: conditions, without any of which this option has no effect. Each is the name of
        another option, which must not be empty, 0 or false; or a name and the value that it must
        have, 'rule evidence'; or several of these, of which one is enough, 'depth or people'
    """
    return field(
        default=default,
        metadata={
            'description': description,
            'limits': limits,
            'choices': choices,
            'read_only': read_only,
            'needs': needs,
        },
    )


def choices_of(spec: Field) -> tuple[str, ...]:
    """Return the allowed values of an option; empty: any."""
    choices = spec.metadata['choices']
    return tuple(choices() if callable(choices) else choices)


def explain(spec: Field) -> str:
    """Return the description of an option, with its limits or choices."""
    text, limits = spec.metadata['description'], spec.metadata['limits']
    if limits:
        text += f' {limits[0]} to {limits[1]}.'
    elif choices := choices_of(spec):
        text += ' One of: ' + ', '.join(map(repr, choices)) + '.'
    return text


def check(spec: Field, value: Any) -> None:
    """
    Check one value of an option by itself.

    :raises ConfigurationError: if it is out of its range or not among the choices
    """
    limits, choices = spec.metadata['limits'], choices_of(spec)
    if limits:
        _check_limits(spec.name, value, limits)
    if choices and value not in choices:
        raise ConfigurationError(f'{spec.name} is {value!r}; expected one of {", ".join(choices)}')


def check_range(name: str, value: Any) -> None:
    """
    Check a number that is an option of several programs.

    :param name: one of `RANGES`
    :raises ConfigurationError: if it is not a number, or out of its range
    """
    _check_limits(name, value, RANGES[name])


def _check_limits(name: str, value: Any, limits: tuple[float, float]) -> None:
    number = isinstance(value, Real) and not isinstance(value, bool)
    # Written so that it also refuses what is not a number, nan.
    if not number or not limits[0] <= value <= limits[1]:
        raise ConfigurationError(
            f'{name} is {value}; expected a number from {limits[0]} to {limits[1]}'
        )


@dataclass(frozen=True)
class Options:
    """
    Base of all options: each field is made by `option`.

    :raises ConfigurationError: if a value is out of its range or not among the choices
    """

    def __post_init__(self) -> None:
        for spec in fields(self):
            if spec.metadata:
                check(spec, getattr(self, spec.name))

    def meaning(self, name: str) -> Any:
        """Return the value of an option; if that is '' for a default, the value that it is for."""
        return getattr(self, name)


def without_effect(options: Options) -> list[str]:
    """Return a line for each option that was changed and that nothing uses; see `option`."""
    lines = []
    for spec in fields(options):
        value, needs = getattr(options, spec.name), spec.metadata.get('needs', ())
        # Nothing, 0 and false ask for nothing.
        if not value or value == spec.default:
            continue
        missing = [need for need in needs if not _is_met(need, options)]
        if missing:
            lines.append(
                f'{spec.name} is {value!r}, which has no effect without {" and ".join(missing)}'
            )
    return lines


def _is_met(need: str, options: Options) -> bool:
    """Return whether a condition of `option` holds."""
    for alternative in need.split(' or '):
        name, _, wanted = alternative.partition(' ')
        value = options.meaning(name)
        if value == wanted if wanted else value:
            return True
    return False
