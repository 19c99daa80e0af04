# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments of a launch file, which are texts, as the values of options. Needs no rclpy."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import Field
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from gtr_ros.options import check
from gtr_ros.options import ConfigurationError
from gtr_ros.options import Options
from gtr_ros.parsing import parse_yaml
from gtr_ros.parsing import ParseError

#: how similar an unknown name is to a known one (ratio of `difflib`) if it is most likely a typo
TYPO = 0.85


def parse_arguments(kind: type[Options], given: Mapping[str, str]) -> dict[str, Any]:
    """
    Convert texts to the types of options, and check each value.

    Numbers, booleans and lists are read as YAML; an option that is a text is taken as it is,
    except that `''` stands for an empty one.

    :param kind: dataclass of the options
    :param given: texts by the names of options
    :return: values of the types that the options have; a list is a tuple
    :raises ConfigurationError: if a text is no such value, or the value is not allowed
    """
    specs = {spec.name: spec for spec in fields(kind)}
    return {name: _parse(specs[name], text) for name, text in given.items()}


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    """
    Refuse names that are not known, and suggest similar ones.

    :raises ConfigurationError: if there are any; the message names all of them
    """
    known = sorted(known)
    unknown = sorted(set(given).difference(known))
    if unknown:
        names = '; '.join(f'{name!r}{suggestion(name, known)}' for name in unknown)
        raise ConfigurationError(
            f'unknown launch arguments: {names}. '
            'To list all: ros2 launch gtr_ros tracker.launch.py --show-args'
        )


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ' (did you mean ...?)' with the most similar known name; empty if none is similar."""
    close = get_close_matches(name, list(known), n=1)
    return f' (did you mean {close[0]}?)' if close else ''


def is_typo(name: str, known: Iterable[str]) -> bool:
    """Return whether an unknown name is most likely a typo of a known one."""
    return bool(get_close_matches(name, list(known), n=1, cutoff=TYPO))


def _parse(spec: Field, text: str) -> Any:
    default = spec.default
    if isinstance(default, str):
        value = '' if text in ("''", '""') else text
    else:
        value = from_text(text, default)
    if value is None:
        raise ConfigurationError(f'{spec.name} is {text!r}; expected {_expected(default)}')
    check(spec, value)
    return value


def from_text(text: str, default: Any) -> Any:
    """Return a text in the type of a default, a number, boolean or list; None: it is none."""
    return convert(_load(text), default)


def _load(text: str) -> Any:
    try:
        return parse_yaml(text)
    except ParseError:
        return text


def convert(value: Any, default: Any) -> Any:
    """Return a value that was read as YAML in the type of a default; None: it has another one."""
    if isinstance(default, bool):
        return value if isinstance(value, bool) else None
    if isinstance(default, tuple):
        is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return tuple(item for item in value if item) if is_list else None
    if isinstance(value, bool):
        return None
    try:
        number = float(value)  # also a text: YAML reads 1e-3 as one
    except (TypeError, ValueError, OverflowError):
        return None
    if isinstance(default, float):
        return number
    return int(number) if number.is_integer() else None


def _expected(default: Any) -> str:
    if isinstance(default, bool):
        return 'true or false'
    if isinstance(default, tuple):
        return "a list of texts, such as ['person', 'car']"
    if isinstance(default, int):
        return f'a whole number, such as {default}'
    return f'a number, such as {default}'
