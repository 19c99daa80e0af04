# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The online tracker: takes the detections of one frame, returns their track ids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gtr_ros.model.association import Association
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Detections
from gtr_ros.structures import Tracks
from gtr_ros.tracking.clock import FrameClock
from gtr_ros.tracking.evidence_rule import EvidenceRule
from gtr_ros.tracking.existence import Existence
from gtr_ros.tracking.online import OnlineAssociation
from gtr_ros.tracking.reidentification import Reidentification
from gtr_ros.tracking.rules import Linker
from gtr_ros.tracking.rules import LinkingRule
from gtr_ros.tracking.rules import make_linker
from gtr_ros.tracking.trajectories import Trajectories
from gtr_ros.tracking.window import Window


class Tracker:
    """
    An online tracker for one camera; its memory is bounded.

    A rule scores every pair of a detection and a track; the assignment with the highest total
    score is chosen (Hungarian algorithm); unassigned detections start tracks. With the published
    rules this is the sliding-window tracker of the paper's section 4.3.

    A track id is unique for the lifetime of the tracker. It survives frames in which the object is
    not detected, for as long as the rule remembers it: for seconds, or for the last T frames.

    :param association: computes the likelihoods P_A of pairs of objects in a window
    :param rule: how detections are linked
    :param window: T, frames of trajectories and of P_A, this one included; at least 2
    :param min_hits: number of boxes after which a track is confirmed; None: by its existence
        probability, see `gtr_ros.tracking.existence`
    :param begin_score: minimum score of a box that starts a track; boxes below it may continue one
    :raises ValueError: if one of these is out of range
    """

    def __init__(
        self,
        association: Association,
        rule: LinkingRule = EvidenceRule(),
        window: int = 32,
        min_hits: int | None = None,
        begin_score: float = 0.0,
    ) -> None:
        self.rule = rule
        self.resets = 0
        #: number of re-identifications, and the newest of them
        self.returns = 0
        self.last_return: Reidentification | None = None
        self._existence = Existence()
        self.begin_score = begin_score
        self.min_hits = min_hits
        self._linker = make_linker(rule, association.calibration)
        self._window = Window(
            association, _past_frames(window), rule.memory, self._linker.needs_likelihoods
        )
        self._clock = FrameClock()

    @property
    def window(self) -> int:
        """T, frames; may be changed between two frames: the newest frames are kept."""
        return self._window.frames + 1

    @window.setter
    def window(self, frames: int) -> None:
        self._window.frames = _past_frames(frames)

    @property
    def min_hits(self) -> int | None:
        """Number of boxes after which a track is confirmed; None: by its existence probability."""
        return self._existence.min_hits

    @min_hits.setter
    def min_hits(self, count: int | None) -> None:
        if count is not None and count < 1:
            raise ValueError(f'min_hits is {count}; expected at least 1, or None')
        self._existence.min_hits = count

    @property
    def begin_score(self) -> float:
        """Minimum score of a box that starts a track."""
        return self._existence.threshold

    @begin_score.setter
    def begin_score(self, score: float) -> None:
        if not 0 <= score <= 1:  # also if it is nan
            raise ValueError(f'begin_score is {score}; expected a number from 0 to 1')
        self._existence.threshold = score

    @property
    def repaired_stamps(self) -> int:
        """Number of frames whose stamp was not after the previous one; they were tracked."""
        return self._clock.repaired

    # The state below is for debugging and tests, and must not be changed.

    @property
    def linker(self) -> Linker:
        """Links the detections: an `EvidenceLinker` or a `LikelihoodLinker`, with its tracks."""
        return self._linker

    @property
    def existence(self) -> Existence:
        """The existence probabilities of the tracks."""
        return self._existence

    @property
    def past_frames(self) -> int:
        """Number of frames in the window at present, at most T - 1."""
        return len(self._window)

    @property
    def online_association(self) -> OnlineAssociation | None:
        """Computes P_A incrementally; None while P_A is not read."""
        return self._window.online

    def reset(self) -> None:
        """End all tracks. Their ids are not reused."""
        self._window.clear()
        self._linker.clear()
        self._existence.clear()
        self._clock.reset()
        self.resets += 1

    def update(self, detections: Detections) -> Tracks:
        """
        Assign a track id to each detection of the next frame.

        A stamp that is more than a second before the latest one resets the tracker first: the
        clock or the recording was restarted. A stamp that repeats, or is less than a second back,
        is repaired; see `gtr_ros.tracking.clock`.

        :param detections: of one frame, in any order
        :return: tracks, in the order of the detections, except boxes that neither continue a track
            nor may start one
        """
        if self._clock.was_reset(detections.stamp):
            self.reset()
        now = replace(detections, stamp=self._clock.time(detections.stamp))
        self._window.drop_expired(now.stamp)
        view = self._window.view(now)
        elapsed = self._clock.elapsed / NANOSECONDS
        ids = self._linker.link(view, elapsed, now.scores >= self.begin_score)
        for track in self._linker.reidentified:
            self._window.change_id(track.provisional_id, track.id)
            view = view.change_id(track.provisional_id, track.id)
            self._existence.reidentify(track.provisional_id, track.id)
            self.returns += 1
            self.last_return = track
        tracked = ids > 0
        if self._linker.needs_likelihoods:
            self._window.add(now, ids)
        view, ids = view.select(tracked), ids[tracked]
        now = view.now
        if not self._linker.needs_likelihoods:
            self._window.add(now, ids)
        seconds, held = now.stamp / NANOSECONDS, self._linker.pending
        confirmed = self._existence.update(ids, now.scores, seconds, held)
        self._existence.keep(self._linker.ids)
        self._linker.fix_ids(ids[confirmed])
        away = self._linker.time_away(ids)
        return Tracks(
            ids=ids,
            boxes=now.boxes,
            scores=now.scores,
            labels=now.labels,
            confirmed=confirmed,
            away=away,
            trajectories=Trajectories(ids, confirmed, away, view),
            features=now.features,
            returned=self._returned(ids),
        )

    def _returned(self, ids: np.ndarray) -> np.ndarray:
        """Return the probability with which each track was re-identified in this frame, (N,)."""
        probability = {track.id: track.probability for track in self._linker.reidentified}
        return np.array([probability.get(i, 0.0) for i in ids.tolist()], np.float64)


def _past_frames(window: int) -> int:
    """Return T - 1, the number of past frames."""
    if window < 2:
        raise ValueError(
            f'window is {window} frames; expected at least 2, this one and one past frame'
        )
    return window - 1
