# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each option of a compared tracker changes it, or is refused: none is ignored in silence."""

from __future__ import annotations

import re

import pytest

from gtr_ros.evaluation import trackers
from gtr_ros.evaluation.names import OURS
from gtr_ros.evaluation.trackers import parse_tracker
from gtr_ros.evaluation.trackers import TrackerSpec
from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.calibration import Calibration
from gtr_ros.options import RULES
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import Tracker

OPTIONS = {
    'gtr': (
        *('window=8', 'min_hits=3', 'location=off', 'encoder=full', 'camera=off', 'weak=0.2'),
        *('classes=online', 'gallery=off', 'appearance=none', 'appearance=transformer'),
    ),
    'cosine': (
        *('window=8', 'min_hits=3', 'location=off', 'features=mine.onnx', 'camera=off'),
        *('weak=0.2', 'classes=online', 'gallery=off'),
    ),
    'motion': ('window=8', 'min_hits=3', 'camera=on', 'weak=0.2', 'classes=online'),
}


@pytest.fixture(scope='module')
def transformer() -> AssociationTransformer:
    """Return one whose logit is calibrated, so that it can be a cue."""
    made = AssociationTransformer(features=16, hidden=16, heads=2, causal=True)
    made.calibration = Calibration(logit_slope=1.0)
    return made


class Kept(Tracker):
    """A tracker that keeps what computes its P_A."""

    def __init__(self, association, *others) -> None:
        super().__init__(association, *others)
        self.causal = getattr(association, 'causal', None)


def what_counts(spec: TrackerSpec) -> list[object]:
    """Return all that the ids of a tracker, and the classes of its tracks, depend on."""
    tracker = spec.make(1)
    window = (tracker.window, tracker.causal) if spec.likelihoods else ()
    return [
        *(tracker.rule, tracker.min_hits, tracker.begin_score, window, spec.features),
        *(spec.least_score, spec.all_boxes, bool(spec.camera), spec.delayed_classes),
    ]


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize(('name', 'option'), [(n, o) for n in OURS for o in OPTIONS[n]])
def test_an_option_of_a_tracker_changes_it_or_is_refused(
    monkeypatch, transformer, name, option, rule
):
    monkeypatch.setattr(trackers, 'Tracker', Kept)
    plain = parse_tracker(f'{name}:rule={rule}', transformer)
    try:
        changed = parse_tracker(f'{name}:rule={rule},{option}', transformer)
    except ValueError as error:
        assert 'has no effect' in str(error) or 'has no encoder' in str(error)
        of_evidence = isinstance(plain.make(1).rule, EvidenceRule)
        unused = ('window', 'encoder') if of_evidence else ('camera', 'gallery', 'appearance')
        assert option.partition('=')[0] in unused
        return
    same = what_counts(changed) == what_counts(plain)
    # Two of the rules have no location that could be left out.
    assert same == (option == 'location=off' and rule in ('paper', 'tao') and name != 'motion')


@pytest.mark.parametrize('name', OURS)
def test_every_option_is_in_the_table(name):
    with pytest.raises(ValueError, match='has no option') as refused:
        parse_tracker(f'{name}:none=1', None)
    known = re.findall('(?:it has|;) ([a-z_]+): ', str(refused.value))
    tried = {option.partition('=')[0] for option in OPTIONS[name]}
    assert sorted((*tried, 'rule')) == sorted(known)
