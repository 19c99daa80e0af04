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
from typing import NamedTuple
from typing import TYPE_CHECKING

import numpy as np
import torch

from gtr_ros.model.build import choose_device
from gtr_ros.node.tracker.parameters import ConfigurationError
from gtr_ros.profiling import FrameTimer
from gtr_ros.profiling import NO_TIMER
from gtr_ros.runtime.loading import load_model
from gtr_ros.structures import Detections
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import RULES
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.camera_motion import CameraMotion
from gtr_ros.tracking.rules import rule_name

if TYPE_CHECKING:
    from gtr_ros.node.tracker.parameters import NodeParameters
    from gtr_ros.profiling import Profiler
    from gtr_ros.structures import Tracks
    from gtr_ros.tracking.recognition import Return
    from gtr_ros.tracking.rules import Rule

_WARM_UP_SIZE = (480, 640)
_MOST_CLASSES = 1 << 16  # vision_msgs/VisionClass counts them in uint16


@dataclass(frozen=True)
class Frame:
    """
    An image that was read.

    :param image: (H, W, 3) uint8, RGB, any strides
    :param stamp: nanoseconds; None where it has none
    :param detections: of another detector, without features; None: ours is to look
    :param timer: what is done with it, timed
    """

    image: np.ndarray
    stamp: int | None
    detections: Detections | None = None
    timer: FrameTimer = NO_TIMER


class Events(NamedTuple):
    """
    What became of a camera's tracks until now.

    :param resets: how often every one of them was forgotten
    :param repaired_stamps: images whose stamp was not after the one before, and that were tracked
    :param returns: how often somebody who was lost came back and was known again
    :param last_return: the newest of those
    """

    resets: int = 0
    repaired_stamps: int = 0
    returns: int = 0
    last_return: Return | None = None


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
        self._rule = _rule(parameters)
        self._trackers: dict[str, Tracker] = {}
        self._motions: dict[str, CameraMotion] = {}
        self._lock = threading.Lock()  # of both, which the node's thread resets
        self.update(parameters)
        for camera in parameters.camera_names:
            self._trackers[camera] = Tracker(
                self.model.association,
                self._rule,
                parameters.window,
                parameters.min_hits or None,
                parameters.score_threshold,
            )
            if parameters.camera_motion and isinstance(self._rule, EvidenceRule):
                self._motions[camera] = CameraMotion()

    @property
    def association(self) -> str:
        """One line on which linking is run."""
        return self._rule.describe(self.model.association)

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
            self._least_score = parameters.weak_score_threshold or parameters.score_threshold
            for tracker in self._trackers.values():
                tracker.window = parameters.window
                tracker.min_hits = parameters.min_hits or None
                tracker.begin_score = parameters.score_threshold

    def reset(self) -> None:
        """Forget every track of every camera; ids go on counting."""
        with self._lock:
            for forgetful in (*self._trackers.values(), *self._motions.values()):
                forgetful.reset()

    def events(self, camera: str = '') -> Events:
        """Say what became of a camera's tracks until now."""
        tracker = self._trackers[camera]
        return Events(
            tracker.resets, tracker.repaired_stamps, tracker.returns, tracker.last_return
        )

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
        """Find the objects of one frame of each camera, of all classes, with features."""
        if not self._own_detector:
            return [self._describe(frame) for frame in frames]
        images, stamps = [f.image for f in frames], [f.stamp for f in frames]
        return self.model.detect(images, stamps, self._least_score)

    def compensate(self, frame: Frame, detections: Detections, camera: str = '') -> Detections:
        """
        Say how the camera moved since its frame before, if that is asked for and can be told.

        :param detections: of the frame, those of classes that nobody wants among them: they, too,
            are not background
        :return: the same, with `Detections.camera`
        """
        if camera not in self._motions:
            return detections
        with self._lock:
            moved = self._motions[camera].update(frame.image, detections.boxes)
        return replace(detections, camera=moved)

    def follow(self, detections: Detections, camera: str = '') -> Tracks:
        """Say who a frame's objects are, those of the classes that are wanted."""
        with self._lock:
            if self._wanted:
                names = enumerate(self.class_names)
                labels = [label for label, name in names if name in self._wanted]
                detections = detections.select(np.isin(detections.labels, labels))
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
        self._motions.clear()
        gc.collect()
        if self.device.type == 'cuda':
            torch.cuda.empty_cache()

    def _describe(self, frame: Frame) -> Detections:
        objects = frame.detections
        objects = objects.select(objects.scores >= self._least_score)
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


def _rule(parameters: NodeParameters) -> Rule:
    """Return what links detections to tracks."""
    own_detector = not parameters.detections_topic
    rule = RULES[rule_name(parameters.rule, parameters.model, own_detector)]
    if not isinstance(rule, EvidenceRule):
        return rule
    size, seconds = parameters.gallery_size, parameters.gallery_seconds
    return replace(rule, gallery=replace(rule.gallery, size=size, seconds=seconds))


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
