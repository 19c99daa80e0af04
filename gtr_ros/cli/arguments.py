# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that several commands take."""

from __future__ import annotations

import argparse

from gtr_ros.model.build import MODELS
from gtr_ros.tracking.rules import NAMES


def add_tracking_arguments(command: argparse.ArgumentParser, more_of_checkpoint: str = '') -> None:
    """
    Add which model runs, where, and what links its boxes.

    :param more_of_checkpoint: what the checkpoint may be beside a file
    """
    command.add_argument('--model', choices=MODELS, default='mobile')
    command.add_argument(
        '--checkpoint',
        metavar='FILE',
        help="safetensors, the authors' .pth, or 'random' (default: the one in the user's cache)"
        + more_of_checkpoint,
    )
    command.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    command.add_argument(
        '--window',
        type=int,
        default=32,
        metavar='T',
        help='frames that the tracker looks at (default: %(default)s)',
    )
    command.add_argument(
        '--rule', choices=NAMES, help="what links boxes to tracks (default: the model's own)"
    )
