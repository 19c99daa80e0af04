# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Command line arguments made from options, and those that several commands share. No torch."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from gtr_ros.model.options import ModelOptions
from gtr_ros.options import choices_of
from gtr_ros.options import Options
from gtr_ros.options import RULES

_METAVARS = {'checkpoint': 'FILE', 'exported': 'FOLDER', 'device': 'DEVICE', 'threads': 'N'}


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
            type=type(spec.default),
            default=spec.default,
            choices=choices or None,
            metavar=None if choices else _METAVARS.get(spec.name, spec.name.upper()),
            help=text + (' (default: %(default)s)' if spec.default else ''),
        )


def options_of(namespace: argparse.Namespace, kind: type[Options]) -> dict[str, Any]:
    """Return what was given of a kind of options, by name."""
    given = vars(namespace)
    return {spec.name: given[spec.name] for spec in fields(kind) if spec.name in given}


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
        type=int,
        default=32,
        metavar='T',
        help='number of frames in the window of the tracker (default: %(default)s)',
    )
    command.add_argument(
        '--rule',
        # 'mobile' is an old name of 'evidence', see `gtr_ros.tracking.rules.NAMES`.
        choices=(*RULES, 'mobile'),
        help='rule that links boxes to tracks (default: the one of the model)',
    )
