# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images in which people move: a photograph that is shifted."""

from __future__ import annotations

import numpy as np
from paths import REPOSITORY
from PIL import Image


def moving_people(width: int, height: int, count: int = 12) -> list[np.ndarray]:
    """Return images, (H, W, 3) uint8 RGB, in which four people move."""
    photograph = Image.open(REPOSITORY / 'docs' / 'demo.jpg').convert('RGB')
    picture = np.array(photograph.resize((width, height)))
    return [np.roll(picture, (2 * t, 5 * t), (0, 1)) for t in range(count)]
