# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Command line arguments made from options, and those that several commands share. No torch."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
import re
import sys
from typing import Any
from typing import NoReturn

from gtr_ros.model.options import ModelOptions
from gtr_ros.model.registry import MODELS
from gtr_ros.model.registry import tracking_defaults
from gtr_ros.options import choices_of
from gtr_ros.options import ConfigurationError
from gtr_ros.options import Options
from gtr_ros.options import RANGES
from gtr_ros.options import RULES

_METAVARS = {
    'checkpoint': 'FILE',
    'detector': 'FILE',
    'exported': 'FOLDER',
    'device': 'DEVICE',
    'threads': 'N',
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors suggest what a wrong argument may mean."""

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse; a command refuses what it does not know itself, with its own usage."""
        self._words = sys.argv[1:] if args is None else list(args)
        options, rest = super().parse_known_args(self._words, namespace)
        if rest and self._subparsers is None:
            self.error(f'unrecognized arguments: {" ".join(rest)}')
        return options, rest

    def error(self, message: str) -> NoReturn:
        """End the process with a message and a suggestion."""
        super().error(f'{message}{self._suggestion()}')

    def _suggestion(self) -> str:
        known = list(self._option_string_actions)
        for word in self._words:
            name = word.partition('=')[0]
            if name[:1] != '-' or any(flag.startswith(name) for flag in known):
                continue
            if Path(word).exists():
                return f'; a name that begins with - is written ./{word}'
            if close := get_close_matches(name, known, n=1):
                return f' (did you mean {close[0]}?)'
        return ''


def whole_number(text: str) -> int:
    """Parse a whole number, also one that is written as 5.0, for argparse."""
    try:
        return int(text)
    except ValueError:
        value = number(text)
    if not value.is_integer():
        raise argparse.ArgumentTypeError(f'{text} is not a whole number')
    return int(value)


def number(text: str) -> float:
    """Parse a number, for argparse; what is out of its range is refused by its option."""
    try:
        return float(text)
    except ValueError:
        hint = f'; write {text.replace(",", ".")}' if text.count(',') == 1 else ''
        raise argparse.ArgumentTypeError(f'{text} is not a number{hint}') from None


_TYPES = {int: whole_number, float: number}


def add_options(
    command: argparse.ArgumentParser, kind: type[Options], names: Iterable[str] | None = None
) -> None:
    """
    Add an argument for each option of a kind: `--detections-topic` for `detections_topic`.

    :param names: only these options; None: all
    """
    for spec in fields(kind):
        if names is not None and spec.name not in names:
            continue
        flag, choices = f'--{spec.name.replace("_", "-")}', choices_of(spec)
        # argparse formats help texts with %.
        text = spec.metadata['description'].replace('%', '%%')
        if isinstance(spec.default, bool):
            command.add_argument(flag, action='store_true', default=spec.default, help=text)
            continue
        command.add_argument(
            flag,
            type=_TYPES.get(type(spec.default), str),
            default=spec.default,
            choices=choices or None,
            metavar=None if choices else _METAVARS.get(spec.name, spec.name.upper()),
            help=text + (' (default: %(default)s)' if spec.default else ''),
        )


def options_of(namespace: argparse.Namespace, kind: type[Options]) -> dict[str, Any]:
    """Return what was given of a kind of options, by name."""
    given = vars(namespace)
    return {spec.name: given[spec.name] for spec in fields(kind) if spec.name in given}


@contextmanager
def named_as_flags() -> Iterator[None]:
    """Name options in a `ConfigurationError` as the command line does: `--min-hits`."""
    try:
        yield
    except ConfigurationError as error:
        names = re.compile(rf'\b({"|".join(RANGES)})\b|^rate(?= is )')
        message = names.sub(lambda found: f'--{found[0].replace("_", "-")}', str(error))
        raise ConfigurationError(message) from None


def tracking_option(namespace: argparse.Namespace, name: str) -> int:
    """Return `window` or `min_hits`: as given, or the default of the model."""
    given = getattr(namespace, name)
    return tracking_defaults(namespace.model)[name] if given is None else given


def add_min_hits(command: argparse.ArgumentParser) -> None:
    """Add `--min-hits`, see `tracking_option`."""
    command.add_argument(
        '--min-hits',
        type=whole_number,
        metavar='N',
        help='number of boxes after which a track is confirmed and written; 0: by its '
        f'probability of existence ({_defaults("min_hits")})',
    )


def _defaults(name: str) -> str:
    """Return the text 'default: 0; mot: 5' of an option whose default depends on the model."""
    usual = tracking_defaults('')[name]
    own = {model: tracking_defaults(model)[name] for model in MODELS}
    others = (f'{model}: {value}' for model, value in own.items() if value != usual)
    return '; '.join([f'default: {usual}', *others])


def add_tracking_arguments(
    command: argparse.ArgumentParser, names: Iterable[str] | None = None
) -> None:
    """
    Add which model runs, on what, and what links its boxes.

    :param names: only these options of the model; None: all
    """
    add_options(command, ModelOptions, names)
    command.add_argument(
        '--window',
        type=whole_number,
        metavar='T',
        help=f'number of frames in the window of the tracker ({_defaults("window")})',
    )
    command.add_argument(
        '--rule',
        # 'mobile' is an old name of 'evidence', see `gtr_ros.tracking.rules.NAMES`.
        choices=(*RULES, 'mobile'),
        help='rule that links boxes to tracks (default: the one of the model)',
    )
