# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Vary the constants of linking by evidence, one at a time, beside other rules and trackers.

Chance events dominate single runs: every cell is a mean over repetitions in each of which other
boxes are left out and shaken. No real image is looked at but training images.

Only boxes count that a tracker publishes, which with the rule 'gaussian' are all. How the camera
moves is estimated from the images and told, but where a row says 'camera unknown'.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from linking_constants import changed
from linking_constants import constants
from linking_constants import said
from linking_constants import Settings
from linking_constants import values
from linking_parts import came_back
from linking_parts import filmed
from linking_parts import Part
from linking_parts import THRESHOLD
from linking_parts import tracked
from linking_scenes import Scenes
import numpy as np
import torch

from gtr_ros.evaluation.baselines.external import EXTERNAL_TRACKERS
from gtr_ros.evaluation.cache import network_key
from gtr_ros.evaluation.trackers import MODEL
from gtr_ros.evaluation.trackers import ORACLE
from gtr_ros.evaluation.trackers import parse_tracker
from gtr_ros.evaluation.trackers import TrackerSpec
from gtr_ros.model.build import build
from gtr_ros.model.calibration import CUES
from gtr_ros.model.checkpoint import cache_directory
from gtr_ros.model.checkpoint import default_checkpoint
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.evidence_rule import CALM

#: what others are compared with
DEFAULTS = 'the defaults'
#: where boxes below this score begin no track, so that it matters what continues one
HIGHER = 0.8

#: what is measured, by name
PARTS = {
    'motion': 'boxes of five real sequences, without images; HOTA / IDF1 by stride',
    'appearance': 'people, drawn and cut out of training images; HOTA / IDF1 by stride',
    'films': "animals and riders before a moving camera; share of an object's frames under its "
    'largest id / its ids, by stride',
    'returns': 'percent of those who come back known, taken for another / for somebody new, '
    'and of strangers taken for somebody; by how alike people look',
}

LOOKS = ('gallery.*', 'calibration.*')

#: constants that have nothing to say, or little, of a part; but for some of them
EXCLUDED = {
    'motion': ('motions.wild.*', 'label_*', 'likeness_*', 'appearance_*', *LOOKS),
    'appearance': ('weak_*', 'label_*', 'size_*', 'position_*', 'motions.*', 'gallery.*'),
    'films': ('weak_*', 'appearance_*', 'likeness_*', *LOOKS),
    'returns': ('*',),
}
INCLUDED = {'returns': ('gallery.*', 'memory', 'likeness_*', 'calibration.*')}


class Size(NamedTuple):
    """How many scenes of each sort there are, at most; of films, of each kind."""

    real: int = 5
    drawn: int = 3
    photographed: int = 3
    films: int = 2
    stories: int = 3


FULL, QUICK = Size(), Size(2, 1, 1, 1, 1)


class Table:
    """
    Rows of a part, printed as they come.

    :param part: that is measured
    :param repetitions: of every row
    """

    def __init__(self, part: Part, repetitions: int) -> None:
        self.part = part
        self.repetitions = repetitions
        self._rows: dict[str, np.ndarray] = {}  # (repetitions, columns, numbers)
        width = len(part.form.format(*[99.9] * 4)) + 4
        self._line = '{:42}' + f'{{:>{width}}}' * (len(part.columns) + 2)
        print(self._line.format('', *part.columns, 'mean', 'difference'))

    def add(self, name: str, spec: TrackerSpec) -> None:
        """Measure and print a row; the difference is of the mean, from the defaults'."""
        self._rows[name] = np.stack([self.part.measure(spec, i) for i in range(self.repetitions)])
        cells = self._rows[name].mean(axis=0)
        mean, form, off = cells.mean(axis=0), self.part.form, ''
        if DEFAULTS in self._rows and name != DEFAULTS:
            difference = mean - self._rows[DEFAULTS].mean(axis=(0, 1))
            off = form.replace('{:', '{:+').format(*difference)
        texts = [form.format(*numbers) for numbers in (*cells, mean)]
        print(self._line.format(name, *texts, off), flush=True)

    def close(self) -> None:
        """Print standard errors, which are much the same in all rows."""
        if self.repetitions < 2 or len(self._rows) < 2:
            print('too few repetitions or rows for standard errors\n')
            return
        rows = np.stack(list(self._rows.values()))  # [rows, repetitions, columns, numbers]
        means = rows.mean(axis=2, keepdims=True)
        errors = []
        for x in (rows, means, means[1:] - means[0]):  # the defaults come first
            variance = x.var(axis=1, ddof=1) / self.repetitions
            errors.append(self.part.form.format(*np.sqrt(variance.mean(axis=(0, 1)))))
        cell, mean, difference = errors
        print(
            f'standard errors, {self.repetitions} repetitions: of a cell {cell}, of a mean '
            f'{mean}, of a difference {difference}; other scenes would differ by more\n',
            flush=True,
        )


def ours(
    settings: Settings, features: str = MODEL, begin: float = THRESHOLD, camera: bool = True
) -> TrackerSpec:
    """Make a tracker that links by evidence, and is told how the camera moves."""
    rule, association = settings
    rule.cue(association.calibration)  # raises here if it cannot be had

    def make(stride: int) -> Tracker:
        return Tracker(association, rule, 32, None, begin)

    return TrackerSpec('', make, features, all_boxes=False, camera=camera)


