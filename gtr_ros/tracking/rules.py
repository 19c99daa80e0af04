# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The linking rules, by the names that users write, and the linkers that apply them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from gtr_ros.model.association import Association
from gtr_ros.model.calibration import Calibration
from gtr_ros.model.registry import rule_name
from gtr_ros.tracking.evidence_linker import EvidenceLinker
from gtr_ros.tracking.evidence_rule import EvidenceRule
from gtr_ros.tracking.likelihood_linker import LikelihoodLinker
from gtr_ros.tracking.likelihood_rule import LikelihoodRule
from gtr_ros.tracking.likelihood_rule import PAPER
from gtr_ros.tracking.likelihood_rule import PUBLISHED_MOT
from gtr_ros.tracking.likelihood_rule import PUBLISHED_TAO
from gtr_ros.tracking.reidentification import Reidentification
from gtr_ros.tracking.window import WindowView

#: any rule by which a tracker links detections
LinkingRule = EvidenceRule | LikelihoodRule


class Linker(Protocol):
    """Applies a rule: links the detections of one camera, frame by frame."""

    #: whether P_A is needed for every frame
    needs_likelihoods: bool
    #: newest id; ids count up from 1
    last_id: int
    #: (K,) int64, the tracks that can be continued
    ids: np.ndarray
    #: (Q,) int64, those of them that may still be re-identified as a lost track
    pending: np.ndarray
    #: the tracks that were re-identified in the newest frame
    reidentified: Sequence[Reidentification]

    def link(self, view: WindowView, seconds: float, may_begin: np.ndarray) -> np.ndarray:
        """Assign a track id to each detection of a frame, (M,) int64; 0: no track."""

    def fix_ids(self, ids: np.ndarray) -> None:
        """Fix these ids: the tracks have been published."""

    def time_away(self, ids: np.ndarray) -> np.ndarray:
        """Return the seconds for which tracks were lost before their last re-identification."""

    def clear(self) -> None:
        """End all tracks. Their ids are not reused."""


def make_linker(rule: LinkingRule, calibration: Calibration) -> Linker:
    """
    Return the linker of one camera.

    :param calibration: of the network that computes the features
    """
    if isinstance(rule, EvidenceRule):
        return EvidenceLinker(rule, calibration)
    return LikelihoodLinker(rule)


def links_by_likelihood(rule: LinkingRule, association: Association) -> bool:
    """
    Return whether a rule links by P_A, so that the ids depend on the window.

    :raises ValueError: if the weights cannot give what the rule needs
    """
    return make_linker(rule, association.calibration).needs_likelihoods


#: by name; 'gaussian' was the default of this package before 'evidence'
RULES: dict[str, LinkingRule] = {
    'evidence': EvidenceRule(),
    'mot': PUBLISHED_MOT,
    'tao': PUBLISHED_TAO,
    'paper': PAPER,
    'gaussian': LikelihoodRule(),
}

#: names accepted from users: 'mobile' is an old name for the default rule of `gtr_mobile`
NAMES = (*RULES, 'mobile')


def find_rule(
    name: str | None,
    model: str,
    own_detector: bool = True,
    gallery_size: int | None = None,
    gallery_seconds: float | None = None,
) -> LinkingRule:
    """
    Return the rule that a user has chosen.

    :param name: one of `NAMES`; '' or None: the model's default, see `rule_name`
    :param own_detector: see `rule_name`
    :param gallery_size: tracks in the gallery of the rule evidence; None: its default
    :param gallery_seconds: seconds for which the gallery keeps a track; None: its default
    :raises ValueError: if there is no such rule
    """
    rule = RULES[rule_name(name, model, own_detector)]
    if not isinstance(rule, EvidenceRule):
        return rule
    changes = {'size': gallery_size, 'seconds': gallery_seconds}
    changes = {key: value for key, value in changes.items() if value is not None}
    return replace(rule, gallery=replace(rule.gallery, **changes))
