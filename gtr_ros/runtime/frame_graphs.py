# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whole frames as CUDA graphs: pinned memory in, one launch, one transfer back."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from functools import partial
import threading
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gtr_ros.model.gtr import Found
from gtr_ros.model.gtr import GTR
from gtr_ros.model.resize import check_image
from gtr_ros.runtime.captures import Captures
from gtr_ros.runtime.cuda_graph import CudaGraph
from gtr_ros.runtime.frame import FixedFrame
from gtr_ros.runtime.frame import unpack

#: maximum number of graphs of a model; frames of further sizes run step by step
MOST_GRAPHS = 16


class FrameGraph:
    """
    One frame as a CUDA graph; on a CPU the same function without a graph.

    :param frame: the function to be captured
    :param shape: (B, H, W, 3) of the images
    :param device: of the model
    :param pool: of memory, shared by graphs that do not run at the same time
    """

    @torch.inference_mode()
    def __init__(
        self,
        frame: FixedFrame,
        shape: tuple[int, ...],
        device: torch.device,
        pool: tuple[int, int] | None = None,
    ) -> None:
        cuda = device.type == 'cuda'
        self._images = torch.zeros(shape, dtype=torch.uint8, pin_memory=cuda)
        self._threshold = torch.ones((), pin_memory=cuda)
        self._run: Callable[[], tuple[Tensor, Tensor]] = self._uncaptured
        self._frame = frame
        # Outside of the graph, so that whatever is initialised at the first run exists.
        rows, _ = frame(self._images, self._threshold)
        if not cuda:
            return
        self._rows = torch.empty(rows.shape, pin_memory=True)
        inputs = self._images, self._threshold
        self._graph = CudaGraph(self._to_host, *inputs, device=device, pool=pool)
        self._run = self._replay

    @torch.inference_mode()
    def __call__(self, images: Sequence[np.ndarray], score_threshold: float) -> list[Found | None]:
        """
        Detect objects.

        :param images: (H, W, 3) uint8, as many and as large as the graph's
        :return: of each image; None where it is not exact
        """
        for own, image in zip(self._images.numpy(), images, strict=True):
            np.copyto(own, image)
        self._threshold.fill_(score_threshold)
        return unpack(*self._run())

    def _uncaptured(self) -> tuple[Tensor, Tensor]:
        return self._frame(self._images, self._threshold)

    def _to_host(self, images: Tensor, score_threshold: Tensor) -> tuple[Tensor, Tensor]:
        rows, features = self._frame(images, score_threshold)
        self._rows.copy_(rows, non_blocking=True)
        return rows, features  # both are kept, so that their memory is not used for anything else

    def _replay(self) -> tuple[Tensor, Tensor]:
        _, features = self._graph.replay()
        self._graph.finished().synchronize()
        return self._rows, features


class _Key(NamedTuple):
    """What a graph is captured for; `reverse`: the channels are in reverse order, as in BGR."""

    images: int
    height: int
    width: int
    reverse: bool


class FrameGraphs:
    """
    The graphs of a model, captured when a second frame of a size comes; see `Frames`.

    The first frame of a size runs step by step, and so does a frame whose result in fixed shapes
    is not exact.

    :param model: in evaluation mode, on its device; its detector has `candidates`
    :param background: whether a thread captures, while frames still run step by step
    :param log: called with a line of text if a graph is not available, on any thread
    """

    def __init__(
        self,
        model: GTR,
        background: bool = False,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._model = model
        self._graphs = Captures(self._capture, MOST_GRAPHS, background, log)
        self._pool = torch.cuda.graph_pool_handle() if model.device.type == 'cuda' else None
        self._lock = threading.Lock()  # a graph has one input
        #: number of images that were computed in graphs
        self.images = 0
        #: number of images whose result was not exact, so that they ran step by step
        self.inexact = 0

    def find(self, images: Sequence[np.ndarray], score_threshold: float) -> list[Found | None]:
        """Find objects in images of one size; see `Frames.find`."""
        for image in images:
            check_image(image)
        with self._lock:
            return self._find(images, score_threshold)

    def _find(self, images: Sequence[np.ndarray], score_threshold: float) -> list[Found | None]:
        reverse = all(image.strides[2] < 0 for image in images)
        key = _Key(len(images), *images[0].shape[:2], reverse)
        title = f'{key.images} x {key.width} x {key.height} pixels'
        graph = self._graphs.get(key, partial(self._network, key), title)
        if graph is None:
            return [None] * len(images)
        if reverse:  # copied as they are in memory; the device reverses what is resized
            images = [image[..., ::-1] for image in images]
        found = graph(images, score_threshold)
        self.images += len(found)
        self.inexact += sum(each is None for each in found)
        return found

    def _network(self, key: _Key) -> Callable[[Tensor], Sequence[Tensor]]:
        """Return the fastest form of the network that is ready."""
        detector = self._model.detector
        size = detector.resize.input_size(key.height, key.width)
        return detector.network_for((key.images, 3, *size))

    def _capture(self, key: _Key, network: Callable[[Tensor], Sequence[Tensor]]) -> FrameGraph:
        model = self._model
        frame = FixedFrame(model, (key.height, key.width), key.reverse, network)
        shape = key.images, key.height, key.width, 3
        return FrameGraph(frame, shape, model.device, self._pool)
