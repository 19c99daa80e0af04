# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Track ids over time: `Tracker.update(Detections) -> Tracks`, one tracker for each camera."""

from gtr_ros.tracking.evidence_rule import EvidenceRule
from gtr_ros.tracking.likelihood_rule import LikelihoodRule
from gtr_ros.tracking.rules import LinkingRule
from gtr_ros.tracking.rules import RULES
from gtr_ros.tracking.tracker import Tracker

__all__ = ['RULES', 'EvidenceRule', 'LikelihoodRule', 'LinkingRule', 'Tracker']
