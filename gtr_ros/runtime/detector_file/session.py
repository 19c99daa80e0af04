# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A detector's network in ONNX Runtime, whatever its batch size and number type are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gtr_ros.runtime.detector_file.contents import DetectorFileError
from gtr_ros.runtime.packages import import_onnxruntime

_TYPES = {
    'tensor(float)': np.float32,
    'tensor(float16)': np.float16,
    'tensor(int64)': np.int64,
    'tensor(int32)': np.int32,
}
_FLOATS = (np.float32, np.float16)
_MOST_BATCH = 64


class Session:
    """
    An inference session: images in, arrays by name out.

    :param path: of an ONNX file whose contents were checked
    :param providers: execution providers of ONNX Runtime, with their options
    :raises DetectorFileError: if it cannot be run, or its inputs are not those of a detector
    """

    def __init__(self, path: Path, providers: Sequence[tuple[str, dict]]) -> None:
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        # Spinning threads would take the cores away from torch and other nodes.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        options.log_severity_level = 3
        self.path = path
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=list(providers))
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise DetectorFileError(f'ONNX Runtime cannot run {path}: {_line(error)}') from error
        self._inputs, self._outputs = self._session.get_inputs(), self._session.get_outputs()
        images = [i for i in self._inputs if len(i.shape) == 4]
        sizes = [i for i in self._inputs if len(i.shape) == 2 and i.shape[1] in (2, None)]
        sizes += [i for i in self._inputs if len(i.shape) == 2 and isinstance(i.shape[1], str)]
        known = len(images) == 1 and _TYPES.get(images[0].type) in _FLOATS
        known = known and (images[0].shape[1] == 3 or not isinstance(images[0].shape[1], int))
        known = known and len(images) + len(sizes) == len(self._inputs) and len(sizes) < 2
        if not known or (sizes and sizes[0].type not in _TYPES):
            raise DetectorFileError(
                f'{path}: {self.found()}; expected one input of images, (B, 3, H, W), float or '
                'float16, and at most one of image sizes, (B, 2)'
            )
        self._image, self._size = images[0], sizes[0] if sizes else None
        batch = self._image.shape[0]
        #: number of images in a run; None: any
        self.batch: int | None = batch if isinstance(batch, int) else None
        if self.batch is not None and not 1 <= self.batch <= _MOST_BATCH:
            raise DetectorFileError(
                f'{path}: {self.found()}; expected a batch size from 1 to {_MOST_BATCH}'
            )
        #: the execution provider in use; not the wanted one if that does not start
        self.provider: str = self._session.get_providers()[0]
        #: whether the images of several cameras go through the network together
        self.together = self.provider != 'CPUExecutionProvider'

    @property
    def fixed_size(self) -> tuple[int | None, int | None]:
        """Height and width of the input, pixels; None where any are accepted."""
        height, width = (n if isinstance(n, int) else None for n in self._image.shape[2:])
        return height, width

    @property
    def takes_size(self) -> bool:
        """Whether there is an input for the size to which boxes are scaled."""
        return self._size is not None

    def found(self, outputs: dict[str, np.ndarray] | None = None) -> str:
        """
        Return the inputs and outputs with types and shapes, for an error.

        :param outputs: of a run, whose shapes are known
        """
        inputs = ', '.join(f'{i.name} {_type(i.type)} {_shape(i.shape)}' for i in self._inputs)
        if outputs is None:
            of = ', '.join(f'{o.name} {_type(o.type)} {_shape(o.shape)}' for o in self._outputs)
        else:
            of = ', '.join(f'{n} {v.dtype} {_shape(v.shape)}' for n, v in outputs.items())
        return f'found the inputs {inputs} and the outputs {of}'

    def run(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """
        Run the network on images.

        :param pixels: (B, 3, H, W) float32; B is anything
        :return: each output by name, (B, ...), float16 as float32
        :raises DetectorFileError: if the network fails
        """
        count, at_once = len(pixels), self.batch or (len(pixels) if self.together else 1)
        parts = []
        for start in range(0, count, at_once):
            part = pixels[start : start + at_once]
            if self.batch:
                missing = at_once - len(part)
                part = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
            parts.append(self._run(part))
        return {name: np.concatenate([p[name] for p in parts])[:count] for name in parts[0]}

    def check_batches(self, pixels: np.ndarray) -> None:
        """
        Run one image at a time from now on if the network has a hidden batch size.

        :param pixels: (1, 3, H, W) float32, which runs
        """
        if self.batch is None and self.together:
            try:
                self._run(np.repeat(pixels, 2, axis=0))
            except DetectorFileError:
                self.together = False

    def _run(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        batch, _, height, width = pixels.shape
        given = {self._image.name: np.ascontiguousarray(pixels, _TYPES[self._image.type])}
        if self._size is not None:
            # The boxes are then in pixels of the input, and those of a letterbox are, too.
            sizes = np.tile([width, height], (batch, 1))
            given[self._size.name] = sizes.astype(_TYPES[self._size.type])
        names = [output.name for output in self._outputs]
        try:
            values = self._session.run(names, given)
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise DetectorFileError(
                f'{self.path} fails with an input of {_shape(pixels.shape)}: {_line(error)}; '
                f'{self.found()}'
            ) from error
        found = {n: _as_float(v) for n, v in zip(names, values) if isinstance(v, np.ndarray)}
        wrong = [n for n, v in found.items() if v.ndim and len(v) != batch]
        if wrong:
            raise DetectorFileError(
                f'{self.path}: {self.found(found)} for {batch} images; expected the same number '
                'of each'
            )
        return {name: value for name, value in found.items() if value.ndim}


def _as_float(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float32) if value.dtype == np.float16 else value


def _line(error: Exception) -> str:
    return ' '.join(str(error).split())


def _type(name: str) -> Any:
    return name.removeprefix('tensor(').removesuffix(')')


def _shape(shape: Sequence[int | str | None]) -> str:
    return '(' + ', '.join('?' if n is None else str(n) for n in shape) + ')'
