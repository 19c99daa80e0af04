# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A user's exported detector in place of the model's own."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from gtr_ros.box_checks import boxes_fault
from gtr_ros.box_checks import scores_fault
from gtr_ros.box_checks import unit_scores
from gtr_ros.boxes import clip_boxes
from gtr_ros.runtime.detector_file.contents import DetectorFileError
from gtr_ros.runtime.detector_file.contents import read_contents
from gtr_ros.runtime.detector_file.images import to_input
from gtr_ros.runtime.detector_file.layouts import decode
from gtr_ros.runtime.detector_file.layouts import Found
from gtr_ros.runtime.detector_file.recognition import recognise
from gtr_ros.runtime.detector_file.session import Session
from gtr_ros.runtime.detector_file.settings import find_files
from gtr_ros.structures import Detections

_FORM = 1  # to be incremented when the boxes of a file change, because they are cached
# Share of the boxes of one image above which centres outside it are an error.
_OUTSIDE = 0.5


class DetectorFile:
    """
    A detector that runs in ONNX Runtime; see `gtr_ros.model.external.ExternalDetector`.

    :param path: FILE.onnx, which FILE.yaml may describe; or FILE.yaml
    :param providers: execution providers of ONNX Runtime, with their options
    :param log: called with one line about what was recognised
    :raises DetectorFileError: if a file is missing, cannot be used, or something is not clear
    """

    def __init__(
        self,
        path: Path,
        providers: Sequence[tuple[str, dict]],
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        file, yaml, told = find_files(path)
        contents = read_contents(file)
        self._session = Session(file, providers)
        self.format = recognise(self._session, yaml, told, contents.classes)
        self.class_names = self.format.class_names
        self.description = f'{self.format.family} {file.name}'
        self._yaml = yaml
        # The label of each class in the outputs; -1: not an object.
        objects = np.array([name is not None for name in self.format.names])
        self._labels = np.where(objects, objects.cumsum() - 1, -1)
        image = np.full((self.format.height, self.format.width, 3), 114, np.uint8)
        try:
            self.find([image], 1.0)  # outputs that cannot be used are an error now
        except ArithmeticError as error:
            raise DetectorFileError(str(error)) from error
        provider, wanted = self._session.provider, providers[0][0]
        problem = '' if provider == wanted else f', because {wanted} does not start'
        log(f'detector {file}: {self.format.describe()}, on {provider}{problem}')

    def find(self, images: Sequence[np.ndarray], score_threshold: float) -> list[Detections]:
        """Find the objects in images; see `gtr_ros.model.external.ExternalDetector`."""
        if not images:
            return []
        inputs, places = zip(*(to_input(image, self.format) for image in images), strict=True)
        outputs = self._session.run(np.stack(inputs))
        threshold, path = max(score_threshold, self.format.score_threshold), self._session.path
        detections = []
        for i, (image, placement) in enumerate(zip(images, places)):
            try:
                found = decode(outputs, i, self.format, threshold)
            except ArithmeticError as error:
                raise ArithmeticError(
                    f'the output of {path} cannot be used: {error}. Export it in float32, or '
                    f'correct the input that {self._yaml} describes'
                ) from error
            found = found._replace(boxes=placement.to_image(found.boxes))
            detections.append(self._checked(found, image.shape[:2]))
        return detections

    def _checked(self, found: Found, image_size: tuple[int, int]) -> Detections:
        """Return the objects of an image, with labels, clipped to it."""
        path, indices = self._session.path, found.indices
        known = (indices >= 0) & (indices < len(self._labels))
        if not known.all():
            raise DetectorFileError(
                f'{path} found the class {indices[~known][0]}, but there are {len(self._labels)} '
                f'names, from 0; give the right ones as names in {self._yaml}'
            )
        fault = scores_fault(found.scores)
        if fault:
            raise DetectorFileError(f'{path}: {fault[1]}')
        fault = boxes_fault(found.boxes, np.array(image_size), _OUTSIDE)
        if fault:
            raise DetectorFileError(
                f"{path}: {fault}; 'boxes: fractions' or 'boxes: pixels', and resize and pad, in "
                f'{self._yaml} say how its boxes are to be read'
            )
        boxes = clip_boxes(found.boxes, image_size).astype(np.float32)
        labels = self._labels[indices]
        return Detections(
            boxes=boxes,
            scores=unit_scores(found.scores).astype(np.float32),
            labels=labels,
            features=torch.zeros(len(boxes), 0),
            image_size=image_size,
        ).select((boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (labels >= 0))


def detector_key(path: str) -> str:
    """
    Return a digest of a detector's files, the same on every machine; '' for none.

    :param path: as of the option `detector`
    :raises DetectorFileError: if a file is missing or refers to others that are
    """
    if not path:
        return ''
    file, _, told = find_files(Path(path))
    digest = sha256(f'{_FORM} {sorted(told.items())}'.encode())
    for part in (file, *(file.parent / name for name in sorted(read_contents(file).external))):
        with part.open('rb') as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
