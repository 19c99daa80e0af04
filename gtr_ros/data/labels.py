# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels of one list of class names in terms of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_SYNONYMS = {'pedestrian': 'person', 'person': 'pedestrian'}


def label_map(names: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """
    Return the index of each class name in another list, (len(names),) int64; -1 if it is missing.

    Upper and lower case are the same, and so are 'person' and 'pedestrian'.
    """
    index = {name.lower(): i for i, name in enumerate(wanted)}
    labels = []
    for name in map(str.lower, names):
        labels.append(index.get(name, index.get(_SYNONYMS.get(name, ''), -1)))
    return np.array(labels, np.int64)
