# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A detector that runs in torch, and changes to a faster runtime between two frames."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import threading

from torch import Tensor

from gtr_ros.model.detector import Detector
from gtr_ros.model.resize import Batch
from gtr_ros.runtime.choice import Network
from gtr_ros.runtime.detector import RuntimeDetector


class SwitchingDetector(RuntimeDetector):
    """
    A detector whose network runs in torch until another runtime is ready, and if that fails.

    Resizing, decoding, features and association stay the same, so tracks are not affected.

    :param plain: the detector in torch
    :param background: whether torch computes the frames while the other runtime prepares for the
        size of a new camera; otherwise they wait
    :param log: called with a line of text when the runtime changes, on any thread
    """

    def __init__(self, plain: Detector, background: bool, log: Callable[[str], None]) -> None:
        super().__init__(plain, plain.network)
        #: shape of the newest input, (B, 3, H, W); None before the first
        self.size: tuple[int, ...] | None = None
        #: stops what a thread prepares; None: nothing is being prepared
        self.stop: Callable[[], None] | None = None
        self._background = background
        self._log = log
        self._faster: tuple[str, Network] | None = None
        self._preparing: threading.Thread | None = None

    @property
    def runtime(self) -> str:
        """Name of the runtime of the next frame."""
        faster = self._faster
        return faster[0] if faster else 'torch'

    def take(self, runtime: str, network: Network) -> None:
        """Use a network in another runtime from the next frame on; on any thread."""
        self._faster = runtime, network

    def network(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps and the outputs to decode; valid until the next run."""
        self.size = size = tuple(pixels.shape)
        faster = self._faster
        if faster is None:
            return self.plain.network(pixels)
        runtime, network = faster
        try:
            if network.is_ready(size):
                return tuple(network(pixels))
            if not self._background:
                network.prepare(size)
                return tuple(network(pixels))
        except Exception as error:  # a camera must not stop because of a faster runtime
            self._give_up(runtime, error)
        else:
            self._prepare(runtime, network, size)
        return self.plain.network(pixels)

    def maps(self, batch: Batch) -> Sequence[Tensor]:
        """Return the feature maps; in torch without the rest of the network."""
        if self._faster is None:
            return self.plain.maps(batch)
        return self.network(batch.pixels)[: len(self.strides)]

    def _prepare(self, runtime: str, network: Network, size: tuple[int, ...]) -> None:
        """Prepare for a new size on a thread, unless one is still at it."""
        if self._preparing is not None and self._preparing.is_alive():
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
        self._log(f'runtime torch from now on: {runtime} failed: {error}')
