# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Vary the constants of the rule `evidence` one at a time, and compare it with other trackers.

Chance dominates single runs, so every cell is a mean over repetitions with different dropped boxes
and noise. All real images are training images.

Only published boxes count; with the rule 'gaussian', these are all boxes. Trackers get the camera
motion, estimated from the images, unless a row is labelled 'camera unknown'.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from linking_constants import alternatives
from linking_constants import constants
from linking_constants import format_value
from linking_constants import LinkingSettings
from linking_constants import with_constant
from linking_parts import measure_films
from linking_parts import measure_returns
from linking_parts import measure_tracking
from linking_parts import Measurement
from linking_parts import THRESHOLD
from linking_scenes import Scenes
import numpy as np
import torch

from gtr_ros.evaluation.baselines.external import EXTERNAL_TRACKERS
from gtr_ros.evaluation.cache import network_key
from gtr_ros.evaluation.trackers import MODEL
from gtr_ros.evaluation.trackers import ORACLE
from gtr_ros.evaluation.trackers import parse_tracker
from gtr_ros.evaluation.trackers import TrackerSpec
from gtr_ros.files import cache_directory
from gtr_ros.model.build import build
from gtr_ros.model.calibration import CUES
from gtr_ros.model.registry import default_checkpoint
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.evidence_rule import CALM

#: name of the row that others are compared with
DEFAULTS = 'the defaults'
#: a higher minimum score of boxes that start a track, so that continuing tracks with weak boxes
#: matters
HIGHER = 0.8

#: measurements, by name
PARTS = {
    'motion': 'boxes of five real sequences, without images; HOTA / IDF1 by stride',
    'appearance': 'people, drawn and cut out of training images; HOTA / IDF1 by stride',
    'films': (
        "animals and riders in front of a moving camera; share of an object's frames with its "
        'most frequent id / number of its ids, by stride'
    ),
    'returns': (
        "people who return with their id / another person's id / a new id, percent; and "
        "strangers with another person's id, percent; by similarity of appearance"
    ),
}

LOOKS = ('gallery.*', 'calibration.*')

#: constants with little or no effect on a measurement, and exceptions to these
EXCLUDED = {
    'motion': ('motions.wild.*', 'label_*', 'appearance_*', *LOOKS),
    'appearance': ('weak_*', 'label_*', 'size_*', 'position_*', 'motions.*', 'gallery.*'),
    'films': ('weak_*', 'appearance_*', *LOOKS),
    'returns': ('*',),
}
INCLUDED = {'returns': ('gallery.*', 'memory', 'appearance_memory', 'calibration.*')}


class SceneCounts(NamedTuple):
    """Maximum number of scenes of each type; for films, of each kind."""

    real: int = 5
    drawn: int = 3
    photographed: int = 3
    films: int = 2
    visits: int = 3


FULL, QUICK = SceneCounts(), SceneCounts(2, 1, 1, 1, 1)


class PrintedTable:
    """
    A table of one measurement, printed row by row.

    :param part: the measurement
    :param repetitions: of every row
    """

    def __init__(self, part: Measurement, repetitions: int) -> None:
        self.part = part
        self.repetitions = repetitions
        self._rows: dict[str, np.ndarray] = {}  # (repetitions, columns, numbers)
        width = len(part.form.format(*[99.9] * 4)) + 4
        self._line = '{:42}' + f'{{:>{width}}}' * (len(part.columns) + 2)
        print(self._line.format('', *part.columns, 'mean', 'difference'))

    def add(self, name: str, spec: TrackerSpec) -> None:
        """Measure and print a row, with the difference of its mean from that of the defaults."""
        self._rows[name] = np.stack([self.part.measure(spec, i) for i in range(self.repetitions)])
        cells = self._rows[name].mean(axis=0)
        mean, form, off = cells.mean(axis=0), self.part.form, ''
        if DEFAULTS in self._rows and name != DEFAULTS:
            difference = mean - self._rows[DEFAULTS].mean(axis=(0, 1))
            off = form.replace('{:', '{:+').format(*difference)
        texts = [form.format(*numbers) for numbers in (*cells, mean)]
        print(self._line.format(name, *texts, off), flush=True)

    def close(self) -> None:
        """Print standard errors, which are similar in all rows."""
        if self.repetitions < 2 or len(self._rows) < 2:
            print('too few repetitions or rows for standard errors\n')
            return
        rows = np.stack(list(self._rows.values()))  # [rows, repetitions, columns, numbers]
        means = rows.mean(axis=2, keepdims=True)
        errors = []
        for x in (rows, means, means[1:] - means[0]):  # the defaults are the first row
            variance = x.var(axis=1, ddof=1) / self.repetitions
            errors.append(self.part.form.format(*np.sqrt(variance.mean(axis=(0, 1)))))
        cell, mean, difference = errors
        print(
            f'standard errors, {self.repetitions} repetitions: of a cell {cell}, of a mean '
            f'{mean}, of a difference {difference}; between other scenes, differences would be '
            'larger\n',
            flush=True,
        )


