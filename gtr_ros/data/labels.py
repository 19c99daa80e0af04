# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conversion of labels from one list of class names to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_SYNONYMS = {'pedestrian': 'person', 'person': 'pedestrian'}


def label_map(names: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """
    Return the index of each class name in another list, (len(names),) int64; -1 if it is missing.

    Case and blanks around a name are ignored, and 'person' and 'pedestrian' are the same class.
    """
    index = {_plain(name): i for i, name in enumerate(wanted)}
    labels = []
    for name in map(_plain, names):
        labels.append(index.get(name, index.get(_SYNONYMS.get(name, ''), -1)))
    return np.array(labels, np.int64)


def _plain(name: str) -> str:
    return name.strip().lower()
