# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What users may write in an evaluation: names of trackers, their options, and varied factors.

Needs no torch, so that `gtr evaluate --help` and errors in names are fast.
"""

from __future__ import annotations

from collections.abc import Iterable

#: the boxes with the ground truth's ids: the upper bound for trackers with these boxes
ORACLE = 'oracle'

#: trackers of the package `trackers`, by name: the class, and which of its parameters are set to
#: the score threshold
EXTERNAL_TRACKERS: dict[str, tuple[str, tuple[str, ...]]] = {
    'sort': ('SORTTracker', ('track_activation_threshold',)),
    'bytetrack': (
        'ByteTrackTracker',
        ('track_activation_threshold', 'high_conf_det_threshold'),
    ),
    'ocsort': ('OCSORTTracker', ('high_conf_det_threshold',)),
    'botsort': ('BoTSORTTracker', ('track_activation_threshold', 'high_conf_det_threshold')),
    'cbiou': ('CBIoUTracker', ('track_activation_threshold', 'high_conf_det_threshold')),
}

#: FairMOT's rules, by name: whether they link by overlap, and by appearance
LOCAL = {'iou': (True, False), 'reid': (False, True), 'iou+reid': (True, True)}

#: trackers of this package
OURS = ('gtr', 'cosine', 'motion')

#: names that users may write
NAMES = (
    ORACLE,
    *OURS,
    *LOCAL,
    *EXTERNAL_TRACKERS,
    *(f'{name}+weak' for name in EXTERNAL_TRACKERS),
)

#: trackers that need the features of the boxes, and therefore images
NEED_IMAGES = ('gtr', 'cosine', 'reid', 'iou+reid')

#: values of each factor of `--curves`, from easy to hard, by kind of scene
FACTORS: dict[str, dict[str, tuple[float | str, ...]]] = {
    'drawn': {
        'occlusion': (0.5, 1.0, 2.0, 4.0),
        'objects': (5, 10, 20, 40),
        'similarity': (0.0, 0.3, 0.7, 1.0),
        'rate': (20.0, 10.0, 5.0, 2.0),
        'camera': (0.0, 30.0, 60.0, 120.0),
    },
    'people': {
        'occlusion': (0.5, 1.0, 2.0, 4.0),
        'objects': (6, 12, 18, 24),
        'likeness': (0.0, 0.25, 0.5, 1.0),
        'rate': (10.0, 5.0, 2.0, 1.0),
        'camera': ('wall', 'stand', 'pan', 'shake', 'drive'),
        'absence': (0.0, 5.0, 20.0, 60.0, 180.0),
    },
}


def split_scenes(text: str) -> tuple[str, str]:
    """
    Return the kind of the scenes of `--scenes`, and their parameters.

    :param text: such as 'drawn', or 'people:avatars=DIR,size=240x320'
    :return: a key of `FACTORS`; what follows the colon, '' if there is none
    :raises ValueError: if the kind is unknown
    """
    kind, _, rest = text.partition(':')
    if kind not in FACTORS:
        raise ValueError(
            f'scenes {text!r}; expected {" or ".join(FACTORS)}, with parameters after a colon '
            'if these should differ from their defaults'
        )
    return kind, rest


def parse_factors(texts: Iterable[str], kind: str) -> dict[str, tuple[float | str, ...]]:
    """
    Parse the factors of `--curves`.

    :param texts: each a factor, such as 'absence', or with its values, such as 'absence=20,60'
    :param kind: of the scenes, a key of `FACTORS`
    :return: the values of each factor
    :raises ValueError: if scenes of this kind do not have the factor, it occurs twice, or a value
        is not valid
    """
    known, factors = FACTORS[kind], {}
    for text in texts:
        name, equals, rest = text.partition('=')
        if name not in known:
            raise ValueError(
                f'factor {name!r}: {kind} scenes do not have it; expected {", ".join(known)}'
            )
        if name in factors:
            raise ValueError(f'factor {name!r} occurs twice; give its values as {name}=1,2')
        factors[name] = known[name]
        if equals:
            factors[name] = tuple(_value(name, part, known[name]) for part in rest.split(','))
    return factors


def _value(factor: str, text: str, known: tuple[float | str, ...]) -> float | str:
    """Parse a value of a factor: a name if its usual values are names, otherwise a number."""
    if isinstance(known[0], str):
        if text not in known:
            raise ValueError(f'{factor}={text}; expected some of {", ".join(map(str, known))}')
        return text
    try:
        return type(known[0])(text)
    except ValueError:
        expected = 'whole numbers' if isinstance(known[0], int) else 'numbers'
        raise ValueError(f'{factor}={text}; expected {expected}') from None