def ours(
    settings: LinkingSettings, features: str = MODEL, begin: float = THRESHOLD, camera: bool = True
) -> TrackerSpec:
    """Return a tracker with the rule evidence that gets the camera's motion."""
    rule, association = settings
    rule.cue(association.calibration)  # raises an error here if the cue is not available

    def make(stride: int) -> Tracker:
        return Tracker(association, rule, 32, None, begin)

    return TrackerSpec('', make, features, all_boxes=False, camera=camera)


def others(settings: LinkingSettings, *texts: str) -> Iterator[tuple[str, TrackerSpec]]:
    """Return the trackers with these names that are available."""
    for text in texts:
        spec = parse_tracker(text, settings.association, threshold=THRESHOLD)
        try:
            if spec.make is not None:
                spec.make(1)
        except ValueError as error:
            print(error)
        else:
            yield text, spec


def matches(constant: str, name: str) -> bool:
    """Return whether a user's name matches that of a constant, in whole or from a dot on."""
    return constant == name or constant.endswith(f'.{name}')


def variations(
    part: str, settings: LinkingSettings, only: list[str]
) -> Iterator[tuple[str, LinkingSettings]]:
    """Return the name of a row and its settings, for each variation of a constant."""
    cue = settings.rule.cue(settings.association.calibration)
    for name in constants(settings):
        if only:
            vary = any(matches(name, each) for each in only)
        else:
            vary = any(fnmatch(name, p) for p in INCLUDED.get(part, ())) or not any(
                fnmatch(name, p) for p in EXCLUDED[part]
            )
            vary &= cue == 'transformer' or not name.startswith('calibration.logit')
        for value in alternatives(settings, name) if vary else ():
            yield f'{name} {format_value(name, value)}', with_constant(settings, name, value)


def make_measurement(name: str, scenes: Scenes, size: SceneCounts) -> Measurement:
    """Generate the scenes of a measurement."""
    if name == 'motion':
        return measure_tracking({'stride': scenes.real(size.real)}, (1, 2, 4))
    if name == 'appearance':
        people = {'drawn': scenes.drawn(size.drawn), 'cut': scenes.photographed(size.photographed)}
        return measure_tracking(people, (1, 4, 8))
    if name == 'films':
        return measure_films(scenes.films(size.films))
    return measure_returns(scenes.visits(size.visits))


def comparisons(name: str, settings: LinkingSettings) -> Iterator[tuple[str, TrackerSpec]]:
    """Return the trackers compared with the defaults in a measurement."""
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


def print_table(
    name: str, scenes: Scenes, size: SceneCounts, repetitions: int, only: list[str]
) -> None:
    """Print the table of a measurement."""
    settings = LinkingSettings(EvidenceRule(), scenes.model.association)
    if name == 'motion':
        settings = settings._replace(rule=replace(settings.rule, appearance='none'))
    table = PrintedTable(make_measurement(name, scenes, size), repetitions)
    features = '' if name == 'motion' else MODEL
    table.add(DEFAULTS, ours(settings, features))
    if not only:
        for row, spec in comparisons(name, settings):
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
    parser.add_argument('--only', nargs='+', default=[], help='names of constants, as in the rows')
    parser.add_argument('--quick', action='store_true', help='few scenes, one repetition')
    parser.add_argument('--repetitions', type=int, help='(default: 2)')
    parser.add_argument('--data', type=Path, default=Path('../shared/data'))
    parser.add_argument('--cache', type=Path, default=cache_directory() / 'linking')
    parser.add_argument('--checkpoint', type=Path, default=default_checkpoint('mobile'))
    parser.add_argument('--threads', type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = build('mobile', options.checkpoint)
    known = constants(LinkingSettings(EvidenceRule(), model.association))
    for name in options.only:
        if not any(matches(constant, name) for constant in known):
            parser.error(f'there is no constant {name!r}; expected one of {", ".join(known)}')
    scenes = Scenes(options.data, options.cache, model, network_key(options.checkpoint))
    for name in options.parts:
        print(f'{name}: {PARTS[name]}')
        repetitions = options.repetitions or (1 if options.quick else 2)
        print_table(name, scenes, QUICK if options.quick else FULL, repetitions, options.only)


if __name__ == '__main__':
    main()
