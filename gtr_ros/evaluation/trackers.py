# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The trackers that an evaluation compares, by the names that users give."""

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
from gtr_ros.evaluation.baselines.external import EXTERNAL_TRACKERS
from gtr_ros.evaluation.baselines.external import ExternalTracker
from gtr_ros.evaluation.baselines.fairmot import FairMOT
from gtr_ros.model.association import Association
from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.association import CosineAssociation
from gtr_ros.model.calibration import CUES
from gtr_ros.structures import Detections
from gtr_ros.structures import Tracks
from gtr_ros.tracking.evidence_rule import EvidenceRule
from gtr_ros.tracking.linking import LinkingRule
from gtr_ros.tracking.rules import rule_name
from gtr_ros.tracking.rules import RULES
from gtr_ros.tracking.tracker import Tracker

#: frames of the native rate for which trackers with a memory remember whom they lost
MEMORY = 30

#: the features of the model that is evaluated, and those of the imported detector, untrained
MODEL, UNTRAINED = 'model', 'untrained'

#: boxes with the identities of the truth: what the best tracker could do with them
ORACLE = 'oracle'


class Online(Protocol):
    """A tracker: one frame's detections in, their identities out."""

    def update(self, detections: Detections) -> Tracks:
        """Give identities to the detections of the next frame."""


@dataclass(frozen=True)
class TrackerSpec:
    """
    A tracker that takes part.

    :param name: of its row
    :param make: stride, in native frames -> a tracker that has seen nothing; None: the oracle
    :param features: that it needs: `MODEL`, `UNTRAINED`, a path of an ONNX network; '': none
    :param least_score: of the boxes that it is fed; None: the score threshold
    :param all_boxes: whether boxes count that it does not (yet) believe in
    :param camera: whether it is told how the camera moves
    """

    name: str
    make: Callable[[int], Online] | None
    features: str = ''
    least_score: float | None = None
    all_boxes: bool = True
    camera: bool = False


class Unrelated(Association):
    """No likelihood at all: what is left of a linking rule is its motion or overlap."""

    description = 'nothing'

    def forward(
        self, features: Tensor, counts: SequenceOf[int], query_frame: int, boxes: Tensor
    ) -> Tensor:
        """Return zeros, (M, N)."""
        return torch.zeros(counts[query_frame], sum(counts))


_LOCAL = {'iou': (True, False), 'reid': (False, True), 'iou+reid': (True, True)}
_OURS = ('gtr', 'cosine', 'motion')

#: names that users may give
NAMES = (
    ORACLE,
    *_OURS,
    *_LOCAL,
    *EXTERNAL_TRACKERS,
    *(f'{name}+weak' for name in EXTERNAL_TRACKERS),
)

#: those that look at what is in the boxes
NEED_IMAGES = ('gtr', 'cosine', 'reid', 'iou+reid')

_OPTIONS = {
    'window': 'T, frames that the tracker looks at',
    'rule': f'one of {", ".join(RULES)}',
    'min_hits': 'boxes from which on a track is believed, and counts; 0: evidence decides',
    'camera': "on or off: whether the camera's motion is estimated, where there are images",
    'weak': 'score from which on boxes below the threshold may continue a track',
    'appearance': 'cosine, transformer or none: what says whether two look alike',
    'location': 'on or off: overlap, motion and gates of place beside the likelihood',
    'encoder': 'causal or full: whether an object is encoded once, or anew in every frame',
    'features': 'model, untrained, or the path of an ONNX ReID network',
    'memory': f'native frames for which a lost track is remembered (default {MEMORY})',
}
_ALLOWED = {
    'gtr': ('window', 'rule', 'min_hits', 'location', 'encoder', 'appearance', 'camera', 'weak'),
    'cosine': ('window', 'rule', 'min_hits', 'location', 'features', 'camera', 'weak'),
    'motion': ('window', 'rule', 'min_hits', 'camera', 'weak'),
    **dict.fromkeys(('reid', 'iou+reid'), ('memory', 'features')),
    **dict.fromkeys(
        ('iou', *EXTERNAL_TRACKERS, *(f'{name}+weak' for name in EXTERNAL_TRACKERS)), ('memory',)
    ),
    ORACLE: (),
}


