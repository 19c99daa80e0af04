# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Average precision of a detector on labelled images, as COCO defines it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
import io
from pathlib import Path

import numpy as np

from gtr_ros.data.coco.stills import load_json
from gtr_ros.data.formats.images import read_image
from gtr_ros.structures import Detections

#: detects objects in an image, (H, W, 3) uint8 RGB, down to low scores
Detect = Callable[[np.ndarray], Detections]


@dataclass(frozen=True)
class AveragePrecision:
    """
    COCO's summary, all in [0, 1].

    :param ap: mean over classes and over IoU 0.50 to 0.95
    :param ap50: mean over classes at IoU 0.50
    :param person_ap: of the class 'person', over IoU 0.50 to 0.95; None if there is no such class
    :param person_ap50: of the class 'person', at IoU 0.50; None if there is no such class
    """

    ap: float
    ap50: float
    person_ap: float | None
    person_ap50: float | None


def evaluate_coco(
    detect: Detect, class_names: tuple[str, ...], annotations: Path
) -> AveragePrecision:
    """
    Run a detector on every image of a COCO data set.

    :param class_names: name of each label; categories are matched by name
    :param annotations: COCO JSON; the images of `val.json` are in `val/`
    :raises FormatError: if the JSON or an image cannot be read
    """
    data = load_json(annotations)
    folder = annotations.with_suffix('')
    images = (
        (
            image['id'],
            read_image(folder / image['file_name'], (image.get('height'), image.get('width'))),
        )
        for image in data['images']
    )
    return average_precision(detect, class_names, images, data)


def average_precision(
    detect: Detect,
    class_names: tuple[str, ...],
    images: Iterable[tuple[int, np.ndarray]],
    truth: dict,
) -> AveragePrecision:
    """
    Run a detector on labelled images.

    :param class_names: name of each label
    :param images: id and pixels of each image
    :param truth: in COCO's form: `images`, `annotations`, `categories`
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
