# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network of a detector in TensorRT through ONNX Runtime, whose engines take minutes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor


class TensorRt:
    """
    A network whose engine is built for each input size, and kept on disk; see `Network`.

    :param open_session: opens the network with TensorRT, without building anything
    :param engines: folder of the engines; it is created
    :param log: called with a line of text before and after an engine is built
    """

    def __init__(
        self,
        open_session: Callable[[], Callable[[Tensor], Sequence[Tensor]]],
        engines: Path,
        log: Callable[[str], None],
    ) -> None:
        self._open = open_session
        self._engines = engines
        self._log = log
        self._session: Callable[[Tensor], Sequence[Tensor]] | None = None
        self._ready: set[tuple[int, ...]] = set()
        self._building = False

    def file(self, size: tuple[int, ...]) -> Path:
        """Return the folder of the engines."""
        return self._engines

    def is_ready(self, size: tuple[int, ...]) -> bool:
        """Return whether the engine for an input size is loaded, and the session not busy."""
        return size in self._ready and not self._building

    def prepare(self, size: tuple[int, ...]) -> None:
        """Load the engine for an input size; build it, if that was not done before."""
        batch, _, height, width = size
        title = f'the TensorRT engine for {batch} x {width} x {height} pixels'
        self._log(f'loading {title}, or building it, which takes minutes')
        begin = perf_counter()
        # A run of another size would wait for the session: the plain form computes meanwhile.
        self._building = True
        try:
            self._engines.mkdir(parents=True, exist_ok=True)
            self._session = self._session or self._open()
            self._session(torch.zeros(size))
            self._ready.add(size)
        finally:
            self._building = False
        self._log(f'{title} is ready ({perf_counter() - begin:.0f} s)')

    def __call__(self, pixels: Tensor) -> Sequence[Tensor]:
        """Run the network for a size that is ready."""
        return self._session(pixels)
