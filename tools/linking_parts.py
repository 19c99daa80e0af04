# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured of a tracker on the scenes: scores of tracks, largest shares, returns."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from dataclasses import replace

from linking_scenes import Film
from linking_scenes import FILMS
from linking_scenes import shaken
from linking_scenes import Story
import numpy as np

from gtr_ros.evaluation.identities import largest_share
from gtr_ros.evaluation.returns import count_returns
from gtr_ros.evaluation.run import camera_between
from gtr_ros.evaluation.run import PreparedSequence
from gtr_ros.evaluation.run import run
from gtr_ros.evaluation.trackers import TrackerSpec

#: score from which on trackers of others see a box, and all begin a track
THRESHOLD = 0.4
#: frames from one that a tracker of films sees to the next
FILM_STRIDES = (1, 2)


@dataclass(frozen=True)
class Part:
    """
    What is measured.

    :param columns: of the table
    :param form: of a cell, of its numbers
    :param measure: a tracker and a repetition -> (columns, numbers) float
    """

    columns: list[str]
    form: str
    measure: Callable[[TrackerSpec, int], np.ndarray]


def repeated(prepared: list[PreparedSequence]) -> Callable[[int], list[PreparedSequence]]:
    """Return what gives the sequences of a repetition."""
    kept: dict[int, list[PreparedSequence]] = {}

    def courses_of(repetition: int) -> list[PreparedSequence]:
        if repetition not in kept:
            kept[repetition] = [shaken(c, 100 * repetition + i) for i, c in enumerate(prepared)]
        return kept[repetition]

    return courses_of


def tracked(sets: dict[str, list[PreparedSequence]], strides: tuple[int, ...]) -> Part:
    """Make a part of sequences whose tracks are scored."""
    prepared = {name: repeated(own) for name, own in sets.items()}

    def measure(spec: TrackerSpec, repetition: int) -> np.ndarray:
        scores = [
            run(own(repetition), spec, stride, THRESHOLD).evaluation.average
            for own in prepared.values()
            for stride in strides
        ]
        return 100 * np.array([[score['HOTA'], score['IDF1']] for score in scores])

    columns = [f'{name} {stride}' for name in prepared for stride in strides]
    return Part(columns, '{:.1f} / {:.1f}', measure)


def filmed(films: list[Film]) -> Part:
    """Make a part of films: share under the largest id, ids of an object."""
    repetitions = repeated([film.prepared for film in films])

    def measure(spec: TrackerSpec, repetition: int) -> np.ndarray:
        cells: dict[tuple, list] = {(k, s): [] for k in FILMS for s in FILM_STRIDES}
        for film, prepared in zip(films, repetitions(repetition)):
            for (kind, stride), cell in cells.items():
                for phase in range(stride) if kind == film.kind else ():
                    frames = range(phase, len(prepared.boxes), stride)
                    results = published(spec, stride, prepared, frames)
                    cell.append(largest_share(prepared.sequence.select(frames), results))
        return np.array([np.mean(cell, axis=0) for cell in cells.values()])

    columns = [f'{kind} {stride}' for kind in FILMS for stride in FILM_STRIDES]
    return Part(columns, '{:.2f} / {:.2f}', measure)


def came_back(stories: list[Story]) -> Part:
    """Make a part of stories: percent right, wrong, new; of strangers taken for somebody."""
    repetitions = repeated([story.prepared for story in stories])
    levels = sorted({story.likeness for story in stories})

    def measure(spec: TrackerSpec, repetition: int) -> np.ndarray:
        counts = {level: np.zeros(6) for level in levels}
        for story, prepared in zip(stories, repetitions(repetition)):
            given = published(spec, 1, prepared, range(len(prepared.boxes)))
            c = count_returns(prepared.sequence, story.returns, given)
            back = (c.right, c.wrong, c.new, c.total)
            counts[story.likeness] += (*back, c.strangers_wrong, c.strangers)
        parts = np.array(list(counts.values()))
        total = np.maximum(parts[:, [3, 3, 3, 5]], 1)
        return 100 * parts[:, [0, 1, 2, 4]] / total

    columns = [f'likeness {level}' for level in levels]
    return Part(columns, '{:.0f} / {:.0f} / {:.0f}, {:.0f}', measure)


def published(
    spec: TrackerSpec, stride: int, prepared: PreparedSequence, frames: SequenceOf[int]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the ids and boxes that a tracker publishes of frames so far apart."""
    tracker, results = spec.make(stride), []
    for t in frames:
        found = prepared.boxes[t]
        if spec.camera:
            found = replace(found, camera=camera_between(prepared.camera, t - stride, t))
        tracks = tracker.update(found)
        keep = np.ones(len(tracks), bool) if spec.all_boxes else tracks.confirmed
        results.append((tracks.ids[keep], tracks.boxes[keep]))
    return results
