# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The video with boxes drawn: frames of any size, kept as far as it goes after an error."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image
from PIL import ImageOps

from gtr_ros.files import partial_path
from gtr_ros.input_warning import warn
from gtr_ros.media.video import VideoError
from gtr_ros.media.video import VideoWriter


class DrawnVideo:
    """
    A video of drawn frames; a context manager.

    After an error, the video up to there is kept under `gtr_ros.files.partial_path`. Frames of
    another size than the first are scaled into its size, with black bars.

    :param path: of the complete video
    :param rate: frames per second
    :param size: (width, height) of the first frame, pixels
    :raises VideoError: if it cannot be written
    """

    def __init__(self, path: Path, rate: float, size: tuple[int, int]) -> None:
        if path.is_dir():
            raise VideoError(f'{path} is a folder; expected the name of a video to write')
        self.path = path
        #: where the video is kept if it is not complete
        self.partial = partial_path(path)
        #: whether it is kept there
        self.kept = False
        self._writer = VideoWriter(path, rate, size)
        self._size = size
        self._images = 0
        self._scaled = 0

    def write(self, image: np.ndarray) -> None:
        """Append an image, (H, W, 3) uint8 RGB."""
        height, width = image.shape[:2]
        if (width, height) != self._size:
            image = np.asarray(ImageOps.pad(Image.fromarray(image), self._size))
            self._scaled += 1
        self._writer.write(image)
        self._images += 1

    def __enter__(self) -> DrawnVideo:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_) -> None:
        if self._scaled:
            warn(
                f'{self.path}: {self._scaled} of {self._images} frames have another size than '
                f'the first, {self._size[0]} x {self._size[1]}; they are scaled into it'
            )
        if kind is None:
            self._writer.close()
        elif not self._images:
            self._writer.__exit__(kind, error, None)
        else:
            # The first error matters; a full disk is full here, too.
            with suppress(VideoError):
                self._writer.close(self.partial)
                self.kept = True
