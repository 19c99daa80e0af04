# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small training data: coloured rectangles on noise, as images with COCO's JSON and as clips."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
import yaml

from gtr_ros.training.clip import Clip


def write_coco(folder: Path, count: int = 4, size: int = 96) -> Path:
    """Write images and their JSON, `train.json` next to `train/`; return the JSON file."""
    (folder / 'train').mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for i in range(count):
        pixels = rng.integers(0, 80, (size, size, 3), np.uint8)
        for k in range(2):
            x, y = rng.integers(4, size // 2, 2).tolist()
            w, h = rng.integers(size // 4, size // 2, 2).tolist()
            pixels[y : y + h, x : x + w] = rng.integers(120, 255, 3)
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': i,
                    'category_id': 1 + k,
                    'bbox': [x, y, w, h],
                    'area': w * h,
                    'iscrowd': 0,
                }
            )
        Image.fromarray(pixels).save(folder / 'train' / f'{i}.png')
        images.append({'id': i, 'file_name': f'{i}.png', 'height': size, 'width': size})
    names = [{'id': 1, 'name': 'person'}, {'id': 2, 'name': 'crate'}]
    file = folder / 'train.json'
    content = {'images': images, 'annotations': annotations, 'categories': names}
    file.write_text(json.dumps(content))
    return file


def write_config(file: Path, **changes: object) -> Path:
    """Write a configuration that trains on the data of `write_coco` in seconds; return it."""
    config = {
        'model': 'mobile',
        'start': 'random',
        'classes': ['person', 'crate'],
        'clips': [
            {'stills': 'coco', 'annotations': 'train.json', 'frames': 2, 'crop': {'size': 64}}
        ],
        'schedule': {'iterations': 4, 'batch': 2, 'warmup': 1, 'ema': 0.9},
        'save_every': 2,
        'validation': {'every': 1000},
        'workers': 0,
    }
    file.write_text(yaml.safe_dump({**config, **changes}))
    return file


def rectangles(
    seed: int = 0, frames: int = 2, size: int = 64, objects: int = 2, labels: int = 2
) -> Clip:
    """Return a clip of objects that do not move."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 60, (size, size, 3), np.uint8)
    boxes = []
    for _ in range(objects):
        x, y = rng.integers(2, size // 2, 2).tolist()
        w, h = rng.integers(size // 4, size // 2 - 2, 2).tolist()
        image[y : y + h, x : x + w] = rng.integers(120, 255, 3)
        boxes.append((x, y, x + w, y + h))
    every_box = np.array(boxes, np.float32).reshape(-1, 4)
    return Clip(
        images=(image,) * frames,
        boxes=(every_box,) * frames,
        labels=(np.arange(objects) % labels,) * frames,
        ids=(np.arange(1, objects + 1),) * frames,
        source=f'rectangles {seed}',
    )
