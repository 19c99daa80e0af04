# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracking of one recording: a video or a ROS 2 bag."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from dataclasses import replace
import os
from pathlib import Path

import numpy as np

from gtr_ros.data.formats.bag_paths import STORAGE_SUFFIXES
from gtr_ros.data.formats.motchallenge import result_rows
from gtr_ros.files import atomic_write
from gtr_ros.media.drawing import annotate
from gtr_ros.media.video import VideoReader
from gtr_ros.media.video import VideoWriter
from gtr_ros.model.build import build
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime.export import fingerprint
from gtr_ros.runtime.loading import load_model
from gtr_ros.structures import Tracks
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.camera_motion import CameraMotion
from gtr_ros.tracking.rules import find_rule
from gtr_ros.tracking.rules import LinkingRule

#: called with the number of frames (of a bag: messages) done, and their total number if known
ProgressCallback = Callable[[int, int | None], None]


@dataclass(frozen=True)
class TrackingOptions(ModelOptions):
    """
    How recordings are tracked, as plain values that can be sent to other machines.

    :param window: number of frames in trajectories and for P_A
    :param rule_name: one of `gtr_ros.tracking.rules.NAMES`; None: the model's own rule
    :param score_threshold: boxes with a lower score do not start tracks; None: the model's own
        threshold
    :param weak_score_threshold: boxes with at least this score can continue a track; 0: off
    :param min_hits: number of boxes after which a track is confirmed and written; 0: by its
        existence probability
    :param camera_motion: whether to estimate the camera's motion, for the rule evidence
    :param gallery: whether the rule evidence re-identifies tracks that were away for minutes
    :param image_topics: topics of a bag to track; empty: the only one
    :param storage: of the new bag; None: the same as that of the old bag
    """

    window: int = 32
    rule_name: str | None = None
    score_threshold: float | None = None
    weak_score_threshold: float = 0.0
    min_hits: int = 0
    camera_motion: bool = True
    gallery: bool = True
    image_topics: tuple[str, ...] = ()
    storage: str | None = None

    @property
    def rule(self) -> LinkingRule:
        """The rule that links boxes to tracks."""
        return find_rule(self.rule_name, self.model, gallery_size=None if self.gallery else 0)

    def thresholds(self, model: GTR) -> tuple[float, float]:
        """
        Return the minimum scores of boxes that start a track, and of boxes that are used at all.

        :raises ValueError: if the second is above the first
        """
        start, weak = self.score_threshold, self.weak_score_threshold
        start = model.score_threshold if start is None else start
        if weak > start:
            raise ValueError(
                f'--weak-score-threshold is {weak:g}, above --score-threshold {start:g}; lower '
                'it, or leave it out to use no weak boxes'
            )
        return start, weak or start

    def absolute(self) -> TrackingOptions:
        """Return the same options for processes that run in another folder."""
        return replace(self, **self.absolute_paths())

    def fingerprint(self) -> str:
        """Return a hash of the weights, the same on every machine."""
        return fingerprint(build(self.model, self.checkpoint))

    def load(self) -> GTR:
        """
        Load the model into its runtime.

        :raises ValueError: if that is not possible, or the thresholds do not fit the model
        """
        model = load_model(self)
        self.thresholds(model)
        return model


@dataclass(frozen=True)
class Summary:
    """
    Summary of a tracked recording.

    :param images: number of images tracked
    :param boxes: number of boxes written, of confirmed tracks
    :param tracks: number of ids among those boxes, counted per camera
    :param skipped: an error message for each image of a bag that could not be read
    :param topics: of the detections, for a bag
    :param returns: number of lost tracks that were re-identified
    """

    images: int
    boxes: int
    tracks: int
    skipped: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    returns: int = 0

    def __str__(self) -> str:
        returns = f' ({self.returns} re-identified)' if self.returns else ''
        return f'{self.boxes} boxes of {self.tracks} tracks{returns} in {self.images} images'


def opens_as_bag(source: str | os.PathLike) -> bool:
    """Return whether a source is opened as a bag: any folder, a .mcap or a .db3 file."""
    return Path(source).is_dir() or Path(source).suffix in STORAGE_SUFFIXES


