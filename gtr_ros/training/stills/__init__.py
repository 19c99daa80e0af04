# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelled single images: COCO's JSON, CrowdHuman's odgt, and LVIS with COCO's boxes beside it."""

from __future__ import annotations

from gtr_ros.training.stills.coco import read_coco
from gtr_ros.training.stills.crowdhuman import read_crowdhuman
from gtr_ros.training.stills.lvis import read_lvis
from gtr_ros.training.stills.still import Still
from gtr_ros.training.stills.still import StillSet

__all__ = ['Still', 'StillSet', 'read_coco', 'read_crowdhuman', 'read_lvis']
