# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure how well one person is followed through crossings and occlusions of 5 s.

The scenes are detections with features, without images; with --rendered, they are rendered people
who go through the detector and the tracker of the node, which takes about half an hour. The same
scenes are measured with the id of the track alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Iterable
from itertools import count as count_from
import sys

from rich.console import Console
from rich.table import Table

from benchmarks.crossing_scenes import crossing_scene
from benchmarks.crossing_scenes import observe_rendered
from gtr_ros.data.people import script
from gtr_ros.data.synthetic import crossings
from gtr_ros.data.synthetic.crossings import generate_crossing
from gtr_ros.data.synthetic.crossings import KINDS
from gtr_ros.evaluation.following import crossing_tracker
from gtr_ros.evaluation.following import follow
from gtr_ros.evaluation.following import FollowCounts
from gtr_ros.evaluation.following import observe
from gtr_ros.evaluation.following import Observed
from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime.loading import load_model

#: the frames of a scene of a kind and with a seed
Source = Callable[[str, int], Iterable[Observed]]


def drawn(kind: str, seed: int) -> Iterable[Observed]:
    """Return the frames of a scene without images."""
    return observe(generate_crossing(kind, seed), crossing_tracker())


def measure(
    source: Source, kind: str, first: int, scenes: int, latest: float
) -> dict[str, FollowCounts]:
    """
    Return the sums of scenes of a kind: of the follower, and of the id of the track alone.

    :param first: seed; a scene that is not counted is replaced by that of the next seed
    :param latest: see `follow`
    """
    sums = {'follower': FollowCounts(), 'id alone': FollowCounts()}
    for seed in count_from(first):
        if sums['follower'].scenes == scenes:
            return sums
        frames = list(source(kind, seed))
        counts = {name: follow(frames, by_id=name != 'follower', latest=latest) for name in sums}
        sums = {name: sums[name] + counts[name] for name in sums}
        if sys.stderr.isatty() or counts['follower'].hand_overs:
            print(f'{kind}, seed {seed}: {counts["follower"]}', file=sys.stderr)
    return sums


def main() -> int:
    """Print a table; the exit status is 1 if anybody else was followed."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.following', description=__doc__)
    parser.add_argument('--rendered', action='store_true', help='scenes of rendered people')
    parser.add_argument('--scenes', type=int, default=34, help='of each kind (34)')
    parser.add_argument('--first', type=int, default=1000, help='first seed (1000)')
    parser.add_argument('--kind', choices=KINDS, action='append', help='(default: all)')
    options = parser.parse_args()
    source, latest = drawn, crossings.START
    if options.rendered:
        latest = script.START
        model = load_model(ModelOptions(device='cpu', runtime='torch'))

        def source(kind: str, seed: int) -> Iterable[Observed]:
            return observe_rendered(crossing_scene(kind, seed), model)

    table = Table('scenes', 'by', 'hand-overs', 'found again', 'falsely', 'followed, visible time')
    wrong = 0
    for kind in options.kind or KINDS:
        sums = measure(source, kind, options.first, options.scenes, latest)
        wrong += sums['follower'].hand_overs
        for name, counts in sums.items():
            table.add_row(
                f'{counts.scenes} {kind}',
                name,
                str(counts.hand_overs),
                *(
                    [str(counts.returns), str(counts.false_returns)]
                    if name == 'follower'
                    else ['', '']
                ),
                f'{counts.share:.1%}',
            )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
