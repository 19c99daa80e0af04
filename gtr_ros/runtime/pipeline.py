# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pipeline of one camera for Python programs: frames in, tracks out."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from difflib import get_close_matches
from itertools import islice
import operator

import numpy as np

from gtr_ros.media.read_ahead import ReadAhead
from gtr_ros.media.video import VideoFrame
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.registry import tracking_defaults
from gtr_ros.options import check_range
from gtr_ros.options import ConfigurationError
from gtr_ros.options import RULES
from gtr_ros.runtime.loading import load_model
from gtr_ros.runtime.results import confirmed_only
from gtr_ros.structures import Detections
from gtr_ros.structures import Tracks
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.camera_motion import CameraMotion
from gtr_ros.tracking.rules import find_rule

#: orders of the channels of an image: 'bgr' as from OpenCV, 'rgb' as from Pillow and `VideoReader`
COLOURS = ('bgr', 'rgb')

_TOGETHER = 8  # frames of a recording that a GPU gets in one batch


class TrackingPipeline:
    """
    Detector, camera motion and tracker of one camera: call it with each frame, in order.

    ```
    pipeline = TrackingPipeline()
    with VideoReader('video.mp4') as video:
        for frame in video:
            tracks = pipeline(frame)
    ```

    It gives the results of `gtr track`. For several cameras, make one pipeline for each; they can
    share a loaded model, and must then be called from one thread at a time.

    :param model: options of the model, which is loaded here; or a loaded one, see `load_model`
    :param rule: rule that links detections to tracks, one of `gtr_ros.options.RULES`. '': that of
        the model
    :param window: number of frames in trajectories and for P_A, at least 2; None: that of the
        model
    :param min_hits: number of boxes after which a track is confirmed; 0: by its probability of
        existence; None: that of the model, which is 0 for mobile and 5 for mot and tao
    :param score_threshold: in [0, 1], boxes with a lower score do not start tracks; None: that of
        the model
    :param weak_score_threshold: in [0, 1], boxes with at least this score can continue a track;
        0: off
    :param class_names: names of the classes to track; empty: all of the model
    :param camera_motion: whether to estimate the motion of the camera, for the rule evidence
    :param gallery_size: maximum number of lost tracks that the rule evidence re-identifies by
        appearance; 0: none
    :param gallery_seconds: for which it keeps a lost track
    :param colour: of images that are arrays, one of `COLOURS`; None: it is given in each call
    :param tentative: whether the results include tracks that are not confirmed yet
    :raises ConfigurationError: if a value is out of range, the model does not know a class, or the
        rule has no gallery of which size or seconds could be set
    :raises ValueError: if weights, device or runtime of the model are not available
    """

    def __init__(
        self,
        model: ModelOptions | GTR = ModelOptions(),
        *,
        rule: str = '',
        window: int | None = None,
        min_hits: int | None = None,
        score_threshold: float | None = None,
        weak_score_threshold: float = 0.0,
        class_names: Sequence[str] = (),
        camera_motion: bool = True,
        gallery_size: int = 1000,
        gallery_seconds: float = 900.0,
        colour: str | None = None,
        tentative: bool = False,
    ) -> None:
        options = model if isinstance(model, ModelOptions) else None
        name = model.name if options is None else options.model
        if not name and not rule:
            raise ConfigurationError(
                'this model was not loaded by its name (load_model), so it has no linking rule of '
                f'its own; give rule, one of {", ".join(RULES)}'
            )
        defaults = tracking_defaults(name)
        window = defaults['window'] if window is None else window
        min_hits = defaults['min_hits'] if min_hits is None else min_hits
        numbers = {
            'window': window,
            'min_hits': min_hits,
            'gallery_size': gallery_size,
            'gallery_seconds': gallery_seconds,
        }
        for option, value in numbers.items():
            check_range(option, value)
        _check_colour(colour)
        #: what computes the detections; `GTR.describe` computes features of another detector's
        self.model: GTR = model if options is None else load_model(options)
        own_detector = self.model.external is None
        linking = find_rule(rule, name, own_detector, gallery_size, gallery_seconds)
        if not isinstance(linking, EvidenceRule):
            _check_gallery(gallery_size, gallery_seconds)
        #: whether the results include tracks that are not confirmed yet
        self.tentative = tentative
        self._colour = colour
        begin_score, self._min_score = thresholds_of(
            self.model.score_threshold, score_threshold, weak_score_threshold
        )
        self._wanted = labels_of(class_names, self.model.class_names)
        self._motion = None
        if camera_motion and isinstance(linking, EvidenceRule):
            self._motion = CameraMotion()
        self._tracker = Tracker(
            self.model.association, linking, window, min_hits or None, begin_score
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the model's classes, in the order of `Tracks.labels`."""
        return self.model.class_names

    @property
    def returns(self) -> int:
        """Number of lost tracks re-identified so far."""
        return self._tracker.returns

    @property
    def resets(self) -> int:
        """Number of stamps that went back by more than a second: new ids began there."""
        return self._tracker.resets

    @property
    def repaired_stamps(self) -> int:
        """Number of frames whose stamp was not after the previous one; they were tracked."""
        return self._tracker.repaired_stamps

    def __call__(
        self,
        frame: VideoFrame | np.ndarray,
        stamp: int | None = None,
        colour: str | None = None,
    ) -> Tracks:
        """
        Track the objects of the next frame.

        :param frame: of a `VideoReader`, which has its stamp and is RGB; or an image, (H, W, 3)
            uint8, any strides
        :param stamp: time of the image, nanoseconds, such as `time.monotonic_ns()`; None: that of
            the `VideoFrame`; an array without it is 0.1 s after the previous one
        :param colour: order of the image's channels, one of `COLOURS`; None: that of the pipeline
        :return: the confirmed tracks of the frame; with `tentative` also the others
        :raises ValueError: if the image is not (H, W, 3) uint8, or its colour was not given
        :raises TypeError: if the frame is not an array, or the stamp is not an integer
        """
        if isinstance(frame, VideoFrame):
            if colour == 'bgr':
                raise ValueError("colour is 'bgr' for a VideoFrame, which is RGB; leave it out")
            image = frame.image
            stamp = frame.stamp if stamp is None else stamp
        else:
            image = _as_rgb(frame, colour or self._colour)
        [detections] = self.detect([image], [_whole(stamp)])
        return self.track(image, detections)

    def track_all(
        self, frames: Iterable[VideoFrame], together: int | None = None
    ) -> Iterator[tuple[VideoFrame, Tracks]]:
        """
        Track a recording; several of its frames go through the detector together.

        The tracks are those of one call per frame, up to rounding in the detector. On a GPU, a
        thread reads and detects the next frames while the trackers of the previous ones run.

        :param frames: in order; not of a live camera, whose frames would wait for each other.
            With `together` above 1 they are read on another thread
        :param together: number of frames that are detected together; None: 8 on a GPU, 1 on a
            CPU, which is faster with one at a time
        :return: yields each frame with its tracks, as when the pipeline is called
        """
        together = together or (_TOGETHER if self.model.batches else 1)
        groups = self._detect_groups(iter(frames), together)
        # With one frame at a time, the next one may not exist yet: that of a camera.
        with ReadAhead(groups, 1) if together > 1 else nullcontext(groups) as groups:
            for group in groups:
                for frame, detections in group:
                    yield frame, self.track(frame.image, detections)

    def _detect_groups(
        self, frames: Iterator[VideoFrame], together: int
    ) -> Iterator[list[tuple[VideoFrame, Detections]]]:
        """Yield the frames of each batch with their detections; those before an error, too."""
        error = None
        while error is None:
            group: list[VideoFrame] = []
            try:
                group.extend(islice(frames, together))
            except Exception as raised:  # such as a damaged file
                error = raised
            if group:
                images = [frame.image for frame in group]
                found = self.detect(images, [frame.stamp for frame in group])
                yield list(zip(group, found, strict=True))
            elif error is None:
                return
        raise error

    def detect(
        self, images: Sequence[np.ndarray], stamps: Sequence[int | None] | None = None
    ) -> list[Detections]:
        """
        Detect the objects in one or more frames of the camera, without tracking them.

        :param images: (H, W, 3) uint8 RGB; a GPU gets images of one size in one batch
        :param stamps: nanoseconds, one for each image; None without a clock
        :return: detections of each image, for `track`
        """
        return self.model.detect(images, stamps, self._min_score)

    def track(self, image: np.ndarray, detections: Detections) -> Tracks:
        """
        Assign track ids to the detections of the next frame.

        :param image: (H, W, 3) uint8 RGB, the image of the detections, for the camera's motion
        :param detections: with features, from `detect`; those of another detector from
            `GTR.describe`. Those with a score below `score_threshold` do not start tracks
        :return: as when the pipeline is called
        """
        if self._motion is not None:
            # Before the classes are selected, because unwanted objects are not background either.
            detections = replace(detections, camera=self._motion.update(image, detections.boxes))
        if self._wanted is not None:
            detections = detections.select(np.isin(detections.labels, self._wanted))
        tracks = self._tracker.update(detections)
        return tracks if self.tentative else confirmed_only(tracks)

    def reset(self) -> None:
        """End all tracks, for a new video or place; ids continue to count up."""
        self._tracker.reset()
        if self._motion is not None:
            self._motion.reset()


def labels_of(wanted: Sequence[str], class_names: Sequence[str]) -> np.ndarray | None:
    """
    Return the labels of classes, (N,) int64; None for no classes, which means all.

    :raises ConfigurationError: if there is no such class; names similar ones
    """
    if isinstance(wanted, str):
        raise ConfigurationError(f'class_names is {wanted!r}; expected a list: [{wanted!r}]')
    names = list(class_names)
    for name in wanted:
        if name not in names:
            close = get_close_matches(name, names) or names
            raise ConfigurationError(
                f'class_names has {name!r}, which this model does not know; '
                f'did you mean one of {", ".join(close)}?'
            )
    return np.array([names.index(name) for name in wanted], np.int64) if wanted else None


def thresholds_of(own: float, start: float | None, weak: float) -> tuple[float, float]:
    """
    Return the minimum scores of boxes that start a track, and of boxes that are used at all.

    :param own: score threshold of the model
    :param start: score_threshold; None: that of the model
    :param weak: weak_score_threshold; 0: off
    :raises ConfigurationError: if one is not in [0, 1], or the second is above the first
    """
    start = own if start is None else start
    for name, value in (('score_threshold', start), ('weak_score_threshold', weak)):
        check_range(name, value)
    if weak > start:
        raise ConfigurationError(
            f'weak_score_threshold is {weak:g}, above score_threshold {start:g}; set it below '
            'that, or to 0: no weak boxes'
        )
    return start, weak or start


def _check_gallery(size: int, seconds: float) -> None:
    """Raise ConfigurationError if something is asked of the gallery of a rule that has none."""
    usual = EvidenceRule().gallery
    asked = {
        'gallery_size': (size, size not in (0, usual.size)),
        'gallery_seconds': (seconds, seconds != usual.seconds),
    }
    for name, (value, is_asked) in asked.items():
        if is_asked:
            raise ConfigurationError(
                f'{name} is {value}, which has no effect without the rule evidence; leave it out'
            )


def _check_colour(colour: str | None) -> None:
    if colour is not None and colour not in COLOURS:
        raise ConfigurationError(f'colour is {colour!r}; expected one of {", ".join(COLOURS)}')


def _as_rgb(image: np.ndarray, colour: str | None) -> np.ndarray:
    """Return an image as a view with the channels red, green, blue."""
    if image is None:
        raise TypeError(
            'the frame is None, which OpenCV returns for an image that it could not read; check '
            'the path or the camera'
        )
    if not isinstance(image, np.ndarray):
        raise TypeError(
            f'the frame is a {type(image).__name__}; expected a NumPy array, (H, W, 3) uint8 '
            '(numpy.asarray converts a Pillow image)'
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(
            f'the frame is {image.dtype} of shape {image.shape}; expected uint8 of (H, W, 3), not '
            'empty (cv2.cvtColor converts grey images and images with alpha)'
        )
    if colour is None:
        raise ValueError(
            "an array does not say the order of its channels: give colour='bgr' for OpenCV's, or "
            "colour='rgb' for those of Pillow and VideoReader, in this call or to TrackingPipeline"
        )
    _check_colour(colour)
    return image[..., ::-1] if colour == 'bgr' else image


def _whole(stamp: int | None) -> int | None:
    """Return a stamp as an int; raise TypeError if it is not one, such as time in seconds."""
    if stamp is None:
        return None
    try:
        return operator.index(stamp)
    except TypeError:
        raise TypeError(
            f'stamp is {stamp!r}; expected nanoseconds as an integer, such as '
            'time.monotonic_ns(); round(1e9 * seconds) converts seconds'
        ) from None
