# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Track a camera that OpenCV reads (needs `pip install opencv-python`), until Ctrl-C or q."""

from __future__ import annotations

import argparse
import time

import cv2

from gtr_ros import annotate
from gtr_ros import TrackingPipeline


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'source', nargs='?', default='0', help='camera, video file or URL (default: %(default)s)'
    )
    parser.add_argument('--show', action='store_true', help='show the images in a window')
    options = parser.parse_args()

    pipeline = TrackingPipeline(colour='bgr')  # the order of OpenCV's channels
    source = options.source
    capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    if not capture.isOpened():
        parser.error(f'OpenCV cannot open {source}')
    try:
        while True:
            found, image = capture.read()
            if not found:
                break
            tracks = pipeline(image, time.monotonic_ns())
            names = [pipeline.class_names[label] for label in tracks.labels]
            objects = [f'{name} {i}' for name, i in zip(names, tracks.ids)]
            print(', '.join(objects) or 'nothing', flush=True)
            if options.show:
                picture = annotate(image[..., ::-1], tracks, pipeline.class_names)  # takes RGB
                cv2.imshow('gtr_ros', picture[..., ::-1])
                if cv2.waitKey(1) == ord('q'):
                    break
    except KeyboardInterrupt:
        pass
    finally:
        capture.release()


if __name__ == '__main__':
    main()
