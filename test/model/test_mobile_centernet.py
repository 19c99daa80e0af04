# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The port of the mobile detector finds the same objects as the published graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gtr_ros.evaluation.detection import evaluate_coco
from gtr_ros.media.video import VideoReader
from gtr_ros.model.build import build
from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.gtr import GTR
from gtr_ros.model.mobile_centernet import MobileCenterNet
from gtr_ros.model.mobile_centernet import STRIDE
from gtr_ros.model.mobilenet import upsample2_corner
from gtr_ros.model.registry import cached_checkpoint
from gtr_ros.model.resize import Batch
from gtr_ros.model.resize import FixedSize


@pytest.fixture(scope='module')
def trained() -> GTR:
    if not cached_checkpoint('mobile').is_file():
        pytest.skip('the trained network is not in the cache; get it with `gtr weights import`')
    return build('mobile', cached_checkpoint('mobile'))


def unmatched(found: np.ndarray, expected: np.ndarray) -> int:
    """Count boxes of `expected` without one of `found` (N, 5) within 1 px and 0.01 of score."""
    if not len(expected) or not len(found):
        return len(expected)
    pixels = np.abs(found[:, None, :4] - expected[:, :4]).max(axis=2)
    scores = np.abs(found[:, None, 4] - expected[:, 4])
    return int((~((pixels < 1) & (scores < 0.01)).any(axis=0)).sum())


