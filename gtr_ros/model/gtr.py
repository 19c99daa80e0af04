# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole model: a detector, features of its boxes, and the association."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple
from typing import Protocol

import numpy as np
import torch
from torch import nn
from torch import Tensor

from gtr_ros.box_checks import boxes_fault
from gtr_ros.box_checks import scores_fault
from gtr_ros.boxes import clip_boxes
from gtr_ros.model.association import Association
from gtr_ros.model.detector import Detector
from gtr_ros.model.detector import RawDetections
from gtr_ros.model.detector import to_host
from gtr_ros.model.external import ExternalDetector
from gtr_ros.model.roi import pool_boxes
from gtr_ros.structures import Detections

#: maximum number of images in a batch; a power of two
MOST_BATCHED = 16


class Found(NamedTuple):
    """
    What is found in one image.

    :param objects: on the host, boxes in pixels of the image as received, not clipped
    :param features: (N, D), on the device
    """

    objects: RawDetections
    features: Tensor


class Frames(Protocol):
    """Finds the objects of whole frames faster than step by step, where it can."""

    def find(self, images: Sequence[np.ndarray], score_threshold: float) -> list[Found | None]:
        """
        Find objects, the same as step by step.

        :param images: (H, W, 3) uint8 RGB, of one size; as many as a power of two
        :return: of each image; None: to be found step by step
        """


# As in the node: of the boxes of an image, from which on centres outside it are wrong.
_OUTSIDE = 0.5


