# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One batch of all cameras' images, and smaller ones if it fails."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import traceback
from typing import TYPE_CHECKING

from gtr_ros.media.pixels import ImageError

if TYPE_CHECKING:
    from gtr_ros.node.tracker.pipeline import CameraFrame
    from gtr_ros.structures import Detections

# How memory errors of torch (CUDA, CPU), ONNX Runtime and OpenVINO begin or what they contain.
_OUT_OF_MEMORY = ('out of memory', 'allocate memory', 'bad alloc', 'bad_alloc')


def detect_separately(
    detect: Callable[[Sequence[CameraFrame]], Sequence[Detections]],
    frames: Sequence[CameraFrame],
    on_split: Callable[[int, Exception], object],
) -> tuple[list[Detections | Exception], int]:
    """
    Detect in one batch; if that fails, in its halves, down to single images.

    So an image that fails takes no other camera's image with it, and a device without memory for
    a batch processes smaller ones. The next call tries the whole batch again.

    :param detect: finds the objects in a batch
    :param on_split: called with the size of a batch that failed and its exception
    :return: for each frame its detections, or why there are none; the number of batches split
    """
    try:
        return list(detect(frames)), 0
    except Exception as error:  # one camera's image must not cost the other cameras theirs
        failure = error
    if is_out_of_memory(failure):
        # The frames of the traceback hold the memory that the smaller batches need.
        traceback.clear_frames(failure.__traceback__)
    if len(frames) == 1:
        return [_explain(failure, frames[0])], 0
    on_split(len(frames), failure)
    half = len(frames) // 2
    first, splits_first = detect_separately(detect, frames[:half], on_split)
    second, splits_second = detect_separately(detect, frames[half:], on_split)
    return [*first, *second], 1 + splits_first + splits_second


def is_out_of_memory(error: Exception) -> bool:
    """Return whether a device, or this machine, had too little memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _OUT_OF_MEMORY)


def _explain(error: Exception, frame: CameraFrame) -> Exception:
    if not is_out_of_memory(error):
        return error
    height, width = frame.image.shape[:2]
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ImageError(
        f'the image of {width} x {height} pixels does not fit in the memory of the device: '
        f'{reason}. Publish smaller images, or free memory there'
    )
