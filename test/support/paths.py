# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where tests find the repository, what it holds, and data that are not for everybody."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / 'shared'
#: numbers that the published system gave
FIXTURES = REPOSITORY / 'test' / 'fixtures'