def others(settings: Settings, *texts: str) -> Iterator[tuple[str, TrackerSpec]]:
    """Return the trackers of these names that can be had here."""
    for text in texts:
        spec = parse_tracker(text, settings.association, threshold=THRESHOLD)
        try:
            if spec.make is not None:
                spec.make(1)
        except ValueError as error:
            print(error)
        else:
            yield text, spec


def wanted(constant: str, name: str) -> bool:
    """Tell whether a user who writes a name means a constant: whole, or what is after a dot."""
    return constant == name or constant.endswith(f'.{name}')


def variations(part: str, settings: Settings, only: list[str]) -> Iterator[tuple[str, Settings]]:
    """Return the name of a row and its settings, for each constant that is to be varied."""
    cue = settings.rule.cue(settings.association.calibration)
    for name in constants(settings):
        if only:
            vary = any(wanted(name, each) for each in only)
        else:
            vary = any(fnmatch(name, p) for p in INCLUDED.get(part, ())) or not any(
                fnmatch(name, p) for p in EXCLUDED[part]
            )
            vary &= cue == 'transformer' or not name.startswith('calibration.logit')
        for value in values(settings, name) if vary else ():
            yield f'{name} {said(name, value)}', changed(settings, name, value)


def measured(name: str, scenes: Scenes, size: Size) -> Part:
    """Make the scenes of a part."""
    if name == 'motion':
        return tracked({'stride': scenes.real(size.real)}, (1, 2, 4))
    if name == 'appearance':
        people = {'drawn': scenes.drawn(size.drawn), 'cut': scenes.photographed(size.photographed)}
        return tracked(people, (1, 4, 8))
    if name == 'films':
        return filmed(scenes.films(size.films))
    return came_back(scenes.stories(size.stories))


def compared(name: str, settings: Settings) -> Iterator[tuple[str, TrackerSpec]]:
    """Return what stands beside the defaults in a part."""
    alone = settings._replace(rule=replace(settings.rule, appearance='none'))
    calm = settings._replace(rule=replace(settings.rule, motions=(CALM,)))
    if name == 'motion':
        yield from others(settings, ORACLE, 'motion:rule=gaussian', *EXTERNAL_TRACKERS)
        yield 'every box counts', replace(ours(settings, ''), all_boxes=True)
        yield 'calm motion alone', ours(calm, '')
        yield f'{DEFAULTS}, begin at {HIGHER}', ours(settings, '', HIGHER)
    elif name == 'appearance':
        yield from others(settings, ORACLE, 'gtr:rule=gaussian', 'iou+reid')
        yield 'every box counts', replace(ours(settings), all_boxes=True)
        yield 'camera unknown', ours(settings, camera=False)
        yield 'motion and size alone', ours(alone)
        for cue in CUES:
            rule = replace(settings.rule, appearance=cue)
            if cue == 'cosine' or settings.association.calibration.logit_slope:
                yield f'appearance {cue}', ours(settings._replace(rule=rule))
    elif name == 'films':
        yield from others(settings, 'gtr:rule=gaussian', *EXTERNAL_TRACKERS)
        yield 'camera unknown', ours(settings, camera=False)
        yield 'calm motion alone', ours(calm)
        yield 'motion, size and class alone', ours(alone)
        yield 'the same, camera unknown', ours(alone, camera=False)
    else:
        yield from others(settings, 'gtr:rule=gaussian')


def choose(name: str, scenes: Scenes, size: Size, repetitions: int, only: list[str]) -> None:
    """Print the table of a part."""
    settings = Settings(EvidenceRule(), scenes.model.association)
    if name == 'motion':
        settings = settings._replace(rule=replace(settings.rule, appearance='none'))
    table = Table(measured(name, scenes, size), repetitions)
    features = '' if name == 'motion' else MODEL
    table.add(DEFAULTS, ours(settings, features))
    if not only:
        for row, spec in compared(name, settings):
            table.add(row, spec)
    for row, other in variations(name, settings, only):
        weak = row.startswith('weak_')
        suffix, begin = (f', begin at {HIGHER}', HIGHER) if weak else ('', THRESHOLD)
        table.add(row + suffix, ours(other, features, begin))
    table.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=[*PARTS])
    parser.add_argument('--only', nargs='+', default=[], help='constants, as rows name them')
    parser.add_argument('--quick', action='store_true', help='few scenes, one repetition')
    parser.add_argument('--repetitions', type=int, help='(default: 2)')
    parser.add_argument('--data', type=Path, default=Path('../shared/data'))
    parser.add_argument('--cache', type=Path, default=cache_directory() / 'linking')
    parser.add_argument('--checkpoint', type=Path, default=default_checkpoint('mobile'))
    parser.add_argument('--threads', type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = build('mobile', options.checkpoint)
    known = constants(Settings(EvidenceRule(), model.association))
    for name in options.only:
        if not any(wanted(one, name) for one in known):
            parser.error(f'there is no constant {name!r}; expected of {", ".join(known)}')
    scenes = Scenes(options.data, options.cache, model, network_key(options.checkpoint))
    for name in options.parts:
        print(f'{name}: {PARTS[name]}')
        repetitions = options.repetitions or (1 if options.quick else 2)
        choose(name, scenes, QUICK if options.quick else FULL, repetitions, options.only)


if __name__ == '__main__':
    main()
