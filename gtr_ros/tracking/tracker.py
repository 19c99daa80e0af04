# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The online tracker: one frame's detections in, their identities out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from gtr_ros.model.association import Association
from gtr_ros.model.online import online
from gtr_ros.structures import Detections
from gtr_ros.structures import Tracks
from gtr_ros.tracking.linking import LinkingRule
from gtr_ros.tracking.trajectories import Trajectories
from gtr_ros.tracking.window import NANOSECONDS
from gtr_ros.tracking.window import Past
from gtr_ros.tracking.window import Window


class Tracker:
    """
    The sliding-window tracker of the paper's section 4.3, causal and bounded: one for each camera.

    The objects of a frame query all objects of the last T frames; the assignment of detections to
    tracks that has the highest total score wins (Hungarian algorithm); what is left begins tracks.
    An identity is unique for the tracker's life. It survives frames in which its object is not
    found, as long as its last box is in the window: the last T frames, or as many seconds as the
    rule remembers.

    :param association: likelihoods of the pairs of a window's objects
    :param rule: what makes a track's score out of them
    :param window: T, frames, this one included; at least 2
    :param min_hits: boxes from which on a track is confirmed; at least 1
    :raises ValueError: if one of these is out of range
    """

    def __init__(
        self,
        association: Association,
        rule: LinkingRule = LinkingRule(),
        window: int = 32,
        min_hits: int = 3,
    ) -> None:
        if min_hits < 1:
            raise ValueError(f'min_hits is {min_hits}; expected at least 1')
        self.rule = rule
        self.min_hits = min_hits
        self.resets = 0
        self._window = Window(online(association), _past_frames(window), rule.memory)
        self._hits: Counter[int] = Counter()
        self._last_id = 0
        self._previous: int | None = None  # stamp of the frame before, nanoseconds
        self._began = False

    @property
    def window(self) -> int:
        """T, frames, that can be changed between two of them; the newest are kept."""
        return self._window.frames + 1

    @window.setter
    def window(self, frames: int) -> None:
        self._window.frames = _past_frames(frames)

    def reset(self) -> None:
        """Forget every track. Identities given so far are not given again."""
        self._window.clear()
        self._hits.clear()
        self._previous = None
        self.resets += 1

    def update(self, detections: Detections) -> Tracks:
        """
        Give identities to the detections of the next frame.

        A stamp that is not after the previous frame's resets the tracker first: the clock, or the
        recording, began again.

        :param detections: of one frame, in any order
        :return: tracks, in the order of the detections
        """
        previous = self._previous
        if detections.stamp is None:
            detections = replace(detections, stamp=(previous or 0) + NANOSECONDS // 10)
        elif previous is not None and detections.stamp <= previous:
            self.reset()
        self._previous = detections.stamp
        self._window.forget(detections.stamp)
        past = self._window.past() if len(self._window) else None
        likelihoods = self._window.likelihoods(detections)
        ids = self._link(likelihoods, past, detections)
        confirmed = np.array([self._hits[i] >= self.min_hits for i in ids.tolist()], bool)
        self._window.add(detections, ids)
        return Tracks(
            ids=ids,
            boxes=detections.boxes,
            scores=detections.scores,
            labels=detections.labels,
            confirmed=confirmed,
            trajectories=Trajectories(ids, confirmed, detections, past, likelihoods),
        )

    def _link(self, likelihoods: np.ndarray, past: Past | None, now: Detections) -> np.ndarray:
        """Return the identity of each detection, (M,) int64."""
        ids = np.zeros(len(now), np.int64)
        if past is not None and len(past.ids) and len(now):
            scores, thresholds = self.rule.scores(likelihoods, past, now)
            rows, columns = linear_sum_assignment(scores, maximize=True)
            linked = scores[rows, columns] > thresholds[columns]
            ids[rows[linked]] = past.ids[columns[linked]]
        new = ids == 0
        ids[new] = self._last_id + 1 + np.arange(new.sum())
        self._last_id += int(new.sum())
        if not self._began and self.rule.skips_an_id:
            self._last_id += 1
        self._began = True
        alive = set(ids.tolist()) | (set(past.ids.tolist()) if past is not None else set())
        self._hits = Counter({i: n for i, n in self._hits.items() if i in alive})
        self._hits.update(ids.tolist())
        return ids


def _past_frames(window: int) -> int:
    """Return how many of T frames are past."""
    if window < 2:
        raise ValueError(f'window is {window} frames; expected at least 2, this one and one past')
    return window - 1