def track_recording(
    model: GTR,
    source: str,
    out: Path,
    settings: TrackingOptions,
    on_progress: ProgressCallback,
    annotated: Path | None = None,
) -> Summary:
    """
    Track a video and write MOTChallenge text, or track a bag and write it with detections.

    Only confirmed tracks are written, as on the node's topic.

    :param model: finds the boxes and their features
    :param source: path of the video or bag
    :param out: file to write, which appears only when it is complete; for a bag, see
        `gtr_ros.recordings.bags.track_bag`
    :param settings: of the tracking
    :param on_progress: called after each frame or message
    :param annotated: for a video: path of a copy with boxes and ids drawn
    :raises ValueError: names the file and what is wrong with it
    """
    if opens_as_bag(source):
        return _track_bag(model, Path(source), out, settings, on_progress)
    return _track_video(model, source, out, settings, on_progress, annotated)


def _track_video(
    model: GTR,
    source: str,
    out: Path,
    settings: TrackingOptions,
    on_progress: ProgressCallback,
    annotated: Path | None,
) -> Summary:
    tracker = _CameraTracker(model, settings)
    rows, identities, images = [], set(), 0
    with ExitStack() as stack:
        video = stack.enter_context(VideoReader(source))
        writer = None
        if annotated:
            writer = stack.enter_context(VideoWriter(annotated, video.rate, video.size))
        on_progress(0, video.frame_count)
        for frame in video:
            tracks = tracker(frame.image, frame.stamp)
            keep = tracks.confirmed
            ids = tracks.ids[keep].tolist()
            rows += result_rows(frame.index + 1, ids, tracks.boxes[keep], tracks.scores[keep])
            identities.update(ids)
            if writer is not None:
                writer.write(annotate(frame.image, _confirmed(tracks), model.class_names))
            images += 1
            on_progress(images, video.frame_count)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out) as part:
        part.write_text(''.join(rows))
    return Summary(images, len(rows), len(identities), returns=tracker.returns)


def _track_bag(
    model: GTR, source: Path, out: Path, settings: TrackingOptions, on_progress: ProgressCallback
) -> Summary:
    # Imported here: rosbags is an optional dependency.
    from gtr_ros.recordings.bags import count_messages
    from gtr_ros.recordings.bags import output_topics
    from gtr_ros.recordings.bags import track_bag

    topics = output_topics(source, settings.image_topics)
    total, done = count_messages(source), 0
    on_progress(done, total)

    def on_message() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    trackers = {name: _CameraTracker(model, settings) for name in topics}
    tracks = track_bag(
        source, out, topics, trackers, model.class_names, settings.storage, on_message
    )
    return Summary(
        tracks.images,
        tracks.boxes,
        sum(len(ids) for ids in tracks.identities.values()),
        tuple(tracks.skipped),
        tuple(topics.values()),
        sum(tracker.returns for tracker in trackers.values()),
    )


class _CameraTracker:
    """Tracks the images of one camera."""

    def __init__(self, model: GTR, settings: TrackingOptions) -> None:
        begin_score, self._min_score = settings.thresholds(model)
        self._model = model
        self._motion = None
        if settings.camera_motion and isinstance(settings.rule, EvidenceRule):
            self._motion = CameraMotion()
        self._tracker = Tracker(
            model.association,
            settings.rule,
            settings.window,
            settings.min_hits or None,
            begin_score,
        )

    @property
    def returns(self) -> int:
        """Number of lost tracks re-identified so far."""
        return self._tracker.returns

    def __call__(self, image: np.ndarray, stamp: int) -> Tracks:
        """Track an image, (H, W, 3) uint8 RGB, with its stamp in nanoseconds."""
        [detections] = self._model.detect([image], [stamp], self._min_score)
        if self._motion is not None:
            detections = replace(detections, camera=self._motion.update(image, detections.boxes))
        return self._tracker.update(detections)


def _confirmed(tracks: Tracks) -> Tracks:
    """Return the confirmed ones of a frame's tracks."""
    keep = tracks.confirmed
    return replace(
        tracks,
        ids=tracks.ids[keep],
        boxes=tracks.boxes[keep],
        scores=tracks.scores[keep],
        labels=tracks.labels[keep],
        confirmed=keep[keep],
        away=None if tracks.away is None else tracks.away[keep],
        trajectories=[tracks.trajectories[i] for i in np.flatnonzero(keep)],
    )
