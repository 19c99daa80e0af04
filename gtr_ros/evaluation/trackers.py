# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The trackers that an evaluation compares, created from the names that users write."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from copy import copy
from dataclasses import dataclass
from dataclasses import replace
import math
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from gtr_ros.data.stored_boxes import MIN_SCORE
from gtr_ros.evaluation.baselines.external import ExternalTracker
from gtr_ros.evaluation.baselines.fairmot import FairMOT
from gtr_ros.evaluation.names import EXTERNAL_TRACKERS
from gtr_ros.evaluation.names import LOCAL
from gtr_ros.evaluation.names import NAMES
from gtr_ros.evaluation.names import ORACLE
from gtr_ros.evaluation.names import OURS
from gtr_ros.model.association import Association
from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.association import CosineAssociation
from gtr_ros.model.calibration import CUES
from gtr_ros.model.registry import rule_name
from gtr_ros.options import check_range
from gtr_ros.options import RANGES
from gtr_ros.structures import Detections
from gtr_ros.structures import Tracks
from gtr_ros.tracking.evidence_rule import EvidenceRule
from gtr_ros.tracking.likelihood_rule import LikelihoodRule
from gtr_ros.tracking.rules import links_by_likelihood
from gtr_ros.tracking.rules import RULES
from gtr_ros.tracking.tracker import Tracker

#: number of frames at the native rate for which a baseline keeps a lost track
MEMORY = 30

#: names of features: those of the evaluated model, and of the imported detector (untrained)
MODEL, UNTRAINED = 'model', 'untrained'


class OnlineTracker(Protocol):
    """A tracker that gets one frame at a time."""

    def update(self, detections: Detections) -> Tracks:
        """Assign a track id to each detection of the next frame."""


@dataclass(frozen=True)
class TrackerSpec:
    """
    How to create and run one of the compared trackers.

    :param name: of its table rows
    :param make: called with the stride in native frames; returns a new tracker; None: the oracle
    :param features: features that it needs: `MODEL`, `UNTRAINED` or the path of an ONNX network;
        '': none
    :param least_score: minimum score of the boxes that it gets; None: the score threshold
    :param all_boxes: whether the boxes of unconfirmed tracks count as well
    :param camera: whether it gets the camera's motion
    :param delayed_classes: whether classes are decided by track after the end of a sequence, see
        `gtr_ros.evaluation.offline`; None: only if the detections have the scores of all classes
    :param class_gate: whether its rule links by the scores of all classes
    :param likelihoods: whether its rule links by P_A, so that the window matters
    """

    name: str
    make: Callable[[int], OnlineTracker] | None
    features: str = ''
    least_score: float | None = None
    all_boxes: bool = True
    camera: bool = False
    delayed_classes: bool | None = None
    class_gate: bool = False
    likelihoods: bool = False


class NoAssociation(Association):
    """P_A is 0 for all pairs, so that a linking rule has only motion and overlap."""

    description = 'nothing'

    def forward(
        self, features: Tensor, counts: SequenceOf[int], query_frame: int, boxes: Tensor
    ) -> Tensor:
        """Return zeros, (M, N)."""
        return torch.zeros(counts[query_frame], sum(counts))


