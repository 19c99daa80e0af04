# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Track the images of a folder, which are one camera's, in the order of their names."""

from __future__ import annotations

import argparse
from pathlib import Path

from gtr_ros import ImageFilesReader
from gtr_ros import TrackingPipeline
from gtr_ros.media.image_files import FRAME_SUFFIXES
from gtr_ros.media.image_files import natural_order


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path)
    parser.add_argument(
        '--rate', type=float, default=10.0, help='images per second (default: %(default)s)'
    )
    options = parser.parse_args()

    paths = [path for path in options.folder.iterdir() if path.suffix.lower() in FRAME_SUFFIXES]
    if not paths:
        parser.error(f'{options.folder} has no images: {", ".join(FRAME_SUFFIXES)}')
    paths.sort(key=natural_order)  # 9.jpg before 10.jpg
    pipeline = TrackingPipeline()
    for frame in ImageFilesReader(paths, options.rate):
        tracks = pipeline(frame)
        print(paths[frame.index].name)
        for i, label, score, box in zip(tracks.ids, tracks.labels, tracks.scores, tracks.boxes):
            print(f'  {pipeline.class_names[label]} {i}, score {score:.2f}, at {box.round(1)}')


if __name__ == '__main__':
    main()
