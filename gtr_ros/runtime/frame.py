# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A frame as one function of fixed shapes: images in, detections and features out."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

import torch
from torch import Tensor

from gtr_ros.model.detector import RawDetections
from gtr_ros.model.gtr import Found
from gtr_ros.model.gtr import GTR
from gtr_ros.model.roi import pool_boxes

#: columns of `FixedFrame`'s rows after the box: score, label, whether valid, whether exact
_SCORE, _LABEL, _VALID, _EXACT = range(4, 8)


class FixedFrame:
    """
    Detects objects in images of one size without waiting for the device: it can be captured.

    Every image has the same number of rows, of which the first are its detections.

    :param model: in evaluation mode, on its device; its detector has `candidates`
    :param size: (height, width) of the images, pixels
    :param reverse: whether the images' channels are in reverse order
    :param network: instead of the detector's; pixels -> outputs
    """

    def __init__(
        self,
        model: GTR,
        size: tuple[int, int],
        reverse: bool,
        network: Callable[[Tensor], Sequence[Tensor]] | None = None,
    ) -> None:
        self._model = model
        self._reverse = reverse
        self._network = network or model.detector.network
        scale = model.detector.resize.scale(*size)
        # The same numbers as in a `Batch`; on the device, as nothing can be copied later.
        self._scale = torch.tensor(scale, device=model.device).repeat(2)

    def __call__(self, images: Tensor, score_threshold: Tensor) -> tuple[Tensor, Tensor]:
        """
        Detect objects.

        :param images: (B, H, W, 3) uint8, on the host (of a GPU: in pinned memory) or the device
        :param score_threshold: () float32, on the host or the device
        :return: rows, (B, K, 8) float32: xyxy box in pixels of the image, score, label, whether
            it is a detection, whether the image's detections are exact; features, (B, K, D)
        """
        model, device = self._model, self._scale.device
        pixels = images.to(device, non_blocking=True).permute(0, 3, 1, 2)
        outputs = self._network(model.detector.resize.on_device(pixels, self._reverse))
        maps = outputs[: len(model.detector.strides)]
        threshold = score_threshold.to(device, non_blocking=True)
        boxes, scores, labels, valid, exact = model.detector.candidates(outputs, threshold)
        pooled = pool_boxes(maps, model.detector.strides, boxes.unbind(), model.pool_size)
        features = model.head(pooled).unflatten(0, scores.shape)
        # What is not finite is left to the plain path, which says so.
        exact = exact & maps[-1].sum(dtype=torch.float32).isfinite()
        columns = scores, labels, valid, exact[:, None].expand_as(valid)
        columns = torch.stack([column.float() for column in columns], dim=2)
        return torch.cat((boxes / self._scale, columns), dim=2), features


def unpack(rows: Tensor, features: Tensor) -> list[Found | None]:
    """
    Return what was found in each image; None where it is not exact.

    :param rows: (B, K, 8) float32, of `FixedFrame`, on the host
    :param features: (B, K, D), on any device; what is returned is a copy
    """
    counts = rows[..., _VALID].sum(dim=1).int().tolist()
    exact = rows[:, 0, _EXACT].tolist()
    found: list[Found | None] = []
    for image, own, count, is_exact in zip(rows, features, counts, exact, strict=True):
        if not is_exact:
            found.append(None)
            continue
        boxes = image[:count, :4].clone()
        scores, labels = image[:count, _SCORE].clone(), image[:count, _LABEL].long()
        found.append(Found(RawDetections(boxes, scores, labels, boxes), own[:count].clone()))
    return found