def parse_tracker(
    text: str,
    association: Association,
    rule: str = 'evidence',
    window: int = 32,
    threshold: float = 0.4,
) -> TrackerSpec:
    """
    Make a tracker of what a user writes: `gtr`, `gtr:window=16,rule=paper`, `bytetrack+weak`.

    :param association: of the model that is evaluated
    :param rule: its own, one of `RULES`
    :param window: T where the text does not say it
    :param threshold: score from which on boxes begin tracks
    :raises ValueError: names what is not known, and what there is
    """
    name, _, rest = text.partition(':')
    if name not in NAMES:
        raise ValueError(f'tracker {name!r}; expected one of {", ".join(NAMES)}')
    options = _parse_options(name, rest)
    memory = options.get('memory', MEMORY)
    text = _title(text, options)
    if name == ORACLE:
        return TrackerSpec(text, None)
    if name in _LOCAL:
        overlap, appearance = _LOCAL[name]
        return TrackerSpec(
            text,
            lambda stride: FairMOT(overlap, appearance, rebirth=math.ceil(memory / stride)),
            features=options.get('features', MODEL) if appearance else '',
            all_boxes=False,
        )
    if name in _OURS:
        return _ours(text, name, options, association, rule, window, threshold)
    peer, _, weak = name.partition('+')
    return TrackerSpec(
        text,
        lambda stride: ExternalTracker(peer, math.ceil(memory / stride), threshold),
        least_score=MIN_SCORE if weak else None,
        all_boxes=False,
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
    linking = RULES[options.get('rule', rule if name == 'gtr' else 'evidence')]
    if name == 'motion':
        association, features = Unrelated(), ''
        if isinstance(linking, LinkingRule):
            linking = replace(linking, motion=1.0)
    elif name == 'cosine':
        association = CosineAssociation()
    if 'encoder' in options:
        if not isinstance(association, AssociationTransformer):
            raise ValueError(
                f"encoder of tracker {name!r}: the model's association has none, "
                f'it is {association.description}'
            )
        association = copy(association)  # which shares its weights
        association.causal = options['encoder']
    if isinstance(linking, EvidenceRule):
        appearance = {'motion': 'none', 'cosine': 'cosine'}.get(name, linking.appearance)
        linking = replace(linking, appearance=options.get('appearance', appearance))
    if not options.get('location', True):
        linking = linking.without_location()
    frames = options.get('window', window)
    # With the published rules every box has an identity, and counts, as in the paper's tables.
    counted = isinstance(linking, LinkingRule) and not options.get('min_hits')
    min_hits = options.get('min_hits') or None

    def make(stride: int) -> Tracker:
        return Tracker(association, linking, frames, min_hits, threshold)

    make(1)  # raises here if a number is out of range, and not in the midst of a run
    # Who looks at no image should not need any for the camera's sake.
    camera = isinstance(linking, EvidenceRule) and options.get('camera', bool(features))
    return TrackerSpec(text, make, features, options.get('weak'), counted, camera)


def _title(text: str, options: dict) -> str:
    """Return the name of a row: what the user wrote, of a network's file only its name."""
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
            elif key in ('location', 'camera'):
                options[key] = {'on': True, 'off': False}[value]
            elif key == 'encoder':
                options[key] = {'causal': True, 'full': False}[value]
            elif key == 'rule':
                options[key] = rule_name(value or '?', 'mobile')
            elif key == 'appearance':
                options[key] = {c: c for c in (*CUES, 'none')}[value]
            else:
                options[key] = value
        except (ValueError, KeyError):
            raise ValueError(
                f'{key} of tracker {name!r} is {value!r}; expected {_OPTIONS[key]}'
            ) from None
    return options
