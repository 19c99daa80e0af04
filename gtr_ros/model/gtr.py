# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole model: a detector, features of its boxes, and the association."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch import Tensor

from gtr_ros.boxes import clip_boxes
from gtr_ros.model.association import Association
from gtr_ros.model.detector import Detector
from gtr_ros.model.detector import to_host
from gtr_ros.model.roi import pool_boxes
from gtr_ros.structures import Detections


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

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of `Detections.labels`."""
        return self.detector.class_names

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
        Detect objects in one image from each camera; a GPU gets images of one size in one batch.

        :param images: (H, W, 3) uint8 RGB, of any sizes and strides
        :param stamps: nanoseconds, one for each image; None without a clock
        :param score_threshold: in [0, 1], minimum score; None: the model's default
        :return: detections of each image, best first
        :raises ValueError: if an image is not (H, W, 3) uint8
        """
        stamps = [None] * len(images) if stamps is None else stamps
        # Padding to a common size would change the inputs of norms and global pooling.
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, image in enumerate(images):
            groups.setdefault((*image.shape, 0 if self.batches else i), []).append(i)
        threshold = self.score_threshold if score_threshold is None else score_threshold
        detections: list[Detections | None] = [None] * len(images)
        for indices in groups.values():
            detected = self._detect_one_size([images[i] for i in indices], threshold)
            for i, objects in zip(indices, detected):
                detections[i] = replace(objects, stamp=stamps[i])
        return detections

    @torch.inference_mode()
    def describe(self, image: np.ndarray, detections: Detections) -> Detections:
        """
        Compute the features of boxes from another detector.

        :param image: (H, W, 3) uint8 RGB
        :param detections: of that image; their features are replaced
        :raises ValueError: if the image is not (H, W, 3) uint8
        """
        batch = self.detector.prepare([image], self.device)
        boxes = torch.as_tensor(detections.boxes, dtype=torch.float32, device=self.device)
        regions = [batch.to_input(boxes, 0)]
        return replace(detections, features=self.features(self.detector.maps(batch), regions))

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
        batch = self.detector.prepare(images, self.device)
        raw, maps = self.detector.find(batch, score_threshold)
        regions = [f.regions for f in raw]
        features = self.features(maps, regions).split([len(f.boxes) for f in raw])
        on_image = [f._replace(boxes=batch.to_image(f.boxes, i)) for i, f in enumerate(raw)]
        detections = []
        for i, (objects, feature) in enumerate(zip(to_host(on_image), features, strict=True)):
            height, width = batch.sizes[i]
            boxes = objects.boxes.numpy()
            if self.clip:
                boxes = clip_boxes(boxes, (height, width)).astype(np.float32)
            scores = objects.class_scores
            detections.append(
                Detections(
                    boxes=boxes,
                    scores=objects.scores.numpy(),
                    labels=objects.labels.numpy(),
                    features=feature,
                    image_size=(height, width),
                    class_scores=None if scores is None else scores.numpy(),
                )
            )
        # After clipping, nothing is left of a box outside the image.
        return [d.select((d.boxes[:, 2:] > d.boxes[:, :2]).all(axis=1)) for d in detections]
