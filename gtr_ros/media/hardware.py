# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decoders of videos in hardware, where PyAV and the machine have one."""

from __future__ import annotations

import av
from av.error import FFmpegError

try:
    from av.codec.hwaccel import HWAccel
    from av.codec.hwaccel import hwdevices_available
except ImportError:  # before PyAV 14
    HWAccel = None


def find_decoder(name: str) -> tuple[HWAccel | None, str]:
    """
    Find a decoder in hardware by decoding the first frame of a video with each.

    :param name: of the file, as `av.open` takes it
    :return: the decoder for `av.open`; if it is None, why there is none
    """
    if HWAccel is None:
        return None, f'PyAV {av.__version__} has no decoders in hardware, 14 or newer has'
    reasons = []
    for device in hwdevices_available():
        decoder = HWAccel(device, allow_software_fallback=False)
        try:
            with av.open(name, hwaccel=decoder) as container:
                next(container.decode(container.streams.video[0]))
        except (FFmpegError, OSError, RuntimeError, NotImplementedError, StopIteration) as error:
            reasons.append(f'{device}: {getattr(error, "strerror", None) or error}')
        else:
            return HWAccel(device, allow_software_fallback=False), ''
    return None, '; '.join(reasons) or 'FFmpeg was built without decoders in hardware'
