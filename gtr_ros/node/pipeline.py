# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One model and a tracker a camera, as the parameters ask: images in, tracks out. No rclpy."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
import gc
import threading
from typing import TYPE_CHECKING

import numpy as np
import torch

from gtr_ros.model.build import choose_device
from gtr_ros.node.parameters import ConfigurationError
from gtr_ros.profiling import Laps
from gtr_ros.profiling import NO_LAPS
from gtr_ros.runtime.loading import load_model
from gtr_ros.structures import Detections
from gtr_ros.tracking import RULES
from gtr_ros.tracking import Tracker

if TYPE_CHECKING:
    from gtr_ros.node.parameters import NodeParameters
    from gtr_ros.profiling import Profiler
    from gtr_ros.structures import Tracks

_WARM_UP_SIZE = (480, 640)
_MOST_CLASSES = 1 << 16  # vision_msgs/VisionClass counts them in uint16


@dataclass(frozen=True)
class Frame:
    """
    An image that was read.

    :param image: (H, W, 3) uint8, RGB, any strides
    :param stamp: nanoseconds; None where it has none
    :param detections: of another detector, without features; None: ours is to look
    :param laps: what is done with it, timed
    """

    image: np.ndarray
    stamp: int | None
    detections: Detections | None = None
    laps: Laps = NO_LAPS


