# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measurements of trackers on the scenes: track metrics, shares of ids, returns."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from dataclasses import replace

from linking_scenes import FILMS
from linking_scenes import FilmScene
from linking_scenes import perturb
from linking_scenes import VisitsScene
import numpy as np

from gtr_ros.evaluation.identities import largest_share
from gtr_ros.evaluation.returns import count_returns
from gtr_ros.evaluation.run import camera_between
from gtr_ros.evaluation.run import PreparedSequence
from gtr_ros.evaluation.run import run
from gtr_ros.evaluation.trackers import TrackerSpec

#: minimum score of the boxes that external trackers get, and of boxes that start a track
THRESHOLD = 0.4
#: strides of films, frames
FILM_STRIDES = (1, 2)


@dataclass(frozen=True)
class Measurement:
    """
    A table of measurements.

    :param columns: names
    :param form: format of a cell's numbers
    :param measure: called with a tracker and the number of a repetition; returns (columns,
        numbers) float
    """

    columns: list[str]
    form: str
    measure: Callable[[TrackerSpec, int], np.ndarray]


def repeated(prepared: list[PreparedSequence]) -> Callable[[int], list[PreparedSequence]]:
    """Return a function that returns the sequences for a repetition."""
    cached: dict[int, list[PreparedSequence]] = {}

    def of_repetition(repetition: int) -> list[PreparedSequence]:
        if repetition not in cached:
            seeds = range(100 * repetition, 100 * repetition + len(prepared))
            cached[repetition] = [perturb(p, seed) for p, seed in zip(prepared, seeds)]
        return cached[repetition]

    return of_repetition


def measure_tracking(
    sets: dict[str, list[PreparedSequence]], strides: tuple[int, ...]
) -> Measurement:
    """Return a measurement of HOTA and IDF1, percent."""
    prepared = {name: repeated(own) for name, own in sets.items()}

    def measure(spec: TrackerSpec, repetition: int) -> np.ndarray:
        scores = [
            run(own(repetition), spec, stride, THRESHOLD).evaluation.average
            for own in prepared.values()
            for stride in strides
        ]
        return 100 * np.array([[score['HOTA'], score['IDF1']] for score in scores])

    columns = [f'{name} {stride}' for name in prepared for stride in strides]
    return Measurement(columns, '{:.1f} / {:.1f}', measure)


def measure_films(films: list[FilmScene]) -> Measurement:
    """Return a measurement on films: share of the most frequent id, and ids per object."""
    repetitions = repeated([film.prepared for film in films])

    def measure(spec: TrackerSpec, repetition: int) -> np.ndarray:
        cells: dict[tuple, list] = {(k, s): [] for k in FILMS for s in FILM_STRIDES}
        for film, prepared in zip(films, repetitions(repetition)):
            for (kind, stride), cell in cells.items():
                for phase in range(stride) if kind == film.kind else ():
                    frames = range(phase, len(prepared.boxes), stride)
                    results = published_tracks(spec, stride, prepared, frames)
                    cell.append(largest_share(prepared.sequence.select(frames), results))
        return np.array([np.mean(cell, axis=0) for cell in cells.values()])

    columns = [f'{kind} {stride}' for kind in FILMS for stride in FILM_STRIDES]
    return Measurement(columns, '{:.2f} / {:.2f}', measure)


def measure_returns(scenes: list[VisitsScene]) -> Measurement:
    """Return a measurement of returns: percent right, wrong, new; percent of strangers wrong."""
    repetitions = repeated([scene.prepared for scene in scenes])
    levels = sorted({scene.similarity for scene in scenes})

    def measure(spec: TrackerSpec, repetition: int) -> np.ndarray:
        counts = {level: np.zeros(6) for level in levels}
        for scene, prepared in zip(scenes, repetitions(repetition)):
            given = published_tracks(spec, 1, prepared, range(len(prepared.boxes)))
            c = count_returns(prepared.sequence, scene.returns, given)
            back = (c.right, c.wrong, c.new, c.total)
            counts[scene.similarity] += (*back, c.strangers_wrong, c.strangers)
        parts = np.array(list(counts.values()))
        total = np.maximum(parts[:, [3, 3, 3, 5]], 1)
        return 100 * parts[:, [0, 1, 2, 4]] / total

    columns = [f'similarity {level}' for level in levels]
    return Measurement(columns, '{:.0f} / {:.0f} / {:.0f}, {:.0f}', measure)


def published_tracks(
    spec: TrackerSpec, stride: int, prepared: PreparedSequence, frames: SequenceOf[int]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the ids and boxes that a tracker publishes for some frames."""
    tracker, results = spec.make(stride), []
    for t in frames:
        found = prepared.boxes[t]
        if spec.camera:
            found = replace(found, camera=camera_between(prepared.camera, t - stride, t))
        tracks = tracker.update(found)
        keep = np.ones(len(tracks), bool) if spec.all_boxes else tracks.confirmed
        results.append((tracks.ids[keep], tracks.boxes[keep]))
    return results
