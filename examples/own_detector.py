# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Track the boxes of another detector; the model only computes their appearance features.

The boxes are read from a file in the format of MOTChallenge's det.txt, one box a line: frame (from
1), -1, left, top, width, height (pixels), score. To run your own detector, call it where
`boxes_of` is called.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from gtr_ros import Detections
from gtr_ros import TrackingPipeline
from gtr_ros import VideoReader


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('video')
    parser.add_argument('boxes', help='file of boxes')
    parser.add_argument('out', nargs='?', default='tracks.txt', help='(default: %(default)s)')
    parser.add_argument(
        '--score-threshold',
        type=float,
        default=0.5,
        help='boxes with a lower score do not start tracks (default: %(default)s)',
    )
    options = parser.parse_args()

    rows = np.loadtxt(options.boxes, delimiter=',', ndmin=2)
    pipeline = TrackingPipeline(rule='evidence', score_threshold=options.score_threshold)
    with VideoReader(options.video) as video, open(options.out, 'w') as out:
        for frame in video:
            boxes, scores, labels = boxes_of(rows, frame.index)
            detections = Detections(
                boxes,
                scores,
                labels,
                features=torch.zeros(len(boxes), 0),  # computed in the next step
                image_size=frame.image.shape[:2],
                stamp=frame.stamp,
            )
            detections = pipeline.model.describe(frame.image, detections)
            tracks = pipeline.track(frame.image, detections)
            for identity, (x1, y1, x2, y2), score in zip(tracks.ids, tracks.boxes, tracks.scores):
                box = f'{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}'
                out.write(f'{frame.index + 1},{identity},{box},{score:.3f},-1,-1,-1\n')
    print(f'wrote {options.out}')


def boxes_of(rows: np.ndarray, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Return the boxes of one frame: replace this by your detector.

    :param rows: of the file
    :param index: of the frame, from 0
    :return: (N, 4) float32 boxes, xyxy, pixels of the image; (N,) float32 scores in [0, 1]; (N,)
        int64 labels, here all 0
    """
    rows = rows[rows[:, 0] == index + 1]
    left, top, width, height, score = rows[:, 2:7].T
    boxes = np.stack([left, top, left + width, top + height], axis=1)
    return boxes.astype(np.float32), score.astype(np.float32), np.zeros(len(rows), np.int64)


if __name__ == '__main__':
    main()
