# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rules that link detections to tracks, by the names that users give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from gtr_ros.model.association import Association
from gtr_ros.model.calibration import Calibration
from gtr_ros.tracking.evidence_rule import EvidenceRule
from gtr_ros.tracking.linking import LinkingRule
from gtr_ros.tracking.linking import PAPER
from gtr_ros.tracking.linking import PUBLISHED_MOT
from gtr_ros.tracking.linking import PUBLISHED_TAO
from gtr_ros.tracking.recognition import Return
from gtr_ros.tracking.window import WindowView


class Linker(Protocol):
    """What links the detections of one camera, frame by frame."""

    #: whether P_A is needed of every frame
    asks: bool
    #: (K,) int64, the tracks that can be continued
    ids: np.ndarray
    #: (Q,) int64, those of them that may turn out to be somebody who was lost
    pending: np.ndarray
    #: those who came back in the newest frame
    returns: Sequence[Return]

    def link(self, view: WindowView, seconds: float, may_begin: np.ndarray) -> np.ndarray:
        """Say whose each detection of a frame is, (M,) int64; 0: of nobody."""

    def settle(self, ids: np.ndarray) -> None:
        """Let these tracks keep their identities: they are published."""

    def away(self, ids: np.ndarray) -> np.ndarray:
        """Return for how many seconds tracks were away when they last came back; 0: never."""

    def clear(self) -> None:
        """Forget every track. Identities given so far are not given again."""


class Rule(Protocol):
    """How a tracker links."""

    #: seconds that a window covers; None: its frames, however long ago
    memory: float | None

    def describe(self, association: Association) -> str:
        """Say in one line for people what links."""

    def without_location(self) -> Rule:
        """Return the same without what depends on where boxes are: an ablation."""

    def linker(self, calibration: Calibration) -> Linker:
        """Make what links the detections of one camera."""


#: by name; 'gaussian' is the one that this package had before 'evidence'
RULES: dict[str, Rule] = {
    'evidence': EvidenceRule(),
    'mot': PUBLISHED_MOT,
    'tao': PUBLISHED_TAO,
    'paper': PAPER,
    'gaussian': LinkingRule(),
}

#: what users may write: 'mobile' was the name of the rule that `gtr_mobile` has
NAMES = (*RULES, 'mobile')

#: the rule that each model has, where a user names none
_OF_MODEL = {'mobile': 'evidence', 'mot': 'mot', 'tao': 'tao'}


def rule_name(name: str | None, model: str, own_detector: bool = True) -> str:
    """
    Return the rule that a user means.

    :param name: one of `NAMES`; '' or None: the model's own
    :param own_detector: whether the model's own detector finds the boxes; those of another are
        linked by evidence
    :raises ValueError: if there is no such rule
    """
    if not name:
        return _OF_MODEL[model] if own_detector else 'evidence'
    name = _OF_MODEL['mobile'] if name == 'mobile' else name
    if name not in RULES:
        raise ValueError(f'rule {name!r}; expected one of {", ".join(RULES)}')
    return name
