# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Average precision of a detector on labelled images, by COCO's definition."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from gtr_ros.structures import Detections

Detector = Callable[[np.ndarray], Detections]


@dataclass(frozen=True)
class AveragePrecision:
    """
    COCO's summary, each in [0, 1].

    :param ap: mean over classes and over IoU 0.50 to 0.95
    :param ap50: mean over classes at IoU 0.50
    :param person_ap: of the class 'person', over IoU 0.50 to 0.95; None: there is no such class
    :param person_ap50: of the class 'person', at IoU 0.50; None likewise
    """

    ap: float
    ap50: float
    person_ap: float | None
    person_ap50: float | None


def evaluate_coco(
    detect: Detector, class_names: tuple[str, ...], annotations: Path
) -> AveragePrecision:
    """
    Run a detector on every image of a COCO data set.

    :param detect: (H, W, 3) uint8 RGB -> detections, also of low scores
    :param class_names: name of each label; the data set's categories are found by name
    :param annotations: COCO JSON; the images lie in the folder of its name, `val.json` in `val/`
    """
    data = json.loads(annotations.read_text())
    folder = annotations.with_suffix('')
    images = (
        (image['id'], np.array(Image.open(folder / image['file_name']).convert('RGB')))
        for image in data['images']
    )
    return average_precision(detect, class_names, images, data)


def average_precision(
    detect: Detector,
    class_names: tuple[str, ...],
    images: Iterable[tuple[int, np.ndarray]],
    truth: dict,
) -> AveragePrecision:
    """
    Run a detector on labelled images.

    :param detect: (H, W, 3) uint8 RGB -> detections, also of low scores
    :param class_names: name of each label
    :param images: id and pixels of each
    :param truth: of COCO's form: `images`, `annotations`, `categories`
    """
    from faster_coco_eval import COCO
    from faster_coco_eval import COCOeval_faster

    categories = {category['name']: category['id'] for category in truth['categories']}
    rows = []
    for image_id, image in images:
        found = detect(image)
        for (x1, y1, x2, y2), score, label in zip(
            found.boxes.tolist(), found.scores, found.labels
        ):
            if class_names[label] in categories:
                rows.append(
                    {
                        'image_id': image_id,
                        'category_id': categories[class_names[label]],
                        'bbox': [x1, y1, x2 - x1, y2 - y1],
                        'score': float(score),
                    }
                )

    def summary(category: int | None) -> tuple[float, float]:
        evaluation = COCOeval_faster(reference, detections, 'bbox')
        if category is not None:
            evaluation.params.catIds = [category]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return float(evaluation.stats[0]), float(evaluation.stats[1])

    with redirect_stdout(io.StringIO()):  # the library prints its progress and its table
        reference = COCO(truth)
        detections = reference.loadRes(rows)
        overall, person = summary(None), (None, None)
        if 'person' in categories:
            person = summary(categories['person'])
    return AveragePrecision(*overall, *person)
