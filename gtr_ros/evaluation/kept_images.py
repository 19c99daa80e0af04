# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of a sequence that are kept in memory for a second reading."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gtr_ros.data.sequence import Images
from gtr_ros.data.sequence import Sequence

#: most memory for the images of a sequence; those that do not fit are read or drawn again
MOST_BYTES = 2**28


class KeptImages:
    """
    The images of a sequence, the first of which are read once; see `gtr_ros.data.sequence.Images`.

    :param images: with a method `at`
    :param frames: their number
    """

    def __init__(self, images: Images, frames: int) -> None:
        self._images, self._frames = images, frames
        self._kept: dict[int, np.ndarray] = {}
        self._bytes = 0
        if hasattr(images, 'check'):
            self.check = images.check

    def __call__(self) -> Iterator[np.ndarray]:
        """Iterate over the images, (H, W, 3) uint8 RGB each."""
        for t in range(self._frames):
            try:
                image = self.at(t)
            except LookupError:  # there are fewer images than frames, as the reader will notice
                return
            yield image

    def at(self, t: int) -> np.ndarray:
        """Return image t."""
        if t in self._kept:
            return self._kept[t]
        image = self._images.at(t)
        if self._bytes + image.nbytes <= MOST_BYTES:
            self._kept[t] = image
            self._bytes += image.nbytes
        return image


def with_kept_images(sequence: Sequence) -> Sequence:
    """Return a sequence that reads an image once, if its images can be read in any order."""
    if not hasattr(sequence.images, 'at'):
        return sequence
    return replace(sequence, images=KeptImages(sequence.images, len(sequence)))
