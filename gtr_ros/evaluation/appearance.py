# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Features of boxes, from the model or a ReID network, cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from gtr_ros.data.sequence import images_of
from gtr_ros.data.sequence import Sequence
from gtr_ros.evaluation.cache import load_arrays
from gtr_ros.evaluation.cache import save_arrays
from gtr_ros.evaluation.progress import Advance
from gtr_ros.evaluation.progress import ignore
from gtr_ros.model.resize import DEVIATION
from gtr_ros.model.resize import MEAN
from gtr_ros.runtime.packages import import_onnxruntime
from gtr_ros.structures import Detections

#: replaces the features of detections in an image, (H, W, 3) uint8 RGB
Describe = Callable[[np.ndarray, Detections], Detections]


class OnnxAppearance:
    """
    A person ReID network, as exported by its authors: crops in, feature vectors out.

    Crops are resized to the network's input, RGB in [0, 1], normalised with ImageNet's statistics.

    :param path: ONNX, one input (N, 3, H, W), one output (N, D)
    :raises ValueError: if it cannot be read, or has other inputs or outputs
    """

    def __init__(self, path: str | Path) -> None:
        onnxruntime = import_onnxruntime()
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail
        from onnxruntime.capi.onnxruntime_pybind11_state import InvalidGraph
        from onnxruntime.capi.onnxruntime_pybind11_state import InvalidProtobuf
        from onnxruntime.capi.onnxruntime_pybind11_state import NoSuchFile

        try:
            self._session = onnxruntime.InferenceSession(
                str(path), providers=onnxruntime.get_available_providers()
            )
        except (Fail, InvalidGraph, InvalidProtobuf, NoSuchFile) as error:
            raise ValueError(f'{path} is not a readable ONNX network: {error}') from error
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 4 or not all(isinstance(n, int) for n in shape[1:]):
            raise ValueError(f'{path} reads {shape}; expected one input of (N, 3, H, W)')
        self._name, self._batch, self._size = inputs[0].name, shape[0], tuple(shape[2:])

    def __call__(self, image: np.ndarray, detections: Detections) -> Detections:
        """Replace the features of detections with those of the network, (N, D), of unit length."""
        if not len(detections):
            return replace(detections, features=torch.zeros(0, 1))
        crops = np.stack([self._crop(image, box) for box in detections.boxes])
        batch = self._batch if isinstance(self._batch, int) else len(crops)
        features = []
        for start in range(0, len(crops), batch):
            part = crops[start : start + batch]
            padded = np.pad(part, [(0, batch - len(part)), (0, 0), (0, 0), (0, 0)])
            features.append(self._session.run(None, {self._name: padded})[0][: len(part)])
        joined = np.concatenate(features).astype(np.float32)
        joined /= np.maximum(np.linalg.norm(joined, axis=1, keepdims=True), 1e-12)
        return replace(detections, features=torch.from_numpy(joined))

    def _crop(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Return (3, H, W) float32, the network's input for one box."""
        from PIL import Image

        height, width = image.shape[:2]
        x1, y1 = np.clip(box[:2].round().astype(int), 0, (width - 1, height - 1))
        x2, y2 = np.clip(box[2:].round().astype(int), (x1 + 1, y1 + 1), (width, height))
        crop = Image.fromarray(np.ascontiguousarray(image[y1:y2, x1:x2]))
        resized = np.asarray(crop.resize(self._size[::-1], Image.Resampling.BILINEAR), np.float32)
        normal = (resized - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
        return normal.transpose(2, 0, 1)


def describe_all(
    describe: Describe,
    sequence: Sequence,
    detections: SequenceOf[Detections],
    cache: Path | None = None,
    advance: Advance = ignore,
) -> list[Detections]:
    """
    Return a sequence's boxes with features, from the cache or computed from the images.

    :param detections: of each frame
    :param cache: file of the features; None: they are not cached
    :param advance: called after every frame for which features are computed
    :return: of each frame, with features on the CPU
    :raises ValueError: if the sequence has no images, or fewer than frames
    """
    counts = [len(d) for d in detections]
    cached = (load_arrays(cache) or {}).get('features') if cache else None
    if cached is not None and cached.ndim == 2 and len(cached) == sum(counts):
        features = torch.from_numpy(cached)
    else:
        described = []
        for image, frame in zip(images_of(sequence), detections):
            described.append(describe(image, frame).features.float().cpu())
            advance()
        # For a frame without boxes, a network may not determine the length of its features.
        features = torch.cat([d for d in described if len(d)] or [torch.zeros(0, 1)])
        if cache:
            save_arrays(cache, {'features': features.numpy()})
    return [
        replace(frame, features=own)
        for frame, own in zip(detections, features.split(counts), strict=True)
    ]
