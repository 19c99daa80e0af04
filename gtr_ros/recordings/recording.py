# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracking of one recording: a video, images, or a ROS 2 bag."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gtr_ros.data.formats.motchallenge import result_rows
from gtr_ros.files import atomic_write
from gtr_ros.input_warning import warn
from gtr_ros.media.drawing import annotate
from gtr_ros.media.image_files import ImageFilesReader
from gtr_ros.media.read_ahead import ReadAhead
from gtr_ros.media.video import VideoReader
from gtr_ros.media.video import VideoWriter
from gtr_ros.model.gtr import GTR
from gtr_ros.recordings.options import TrackingOptions
from gtr_ros.recordings.sources import image_files
from gtr_ros.recordings.sources import is_camera
from gtr_ros.recordings.sources import opens_as_bag
from gtr_ros.runtime.pipeline import TrackingPipeline
from gtr_ros.structures import Tracks
from gtr_ros.tracking.clock import FrameClock
from gtr_ros.tracking.rules import rule_name

#: called with the number of frames (of a bag: messages) done, and their total number if known
ProgressCallback = Callable[[int, int | None], None]
#: shows an image, (H, W, 3) uint8 RGB; returns whether tracking goes on
ShowFrame = Callable[[np.ndarray], bool]


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


def track_recording(
    model: GTR,
    source: str,
    out: Path,
    settings: TrackingOptions,
    on_progress: ProgressCallback,
    annotated: Path | None = None,
    show: ShowFrame | None = None,
) -> Summary:
    """
    Track a video or images and write MOTChallenge text, or a bag and write it with detections.

    Only confirmed tracks are written, as on the node's topic.

    :param model: finds the boxes and their features
    :param source: path of the video or bag, a camera, or images, see
        `gtr_ros.recordings.sources.image_files`
    :param out: file to write, which appears only when it is complete; for a bag, see
        `gtr_ros.recordings.bags.track_bag`
    :param settings: of the tracking
    :param on_progress: called after each frame or message
    :param annotated: for a video or images: path of a video with boxes and ids drawn
    :param show: for a video or images: called with each frame, boxes and ids drawn; tracking ends
        early if it returns False
    :raises ValueError: names the file and what is wrong with it
    """
    if opens_as_bag(source):
        return _track_bag(model, Path(source), out, settings, on_progress)
    return _track_frames(model, source, out, settings, on_progress, annotated, show)


def _track_frames(
    model: GTR,
    source: str,
    out: Path,
    settings: TrackingOptions,
    on_progress: ProgressCallback,
    annotated: Path | None,
    show: ShowFrame | None,
) -> Summary:
    """Track a video, a camera or images."""
    pipeline = _pipeline(model, settings)
    rows, identities, images = [], set(), 0
    with ExitStack() as stack:
        files = image_files(source)
        video = stack.enter_context(
            VideoReader(source) if files is None else ImageFilesReader(files, settings.rate)
        )
        writer = None
        if annotated:
            writer = stack.enter_context(VideoWriter(annotated, video.rate, video.size))
        on_progress(0, video.frame_count)
        # Frames of a camera do not wait here: they would be tracked late.
        live = is_camera(source)
        frames = video if live else stack.enter_context(ReadAhead(video))
        for frame, tracks in pipeline.track_all(frames, 1 if live else None):
            ids = tracks.ids.tolist()
            rows += result_rows(frame.index + 1, ids, tracks.boxes, tracks.scores)
            identities.update(ids)
            images += 1
            on_progress(images, video.frame_count)
            if writer is None and show is None:
                continue
            drawn = annotate(frame.image, tracks, model.class_names)
            if writer is not None:
                writer.write(drawn)
            if show is not None and not show(drawn):
                break
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out) as part:
        part.write_text(''.join(rows))
    return Summary(images, len(rows), len(identities), returns=pipeline.returns)


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

    trackers = {name: _pipeline(model, settings) for name in topics}
    clocks = {name: FrameClock() for name in topics}

    def track(name: str, image: np.ndarray, stamp: int) -> Tracks:
        clocks[name].time(stamp)
        return trackers[name](image, stamp)

    tracks = track_bag(
        source,
        out,
        topics,
        {name: partial(track, name) for name in topics},
        model.class_names,
        settings.storage,
        on_message,
    )
    for name, clock in clocks.items():
        if clock.restarts or clock.repaired:
            warn(
                f'{source}: the stamps of {name} go back by more than a second {clock.restarts} '
                'times, where all tracks end, as in a new recording; in '
                f'{clock.repaired} images they repeat or go back by less: these are taken to '
                'follow at the usual interval'
            )
    return Summary(
        tracks.images,
        tracks.boxes,
        sum(len(ids) for ids in tracks.identities.values()),
        tuple(tracks.skipped),
        tuple(topics.values()),
        sum(tracker.returns for tracker in trackers.values()),
    )


def _pipeline(model: GTR, settings: TrackingOptions) -> TrackingPipeline:
    """Return what tracks the images of one camera, (H, W, 3) uint8 RGB."""
    return TrackingPipeline(
        model,
        rule=rule_name(settings.rule_name, settings.model),
        window=settings.window,
        min_hits=settings.min_hits,
        score_threshold=settings.score_threshold,
        weak_score_threshold=settings.weak_score_threshold,
        class_names=settings.classes,
        camera_motion=settings.camera_motion,
        colour='rgb',
        **({} if settings.gallery else {'gallery_size': 0}),
    )
