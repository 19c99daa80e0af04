# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure how well one person is followed through crossings and occlusions of 5 s.

The scenes are detections with features, without images; the tracker is that of the node. The same
scenes are measured with the id of the track alone.
"""

from __future__ import annotations

import argparse
from functools import reduce
from operator import add
import sys

from rich.console import Console
from rich.table import Table

from gtr_ros.data.synthetic.crossings import generate_crossing
from gtr_ros.data.synthetic.crossings import KINDS
from gtr_ros.evaluation.following import crossing_tracker
from gtr_ros.evaluation.following import follow
from gtr_ros.evaluation.following import FollowCounts


def measure(kind: str, first: int, count: int, by_id: bool) -> FollowCounts:
    """Return the sum of the scenes of a kind."""
    seeds = range(first, first + count)
    scenes = (generate_crossing(kind, seed) for seed in seeds)
    return reduce(add, (follow(frames, crossing_tracker(), by_id=by_id) for frames in scenes))


def main() -> int:
    """Print a table; the exit status is 1 if anybody else was followed."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.following', description=__doc__)
    parser.add_argument('--scenes', type=int, default=34, help='of each kind (34)')
    parser.add_argument('--first', type=int, default=1000, help='first seed (1000)')
    options = parser.parse_args()
    table = Table('scenes', 'by', 'hand-overs', 'found again', 'falsely', 'followed, visible time')
    wrong = 0
    for kind in KINDS:
        for by_id in (False, True):
            counts = measure(kind, options.first, options.scenes, by_id)
            wrong += 0 if by_id else counts.hand_overs
            table.add_row(
                f'{counts.scenes} {kind}',
                'id alone' if by_id else 'follower',
                str(counts.hand_overs),
                str(counts.returns),
                str(counts.false_returns),
                f'{counts.share:.1%}',
            )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
