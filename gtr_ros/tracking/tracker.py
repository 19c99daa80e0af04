# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The online tracker: one frame's detections in, their identities out."""

from __future__ import annotations

from dataclasses import replace

from gtr_ros.model.association import Association
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Detections
from gtr_ros.structures import Tracks
from gtr_ros.tracking.clock import FrameClock
from gtr_ros.tracking.evidence_rule import EvidenceRule
from gtr_ros.tracking.existence import Existence
from gtr_ros.tracking.recognition import Return
from gtr_ros.tracking.rules import Rule
from gtr_ros.tracking.trajectories import Trajectories
from gtr_ros.tracking.window import Window


class Tracker:
    """
    An online tracker, causal and bounded: one for each camera.

    A rule scores every pair of a detection and a track; the assignment with the highest total
    score wins (Hungarian algorithm); what is left begins tracks. With the published rules that is
    the sliding-window tracker of the paper's section 4.3.

    An identity is unique for the tracker's life. It survives frames in which its object is not
    found, for as long as the rule remembers: seconds, or the last T frames.

    :param association: likelihoods P_A of the pairs of a window's objects
    :param rule: what makes scores, and of what
    :param window: T, frames of trajectories and of P_A, this one included; at least 2
    :param min_hits: boxes from which on a track is confirmed; None: by the probability that it is
        of an object, see `gtr_ros.tracking.existence`
    :param begin_score: boxes that score less may continue a track and begin none
    :raises ValueError: if one of these is out of range
    """

    def __init__(
        self,
        association: Association,
        rule: Rule = EvidenceRule(),
        window: int = 32,
        min_hits: int | None = None,
        begin_score: float = 0.0,
    ) -> None:
        self.rule = rule
        self.resets = 0
        #: how many came back after they were lost, and the newest of them
        self.returns = 0
        self.last_return: Return | None = None
        self._existence = Existence(begin_score)
        self.min_hits = min_hits
        self._linker = rule.linker(association.calibration)
        self._window = Window(association, _past_frames(window), rule.memory, self._linker.asks)
        self._clock = FrameClock()

    @property
    def window(self) -> int:
        """T, frames, that can be changed between two of them; the newest are kept."""
        return self._window.frames + 1

    @window.setter
    def window(self, frames: int) -> None:
        self._window.frames = _past_frames(frames)

    @property
    def min_hits(self) -> int | None:
        """Boxes from which on a track is confirmed; None: by the probability of its existence."""
        return self._existence.min_hits

    @min_hits.setter
    def min_hits(self, count: int | None) -> None:
        if count is not None and count < 1:
            raise ValueError(f'min_hits is {count}; expected at least 1, or None')
        self._existence.min_hits = count

    @property
    def begin_score(self) -> float:
        """Score from which on a box may begin a track."""
        return self._existence.threshold

    @begin_score.setter
    def begin_score(self, score: float) -> None:
        self._existence.threshold = score

    @property
    def repaired_stamps(self) -> int:
        """How many frames had a stamp that was not after the one before, and were tracked."""
        return self._clock.repaired

    def reset(self) -> None:
        """Forget every track. Identities given so far are not given again."""
        self._window.clear()
        self._linker.clear()
        self._existence.clear()
        self._clock.reset()
        self.resets += 1

    def update(self, detections: Detections) -> Tracks:
        """
        Give identities to the detections of the next frame.

        A stamp that is more than a second before the latest resets the tracker first: the clock,
        or the recording, began again. One that repeats, or is a little back, is taken for wrong;
        see `gtr_ros.tracking.clock`.

        :param detections: of one frame, in any order
        :return: tracks, in the order of the detections; without boxes that may begin no track and
            continue none
        """
        if self._clock.began_again(detections.stamp):
            self.reset()
        now = replace(detections, stamp=self._clock.time(detections.stamp))
        self._window.forget(now.stamp)
        view = self._window.view(now)
        elapsed = self._clock.elapsed / NANOSECONDS
        ids = self._linker.link(view, elapsed, now.scores >= self.begin_score)
        for back in self._linker.returns:
            self._window.rename(back.began, back.id)
            view = view.rename(back.began, back.id)
            self._existence.resume(back.began, back.id)
            self.returns += 1
            self.last_return = back
        of_somebody = ids > 0
        if self._linker.asks:
            self._window.add(now, ids)
        view, ids = view.select(of_somebody), ids[of_somebody]
        now = view.now
        if not self._linker.asks:
            self._window.add(now, ids)
        seconds, held = now.stamp / NANOSECONDS, self._linker.pending
        confirmed = self._existence.update(ids, now.scores, seconds, held)
        self._existence.keep(self._linker.ids)
        self._linker.settle(ids[confirmed])
        away = self._linker.away(ids)
        return Tracks(
            ids=ids,
            boxes=now.boxes,
            scores=now.scores,
            labels=now.labels,
            confirmed=confirmed,
            away=away,
            trajectories=Trajectories(ids, confirmed, away, view),
        )


def _past_frames(window: int) -> int:
    """Return how many of T frames are past."""
    if window < 2:
        raise ValueError(f'window is {window} frames; expected at least 2, this one and one past')
    return window - 1
