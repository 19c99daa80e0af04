# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure how well anybody can be followed: each person of some videos in turn.

Detector, tracker and follower work with the node's defaults. The same is measured with the id of
the track alone. The sources are those of `gtr evaluate` with images; without any, ten rendered
crowds of fourteen people. In half of the crowds everybody goes away for six seconds; in others the
camera drives past, or turns.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
import sys

from rich.console import Console
from rich.table import Table

from gtr_ros import TrackingPipeline
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.opening import open_sequences
from gtr_ros.data.people import PeopleScene
from gtr_ros.data.sequence import Sequence
from gtr_ros.evaluation.following import FollowCounts
from gtr_ros.evaluation.following import observe_truth
from gtr_ros.evaluation.following import Trial
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime.loading import load_model

#: cameras of successive seeds
CAMERAS = ('wall', 'stand', 'drive', 'shake', 'pan')
BY = ('follower', 'id alone')


def crowd(seed: int) -> str:
    """Return the source of a rendered crowd."""
    absence = 6.0 if seed % 2 else 0.0
    camera = CAMERAS[seed % len(CAMERAS)]
    return str(PeopleScene(objects=14, camera=camera, duration=30.0, absence=absence, seed=seed))


def follow_everybody(sequence: Sequence, model: GTR) -> dict[str, list[FollowCounts]]:
    """
    Track a sequence once, and follow each of its people; return what happened, by `BY`.

    Who is never apart from the others for half a second is left out.
    """
    pipeline = TrackingPipeline(model, colour='rgb', tentative=True)
    people = sorted({int(i) for truth in sequence.truth for i in truth.ids[truth.counted]})
    trials = {by: [Trial(by_id=by != BY[0]) for _ in people] for by in BY}
    frames = zip(sequence.stamps.tolist(), sequence.truth, sequence.images())
    for stamp, truth, image in frames:
        tracks = replace(pipeline(image, stamp), trajectories=())
        for i, person in enumerate(people):
            observed = observe_truth(stamp, tracks, truth, person, image)
            for by in BY:
                trials[by][i].update(observed)
    return {by: [t.counts for t in trials[by] if t.counts.scenes] for by in BY}


def table_rows(name: str, results: dict[str, list[FollowCounts]]) -> Iterator[list[str]]:
    """Return the rows of a table: of the follower, and of the id alone."""
    for by, counts in results.items():
        total = sum(counts, FollowCounts())
        returns = [str(total.returns), str(total.false_returns)] if by == BY[0] else ['', '']
        yield [
            name,
            str(len(counts)),
            by,
            str(sum(c.hand_overs > 0 for c in counts)),
            *returns,
            f'{total.share:.1%}',
            f'{total.wrong / max(total.followed + total.wrong, 1):.1%}',
        ]


def main() -> int:
    """Print a table; return the exit code."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.followed_people', description=__doc__
    )
    parser.add_argument('sources', nargs='*', metavar='SOURCE')
    parser.add_argument('--first', type=int, default=1, help='first seed of rendered crowds (1)')
    parser.add_argument('--scenes', type=int, default=10, help='number of them (10)')
    options = parser.parse_args()
    named = {source: [source] for source in options.sources}
    if not named:
        named['crowds'] = [crowd(options.first + k) for k in range(options.scenes)]
    model = load_model(ModelOptions(device='cpu', runtime='torch'))
    table = Table(
        'source',
        'people',
        'by',
        'handed over',
        'found again',
        'falsely',
        'followed, visible time',
        'somebody else, followed time',
    )
    for name, sources in named.items():
        results = defaultdict(list)
        for source in sources:
            try:
                opened = open_sequences(source)
            except FormatError as error:
                parser.error(str(error))
            for sequence in (o.sequence for o in opened):
                if sequence.images is None:
                    parser.error(f'{source} has no images; expected images of its labels')
                for by, counts in follow_everybody(sequence, model).items():
                    results[by] += counts
        for row in table_rows(name, results):
            table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    return 0


if __name__ == '__main__':
    sys.exit(main())
