# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Rendered people: scenes whose identities, boxes, occlusion and depth are known exactly.

The people walk in continuous time, so scenes that differ in their frame rate show the same.
Drawing needs OpenGL over EGL: a GPU, or Mesa's software renderer.
"""

from __future__ import annotations

from gtr_ros.data.people.context import DrawingError
from gtr_ros.data.people.rendering import Frame
from gtr_ros.data.people.rendering import generate
from gtr_ros.data.people.rendering import People
from gtr_ros.data.people.scene import PeopleScene

__all__ = ['DrawingError', 'Frame', 'People', 'PeopleScene', 'generate']