def resize_in_fixed_point(image: np.ndarray, side: int) -> np.ndarray:
    """
    Resize an image like the reference: bilinearly, in fixed point with 11 bits of fraction.

    :param image: (H, W, 3) uint8
    :return: (side, side, 3) uint8
    """

    def taps(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        place = (np.arange(side) + 0.5) * size / side - 0.5
        low = np.floor(place).astype(int)
        weight = np.rint((place - low).astype(np.float32) * 2048).astype(int)
        return low.clip(0, size - 1), (low + 1).clip(0, size - 1), weight

    rows, columns = image.shape[:2]
    low, high, weight = taps(columns)
    weight = weight[:, None]
    wide = image[:, low].astype(int) * (2048 - weight) + image[:, high].astype(int) * weight
    low, high, weight = taps(rows)
    weight = weight[:, None, None]
    parts = ((2048 - weight) * (wide[low] >> 4) >> 16) + (weight * (wide[high] >> 4) >> 16)
    return ((parts + 2) >> 2).clip(0, 255).astype(np.uint8)


def prepare_as_the_reference(image: np.ndarray) -> Batch:
    pixels = torch.from_numpy(resize_in_fixed_point(image, 512)).permute(2, 0, 1)[None].float()
    height, width = image.shape[:2]
    return Batch(pixels, torch.tensor([[512 / width, 512 / height]]), [(height, width)])


def compare_with_the_published_graph(
    model: GTR, pets: Path, every: int, prepare: Callable[[np.ndarray], Batch]
) -> tuple[int, int]:
    """Return the number of boxes of the published graph, and how many of them ours misses."""
    reference = np.load(pets / 'detections_mb3_centernet.npz')['det']
    total = missed = 0
    with VideoReader(pets / 'vtest.avi') as video:
        for frame in video:
            if frame.index % every:
                continue
            batch = prepare(frame.image)
            with torch.inference_mode():
                (objects,), _ = model.detector.find(batch, 0.05)
            people = objects.labels == 0
            boxes = batch.to_image(objects.boxes, 0)[people]
            found = torch.cat((boxes, objects.scores[people, None]), dim=1).numpy()
            expected = reference[reference[:, 0] == frame.index + 1, 1:]
            total += len(expected)
            missed += unmatched(found, expected)
    return total, missed


def test_the_port_gives_every_box_and_score_of_the_published_graph(trained, pets):
    total, missed = compare_with_the_published_graph(trained, pets, 40, prepare_as_the_reference)
    assert total > 300
    # A box just above the reference's threshold of 0.1 may be below it here.
    assert missed / total < 0.005


@pytest.mark.slow
def test_the_port_gives_every_published_box_of_the_whole_video(trained, pets):
    total, missed = compare_with_the_published_graph(trained, pets, 1, prepare_as_the_reference)
    assert total == 17373
    assert missed / total < 0.002


def test_our_own_resizing_finds_the_same_boxes_except_weak_ones(trained, pets):
    def prepare(image: np.ndarray) -> Batch:
        return FixedSize(512, 512)([image], torch.device('cpu'))

    total, missed = compare_with_the_published_graph(trained, pets, 40, prepare)
    assert missed / total < 0.04


@pytest.mark.slow
def test_average_precision_on_coco_is_that_of_the_published_network(trained, coco_mini):
    result = evaluate_coco(
        lambda image: trained.detect([image], None, 0.02)[0],
        trained.class_names,
        coco_mini / 'val.json',
    )
    assert result.person_ap50 > 0.58
    assert result.ap50 > 0.3


def test_a_batch_gives_the_same_detections_as_single_images():
    generator = np.random.default_rng(0)
    shapes = ((90, 160, 3), (200, 100, 3), (90, 160, 3))
    images = [generator.integers(0, 255, shape, np.uint8) for shape in shapes]
    torch.manual_seed(0)
    model = gtr_mobile()
    together = model.detect(images, [1, 2, 3], 0.0)
    for image, stamp, expected in zip(images, (1, 2, 3), together):
        (alone,) = model.detect([image], [stamp], 0.0)
        assert alone.stamp == expected.stamp
        assert alone.image_size == expected.image_size == image.shape[:2]
        # Untrained scores are nearly equal, so the order differs.
        apart = np.abs(alone.boxes[:, None] - expected.boxes).max(axis=2)
        assert (apart.min(axis=1) < 0.01).mean() > 0.95
        nearest = apart.argmin(axis=1)[apart.min(axis=1) < 0.01]
        same = alone.features[torch.from_numpy(apart.min(axis=1) < 0.01)]
        torch.testing.assert_close(same, expected.features[nearest], rtol=0, atol=1e-3)


def test_an_image_without_objects_gives_empty_detections():
    (found,) = gtr_mobile().detect([np.zeros((48, 64, 3), np.uint8)], None, score_threshold=1.0)
    assert found.boxes.shape == (0, 4)
    assert found.features.shape == (0, 256)


def test_a_peak_becomes_a_box_around_its_cell():
    detector = MobileCenterNet(class_names=('a', 'b'))
    logits = torch.full((1, 2, 8, 8), -9.0)
    logits[0, 1, 2, 5] = 3.0
    sides = torch.zeros(1, 4, 8, 8)
    sides[0, :, 2, 5] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    peaks = detector.peaks(logits, sides)
    x, y = 5 * STRIDE, 2 * STRIDE
    torch.testing.assert_close(peaks.boxes[0, 0], torch.tensor([x - 1.0, y - 2, x + 3, y + 4]))
    assert peaks.labels[0, 0] == 1
    assert peaks.scores[0, 0].item() == pytest.approx(1 / (1 + np.exp(-3)))


def test_upsampling_follows_the_published_graphs_grid():
    x = torch.tensor([[[[0.0, 4.0], [8.0, 12.0]]]])
    expected = torch.tensor([[0.0, 2, 4, 4], [4, 6, 8, 8], [8, 10, 12, 12], [8, 10, 12, 12]])
    torch.testing.assert_close(upsample2_corner(x)[0, 0], expected)


@pytest.mark.parametrize('threshold', [0.02, 0.4, 0.9, 1.0])
@pytest.mark.parametrize('seed', range(4))
def test_strong_peaks_are_the_peaks_above_the_threshold(threshold, seed):
    chance = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, 5, 12, 9, generator=chance) - 1
    logits[0, 1, 3:5, 3:5] = 2.5  # equal neighbours are all peaks
    logits[1, 0, 0, 0] = logits[1, 4, 11, 8] = 40  # in corners, with a score of exactly 1
    logits = logits.to(memory_format=torch.channels_last)
    sides = torch.rand(2, 4, 12, 9, generator=chance) * 20
    detector = MobileCenterNet(tuple('abcde'), max_detections=30)
    some = detector.strong_peaks(logits, sides, threshold)
    # The outputs of other runtimes have the channels first.
    for one, same in zip(some, detector.strong_peaks(logits.contiguous(), sides, threshold)):
        assert all(torch.equal(a, b) for a, b in zip(one, same))
    for *every, (boxes, scores, labels) in zip(*detector.peaks(logits, sides), some):
        kept = every[1] >= threshold
        assert len(scores) == kept.sum()
        torch.testing.assert_close(scores, every[1][kept])
        rows = {(*box.tolist(), label.item()) for box, label in zip(boxes, labels)}
        assert len(scores) == 30 or rows == {
            (*box.tolist(), label.item()) for box, label in zip(every[0][kept], every[2][kept])
        }


def test_without_peaks_above_the_threshold_the_result_is_empty():
    detector = MobileCenterNet(('a', 'b'))
    [(boxes, scores, labels)] = detector.strong_peaks(
        torch.full((1, 2, 8, 8), -9.0), torch.ones(1, 4, 8, 8), 0.4
    )
    assert boxes.shape == (0, 4)
    assert not len(scores)
    assert not len(labels)
