# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The classes of the LVIS v1 data set, which `gtr_tao` detects.

Names and image counts are facts of the data set (lvisdataset.org), in the order of its category
ids, 1 to 1203; taken from `lvis_v1_categories.py` and `lvis_v1_category_image_count.py` of
detectron2. Its spelling is kept: `speaker_(stero_equipment)`.
"""

from __future__ import annotations

from functools import cache
from importlib import resources


def class_names() -> tuple[str, ...]:
    """Return the 1203 names; label l is category id l + 1."""
    return tuple(name for name, _ in _classes())


def image_counts() -> tuple[int, ...]:
    """Return the number of training images with each class, in the order of the names."""
    return tuple(count for _, count in _classes())


@cache
def _classes() -> tuple[tuple[str, int], ...]:
    text = (resources.files('gtr_ros.weights') / 'lvis_v1_classes.tsv').read_text('utf-8')
    rows = (line.split('\t') for line in text.splitlines())
    return tuple((name, int(count)) for name, count in rows)
