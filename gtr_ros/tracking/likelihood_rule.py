# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Linking by association likelihoods P_A: every pair of a detection and a track gets a score."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace

import numpy as np
import torch

from gtr_ros.boxes import box_centres
from gtr_ros.boxes import box_iou
from gtr_ros.model.association import Association
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Detections
from gtr_ros.tracking.past import Past


@dataclass(frozen=True)
class LikelihoodRule:
    """
    How a track's score is computed from the association likelihoods, and the minimum score.

    The published rules are `PAPER`, `PUBLISHED_MOT` and `PUBLISHED_TAO`. The default values are
    the rule `gaussian`, the default of this package before `EvidenceRule`, kept for comparison:
    the mean likelihood over the track's boxes in the window, mixed with a Gaussian motion term
    that gets wider and weaker with the length of the gap.

    :param average: the score is the mean likelihood over the track's boxes; False: the sum
    :param decay: likelihoods of a box are multiplied by decay^(frames before the previous one)
    :param motion: weight w of the motion term, S = (1 - w) likelihood + w h exp(-d^2 / 2 sigma^2);
        d is the distance to the position predicted at constant velocity, in box heights
    :param motion_certain: sigma up to which the height h of the term is 1; beyond it, h = this /
        sigma, because the evidence of a position decreases with its uncertainty; None: h is always
        1
    :param motion_sigma: sigma after a gap of no frames, box heights
    :param motion_growth: increase in sigma per second since the track's last box
    :param overlap: S is at least the IoU with the track's last box
    :param centre_gate: S is 0 unless the centre of one of the track's boxes in the window is
        nearer than this: squared distance over w^2 + h^2 of the detection, all relative to the
        image; None: no gate
    :param class_gate: likelihoods are 0 where the product of class scores is below this; None: no
        gate
    :param same_label: S is 0 unless one of the track's boxes in the window has the detection's
        label
    :param memory: seconds that the window covers, in at most T frames: at high frame rates, some
        frames are left out; None: the last T frames, however old
    :param threshold: a pair is linked if S is above this
    :param gated: pairs below the threshold are excluded from the assignment; False: the assignment
        is solved over all pairs first, as in the public code
    :param threshold_by_length: multiply the threshold by the number of the track's boxes in the
        window
    :param skips_an_id: skip the id after those of the first frame, as the public code does
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
        """Return a one-line description for users: the association, and the terms of a score."""
        parts = [f'{"mean" if self.average else "summed"} likelihood']
        parts += ['constant-velocity motion'] if self.motion else []
        parts += ['overlap with the last box'] if self.overlap else []
        return f'{association.description}; {", ".join(parts)}'

    def without_location(self) -> LikelihoodRule:
        """Return the same rule without terms that depend on box positions."""
        return replace(self, overlap=False, motion=0.0, centre_gate=None)

    def scores(
        self, likelihoods: np.ndarray, past: Past, now: Detections
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Score every pair of a detection and a track.

        :param likelihoods: (M, P) float, of the frame's M detections with the P past boxes
        :param now: the frame's detections, with their stamp
        :return: (M, K) scores; (K,) threshold of each track; tracks in the order of `past.ids`
        :raises ValueError: if the rule needs class scores, and the detections have none
        """
        if self.class_gate is not None:
            if now.class_scores is None or past.class_scores is None:
                raise ValueError(
                    'this rule compares the scores of all classes, which only the detector of the '
                    'model tao gives; choose another rule, such as evidence'
                )
            new, old = map(torch.from_numpy, (now.class_scores, past.class_scores))
            products = (new @ old.T).numpy()
            likelihoods = np.where(products < self.class_gate, 0, likelihoods)
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
        elapsed = (now.stamp - past.stamps[past.last])[:, None] / NANOSECONDS  # Kx1
        predicted = box_centres(last) + past.velocities() * elapsed
        offset = box_centres(now.boxes)[:, None] - predicted  # MxKx2
        box_height = np.maximum(last[:, 3] - last[:, 1], 1e-6)
        distance = np.linalg.norm(offset, axis=2) / box_height
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


#: the rule in section 4.3 of the paper: average likelihood above 0.2
PAPER = LikelihoodRule(motion=0.0, same_label=False, memory=None, threshold=0.2, gated=False)

#: the rule of the public code's MOT model
PUBLISHED_MOT = LikelihoodRule(
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

#: the rule of the public code's TAO model
PUBLISHED_TAO = LikelihoodRule(
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
