# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""YOLOX-Nano as its authors exported it: what is found is what an independent decoding finds."""

from __future__ import annotations

import numpy as np
from paths import SHARED
import pytest

pytest.importorskip('onnxruntime', reason='needs the onnx extra')

from gtr_ros import VideoReader
from gtr_ros.boxes import box_iou
from gtr_ros.runtime.detector_file.detector import DetectorFile

pytestmark = pytest.mark.usefixtures('one_thread')

CPU = [('CPUExecutionProvider', {})]
NANO = SHARED / 'data/teacher/yolox_nano.onnx'


def independent_yolox(image: np.ndarray, threshold: float) -> list[tuple[float, ...]]:
    """Return x1, y1, x2, y2, score, class of what YOLOX-Nano finds, cell by cell."""
    import onnxruntime
    import torch

    height, width = image.shape[:2]
    ratio = min(416 / height, 416 / width)
    new = int(width * ratio), int(height * ratio)
    canvas = np.full((416, 416, 3), 114, np.float32)
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    resized = torch.nn.functional.interpolate(pixels, new[::-1], mode='bilinear')[0]
    canvas[: new[1], : new[0]] = resized.permute(1, 2, 0).numpy()
    given = canvas[:, :, ::-1].transpose(2, 0, 1)[None]
    [rows] = onnxruntime.InferenceSession(NANO).run(None, {'images': np.ascontiguousarray(given)})
    found, n = [], 0
    for stride in (8, 16, 32):
        for y in range(416 // stride):
            for x in range(416 // stride):
                row = rows[0, n].astype(float)
                n += 1
                best = int(np.argmax(row[5:]))
                score = row[4] * row[5 + best]
                if score < threshold:
                    continue
                cx, cy = (row[0] + x) * stride, (row[1] + y) * stride
                w, h = np.exp(row[2]) * stride, np.exp(row[3]) * stride
                corners = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
                found.append((*[c / ratio for c in corners], score, best))
    found.sort(key=lambda each: -each[4])
    for most, in_class in ((0.45, True), (0.9, False)):
        kept = []
        for each in found:
            others = [k[:4] for k in kept if k[5] == each[5] or not in_class]
            if not others or box_iou(np.array([each[:4]]), np.array(others)).max() <= most:
                kept.append(each)
        found = kept
    return found


@pytest.mark.skipif(not NANO.is_file(), reason='YOLOX-Nano is not here (../shared)')
def test_yolox_nano_finds_what_an_independent_decoding_finds(pets):
    detector = DetectorFile(NANO, CPU)
    assert detector.format.layout == 'yolox-raw'
    stored = np.load(pets / 'detections_yolox_nano.npz')['det']
    seen = 0
    with VideoReader(pets / 'vtest.avi') as video:
        for t, frame in enumerate(video):
            if t == 61:
                break
            if t % 30:
                continue
            [found] = detector.find([frame.image], 0.3)
            expected = np.array(independent_yolox(frame.image, 0.3))
            order = [np.lexsort(boxes[:, :2].round().T) for boxes in (expected, found.boxes)]
            expected = expected[order[0]]
            np.testing.assert_allclose(
                found.boxes[order[1]], expected[:, :4].clip(0, [768, 576] * 2), atol=1.0
            )
            np.testing.assert_allclose(found.scores[order[1]], expected[:, 4], atol=0.01)
            np.testing.assert_array_equal(found.labels[order[1]], expected[:, 5])
            # What another program found in the same frames, years ago; people only.
            people = found.select(found.labels == 0)
            others = stored[(stored[:, 0] == t + 1) & (stored[:, 5] >= 0.35)]
            assert box_iou(others[:, 1:5], people.boxes).max(axis=1).min() > 0.97
            seen += len(others)
    assert seen > 12
