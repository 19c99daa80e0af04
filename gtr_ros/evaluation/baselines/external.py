# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Adapter for the trackers of the package `trackers`, if it is installed."""

from __future__ import annotations

import math
import warnings

import numpy as np

from gtr_ros.evaluation.names import EXTERNAL_TRACKERS
from gtr_ros.structures import Detections
from gtr_ros.structures import Tracks


class ExternalTracker:
    """
    A tracker from another package, with its default parameters except score thresholds and memory.

    Its threshold for high scores is the evaluation's score threshold; its memory is set in frames.
    Boxes that it withholds while a track is tentative are returned unconfirmed, each with a new
    negative id.

    :param name: one of `EXTERNAL_TRACKERS`
    :param memory: frames for which a lost track is kept
    :param threshold: minimum score of boxes that start tracks
    :raises ValueError: if there is no such tracker, or the package is not installed
    """

    def __init__(self, name: str, memory: int = 30, threshold: float = 0.4) -> None:
        if name not in EXTERNAL_TRACKERS:
            raise ValueError(f'tracker {name!r}; expected one of {", ".join(EXTERNAL_TRACKERS)}')
        kind, thresholds = EXTERNAL_TRACKERS[name]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                import supervision
                import trackers
        except ImportError as error:
            raise ValueError(
                f'tracker {name!r} needs the package trackers, which is not installed ({error}); '
                'pip install trackers, or leave it out'
            ) from error
        self._detections = supervision.Detections
        settings: dict = dict.fromkeys(thresholds, threshold)
        if name == 'botsort':
            settings['enable_cmc'] = False  # camera motion compensation needs the images
        self._tracker = getattr(trackers, kind)(
            lost_track_buffer=max(1, math.ceil(memory)), frame_rate=30.0, **settings
        )
        self._unconfirmed = 0

    def update(self, detections: Detections) -> Tracks:
        """Assign a track id to each detection of the next frame, in their order."""
        count = len(detections)
        given = self._detections(
            xyxy=detections.boxes.astype(np.float32).reshape(-1, 4),
            confidence=detections.scores,
            class_id=detections.labels,
            data={'row': np.arange(count)},
        )
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            result = self._tracker.update(given)
        ids = np.full(count, -1, np.int64)
        if len(result):
            ids[np.asarray(result.data['row'], int)] = result.tracker_id
        confirmed = ids >= 0
        # Ids count up from 1; those of unconfirmed boxes count down, so that none is used twice.
        ids[confirmed] += 1
        fresh = int((~confirmed).sum())
        ids[~confirmed] = -1 - self._unconfirmed - np.arange(fresh)
        self._unconfirmed += fresh
        return Tracks(
            ids, detections.boxes, detections.scores, detections.labels, confirmed=confirmed
        )
