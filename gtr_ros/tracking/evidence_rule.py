# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The constants of linking by evidence, in box heights and seconds."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace

from gtr_ros.model.association import Association
from gtr_ros.model.calibration import Calibration
from gtr_ros.model.calibration import CUES
from gtr_ros.tracking.evidence_linker import EvidenceLinker
from gtr_ros.tracking.gallery import GalleryOptions
from gtr_ros.tracking.motion import MotionModel

#: what walks: it keeps its velocity
CALM = MotionModel(acceleration=0.1, measurement=0.05, velocity=1.0, prior=0.35)

#: what walks before a camera whose own motion is known
CARRIED = replace(CALM, with_background=True)

#: what runs, turns and stops, and whatever a shaking camera sees
ERRATIC = MotionModel(acceleration=3.0, measurement=0.15, velocity=1.0, prior=0.2)

#: what gallops, reverses and jumps
WILD = MotionModel(
    acceleration=50.0, measurement=0.15, velocity=3.0, prior=0.1, with_background=True
)


@dataclass(frozen=True)
class EvidenceRule:
    """
    Link a detection to a track where the evidence is enough; see `gtr_ros.tracking.evidence`.

    Each cue is a log-likelihood ratio of "the same object" to "a new object, anywhere", and they
    add up. One assignment maximises the sum of what evidence is above the threshold. No constant
    is of frames, so the rule is one at every frame rate and for gaps of any length.

    :param threshold: evidence from which on a detection continues a track
    :param weak_threshold: likewise, for boxes that may not begin a track
    :param memory: seconds for which a lost track can be continued
    :param fading: evidence that a track loses in each second without a box
    :param outlier: e, the tail of motion and size: their evidence is never below log e
    :param location: whether motion is a cue; False: an ablation
    :param motions: hypotheses of how things move; each track has a probability for each of them
    :param motion_memory: seconds in which those go 1 / e of the way back to their first values
    :param position_limit: deviation of a track's place at most, box heights
    :param size_noise: standard deviation of the logarithm of a detected box's height
    :param size_drift: what the standard deviation of a track's log-height grows by in a second
    :param size_anything: standard deviation of the log-ratio of two objects' heights
    :param label_doubt: boxes that weigh as much as the doubt whether a track's label is true
    :param label_error: probability that the detector gives an object another label, however often
        it had one
    :param appearance: what says whether two look alike: 'cosine' of their features, the
        association 'transformer', or 'none'; 'auto': what the checkpoint says is better
    :param appearance_limit: evidence of it at most, either way
    :param gallery: who is remembered after `memory`, and what it takes to be known again
    :param likeness_memory: seconds in which what a camera learnt of likeness goes 1 / e down
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
    size_anything: float = 1.0
    label_doubt: float = 1.0
    label_error: float = 0.1
    appearance: str = 'auto'
    appearance_limit: float = 6.0
    likeness_memory: float = 30.0
    gallery: GalleryOptions = GalleryOptions()

    def describe(self, association: Association) -> str:
        """Say in one line for people what links."""
        looks = {
            'cosine': ', cosine of features',
            'transformer': f', {association.description}',
            'none': '',
        }[self.cue(association.calibration)]
        return f'evidence of motion, size{looks} and class'

    def without_location(self) -> EvidenceRule:
        """Return the same without what depends on where boxes are."""
        return replace(self, location=False)

    def cue(self, calibration: Calibration) -> str:
        """
        Return what says whether two look alike: 'cosine', 'transformer' or 'none'.

        :raises ValueError: if it is the transformer, and its logit is not calibrated
        """
        cue = calibration.cue if self.appearance == 'auto' else self.appearance
        if cue not in (*CUES, 'none'):
            raise ValueError(
                f'appearance is {cue!r}; expected one of auto, {", ".join(CUES)}, none'
            )
        if cue == 'transformer' and not calibration.logit_slope:
            raise ValueError(
                "appearance is 'transformer', but these weights say nothing of what its logit is "
                "worth (they have no calibration, or no transformer); use 'cosine', or weights "
                'that `gtr train` made'
            )
        return cue

    def linker(self, calibration: Calibration) -> EvidenceLinker:
        """Make what links the detections of one camera."""
        return EvidenceLinker(self, calibration)