_OPTIONS = {
    'window': 'T, number of frames in the window',
    'rule': f'one of {", ".join(RULES)}',
    'min_hits': (
        'number of boxes after which a track is confirmed and counts; 0: confirm by the '
        'existence probability'
    ),
    'camera': 'on or off: whether camera motion is estimated, if there are images',
    'weak': 'minimum score at which boxes below the threshold may continue a track',
    'appearance': 'cosine, transformer or none: the appearance cue of the rule evidence',
    'location': 'on or off: overlap, motion and position gates in addition to P_A',
    'gallery': (
        'on or off: whether an object that was lost for longer than the memory gets its id back; '
        'the truth of MOTChallenge gives those who leave the image and return a new id'
    ),
    'encoder': 'causal or full: an object is encoded once, or again in every frame',
    'features': 'model, untrained, or the path of an ONNX ReID network',
    'memory': f'native frames for which a lost track is kept (default {MEMORY})',
    'classes': (
        'online or delayed: the class is decided in each frame, or after the end of the sequence '
        'from the mean class scores of its track (default: delayed if the model scores them all)'
    ),
}
_CHOICES: dict[str, dict] = {
    'location': {'on': True, 'off': False},
    'camera': {'on': True, 'off': False},
    'gallery': {'on': True, 'off': False},
    'classes': {'delayed': True, 'online': False},
    'encoder': {'causal': True, 'full': False},
    'appearance': {cue: cue for cue in (*CUES, 'none')},
}
_ALLOWED = {
    'gtr': (
        *('window', 'rule', 'min_hits', 'location', 'encoder', 'appearance', 'camera', 'weak'),
        *('classes', 'gallery'),
    ),
    'cosine': (
        *('window', 'rule', 'min_hits', 'location', 'features', 'camera', 'weak', 'classes'),
        'gallery',
    ),
    'motion': ('window', 'rule', 'min_hits', 'camera', 'weak', 'classes'),
    **dict.fromkeys(('reid', 'iou+reid'), ('memory', 'features', 'classes')),
    **dict.fromkeys(
        ('iou', *EXTERNAL_TRACKERS, *(f'{name}+weak' for name in EXTERNAL_TRACKERS)),
        ('memory', 'classes'),
    ),
    ORACLE: (),
}

# Options for one kind of rule only.
_OF_EVIDENCE = ('appearance', 'camera', 'gallery')
_OF_LIKELIHOODS = ('window', 'encoder')


def split_tracker(text: str) -> tuple[str, dict]:
    """
    Return the name and the options of a tracker as a user writes it; needs no model.

    :raises ValueError: names the unknown part, and lists the known ones
    """
    name, _, rest = text.partition(':')
    if name not in NAMES:
        raise ValueError(f'tracker {name!r}; expected one of {", ".join(NAMES)}')
    return name, _parse_options(name, rest)


def parse_tracker(
    text: str,
    association: Association,
    rule: str = 'evidence',
    window: int = 32,
    threshold: float = 0.4,
) -> TrackerSpec:
    """
    Parse a tracker as a user writes it: `gtr`, `gtr:window=16,rule=paper`, `bytetrack+weak`.

    :param association: of the evaluated model
    :param rule: the model's default, one of `RULES`
    :param window: T, unless the text sets it
    :param threshold: minimum score of boxes that start tracks
    :raises ValueError: names the unknown part, and lists the known ones; names an option that
        nothing would use, or the package that the tracker needs
    """
    name, options = split_tracker(text)
    memory = options.get('memory', MEMORY)
    delayed = options.get('classes')
    text = _title(text, options)
    if name == ORACLE:
        return TrackerSpec(text, None)
    if name in LOCAL:
        overlap, appearance = LOCAL[name]
        return TrackerSpec(
            text,
            lambda stride: FairMOT(overlap, appearance, rebirth=math.ceil(memory / stride)),
            features=options.get('features', MODEL) if appearance else '',
            all_boxes=False,
            delayed_classes=delayed,
        )
    if name in OURS:
        return _ours(text, name, options, association, rule, window, threshold)
    external, _, weak = name.partition('+')

    def make(stride: int) -> ExternalTracker:
        return ExternalTracker(external, math.ceil(memory / stride), threshold)

    make(1)  # raises here if its package is not installed, before a run begins
    return TrackerSpec(
        text,
        make,
        least_score=MIN_SCORE if weak else None,
        all_boxes=False,
        delayed_classes=delayed,
    )


