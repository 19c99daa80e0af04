# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Average precision does not depend on which ids a file uses."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
import pytest

pytest.importorskip('faster_coco_eval', reason='needs the evaluation extra')

import torch

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.evaluation.detection import AveragePrecision
from gtr_ros.evaluation.detection import evaluate_coco
from gtr_ros.structures import Detections

BOXES = np.array([[4, 4, 24, 34], [30, 8, 50, 44], [8, 10, 40, 40]], float)  # of each image


def write(folder: Path, change: Callable[[dict], Any] = lambda data: None) -> Path:
    """Write three images, whose grey level is 40 times their number, with three people each."""
    (folder / 'val').mkdir(parents=True)
    data: dict = {'images': [], 'annotations': [], 'categories': []}
    for number in range(1, 4):
        Image.new('RGB', (64, 48), (40 * number,) * 3).save(folder / 'val' / f'{number}.png')
        size = {'width': 64, 'height': 48}
        data['images'].append({'id': number, 'file_name': f'{number}.png', **size})
        for x1, y1, x2, y2 in BOXES + number:
            entry = {'id': len(data['annotations']) + 1, 'image_id': number, 'category_id': 1}
            bbox = [x1, y1, x2 - x1, y2 - y1]
            entry |= {'bbox': bbox, 'area': bbox[2] * bbox[3], 'iscrowd': 0}
            data['annotations'].append(entry)
    data['categories'] = [{'id': 1, 'name': 'person'}, {'id': 2, 'name': 'dog'}]
    change(data)
    path = folder / 'val.json'
    path.write_text(json.dumps(data))
    return path


def detect(image: np.ndarray) -> Detections:
    """Find two of the three people of an image, one of them not exactly, and one too much."""
    number = round(image[0, 0, 0] / 40)
    boxes = np.array([BOXES[0], BOXES[1] + [0, 0, 3, 3], [0, 0, 9, 9]]) + number
    return Detections(
        boxes.astype(np.float32),
        np.array([0.9, 0.8, 0.3], np.float32),
        np.array([1, 1, 1]),
        torch.zeros(3, 0),
        (48, 64),
    )


def measure(path: Path) -> AveragePrecision:
    return evaluate_coco(detect, ('bicycle', 'person'), path)


def renumbered(image=int, annotation=int, category=int) -> Callable[[dict], None]:
    def change(data):
        for entry in data['images']:
            entry['id'] = image(entry['id'])
        for entry in data['categories']:
            entry['id'] = category(entry['id'])
        for entry in data['annotations']:
            entry['id'] = annotation(entry['id'])
            entry['image_id'] = image(entry['image_id'])
            entry['category_id'] = category(entry['category_id'])

    return change


def without(*keys: str) -> Callable[[dict], None]:
    def change(data):
        for entry in data['annotations']:
            for key in keys:
                del entry[key]

    return change


def named(name: str) -> Callable[[dict], None]:
    def change(data):
        data['categories'][0]['name'] = name

    return change


@pytest.mark.parametrize(
    'change',
    [
        renumbered(annotation=lambda i: i - 1),
        renumbered(annotation=lambda i: -i),
        renumbered(annotation=lambda i: 2**55 + i),
        renumbered(annotation=lambda i: f'note {i}'),
        renumbered(annotation=str, image=str, category=str),
        renumbered(annotation=float, image=float, category=float),
        renumbered(image=lambda i: i - 1),
        renumbered(image=lambda i: f'{i:06d}.png'),
        renumbered(image=lambda i: 10**12 * (5 - i)),
        renumbered(category=lambda i: i - 1),
        renumbered(category=lambda i: 90 - 40 * i),
        without('area', 'iscrowd'),
        named('Person'),
        named('pedestrian'),
        lambda data: data['images'].reverse(),
        lambda data: data['annotations'].reverse(),
    ],
)
def test_other_ids_and_orders_give_the_same_numbers(tmp_path, change):
    expected = measure(write(tmp_path / 'plain'))
    assert 0.4 < expected.ap < expected.ap50 == expected.person_ap50 < 0.7
    assert measure(write(tmp_path / 'changed', change)) == expected


def test_perfect_boxes_have_a_precision_of_1(tmp_path):
    path = write(tmp_path, renumbered(annotation=lambda i: i - 1))

    def perfect(image):
        boxes = (BOXES + round(image[0, 0, 0] / 40)).astype(np.float32)
        ones = np.ones(3, np.float32)
        return Detections(boxes, ones, ones.astype(np.int64), torch.zeros(3, 0), (48, 64))

    assert evaluate_coco(perfect, ('bicycle', 'person'), path).ap == pytest.approx(1)


def test_no_boxes_have_a_precision_of_0(tmp_path):
    nothing = Detections(
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.float32),
        np.zeros(0, np.int64),
        torch.zeros(0, 0),
        (48, 64),
    )
    assert evaluate_coco(lambda image: nothing, ('person',), write(tmp_path)).ap == 0


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (renumbered(annotation=lambda i: 1), 'annotation 1: the id occurs twice'),
        (renumbered(image=lambda i: 1), 'image 1: the id occurs twice'),
        (lambda data: data['annotations'][4].update(image_id=9), 'annotation 5: image_id is 9'),
        (lambda data: data['annotations'][4].update(bbox=[1, 2, -5, 5]), 'annotation 5: bbox'),
        (lambda data: data['images'][1].update(width=32), r'2\.png: its size is 64 x 48'),
        (named('cat'), 'categories are cat, dog, and the detector finds none of them'),
    ],
)
def test_what_is_not_unique_or_does_not_exist_is_named(tmp_path, change, said):
    with pytest.raises(FormatError, match=said):
        measure(write(tmp_path, change))
