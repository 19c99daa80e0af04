# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Links the detections of one camera with a `LikelihoodRule`."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from gtr_ros.tracking.likelihood_rule import LikelihoodRule
from gtr_ros.tracking.window import WindowView


class LikelihoodLinker:
    """
    Links the detections of a frame to the tracks in one camera's window.

    :param rule: how scores are computed from likelihoods
    """

    #: whether P_A is needed for every frame
    needs_likelihoods = True
    #: tracks that were re-identified in this frame: none, because a track ends when it leaves the
    #: window
    reidentified = ()
    #: tracks whose ids may still change
    pending = np.zeros(0, np.int64)

    def __init__(self, rule: LikelihoodRule) -> None:
        self.rule = rule
        self.last_id = 0
        self._first_frame = True
        self.clear()

    def clear(self) -> None:
        """End all tracks. Their ids are not reused."""
        self.ids = np.zeros(0, np.int64)  # tracks in the window and in the newest frame

    def fix_ids(self, ids: np.ndarray) -> None:
        """Do nothing: ids never change here."""

    def time_away(self, ids: np.ndarray) -> np.ndarray:
        """Return 0 for each track, because none is ever re-identified."""
        return np.zeros(len(ids))

    def link(self, view: WindowView, seconds: float, may_begin: np.ndarray) -> np.ndarray:
        """
        Assign a track id to each detection of a frame.

        :param view: of the frame
        :param seconds: since the previous frame
        :param may_begin: (M,) bool: detections that start a track if they do not continue one
        :return: (M,) int64; 0: no track
        """
        ids = np.zeros(len(view.now), np.int64)
        past = view.past if len(view) else None
        if past is not None and len(past.ids) and len(ids):
            scores, thresholds = self.rule.scores(view.likelihoods, past, view.now)
            scores[:, past.ids == 0] = 0  # boxes without a track
            rows, columns = linear_sum_assignment(scores, maximize=True)
            linked = scores[rows, columns] > thresholds[columns]
            ids[rows[linked]] = past.ids[columns[linked]]
        new = (ids == 0) & may_begin
        ids[new] = self.last_id + 1 + np.arange(new.sum())
        self.last_id += int(new.sum())
        if self._first_frame and self.rule.skips_an_id:
            self.last_id += 1
        self._first_frame = False
        self.ids = ids if past is None else np.union1d(past.ids, ids)
        return ids
