# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What boxes look like, by several networks, computed once and kept."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from gtr_ros.data.sequence import Sequence
from gtr_ros.data.stored_boxes import images_of
from gtr_ros.data.stored_boxes import Step
from gtr_ros.evaluation.cache import load_arrays
from gtr_ros.evaluation.cache import save_arrays
from gtr_ros.model.resize import DEVIATION
from gtr_ros.model.resize import MEAN
from gtr_ros.structures import Detections

#: gives boxes of an image their features
Describe = Callable[[np.ndarray, Detections], Detections]


class OnnxAppearance:
    """
    A person ReID network as its authors exported it: crops in, vectors out.

    Crops are resized to the network's input, RGB in [0, 1], normalised by ImageNet's statistics.

    :param path: ONNX, one input (N, 3, H, W), one output (N, D)
    :raises ValueError: if it cannot be read, or is not of that form
    """

    def __init__(self, path: str | Path) -> None:
        import onnxruntime
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail
        from onnxruntime.capi.onnxruntime_pybind11_state import InvalidGraph
        from onnxruntime.capi.onnxruntime_pybind11_state import InvalidProtobuf
        from onnxruntime.capi.onnxruntime_pybind11_state import NoSuchFile

        try:
            self._session = onnxruntime.InferenceSession(
                str(path), providers=onnxruntime.get_available_providers()
            )
        except (Fail, InvalidGraph, InvalidProtobuf, NoSuchFile) as error:
            raise ValueError(f'{path} is no ONNX network that can be read: {error}') from error
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 4 or not all(isinstance(n, int) for n in shape[1:]):
            raise ValueError(f'{path} reads {shape}; expected one input of (N, 3, H, W)')
        self._name, self._batch, self._size = inputs[0].name, shape[0], tuple(shape[2:])

    def __call__(self, image: np.ndarray, detections: Detections) -> Detections:
        """Give features of unit length, (N, D)."""
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
        """Return (3, H, W) float32 of the network's input."""
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
    step: Step = lambda: None,
) -> list[Detections]:
    """
    Give the boxes of a sequence their features, or take those that were kept.

    :param detections: of each frame
    :param cache: file that they are kept in; None: they are not
    :param step: called after every frame that is described
    :return: of each frame, with features on the CPU
    :raises ValueError: if the sequence has no images, or fewer than frames
    """
    counts = [len(d) for d in detections]
    kept = (load_arrays(cache) or {}).get('features') if cache else None
    if kept is not None and kept.ndim == 2 and len(kept) == sum(counts):
        features = torch.from_numpy(kept)
    else:
        described = []
        for image, frame in zip(images_of(sequence), detections):
            described.append(describe(image, frame).features.float().cpu())
            step()
        # Of frames without boxes a network may not know how long a feature is.
        features = torch.cat([d for d in described if len(d)] or [torch.zeros(0, 1)])
        if cache:
            save_arrays(cache, {'features': features.numpy()})
    return [
        replace(frame, features=own)
        for frame, own in zip(detections, features.split(counts), strict=True)
    ]
