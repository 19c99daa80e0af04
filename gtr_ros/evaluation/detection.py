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

from gtr_ros.data.coco.entries import as_id
from gtr_ros.data.coco.entries import as_number
from gtr_ros.data.coco.entries import as_whole
from gtr_ros.data.coco.entries import get_reference
from gtr_ros.data.coco.entries import get_value
from gtr_ros.data.coco.entries import index_by_id
from gtr_ros.data.coco.entries import read_flag
from gtr_ros.data.coco.entries import read_numbers
from gtr_ros.data.coco.stills import category_names
from gtr_ros.data.coco.stills import load_json
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.images import read_image
from gtr_ros.data.labels import label_map
from gtr_ros.data.stills.still import first_names
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

    :param class_names: name of each label; categories are matched by name, see
        `gtr_ros.data.labels`
    :param annotations: COCO JSON; the images of `val.json` are in `val/`
    :raises FormatError: if the JSON or an image cannot be read, or the detector knows none of the
        categories
    """
    data = load_json(annotations)
    names = tuple(category_names(annotations, data).values())
    if (label_map(class_names, names) < 0).all():
        raise FormatError(
            annotations,
            f'its categories are {first_names(names)}, and the detector finds none of them',
        )
    folder = annotations.with_suffix('')
    entries = index_by_id(annotations, 'image', data['images'])
    images = ((i, _read_image(annotations, folder, i, entry)) for i, entry in entries.items())
    return average_precision(detect, class_names, images, data, annotations)


def _read_image(path: Path, folder: Path, identity: int | str, entry: dict) -> np.ndarray:
    """Read an image of the JSON, (H, W, 3) uint8 RGB; its size must be as stated, if it is."""
    height, width = (as_whole(entry.get(side)) for side in ('height', 'width'))
    name = str(get_value(path, f'image {identity}', entry, 'file_name'))
    return read_image(folder / name, (height, width) if height and width else None)


def average_precision(
    detect: Detect,
    class_names: tuple[str, ...],
    images: Iterable[tuple[int | str, np.ndarray]],
    truth: dict,
    path: Path = Path('truth'),
) -> AveragePrecision:
    """
    Run a detector on labelled images.

    Ids are only what connects the entries of the truth, and any that are unique will do: COCO's
    tools, which take an annotation with the id 0 for none, get numbers of our own.

    :param class_names: name of each label
    :param images: id and pixels of each image
    :param truth: in COCO's form: `images`, `annotations`, `categories`
    :param path: of the truth, for error messages
    :raises FormatError: names the entry by its id, and the rule
    """
    from faster_coco_eval import COCO
    from faster_coco_eval import COCOeval_faster

    truth, image_ids = _renumber(path, truth)
    names = [category['name'] for category in truth['categories']]
    category_of = label_map(class_names, names) + 1  # 0: none
    rows = []
    for image_id, image in images:
        found = detect(image)
        for (x1, y1, x2, y2), score, label in zip(
            found.boxes.tolist(), found.scores, found.labels
        ):
            if category_of[label]:
                rows.append(
                    {
                        'image_id': image_ids[as_id(image_id)],
                        'category_id': int(category_of[label]),
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
        person_label = int(label_map(('person',), names)[0])
        if person_label >= 0:
            person = summary(person_label + 1)
    return AveragePrecision(*overall, *person)


def _renumber(path: Path, data: dict) -> tuple[dict, dict[int | str, int]]:
    """
    Return a truth of which images, annotations and categories are numbered from 1.

    :return: also the number of each image by its id
    """
    images = index_by_id(path, 'image', data['images'])
    image_ids = {identity: i for i, identity in enumerate(images, 1)}
    names = category_names(path, data)
    category_ids = {identity: i for i, identity in enumerate(names, 1)}
    annotations, given = [], index_by_id(path, 'annotation', data['annotations'])
    for number, (identity, annotation) in enumerate(given.items(), 1):
        place = f'annotation {identity}'
        image = get_reference(path, place, annotation, 'image', image_ids)
        category = get_reference(path, place, annotation, 'category', category_ids)
        bbox = get_value(path, place, annotation, 'bbox')
        box = read_numbers(bbox)
        # COCO has boxes without a width or a height, which its tools keep.
        if box is None or min(box[2:]) < 0:
            raise FormatError(path, f'{place}: bbox is {bbox!r}; expected x, y, width, height')
        area = as_number(annotation.get('area'))
        annotations.append(
            {
                'id': number,
                'image_id': image_ids[image],
                'category_id': category_ids[category],
                'bbox': box,
                'area': box[2] * box[3] if area is None else area,
                'iscrowd': int(read_flag(path, place, annotation, 'iscrowd')),
            }
        )
    return {
        'images': [{'id': i} for i in image_ids.values()],
        'annotations': annotations,
        'categories': [{'id': i, 'name': names[n]} for n, i in category_ids.items()],
    }, image_ids