def _ours(
    text: str,
    name: str,
    options: dict,
    association: Association,
    rule: str,
    window: int,
    threshold: float,
) -> TrackerSpec:
    features = MODEL if name == 'gtr' else options.get('features', UNTRAINED)
    chosen = options.get('rule', rule if name == 'gtr' else 'evidence')
    linking = RULES[chosen]
    if name == 'motion':
        association, features = NoAssociation(), ''
        if isinstance(linking, LikelihoodRule):
            linking = replace(linking, motion=1.0)
    elif name == 'cosine':
        association = CosineAssociation()
    if 'encoder' in options:
        if not isinstance(association, AssociationTransformer):
            raise ValueError(
                f"encoder of tracker {name!r}: the model's association has no encoder: it is "
                f'{association.description}'
            )
        association = copy(association)  # the copy shares its weights
        association.causal = options['encoder']
    if isinstance(linking, EvidenceRule):
        appearance = {'motion': 'none', 'cosine': 'cosine'}.get(name, linking.appearance)
        linking = replace(linking, appearance=options.get('appearance', appearance))
        if not options.get('gallery', True):
            linking = replace(linking, gallery=replace(linking.gallery, size=0))
    elif unused := [key for key in _OF_EVIDENCE if key in options]:
        raise ValueError(
            f'{unused[0]} of tracker {name!r} is for the rule evidence, and has no effect with '
            f'this one, {chosen}; leave it out'
        )
    likelihoods = links_by_likelihood(linking, association)
    if unused := [key for key in _OF_LIKELIHOODS if key in options and not likelihoods]:
        raise ValueError(
            f'{unused[0]} of tracker {name!r} is for rules that link by P_A, and has no effect '
            f'here: the rule evidence links by {linking.describe(association)}; leave it out'
        )
    if not options.get('location', True):
        linking = linking.without_location()
    if options.get('weak', 0) > threshold:
        raise ValueError(
            f'weak of tracker {name!r} is {options["weak"]:g}, above the score threshold '
            f'{threshold:g}; set it below that, or leave it out'
        )
    frames = options.get('window', window)
    # With the published rules, every box has an id and counts, as in the paper's tables.
    all_boxes = isinstance(linking, LikelihoodRule) and not options.get('min_hits')
    min_hits = options.get('min_hits') or None

    def make(stride: int) -> Tracker:
        return Tracker(association, linking, frames, min_hits, threshold)

    make(1)  # raises here for a number out of range, before a run begins
    # A tracker without features should not need images for the camera's motion alone.
    camera = isinstance(linking, EvidenceRule) and options.get('camera', bool(features))
    return TrackerSpec(
        text,
        make,
        features,
        least_score=options.get('weak'),
        all_boxes=all_boxes,
        camera=camera,
        delayed_classes=options.get('classes'),
        class_gate=isinstance(linking, LikelihoodRule) and linking.class_gate is not None,
        likelihoods=likelihoods,
    )


def _title(text: str, options: dict) -> str:
    """Return the name of a row: the user's text, with a network's path cut to its file name."""
    path = options.get('features', '')
    return text.replace(path, Path(path).stem) if path else text


def _parse_options(name: str, text: str) -> dict:
    options: dict = {}
    for part in filter(None, text.split(',')):
        key, _, value = part.partition('=')
        if key not in _ALLOWED[name]:
            known = '; '.join(f'{k}: {_OPTIONS[k]}' for k in _ALLOWED[name]) or 'none'
            raise ValueError(f'tracker {name!r} has no option {key!r}; it has {known}')
        try:
            if key in ('window', 'min_hits', 'memory'):
                options[key] = int(value)
                if options[key] < (key != 'min_hits'):
                    raise ValueError
            elif key == 'weak':
                options[key] = float(value)
                if not MIN_SCORE <= options[key] <= 1:
                    raise ValueError
            elif key == 'rule':
                options[key] = rule_name(value or '?', 'mobile')
            elif key in _CHOICES:
                options[key] = _CHOICES[key][value]
            else:
                options[key] = value
        except (ValueError, KeyError):
            raise ValueError(
                f'{key} of tracker {name!r} is {value!r}; expected {_OPTIONS[key]}'
            ) from None
        if key in RANGES:
            check_range(key, options[key])
    return options
