# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A detector that changes to a faster form of its network between two frames."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
import threading
from typing import Protocol

from torch import Tensor

from gtr_ros.model.detector import Detector
from gtr_ros.model.resize import Batch
from gtr_ros.runtime.detector import RuntimeDetector


class Network(Protocol):
    """A faster form of a detector's network: in another runtime, or compiled."""

    def is_ready(self, size: tuple[int, ...]) -> bool:
        """Return whether an input of this shape, (B, 3, H, W), needs no preparation."""

    def prepare(self, size: tuple[int, ...]) -> None:
        """Prepare for inputs of this shape; on any thread."""

    def __call__(self, pixels: Tensor) -> Sequence[Tensor]:
        """Return the outputs of `Detector.network`."""


class SwitchingDetector(RuntimeDetector):
    """
    A detector whose network runs in its plain form until a faster one is ready, or if that fails.

    Resizing, decoding, features and association stay the same, so tracks are not affected.

    :param plain: the detector in torch
    :param background: whether the plain form computes the frames while the faster one prepares for
        the size of a new camera; otherwise they wait
    :param log: called with a line of text when the form changes, on any thread
    :param name: of the plain form, in what is logged
    """

    def __init__(
        self,
        plain: Detector,
        background: bool,
        log: Callable[[str], None],
        name: str = 'runtime torch',
    ) -> None:
        super().__init__(plain, plain.network)
        #: shape of the newest input, (B, 3, H, W); None before the first
        self.size: tuple[int, ...] | None = None
        #: stops what will choose the faster form; None: it is chosen
        self.choosing: Callable[[], None] | None = None
        #: whether `stop` was called
        self.stopped = False
        self._background = background
        self._log = log
        self._name = name
        self._faster: tuple[str, Network] | None = None
        self._preparing: threading.Thread | None = None
        self._warming_up = False

    @property
    def runtime(self) -> str:
        """Name of the faster form, if there is one, else 'torch'."""
        faster = self._faster
        return faster[0] if faster else 'torch'

    @property
    def faster(self) -> Network | None:
        """The faster form, if there is one."""
        return self._faster[1] if self._faster else None

    @property
    def is_ready(self) -> bool:
        """Whether the faster form computes inputs of the newest size."""
        faster, size = self._faster, self.size
        return faster is not None and size is not None and faster[1].is_ready(size)

    def take(self, runtime: str, network: Network) -> None:
        """Use a faster form from the next frame on, where it is ready; on any thread."""
        self._faster = runtime, network

    @contextmanager
    def warming_up(self) -> Iterator[None]:
        """In this block, the network runs for sizes made up, for which nothing is prepared."""
        self._warming_up = True
        try:
            yield
        finally:
            self._warming_up = False

    def stop(self) -> None:
        """End what is being prepared; the network stays as it is."""
        self.stopped = True
        if self.choosing is not None:
            self.choosing()
        faster = self._faster
        stop = getattr(faster[1], 'stop', None) if faster else None
        if stop is not None:
            stop()

    def network(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps and the outputs to decode; valid until the next run."""
        network = self._ready_for(tuple(pixels.shape))
        if network is not None:
            try:
                return tuple(network(pixels))
            except Exception as error:  # a camera must not stop because of a faster form
                self._give_up(self.runtime, error)
        return self.plain.network(pixels)

    def network_for(self, size: tuple[int, ...]) -> Callable[[Tensor], Sequence[Tensor]]:
        """Return what computes `network` for an input size, without a graph of its own."""
        network = self._ready_for(size)
        if network is None:
            return self.plain.network_for(size)
        for_size = getattr(network, 'for_size', None)
        return network if for_size is None else for_size(size)

    def maps(self, batch: Batch) -> Sequence[Tensor]:
        """Return the feature maps; in the plain form without the rest of the network."""
        if self._ready_for(tuple(batch.pixels.shape)) is None:
            return self.plain.maps(batch)
        return self.network(batch.pixels)[: len(self.strides)]

    def _ready_for(self, size: tuple[int, ...]) -> Network | None:
        """Return the faster form if it is ready for a size; otherwise it prepares for it."""
        if self._warming_up and self._background:
            return None
        self.size = size
        faster = self._faster
        if faster is None:
            return None
        runtime, network = faster
        try:
            if network.is_ready(size):
                return network
            if self._background:
                self._prepare(runtime, network, size)
                return None
            network.prepare(size)
            return network
        except Exception as error:
            self._give_up(runtime, error)
        return None

    def _prepare(self, runtime: str, network: Network, size: tuple[int, ...]) -> None:
        """Prepare for a new size on a thread, unless one is still at it."""
        if self.stopped or (self._preparing is not None and self._preparing.is_alive()):
            return

        def prepare() -> None:
            try:
                network.prepare(size)
            except Exception as error:
                self._give_up(runtime, error)

        # A daemon, so that the process can end at once.
        self._preparing = threading.Thread(target=prepare, name='runtime', daemon=True)
        self._preparing.start()

    def _give_up(self, runtime: str, error: Exception) -> None:
        self._faster = None
        if not self.stopped:
            self._log(f'{self._name} from now on: {runtime} failed: {error}')
