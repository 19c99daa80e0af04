# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recognises the family of an exported detector by what goes in and comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gtr_ros.runtime.detector_file.contents import DetectorFileError
from gtr_ros.runtime.detector_file.layouts import box_and_class_outputs
from gtr_ros.runtime.detector_file.layouts import cells_of
from gtr_ros.runtime.detector_file.layouts import detection_outputs
from gtr_ros.runtime.detector_file.session import Session
from gtr_ros.runtime.detector_file.settings import coco_names
from gtr_ros.runtime.detector_file.settings import FAMILIES
from gtr_ros.runtime.detector_file.settings import Format
from gtr_ros.runtime.detector_file.settings import SIDES

_EXPECTED = (
    'expected the outputs of YOLOX: one, (B, N, 5 + C); of RT-DETR, D-FINE and DEIM: labels, '
    'boxes, scores; of those from Hugging Face: logits, pred_boxes; or of RF-DETR: dets, labels'
)
# The median offset from a grid cell is below this many cells, and pixels are many more.
_NEAR, _FAR = 3.0, 4.0


def recognise(
    session: Session, yaml: Path, told: dict[str, Any], classes: int | None = None
) -> Format:
    """
    Return how to feed a detector and what its outputs mean. Runs it once on a grey image.

    :param yaml: file in which a user may say what is not clear; only for errors
    :param told: what is there already: fields of `Format`
    :param classes: number of classes by the weights; None: unknown
    :raises DetectorFileError: if something is not clear: says what was found, what was expected,
        and which lines of YAML would settle it
    """
    height, width = _input_size(session, yaml, told)
    grey = np.full((1, 3, height, width), 0.5, np.float32)
    outputs = session.run(grey)
    session.check_batches(grey)
    found = f'{session.path}: {session.found(outputs)}'
    family, layout = _family_and_layout(outputs, found, yaml, told, height, width)
    settings = {'layout': layout, **FAMILIES[family], **told, 'family': family}
    settings |= {'width': width, 'height': height}
    if layout == 'yolox':
        settings['layout'] = told.get('layout') or _raw_or_decoded(
            outputs, found, yaml, height, width
        )
    if 'boxes' not in settings:
        if layout == 'detections' and not session.takes_size:
            raise DetectorFileError(
                f'{found}; without an input for the size, the unit of its boxes is not clear: '
                f"write 'boxes: pixels' (of the input) or 'boxes: fractions' to {yaml}"
            )
        settings['boxes'] = 'fractions' if layout == 'logits' else 'pixels'
    if layout != 'detections':
        classes = _classes_of(outputs, layout)
    settings['names'] = _names(told.get('names'), classes, found, yaml, family)
    return Format(**settings)


def _input_size(session: Session, yaml: Path, told: dict[str, Any]) -> tuple[int, int]:
    """Return height and width of the input."""
    sides = []
    for name, fixed in zip(('height', 'width'), session.fixed_size, strict=True):
        side = told.get(name, fixed)
        if side is None:
            raise DetectorFileError(
                f'{session.path}: {session.found()}; its input has no fixed {name}: write '
                f"'width: 640' and 'height: 640', or the size of its training, to {yaml}"
            )
        if fixed not in (None, side):
            raise DetectorFileError(
                f'{session.path}: {session.found()}; {yaml} has {name}: {side}, but the input '
                f'was exported for {fixed}'
            )
        if not SIDES[0] <= side <= SIDES[1]:
            raise DetectorFileError(
                f'{session.path}: {session.found()}; expected sides of the input from {SIDES[0]} '
                f'to {SIDES[1]} pixels'
            )
        sides.append(side)
    return sides[0], sides[1]