class GTR(nn.Module):
    """
    Computes detections with features from images; holds the association for the tracker.

    :param detector: computes the detections and the maps to pool from
    :param head: (N, C, S, S) pooled maps -> (N, D) features
    :param association: associates the features in a window, for `gtr_ros.tracking.Tracker`
    :param pool_size: S, side of a pooled map, cells
    :param clip: whether boxes are clipped to the image; amodal boxes are not
    :param score_threshold: default of `detect`
    """

    def __init__(
        self,
        detector: Detector,
        head: nn.Module,
        association: Association,
        pool_size: int,
        clip: bool,
        score_threshold: float,
    ) -> None:
        super().__init__()
        self.detector = detector
        self.head = head
        self.association = association
        self.pool_size = pool_size
        self.clip = clip
        self.score_threshold = score_threshold
        #: in the registry, set by `gtr_ros.model.build.build`; '' for a model built in another way
        self.name = ''
        #: finds objects faster than step by step; set by the runtime, None on a CPU
        self.frames: Frames | None = None
        #: finds the boxes instead of `detector`, which then only computes the maps; None: none
        self.external: ExternalDetector | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of `Detections.labels`."""
        return (self.external or self.detector).class_names

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(self.parameters()).device

    @property
    def batches(self) -> bool:
        """Whether images of the same size are batched; a CPU is faster with one at a time."""
        return self.device.type != 'cpu'

    @torch.inference_mode()
    def detect(
        self,
        images: Sequence[np.ndarray],
        stamps: Sequence[int | None] | None = None,
        score_threshold: float | None = None,
    ) -> list[Detections]:
        """
        Detect objects in one image from each camera; a GPU gets images of one size in batches.

        :param images: (H, W, 3) uint8 RGB, of any sizes and strides
        :param stamps: nanoseconds, one for each image; None without a clock
        :param score_threshold: in [0, 1], minimum score; None: the model's default
        :return: detections of each image, best first
        :raises ValueError: if an image is not (H, W, 3) uint8
        :raises ArithmeticError: if the output of the network is not finite
        """
        stamps = [None] * len(images) if stamps is None else stamps
        threshold = self.score_threshold if score_threshold is None else score_threshold
        if self.external is not None:
            found = self.external.find(images, threshold)
            return [
                replace(self.describe(image, objects, checked=True), stamp=stamp)
                for image, objects, stamp in zip(images, found, stamps, strict=True)
            ]
        # Padding to a common size would change the inputs of norms and global pooling.
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, image in enumerate(images):
            groups.setdefault((*image.shape, 0 if self.batches else i), []).append(i)
        detections: list[Detections | None] = [None] * len(images)
        for group in groups.values():
            for indices in powers_of_two(group):
                detected = self._detect_one_size([images[i] for i in indices], threshold)
                for i, objects in zip(indices, detected):
                    detections[i] = replace(objects, stamp=stamps[i])
        return detections

    @torch.inference_mode()
    def describe(
        self, image: np.ndarray, detections: Detections, checked: bool = False
    ) -> Detections:
        """
        Compute the features of boxes from another detector.

        :param image: (H, W, 3) uint8 RGB
        :param detections: of that image; their features are replaced
        :param checked: whether boxes and scores are known to be in pixels and in [0, 1]
        :raises ValueError: if the image is not (H, W, 3) uint8, or boxes or scores seem to be of
            another scale, see `gtr_ros.box_checks`
        """
        if not checked:
            _check_boxes(detections, image.shape[:2])
        batch = self.detector.prepare([image], self.device)
        boxes = torch.as_tensor(detections.boxes, dtype=torch.float32, device=self.device)
        regions, maps = [batch.to_input(boxes, 0)], self.detector.maps(batch)
        described = replace(detections, features=self.features(maps, regions))
        _check_finite(maps[-1].sum(dtype=torch.float32))
        return described

    def features(self, maps: Sequence[Tensor], regions: Sequence[Tensor]) -> Tensor:
        """
        Pool the regions of each image, and compute their features.

        :param maps: (B, C_l, H_l, W_l) for each level l of the detector
        :param regions: (N_b, 4) for each image, xyxy, pixels of the network's input
        :return: (sum N_b, D), in the order of the images
        """
        return self.head(pool_boxes(maps, self.detector.strides, regions, self.pool_size))

    def _detect_one_size(
        self, images: Sequence[np.ndarray], score_threshold: float
    ) -> list[Detections]:
        """Detect objects in images of the same size, in one batch."""
        found: list[Found | None] = [None] * len(images)
        if self.frames is not None:
            found = self.frames.find(images, score_threshold)
        for rest in powers_of_two([i for i, each in enumerate(found) if each is None]):
            others = self._find([images[i] for i in rest], score_threshold)
            for i, each in zip(rest, others, strict=True):
                found[i] = each
        return [
            self._detections(each, image.shape[:2])
            for each, image in zip(found, images, strict=True)
        ]

    def _find(self, images: Sequence[np.ndarray], score_threshold: float) -> list[Found]:
        """Find objects in images of the same size, step by step."""
        batch = self.detector.prepare(images, self.device)
        raw, maps = self.detector.find(batch, score_threshold)
        total = maps[-1].sum(dtype=torch.float32)  # read below, where a GPU is waited for
        regions = [f.regions for f in raw]
        features = self.features(maps, regions).split([len(f.boxes) for f in raw])
        on_image = [f._replace(boxes=batch.to_image(f.boxes, i)) for i, f in enumerate(raw)]
        on_host = to_host(on_image)
        _check_finite(total)
        return [Found(*each) for each in zip(on_host, features, strict=True)]

    def _detections(self, found: Found, image_size: tuple[int, int]) -> Detections:
        """Clip the boxes, and leave out those outside the image."""
        objects = found.objects
        boxes = objects.boxes.numpy()
        if self.clip:
            boxes = clip_boxes(boxes, image_size).astype(np.float32)
        scores = objects.class_scores
        detections = Detections(
            boxes=boxes,
            scores=objects.scores.numpy(),
            labels=objects.labels.numpy(),
            features=found.features,
            image_size=image_size,
            class_scores=None if scores is None else scores.numpy(),
        )
        # After clipping, nothing is left of a box outside the image.
        return detections.select((boxes[:, 2:] > boxes[:, :2]).all(axis=1))


def powers_of_two(items: Sequence[int]) -> Iterator[Sequence[int]]:
    """Divide items into batches of powers of two, largest first: few sizes need preparing."""
    while items:
        count = min(MOST_BATCHED, 1 << (len(items).bit_length() - 1))
        yield items[:count]
        items = items[count:]


def _check_boxes(detections: Detections, image_size: tuple[int, int]) -> None:
    """Raise ValueError if boxes or scores of another detector are of another scale."""
    if fault := scores_fault(detections.scores):
        raise ValueError(f'detection {fault[0]}: {fault[1]}')
    if fault := boxes_fault(detections.boxes, image_size, _OUTSIDE):
        raise ValueError(f'{fault}; expected x1, y1, x2, y2 in pixels of the image')


def _check_finite(total: Tensor) -> None:
    """
    Check the sum of a map: what is not finite in the network spreads to the whole map.

    :param total: scalar
    :raises ArithmeticError: if it is not finite: there would be no detections, and no reason
    """
    if not total.isfinite():
        raise ArithmeticError(
            'the output of the network is not finite, so nothing can be detected. With precision '
            'float16 or bfloat16, use float32; otherwise the weights or the device are damaged'
        )