class Pipeline:
    """
    The way from images to identities, of all cameras.

    :param parameters: the node's; those the pipeline does not need are ignored
    :param progress: told in a line what is being done
    :raises ConfigurationError: if there is no such device, no such class, or no such weights
    """

    def __init__(
        self, parameters: NodeParameters, progress: Callable[[str], None] = lambda line: None
    ) -> None:
        if parameters.threads:
            torch.set_num_threads(parameters.threads)
        # In a thread that ends: OpenMP keeps threads for each one that has computed in parallel,
        # and where all of them are more than the cores, none waits for work without falling
        # asleep. The worker's frames took half as long again.
        with ThreadPoolExecutor(1, 'builder') as builder:
            builder.submit(self._load, parameters, progress).result()
        #: for people: what runs the model
        self.place = ' '.join(
            [
                str(self.device),
                *([parameters.precision] if parameters.precision != 'float32' else []),
                *(['compiled'] if parameters.compile else []),
            ]
        )
        if parameters.runtime != 'torch':
            self.place = f'{parameters.runtime}, provider {parameters.provider}'
        self._own_detector = not parameters.detections_topic
        # Another detector's classes are known when they come.
        self.class_names = list(self.model.class_names) if self._own_detector else []
        self._rule = RULES[parameters.rule or parameters.model]
        self._trackers: dict[str, Tracker] = {}
        self._lock = threading.Lock()  # of trackers, which the node's thread resets
        self.update(parameters)
        for camera in parameters.camera_names:
            self._trackers[camera] = Tracker(
                self.model.association, self._rule, parameters.window, parameters.min_hits
            )

    @property
    def association(self) -> str:
        """One line on which linking is run."""
        return f'{self.model.association.description}; {self._rule.description}'

    @property
    def device_megabytes(self) -> str:
        """The device's memory that torch holds; of a CPU nothing is known."""
        if self.device.type != 'cuda':
            return ''
        return f'{torch.cuda.memory_reserved(self.device) / 1e6:.0f}'

    @property
    def description(self) -> str:
        """One line on all that runs."""
        detector = self.model.detector.kind if self._own_detector else 'another detector'
        return f'{detector}; {self.association}'

    def update(self, parameters: NodeParameters) -> None:
        """
        Take over those parameters that can be changed while the node runs.

        :raises ConfigurationError: if a class is not known; nothing is changed then
        """
        if self._own_detector:
            _check_classes(parameters.class_names, self.class_names)
        with self._lock:
            self._wanted = frozenset(parameters.class_names)
            self.score_threshold = parameters.score_threshold
            for tracker in self._trackers.values():
                tracker.window = parameters.window
                tracker.min_hits = parameters.min_hits

    def reset(self) -> None:
        """Forget every track of every camera; ids go on counting."""
        with self._lock:
            for tracker in self._trackers.values():
                tracker.reset()

    def resets(self, camera: str = '') -> int:
        """Return how often every track of a camera was forgotten."""
        return self._trackers[camera].resets

    def label_of(self, name: str) -> int:
        """Return the label of a class, which is new if another detector says so: an index."""
        if name not in self.class_names:
            if len(self.class_names) == _MOST_CLASSES:
                raise ValueError(
                    f'the detector has sent {_MOST_CLASSES} names of classes and now {name!r}; is '
                    'class_id a name there?'
                )
            self.class_names.append(name)
        return self.class_names.index(name)

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Find the objects of one frame of each camera, those that are wanted, with features."""
        if self._own_detector:
            images, stamps = [f.image for f in frames], [f.stamp for f in frames]
            found = self.model.detect(images, stamps, self.score_threshold)
        else:
            found = [self._describe(frame) for frame in frames]
        wanted = self._wanted
        if not wanted:
            return found
        labels = [label for label, name in enumerate(self.class_names) if name in wanted]
        return [objects.select(np.isin(objects.labels, labels)) for objects in found]

    def follow(self, detections: Detections, camera: str = '') -> Tracks:
        """Say who a frame's objects are."""
        with self._lock:
            return self._trackers[camera].update(detections)

    def watch(self, profiler: Profiler) -> None:
        """Let the parts of `detect` be timed, each until the device has done it."""
        wait = partial(torch.cuda.synchronize, self.device) if self.device.type == 'cuda' else None
        for part in ('prepare', 'network', 'decode'):
            profiler.watch(self.model.detector, part, wait)
        profiler.watch(self.model, 'features', wait)

    def close(self) -> None:
        """Give the device's memory back; nothing else may be called afterwards."""
        self.model = None
        self._trackers.clear()
        gc.collect()
        if self.device.type == 'cuda':
            torch.cuda.empty_cache()

    def _describe(self, frame: Frame) -> Detections:
        objects = frame.detections
        objects = objects.select(objects.scores >= self.score_threshold)
        return replace(self.model.describe(frame.image, objects), stamp=frame.stamp)

    def _load(self, parameters: NodeParameters, progress: Callable[[str], None]) -> None:
        """Build the model, and run it once."""
        try:
            self.device = choose_device(parameters.device)
            progress(f'loading {parameters.checkpoint or "the weights"} of {parameters.model}')
            self.model = load_model(
                parameters.model,
                parameters.checkpoint,
                parameters.runtime,
                parameters.device,
                parameters.provider,
                parameters.exported,
                parameters.precision,
                parameters.compile,
                progress,
            )
            if parameters.runtime != 'torch':
                self.device = torch.device('cpu')  # where images and features are
            progress(f'warming up on {self.device}')
            # The first run allocates memory and, on CUDA, loads kernels: no camera should wait for
            # it, and a device that cannot run the model should be known now.
            images = [np.zeros((*_WARM_UP_SIZE, 3), np.uint8)] * len(parameters.camera_names)
            self.model.detect(images, None, 1.0)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        except RuntimeError as error:
            raise ConfigurationError(_does_not_run(self.device, error)) from error


def _does_not_run(device: torch.device, error: RuntimeError) -> str:
    return (
        f'the model does not run on device {device}: {error}. '
        "Try device 'cpu', or free the device's memory"
    )


def _check_classes(wanted: Sequence[str], known: Sequence[str]) -> None:
    for name in wanted:
        if name not in known:
            close = get_close_matches(name, known) or known
            raise ConfigurationError(
                f'class_names has {name!r}, which this model does not know; '
                f'did you mean one of {", ".join(close)}?'
            )
