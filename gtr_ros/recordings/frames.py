# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frames of a recording of any kind, one camera, without tracking it."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gtr_ros.media.image_files import ImageFilesReader
from gtr_ros.media.video import VideoFrame
from gtr_ros.media.video import VideoReader
from gtr_ros.recordings.sources import image_files
from gtr_ros.recordings.sources import opens_as_bag
from gtr_ros.stamps import NANOSECONDS


@dataclass(frozen=True)
class Frames:
    """
    The frames of one camera.

    :param frames: in order
    :param count: number of frames; None: not known
    :param seconds: length of the recording; None: not known
    """

    frames: Iterable[VideoFrame]
    count: int | None
    seconds: float | None


@contextmanager
def open_frames(source: str, topic: str | None = None, rate: float = 10.0) -> Iterator[Frames]:
    """
    Open a video, images, or one image topic of a bag.

    :param source: see `gtr_ros.recordings.recording.track_recording`
    :param topic: of a bag; None: the only one with images
    :param rate: of images, frames per second
    :raises ValueError: names the file and what is wrong with it, now or while it is read
    """
    if opens_as_bag(source):
        # Imported here: rosbags is an optional dependency.
        from gtr_ros.data.formats.rosbag import BagImages

        images = BagImages(Path(source), topic)
        yield Frames(images, images.frame_count, None)
        return
    files = image_files(source)
    with VideoReader(source) if files is None else ImageFilesReader(files, rate) as video:
        count = video.frame_count
        yield Frames(video, count, count / video.rate if count else None)


def image_topics(source: str) -> list[str]:
    """
    Return the image topics of a bag that have messages.

    :raises FormatError: if it cannot be read
    """
    from gtr_ros.data.formats.bag_messages import COMPRESSED_IMAGE
    from gtr_ros.data.formats.bag_messages import IMAGE
    from gtr_ros.data.formats.bag_reader import open_bag

    reader = open_bag(Path(source))
    try:
        return [
            name
            for name, topic in reader.topics.items()
            if topic.msgtype in (IMAGE, COMPRESSED_IMAGE) and topic.msgcount
        ]
    finally:
        reader.close()


def between(
    frames: Iterable[VideoFrame], start: float = 0.0, end: float | None = None
) -> Iterator[VideoFrame]:
    """
    Yield the frames of a span of time; the rest is not read.

    :param start: seconds after the first frame
    :param end: the same; None: to the end
    """
    first = None
    for frame in frames:
        first = frame.stamp if first is None else first
        seconds = (frame.stamp - first) / NANOSECONDS
        if end is not None and seconds > end:
            return
        if seconds >= start:
            yield frame
