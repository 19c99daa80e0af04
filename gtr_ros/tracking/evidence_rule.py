# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The constants of linking by evidence, in box heights and seconds."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace

from gtr_ros.model.association import Association
from gtr_ros.model.calibration import Calibration
from gtr_ros.model.calibration import CUES
from gtr_ros.tracking.gallery import GalleryOptions
from gtr_ros.tracking.motion import MotionModel

#: walking at constant velocity
CALM = MotionModel(acceleration=0.1, measurement=0.05, velocity=1.0, prior=0.35)

#: walking, with known camera motion compensated
CARRIED = replace(CALM, with_background=True)

#: running, turning, stopping, and anything filmed by a shaking camera
ERRATIC = MotionModel(acceleration=3.0, measurement=0.15, velocity=1.0, prior=0.2)

#: galloping, reversing, jumping
WILD = MotionModel(
    acceleration=50.0, measurement=0.15, velocity=3.0, prior=0.1, with_background=True
)


@dataclass(frozen=True)
class EvidenceRule:
    """
    Link a detection to a track if the evidence is high enough; see `gtr_ros.tracking.evidence`.

    Each cue is a log-likelihood ratio of "the same object" to "a new object, anywhere", and the
    cues add up. One assignment maximises the sum of the evidence above the threshold. No constant
    is in frames, so the rule is the same at every frame rate and for gaps of any length.

    :param threshold: minimum evidence for a detection to continue a track
    :param weak_threshold: the same for boxes that may not start a track
    :param memory: seconds for which a lost track can be continued
    :param fading: evidence that a track loses per second without a box
    :param outlier: e, tail probability of motion and size: their evidence is never below log e
    :param location: whether motion is a cue; False for an ablation
    :param motions: motion hypotheses; each track has a probability for each of them
    :param motion_memory: time constant, seconds, with which these probabilities return to the
        prior
    :param position_limit: upper limit of a position's standard deviation, box heights
    :param size_noise: standard deviation of the logarithm of a detected box's height
    :param size_drift: standard deviation of the change of a track's log-height in one second
    :param size_spread: standard deviation of the log-ratio of two objects' heights
    :param label_prior: number of boxes that weigh as much as the prior doubt about a track's label
    :param label_error: probability that the detector reports another label for an object than
        before
    :param appearance: the appearance cue: 'cosine' of the features, the association
        'transformer', or 'none'; 'auto': the one that the checkpoint recommends
    :param appearance_limit: largest absolute evidence of appearance
    :param appearance_memory: time constant, seconds, of the similarity statistics that are learnt
        online
    :param appearance_drift: time constant, seconds, with which the similarity of an object that is
        out of sight falls to that after an absence
    :param gallery: which tracks are kept for longer than `memory`, and when they are re-identified
    """

    threshold: float = 2.5
    weak_threshold: float = 4.0
    memory: float = 4.5
    fading: float = 0.2
    outlier: float = 0.02
    location: bool = True
    motions: tuple[MotionModel, ...] = (CALM, CARRIED, ERRATIC, WILD)
    motion_memory: float = 1.0
    position_limit: float = 3.0
    size_noise: float = 0.1
    size_drift: float = 0.1
    size_spread: float = 1.0
    label_prior: float = 1.0
    label_error: float = 0.1
    appearance: str = 'auto'
    appearance_limit: float = 6.0
    appearance_memory: float = 30.0
    appearance_drift: float = 2.0
    gallery: GalleryOptions = GalleryOptions()

    def describe(self, association: Association) -> str:
        """Return a one-line description for users: the cues that link detections."""
        appearance = {
            'cosine': ', cosine of features',
            'transformer': f', {association.description}',
            'none': '',
        }[self.cue(association.calibration)]
        return f'evidence of motion, size{appearance} and class'

    def without_location(self) -> EvidenceRule:
        """Return the same rule without cues that depend on box positions."""
        return replace(self, location=False)

    def cue(self, calibration: Calibration) -> str:
        """
        Return the appearance cue: 'cosine', 'transformer' or 'none'.

        :raises ValueError: if it is the transformer, and its logit is not calibrated
        """
        cue = calibration.cue if self.appearance == 'auto' else self.appearance
        if cue not in (*CUES, 'none'):
            raise ValueError(
                f'appearance is {cue!r}; expected one of auto, {", ".join(CUES)}, none'
            )
        if cue == 'transformer' and not calibration.logit_slope:
            raise ValueError(
                "appearance is 'transformer', but the logit of these weights is not calibrated "
                "(no calibration, or no transformer); use 'cosine', or weights from `gtr train`"
            )
        return cue
