# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How recordings are tracked; imports torch only when a model is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
import re
from typing import TYPE_CHECKING

from gtr_ros.model.options import ModelOptions
from gtr_ros.options import check_range
from gtr_ros.options import ConfigurationError
from gtr_ros.options import option

if TYPE_CHECKING:
    from gtr_ros.model.gtr import GTR
    from gtr_ros.tracking.rules import LinkingRule


# What the pipeline calls its options, and what `gtr track` calls them; the longest names first.
_FLAGS = {
    'weak_score_threshold': '--weak-score-threshold',
    'score_threshold': '--score-threshold',
    'class_names': '--classes',
}


@dataclass(frozen=True)
class TrackingOptions(ModelOptions):
    """
    How recordings are tracked, as plain values that can be sent to other machines.

    :param window: number of frames in trajectories and for P_A
    :param rule_name: one of `gtr_ros.tracking.rules.NAMES`; None: the model's own rule
    :param score_threshold: boxes with a lower score do not start tracks; None: the model's own
        threshold
    :param weak_score_threshold: boxes with at least this score can continue a track; 0: off
    :param min_hits: number of boxes after which a track is confirmed and written; 0: by its
        existence probability
    :param camera_motion: whether to estimate the camera's motion, for the rule evidence
    :param gallery: whether the rule evidence re-identifies tracks that were away for minutes
    :param image_topics: topics of a bag to track; empty: the only one
    :param storage: of the new bag; None: the same as that of the old bag
    :param classes: names of the classes to track; empty: all of the model
    :param rate: of images in a folder
    :param node_name: of the topics that are added to a bag
    :param hardware_decoding: whether to decode videos in hardware, where that is possible
    """

    window: int = 32
    rule_name: str | None = None
    score_threshold: float | None = None
    weak_score_threshold: float = 0.0
    min_hits: int = 0
    camera_motion: bool = True
    gallery: bool = True
    image_topics: tuple[str, ...] = ()
    storage: str | None = None
    classes: tuple[str, ...] = ()
    rate: float = option(
        10.0, 'Frames per second of a folder of images, or a glob.', limits=(0.001, 1000.0)
    )
    node_name: str = 'tracker'
    hardware_decoding: bool = option(
        False,
        'Whether to decode videos in hardware; without a decoder for one, a warning says why it '
        'is decoded in software.',
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ('window', 'min_hits', 'score_threshold', 'weak_score_threshold'):
            value = getattr(self, name)
            if value is not None:
                check_range(name, value)

    @property
    def rule(self) -> LinkingRule:
        """The rule that links boxes to tracks."""
        from gtr_ros.tracking.rules import find_rule

        gallery_size = None if self.gallery else 0
        return find_rule(self.rule_name, self.model, not self.detector, gallery_size)

    def absolute(self) -> TrackingOptions:
        """Return the same options for processes that run in another folder."""
        return replace(self, **self.absolute_paths())

    def fingerprint(self) -> str:
        """Return a hash of the weights and the detector's file, the same on every machine."""
        from gtr_ros.model.build import build
        from gtr_ros.runtime.export import fingerprint

        mark = fingerprint(build(self.model, self.checkpoint))
        if not self.detector:
            return mark
        from gtr_ros.runtime.detector_file.detector import detector_key

        return f'{mark} {detector_key(self.detector)}'

    def load(self, log: Callable[[str], None] = lambda line: None) -> GTR:
        """
        Load the model into its runtime.

        :param log: called with a line of text before each slow step
        :raises ValueError: if that is not possible, or thresholds or classes do not fit the model
        """
        from gtr_ros.runtime.loading import load_model
        from gtr_ros.runtime.pipeline import labels_of
        from gtr_ros.runtime.pipeline import thresholds_of

        model = load_model(self, log)
        try:
            labels_of(self.classes, model.class_names)
            thresholds_of(model.score_threshold, self.score_threshold, self.weak_score_threshold)
        except ConfigurationError as error:
            message = re.sub('|'.join(_FLAGS), lambda name: _FLAGS[name[0]], str(error))
            raise ConfigurationError(message) from None
        return model
