# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model and a tracker for each camera: images in, tracks out. Does not need rclpy."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import replace
from functools import partial
import gc
import threading
from typing import TYPE_CHECKING

import numpy as np
import torch

from gtr_ros.options import ConfigurationError
from gtr_ros.profiling import FrameTimer
from gtr_ros.profiling import NO_TIMER
from gtr_ros.profiling import Profiler
from gtr_ros.runtime.loading import describe_runtime
from gtr_ros.runtime.loading import load_model
from gtr_ros.runtime.loading import stop_preparing
from gtr_ros.runtime.loading import warming_up
from gtr_ros.runtime.pipeline import labels_of
from gtr_ros.structures import Detections
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.camera_motion import CameraMotion
from gtr_ros.tracking.rules import find_rule

if TYPE_CHECKING:
    from gtr_ros.model.options import ModelOptions
    from gtr_ros.node.tracker.parameters import NodeParameters
    from gtr_ros.structures import Tracks

# (height, width) of made-up images: cameras of other sizes mostly have one of these shapes, with
# which most models give the network the same input.
_WARM_UP_SIZES = ((480, 640), (720, 1280))
_TENTH = 100_000_000  # of a second, nanoseconds
_MAX_CLASSES = 1 << 16  # class_id of vision_msgs/VisionClass is a uint16


@dataclass(frozen=True)
class CameraFrame:
    """
    One image of a camera, converted.

    :param image: (H, W, 3) uint8, RGB, any strides
    :param stamp: nanoseconds; None if it has none
    :param detections: from another detector, without features; None: use the built-in detector
    :param timer: measures the stages of the frame's processing
    """

    image: np.ndarray
    stamp: int | None
    detections: Detections | None = None
    timer: FrameTimer = NO_TIMER