def _family_and_layout(
    outputs: dict[str, np.ndarray],
    found: str,
    yaml: Path,
    told: dict[str, Any],
    height: int,
    width: int,
) -> tuple[str, str]:
    """Return the family and the layout; of YOLOX's two 'yolox' stands for both."""
    family, given = told.get('family'), told.get('layout', '')
    ranks = [value.ndim for value in outputs.values()]
    cells = len(cells_of(height, width)[0])
    layout = ''
    if ranks == [3] and next(iter(outputs.values())).shape[1] == cells:
        layout = 'yolox' if _classes_of(outputs, 'yolox') > 0 else ''
    elif detection_outputs(outputs):
        layout = 'detections'
    elif box_and_class_outputs(outputs):
        layout = 'logits'
    told_other = given and given.removesuffix('-raw') != layout
    if not layout or told_other or (family and (layout == 'yolox') != (family == 'yolox')):
        extra = f', with N = {cells} for this input' if ranks == [3] else ''
        says = ' and '.join(f'{k}: {told[k]}' for k in ('family', 'layout') if k in told)
        hint = f', but {yaml} says {says}' if says else ''
        raise DetectorFileError(
            f'{found}{hint}; {_EXPECTED}{extra}. docs/detectors.md says how to export them, and '
            f"what may be written to {yaml}: 'family: FAMILY' and 'layout: LAYOUT'"
        )
    if family:
        return family, layout
    if layout != 'logits':
        return ('yolox' if layout == 'yolox' else 'rt-detr'), layout
    if {'dets', 'labels'} <= outputs.keys():
        return 'rf-detr', layout
    if 'logits' in outputs and outputs['logits'].shape[2] == len(coco_names(80) or ()):
        return 'rt-detr', layout
    raise DetectorFileError(
        f"{found}; the normalisation of its input is not clear: write 'family: rt-detr' (also "
        f"D-FINE and DEIM, values 0..1) or 'family: rf-detr' (ImageNet's mean and std), and names "
        f'to {yaml}'
    )


def _raw_or_decoded(
    outputs: dict[str, np.ndarray], found: str, yaml: Path, height: int, width: int
) -> str:
    """Tell centres in pixels of the input from offsets to grid cells; they are in any image."""
    centres = next(iter(outputs.values()))[0, :, :2]
    cells, strides = cells_of(height, width)
    raw = np.median(np.abs(centres))
    decoded = np.median(np.abs(centres / strides[:, None] - cells))
    if raw < _NEAR and decoded > max(_FAR * raw, 1):
        return 'yolox-raw'
    if decoded < _NEAR and raw > max(_FAR * decoded, 1):
        return 'yolox'
    raise DetectorFileError(
        f'{found}; a grey image does not tell whether its boxes are decoded: write '
        f"'layout: yolox' (exported with --decode_in_inference) or 'layout: yolox-raw' to {yaml}"
    )


def _classes_of(outputs: dict[str, np.ndarray], layout: str) -> int:
    if layout == 'yolox':
        return next(iter(outputs.values())).shape[2] - 5
    return outputs[box_and_class_outputs(outputs)[1]].shape[2]


def _names(
    told: str | tuple[str | None, ...] | None,
    classes: int | None,
    found: str,
    yaml: Path,
    family: str,
) -> tuple[str | None, ...]:
    """Return a name for each index of a class; None: no object."""
    if told in (None, 'coco'):
        if classes is None and told is None:
            raise DetectorFileError(
                f"{found}; they do not tell the number of classes: write 'names: coco' (80), or "
                f"'names: [NAME, ...]' in the order of its training, to {yaml}"
            )
        names = coco_names(80 if classes is None else classes)
        if names is not None:
            return names
    elif classes is None or len(told) == classes:
        return told
    if told is None:
        problem = f'it has {classes} classes, and their names are not known'
    else:
        count = 'the 80 of COCO' if told == 'coco' else f'{len(told)} names'
        problem = f'it has {classes} classes, and {yaml} has {count}'
    hint = ''
    if family == 'rf-detr':
        hint = '; one of them, the last or the first, is usually the background: null'
    raise DetectorFileError(
        f"{found}; {problem}: write 'names: [NAME, ...]' with {classes} entries to {yaml}{hint}"
    )
