# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Steps of the streaming association as CUDA graphs, for a few sizes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import threading
from typing import NamedTuple

import torch
from torch import Tensor

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.runtime.captures import Captures
from gtr_ros.runtime.cuda_graph import CudaGraph
from gtr_ros.tracking.fixed_streaming import FixedStreaming
from gtr_ros.tracking.online import StreamingAssociation

#: numbers of new objects, of rows of the window, and of its frames, for which graphs are captured
OBJECTS, ROWS, FRAMES = (16, 64), (128, 512, 2048), 64


class _Size(NamedTuple):
    """What a graph is captured for."""

    objects: int
    rows: int


class AssociationGraph:
    """
    One step as a CUDA graph; on a CPU the same function without a graph.

    :param association: in evaluation mode, on its device
    :param objects: maximum number of new objects
    :param rows: maximum number of objects in the window
    """

    @torch.inference_mode()
    def __init__(self, association: AssociationTransformer, objects: int, rows: int) -> None:
        weight = next(association.parameters())
        cuda, length = weight.is_cuda, association.features
        width = StreamingAssociation(association).row_width(length)
        self._window = weight.new_zeros(rows, width)
        self._features = weight.new_zeros(objects, length)
        self._boxes = weight.new_zeros(objects, 4)
        self._counts = torch.zeros(FRAMES + 1, dtype=torch.long, pin_memory=cuda)
        self._counts[-1] = 1  # without any object, attention is not finite
        self._filled = 0
        inputs = self._window, self._features, self._boxes, self._counts
        step = FixedStreaming(association)
        step(*inputs)  # so that whatever is initialised at the first run exists
        self._run: Callable[[], Sequence[Tensor]] = lambda: step(*inputs)
        self._graph = CudaGraph(step, *inputs) if cuda else None
        self._finished: torch.cuda.Event | None = None
        if self._graph is not None:
            self._run = self._graph.replay

    @torch.inference_mode()
    def __call__(
        self, rows: Tensor, counts: Sequence[int], features: Tensor, boxes: Tensor
    ) -> Tensor:
        """Associate the objects of a new frame with those in the window; see `AssociationStep`."""
        new, past = len(features), len(rows) - len(features)
        if self._finished is not None:
            self._finished.synchronize()  # the GPU has read the counts of the frame before
        self._counts.zero_()
        self._counts[: len(counts)] = torch.tensor(counts, dtype=torch.long)
        self._counts[-1] = new
        self._window[:past] = rows[:past]
        if past < self._filled:  # padding is finite, whatever the rows of other cameras were
            self._window[past : self._filled] = 0
        self._filled = past
        self._features[:new] = features
        self._features[new:] = 0
        self._boxes[:new] = boxes
        likelihoods, added = self._run()
        if self._graph is not None:
            self._finished = self._graph.finished()
        rows[past:] = added[:new]
        return likelihoods[:new, :past].clone()


class AssociationGraphs:
    """
    The graphs of an association, captured when a second frame of a size comes.

    All cameras use them. Larger windows, and more objects, run step by step.

    :param association: in evaluation mode, on its device, for which `StreamingAssociation` is used
    :param background: whether a thread captures, while frames still run step by step
    :param log: called with a line of text if a graph is not available, on any thread
    """

    def __init__(
        self,
        association: AssociationTransformer,
        background: bool = False,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._association = association
        self._graphs = Captures(self._capture, len(OBJECTS) * len(ROWS), background, log)
        self._lock = threading.Lock()  # a graph has one input
        #: number of frames that were computed in graphs
        self.frames = 0

    def __call__(
        self, rows: Tensor, counts: Sequence[int], features: Tensor, boxes: Tensor
    ) -> Tensor | None:
        """Associate the objects of a new frame with those in the window; see `AssociationStep`."""
        size = fitting_size(len(features), len(rows) - len(features), len(counts))
        if size is None:
            return None
        title = f'associations of {size.objects} with {size.rows} objects'
        with self._lock:
            graph = self._graphs.get(size, lambda: None, title)
            if graph is None:
                return None
            self.frames += 1
            return graph(rows, counts, features, boxes)

    def _capture(self, size: _Size, _) -> AssociationGraph:
        return AssociationGraph(self._association, *size)


def fitting_size(objects: int, rows: int, frames: int) -> _Size | None:
    """Return the smallest size of a graph for so many new objects, rows and frames, if any."""
    if objects > OBJECTS[-1] or rows > ROWS[-1] or frames > FRAMES:
        return None
    return _Size(
        next(most for most in OBJECTS if objects <= most),
        next(most for most in ROWS if rows <= most),
    )
