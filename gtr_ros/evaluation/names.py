# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What users may write in an evaluation: names of trackers, their options, and varied factors.

Needs no torch, so that `gtr evaluate --help` and errors in names are fast.
"""

from __future__ import annotations

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

#: values of each varied parameter of a synthetic `Scene`, from easy to hard
FACTORS: dict[str, tuple[float, ...]] = {
    'occlusion': (0.5, 1.0, 2.0, 4.0),
    'objects': (5, 10, 20, 40),
    'similarity': (0.0, 0.3, 0.7, 1.0),
    'rate': (20.0, 10.0, 5.0, 2.0),
    'camera': (0.0, 30.0, 60.0, 120.0),
}