class Pipeline:
    """
    The processing of all cameras' images: detector, camera motion and trackers.

    :param parameters: of the node
    :param progress: called with one line about each step of loading
    :raises ConfigurationError: if the device, a class or the weights do not exist
    """

    def __init__(
        self, parameters: NodeParameters, progress: Callable[[str], None] = lambda line: None
    ) -> None:
        # On a temporary thread: OpenMP keeps a pool of threads for each thread that has computed
        # in parallel. If the threads in all pools together outnumber the cores, none of them spins
        # while it waits for work, and the worker's frames take half as long again.
        with ThreadPoolExecutor(1, 'builder') as builder:
            builder.submit(self._load, parameters, progress).result()
        self._options: ModelOptions = parameters
        self._own_detector = not parameters.detections_topic
        # Classes from another detector are added when they first occur.
        self.class_names = list(self.model.class_names) if self._own_detector else []
        self._profiler = Profiler((), enabled=False)
        self._rule = find_rule(
            parameters.rule,
            parameters.model,
            self._own_detector and not parameters.detector,
            parameters.gallery_size,
            parameters.gallery_seconds,
        )
        self._trackers: dict[str, Tracker] = {}
        self._motions: dict[str, CameraMotion] = {}
        # The image and boxes of each camera that its CameraMotion has not seen.
        self._unseen: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._lock = threading.Lock()  # of all three, which the executor's thread resets
        self.update(parameters)
        for camera in parameters.camera_names:
            self._trackers[camera] = Tracker(
                self.model.association,
                self._rule,
                parameters.window,
                parameters.min_hits or None,
                parameters.score_threshold,
            )
            if parameters.compensates:
                self._motions[camera] = CameraMotion()

    @property
    def place(self) -> str:
        """Description of what runs the model now, for logs; a faster runtime may follow."""
        return describe_runtime(self._options, self.model)

    @property
    def association(self) -> str:
        """The linking rule and the association, in one line."""
        return self._rule.describe(self.model.association)

    @property
    def device_megabytes(self) -> str:
        """The GPU memory that torch has reserved, in MB; empty on a CPU."""
        if self.device.type != 'cuda':
            return ''
        return f'{torch.cuda.memory_reserved(self.device) / 1e6:.0f}'

    @property
    def description(self) -> str:
        """Detector, linking rule and association, in one line."""
        detector = self.model.detector.kind if self._own_detector else 'another detector'
        if self._options.detector:
            detector = self.model.external.description
        return f'{detector}; {self.association}'

    def update(self, parameters: NodeParameters) -> None:
        """
        Apply the parameters that can be changed while the node runs.

        :raises ConfigurationError: if the model does not know a class; nothing is changed then
        """
        if self._own_detector:
            labels_of(parameters.class_names, self.class_names)  # raises if one is unknown
        with self._lock:
            self._wanted = frozenset(parameters.class_names)
            self.score_threshold = parameters.score_threshold
            self._least_score = parameters.weak_score_threshold or parameters.score_threshold
            for tracker in self._trackers.values():
                tracker.window = parameters.window
                tracker.min_hits = parameters.min_hits or None
                tracker.begin_score = parameters.score_threshold

    def reset(self) -> None:
        """End all tracks of all cameras; ids continue to count up."""
        with self._lock:
            for stateful in (*self._trackers.values(), *self._motions.values()):
                stateful.reset()
            self._unseen.clear()

    def tracker(self, camera: str = '') -> Tracker:
        """Return the tracker of a camera; its counters may be read on any thread."""
        return self._trackers[camera]

    def label_of(self, name: str) -> int:
        """
        Return the label of a class; a new class of another detector gets the next one.

        :raises ValueError: if there are too many classes
        """
        if name not in self.class_names:
            if len(self.class_names) == _MAX_CLASSES:
                raise ValueError(
                    f'the other detector has sent {_MAX_CLASSES} class names and now {name!r}; '
                    'is its class_id a class name?'
                )
            self.class_names.append(name)
        return self.class_names.index(name)

    def detect(self, frames: Sequence[CameraFrame]) -> list[Detections]:
        """
        Detect the objects in one frame of each camera, in one batch.

        :return: for each frame, the objects of all classes, with features
        """
        for frame in frames:
            frame.timer.mark('rest')
        if self._own_detector:
            images, stamps = [frame.image for frame in frames], [frame.stamp for frame in frames]
            found = self.model.detect(images, stamps, self._least_score)
        else:
            found = [self._describe(frame) for frame in frames]
        parts = self._profiler.take_parts()
        for frame in frames:
            frame.timer.mark('detector', parts)
        return found

    def compensate(
        self,
        frame: CameraFrame,
        detections: Detections,
        camera: str = '',
        motion: np.ndarray | None = None,
    ) -> Detections:
        """
        Add how the camera moved since its previous frame, if this is enabled by a parameter.

        :param detections: of the frame, including those of unwanted classes, because they are not
            background
        :param motion: (2, 3) float64, the motion if it is known; None: it is estimated from the
            images
        :return: the same, with `Detections.camera`
        """
        if camera not in self._motions:
            return detections
        with self._lock:
            if motion is not None:
                self._unseen[camera] = frame.image, detections.boxes
            else:
                motion = self._estimate_motion(frame.image, detections.boxes, camera)
        return replace(detections, camera=motion)

    def _estimate_motion(
        self, image: np.ndarray, boxes: np.ndarray, camera: str
    ) -> np.ndarray | None:
        """Return the motion since the camera's previous frame, even if that was not estimated."""
        estimator = self._motions[camera]
        if camera in self._unseen:
            estimator.reset()
            estimator.update(*self._unseen.pop(camera))
        return estimator.update(image, boxes)

    def track(self, detections: Detections, camera: str = '') -> Tracks:
        """Assign track ids to the detections of a frame that have a wanted class."""
        with self._lock:
            if self._wanted:
                names = enumerate(self.class_names)
                labels = [label for label, name in names if name in self._wanted]
                detections = detections.select(np.isin(detections.labels, labels))
            return self._trackers[camera].update(detections)

    def warm_up(self, is_over: Callable[[], bool] = lambda: False) -> None:
        """
        Process made-up frames, for what each thread initialises when it first computes.

        No track or id is left of them. What fails here fails again with an image, and is reported
        then.

        :param is_over: whether an image is waiting, so that no further frame is made up
        """
        for size in _WARM_UP_SIZES:
            if is_over():
                return
            with suppress(Exception), warming_up(self.model):
                self._process_made_up(size)
        self._profiler.take_parts()

    def _process_made_up(self, size: tuple[int, int]) -> None:
        height, width = size
        image = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
        image = image.repeat(8, axis=0).repeat(8, axis=1)
        left, top = width * np.array([0.1, 0.3, 0.5, 0.7]), np.full(4, 0.25 * height)
        boxes = np.stack((left, top, left + 0.1 * width, top + 0.5 * height), axis=1)
        objects = Detections(
            boxes=boxes.astype(np.float32),
            scores=np.full(4, 0.9, np.float32),
            labels=np.zeros(4, np.int64),
            features=torch.zeros(4, 1),
            image_size=size,
            class_scores=np.full((4, max(1, len(self.class_names))), 0.1, np.float32),
        )
        if self._own_detector:
            self.model.detect([image] * len(self._trackers), None, 1.0)
        objects = self.model.describe(image, objects)
        tracker, motion = Tracker(self.model.association, self._rule, 2, 1), CameraMotion()
        for stamp in (1, 2):
            camera = motion.update(image, objects.boxes)
            tracks = tracker.update(replace(objects, stamp=stamp * _TENTH, camera=camera))
            list(tracks.trajectories)  # they are computed when they are read

    def watch(self, profiler: Profiler) -> None:
        """Measure the parts of `detect`, each until the device has finished it."""
        self._profiler = profiler
        wait = partial(torch.cuda.synchronize, self.device) if self.device.type == 'cuda' else None
        for part in ('prepare', 'network', 'decode'):
            profiler.watch(self.model.detector, part, wait)
        profiler.watch(self.model, 'features', wait)
        if self._options.detector:
            profiler.watch(self.model.external, 'find')

    def close(self) -> None:
        """Release the device's memory; the pipeline cannot be used afterwards."""
        stop_preparing(self.model)
        self.model = None
        self._trackers.clear()
        self._motions.clear()
        self._unseen.clear()
        gc.collect()
        if self.device.type == 'cuda':
            torch.cuda.empty_cache()

    def _describe(self, frame: CameraFrame) -> Detections:
        objects = frame.detections
        objects = objects.select(objects.scores >= self._least_score)
        return replace(self.model.describe(frame.image, objects), stamp=frame.stamp)

    def _load(self, parameters: NodeParameters, progress: Callable[[str], None]) -> None:
        """Build the model, and run it once."""
        try:
            progress(f'loading {parameters.checkpoint or "the weights"} of {parameters.model}')
            self.model = load_model(parameters, progress, background=True)
            self.device = self.model.device
            progress(f'warming up on {self.device}')
            # The first run allocates memory and, on CUDA, loads kernels. It happens here so that
            # no frame waits for it, and so that a device that cannot run the model fails now.
            images = [np.zeros((*_WARM_UP_SIZES[0], 3), np.uint8)] * len(parameters.camera_names)
            with warming_up(self.model):
                self.model.detect(images, None, 1.0)
        except (ValueError, ArithmeticError) as error:
            raise ConfigurationError(str(error)) from error
        except RuntimeError as error:
            raise ConfigurationError(_does_not_run(parameters.device, error)) from error


def _does_not_run(device: str, error: RuntimeError) -> str:
    return (
        f'the model does not run on device {device}: {error}. '
        "Try device 'cpu', or free the device's memory"
    )
