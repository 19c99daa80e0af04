# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Videos for tests of what is done with frames, not of what is found in them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from gtr_ros.media.video import VideoWriter


def write_noise(path: Path, seed: int = 0, count: int = 4) -> Path:
    """Write a video of noise that moves by a pixel per frame, 64 x 48, 10 Hz; return its path."""
    noise = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, 10, (64, 48)) as writer:
        for shift in range(count):
            writer.write(np.roll(noise, shift, axis=1))
    return path


def encode(path: Path, codec: str, count: int = 40, **options: str) -> Path:
    """Write a video of noise, 64 x 48, 10 Hz."""
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    with av.open(str(path), 'w', options=options) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = 'rgb24' if codec == 'apng' else 'yuv420p'
        for shift in range(count):
            image = np.roll(noise, shift, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode(None))
    return path
