# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How likely each detection of a frame continues each track: one score for every pair."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment
import torch

from gtr_ros.boxes import box_iou
from gtr_ros.model.association import Association
from gtr_ros.model.calibration import Calibration
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Detections
from gtr_ros.tracking.window import Past
from gtr_ros.tracking.window import WindowView


@dataclass(frozen=True)
class LinkingRule:
    """
    What makes a track's score out of the association's likelihoods, and what score is enough.

    The published rules are `PAPER`, `PUBLISHED_MOT` and `PUBLISHED_TAO`. The defaults are the rule
    that this package had before `EvidenceRule`, and has for comparison: mean likelihood over the
    track's boxes in the window, mixed with a Gaussian of motion that gets wider and weaker as the
    gap grows.

    :param average: the track's score is the mean likelihood over its boxes; False: the sum
    :param decay: likelihoods of a box are multiplied by decay^(frames before the previous one)
    :param motion: weight w of the motion term, S = (1 - w) likelihood + w h exp(-d^2 / 2 sigma^2);
        d is the distance to where the track would be at constant velocity, in box heights
    :param motion_certain: sigma up to which the term's height h is 1; h = this / sigma beyond, as
        being near a place says the less the larger the place is; None: h is always 1
    :param motion_sigma: sigma after a gap of no frames, box heights
    :param motion_growth: what sigma grows by in each second since the track's last box
    :param overlap: S is at least the IoU with the track's last box
    :param centre_gate: S is 0 unless a box of the track in the window has its centre nearer than
        this: squared distance over w^2 + h^2 of the detection, relative to the image; None: off
    :param class_gate: likelihoods are 0 where the product of class scores is below; None: off
    :param same_label: S is 0 unless a box of the track in the window has the detection's label
    :param memory: seconds that the window covers, in at most T frames: where frames come faster
        some are left out; None: the last T frames, however long ago
    :param threshold: a pair is linked if S is above
    :param gated: pairs that would not be linked have no part in the assignment either; False, as
        in the public code: the best sum over all pairs is found first
    :param threshold_by_length: that threshold is for each box that the track has in the window
    :param skips_an_id: the id after those of the first frame is never given, as in the public code
    """

    average: bool = True
    decay: float = 1.0
    motion: float = 0.5
    motion_sigma: float = 0.2
    motion_growth: float = 0.3
    motion_certain: float | None = 0.3
    overlap: bool = False
    centre_gate: float | None = None
    class_gate: float | None = None
    same_label: bool = True
    memory: float | None = 4.0
    threshold: float = 0.3
    threshold_by_length: bool = False
    gated: bool = True
    skips_an_id: bool = False

    def describe(self, association: Association) -> str:
        """Say in one line for people what links, and what makes a track's score."""
        parts = [f'{"mean" if self.average else "summed"} likelihood']
        parts += ['constant-velocity motion'] if self.motion else []
        parts += ['overlap with the last box'] if self.overlap else []
        return f'{association.description}; {", ".join(parts)}'

    def without_location(self) -> LinkingRule:
        """Return the same without what depends on where boxes are."""
        return replace(self, overlap=False, motion=0.0, centre_gate=None)

    def linker(self, calibration: Calibration) -> WindowLinker:
        """Make what links the detections of one camera."""
        return WindowLinker(self)

    def scores(
        self, likelihoods: np.ndarray, past: Past, now: Detections
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Score every pair of a detection and a track.

        :param likelihoods: (M, P) float, of the frame's M detections with the P past boxes
        :param now: the frame's detections, with their stamp
        :return: (M, K) scores; (K,) the threshold of each track; tracks in the order of `past.ids`
        """
        if self.class_gate is not None:
            ours, theirs = map(torch.from_numpy, (now.class_scores, past.class_scores))
            alike = (ours @ theirs.T).numpy()
            likelihoods = np.where(alike < self.class_gate, 0, likelihoods)
        if self.decay != 1:
            likelihoods = likelihoods * self.decay ** (past.age - 1)
        scores = past.sum_by_track(likelihoods)
        if self.average:
            scores = scores / past.lengths
        if self.motion:
            scores = (1 - self.motion) * scores + self.motion * self._motion_scores(past, now)
        if self.overlap:
            scores = np.maximum(scores, box_iou(now.boxes, past.boxes[past.last]))
        if self.centre_gate is not None:
            scores = np.where(past.any_by_track(self._near(past, now)), scores, 0)
        if self.same_label:
            same = now.labels[:, None] == past.labels
            scores = np.where(past.any_by_track(same), scores, 0)
        lengths = past.lengths if self.threshold_by_length else np.ones_like(past.lengths)
        thresholds = self.threshold * lengths
        if self.gated:
            scores = np.where(scores > thresholds, scores, 0)
        return scores, thresholds

    def _motion_scores(self, past: Past, now: Detections) -> np.ndarray:
        """Return h exp(-d^2 / 2 sigma^2), (M, K)."""
        last = past.boxes[past.last]
        centre = (last[:, :2] + last[:, 2:]) / 2
        elapsed = (now.stamp - past.stamps[past.last])[:, None] / NANOSECONDS  # Kx1
        expected = centre + past.velocities() * elapsed
        offset = (now.boxes[:, None, :2] + now.boxes[:, None, 2:]) / 2 - expected  # MxKx2
        tall = np.maximum(last[:, 3] - last[:, 1], 1e-6)
        distance = np.linalg.norm(offset, axis=2) / tall
        sigma = self.motion_sigma + self.motion_growth * elapsed[:, 0]
        height = np.ones_like(sigma)
        if self.motion_certain is not None:
            height = np.minimum(1, self.motion_certain / sigma)
        return height * np.exp(-((distance / sigma) ** 2) / 2)

    def _near(self, past: Past, now: Detections) -> np.ndarray:
        """Return whether each past box's centre is within the gate of each detection's, (M, P)."""
        height, width = now.image_size
        image = np.array([width, height], np.float32)
        a, b = now.boxes[:, None] / np.tile(image, 2), past.boxes / np.tile(image, 2)
        offset = (a[..., :2] + a[..., 2:] - b[:, :2] - b[:, 2:]) / 2
        size = a[..., 2:] - a[..., :2]
        return (offset**2).sum(-1) / (size**2).sum(-1) < self.centre_gate


class WindowLinker:
    """
    Links the detections of a frame to the tracks of one camera's window, as a `LinkingRule` says.

    :param rule: what makes scores of likelihoods
    """

    #: whether P_A is needed of every frame
    asks = True
    #: those who came back after they were lost: what left the window never does
    returns = ()
    #: tracks that may be somebody who was here before
    pending = np.zeros(0, np.int64)

    def __init__(self, rule: LinkingRule) -> None:
        self.rule = rule
        self._last_id = 0
        self._began = False
        self.clear()

    def clear(self) -> None:
        """Forget every track. Identities given so far are not given again."""
        self.ids = np.zeros(0, np.int64)  # those of the window and of the newest frame

    def settle(self, ids: np.ndarray) -> None:
        """Let these tracks keep their identities, as they do in any case."""

    def away(self, ids: np.ndarray) -> np.ndarray:
        """Return for how many seconds tracks were away when they last came back: none ever."""
        return np.zeros(len(ids))

    def link(self, view: WindowView, seconds: float, may_begin: np.ndarray) -> np.ndarray:
        """
        Say whose each detection of a frame is.

        :param view: of the frame
        :param seconds: since the frame before
        :param may_begin: (M,) bool: those that begin a track where they continue none
        :return: (M,) int64; 0: of nobody
        """
        ids = np.zeros(len(view.now), np.int64)
        past = view.past if len(view) else None
        if past is not None and len(past.ids) and len(ids):
            scores, thresholds = self.rule.scores(view.likelihoods, past, view.now)
            scores[:, past.ids == 0] = 0  # boxes of nobody are no track
            rows, columns = linear_sum_assignment(scores, maximize=True)
            linked = scores[rows, columns] > thresholds[columns]
            ids[rows[linked]] = past.ids[columns[linked]]
        new = (ids == 0) & may_begin
        ids[new] = self._last_id + 1 + np.arange(new.sum())
        self._last_id += int(new.sum())
        if not self._began and self.rule.skips_an_id:
            self._last_id += 1
        self._began = True
        self.ids = ids if past is None else np.union1d(past.ids, ids)
        return ids


#: section 4.3 of the paper: average likelihood above 0.2
PAPER = LinkingRule(motion=0.0, same_label=False, memory=None, threshold=0.2, gated=False)

#: what the public code does with its MOT model
PUBLISHED_MOT = LinkingRule(
    average=False,
    decay=0.9,
    motion=0.0,
    overlap=True,
    centre_gate=1.0,
    same_label=False,
    memory=None,
    threshold=0.2,
    gated=False,
    skips_an_id=True,
)

#: what the public code does with its TAO model
PUBLISHED_TAO = LinkingRule(
    average=False,
    motion=0.0,
    class_gate=0.01,
    same_label=False,
    memory=None,
    threshold=0.1,
    threshold_by_length=True,
    gated=False,
    skips_an_id=True,
)
