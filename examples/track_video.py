# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Track a video, and write a copy of it with boxes, ids and trails."""

from __future__ import annotations

import argparse
from itertools import islice

from gtr_ros import annotate
from gtr_ros import TrackingPipeline
from gtr_ros import VideoReader
from gtr_ros import VideoWriter


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', help='video file, or a camera such as /dev/video0')
    parser.add_argument('out', nargs='?', default='tracked.mp4', help='(default: %(default)s)')
    parser.add_argument('--frames', type=int, help='track only this many (default: all)')
    options = parser.parse_args()

    pipeline = TrackingPipeline()
    identities = set()
    with (
        VideoReader(options.source) as video,
        VideoWriter(options.out, video.rate, video.size) as writer,
    ):
        for frame in islice(video, options.frames):
            tracks = pipeline(frame)
            identities.update(tracks.ids.tolist())
            writer.write(annotate(frame.image, tracks, pipeline.class_names))
    print(f'{len(identities)} tracks; wrote {options.out}')


if __name__ == '__main__':
    main()
