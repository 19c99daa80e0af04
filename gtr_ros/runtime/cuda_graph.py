# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A function of tensors of fixed shapes as a CUDA graph: one launch instead of hundreds."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import threading

import torch
from torch import Tensor

#: captures follow one another: some of torch's state belongs to the capture that is going on
_capturing = threading.Lock()


class CudaGraph:
    """
    A function as a CUDA graph, captured on construction; other threads may use the GPU meanwhile.

    :param run: tensors -> tensors; it must have run before, so that nothing is initialised during
        capture, must not wait for the GPU, and must not allocate pinned memory
    :param inputs: of `run`, on the device or in pinned memory of the host; from now on they belong
        to the graph, which reads them in every replay
    :param device: of the graph; None: that of the first input
    :param pool: of another graph, to share its memory: the outputs of each are then valid only
        until the other is replayed; None: memory of its own
    """

    def __init__(
        self,
        run: Callable[..., Sequence[Tensor]],
        *inputs: Tensor,
        device: torch.device | None = None,
        pool: tuple[int, int] | None = None,
    ) -> None:
        #: the function, to be captured in a larger graph: graphs cannot be nested
        self.run = run
        self.inputs = inputs
        #: overwritten by every replay
        self.outputs: Sequence[Tensor]
        self._device = device or inputs[0].device
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device):  # a thread begins with the first device
            self._capture(pool)

    def _capture(self, pool: tuple[int, int] | None) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):  # warm up the allocator, on a side stream as capturing requires
                self.run(*self.inputs)
        torch.cuda.current_stream().wait_stream(stream)
        with (
            _capturing,
            torch.cuda.graph(
                self._graph, pool=pool, stream=stream, capture_error_mode='thread_local'
            ),
        ):
            self.outputs = self.run(*self.inputs)

    def __call__(self, *inputs: Tensor) -> Sequence[Tensor]:
        """Run the function; the outputs are overwritten by the next run."""
        for own, values in zip(self.inputs, inputs, strict=True):
            own.copy_(values)
        return self.replay()

    def replay(self) -> Sequence[Tensor]:
        """Run the function on what was written to `inputs`."""
        self._graph.replay()
        return self.outputs

    def finished(self) -> torch.cuda.Event:
        """Return an event that happens when the last replay is over."""
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(self._device))
        return event
