# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracking of one recording: a video, images, or a ROS 2 bag."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtr_ros.data.formats.motchallenge import result_rows
from gtr_ros.files import GrowingFile
from gtr_ros.files import partial_path
from gtr_ros.input_warning import first_of
from gtr_ros.input_warning import warn
from gtr_ros.media.drawing import annotate
from gtr_ros.media.image_files import ImageFilesReader
from gtr_ros.media.read_ahead import ReadAhead
from gtr_ros.media.video import VideoError
from gtr_ros.media.video import VideoReader
from gtr_ros.model.gtr import GTR
from gtr_ros.model.registry import rule_name
from gtr_ros.recordings.drawn_video import DrawnVideo
from gtr_ros.recordings.options import TrackingOptions
from gtr_ros.recordings.sources import image_files
from gtr_ros.recordings.sources import is_camera
from gtr_ros.recordings.sources import opens_as_bag
from gtr_ros.runtime.pipeline import TrackingPipeline

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
    :param skipped: a message for each image that could not be read, and for a recording that ends
        early: the result is incomplete
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


class IncompleteError(ValueError):
    """
    A recording that was tracked in part; the message names what is missing and where the rest is.

    :param message: for the user
    :param summary: of what was tracked and written
    """

    def __init__(self, message: str, summary: Summary) -> None:
        self.summary = summary
        super().__init__(message)


class InterruptedTracking(KeyboardInterrupt):
    """Ctrl-C while a recording was tracked; the message names where the rows so far are."""


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

    Only confirmed tracks are written, as on the node's topic. Images that cannot be read are left
    out; the result has its name nevertheless, and an error says what is missing. If tracking ends
    before the recording does (Ctrl-C, a full disk), what is done stays under
    `gtr_ros.files.partial_path` of that name; a camera has no end, so Ctrl-C completes it.

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
    :raises IncompleteError: if the result is incomplete
    :raises InterruptedTracking: after Ctrl-C, if there is an incomplete result
    :raises ValueError: names the file and what is wrong with it; there is no result
    """
    if opens_as_bag(source):
        summary = _track_bag(model, Path(source), out, settings, on_progress)
    else:
        summary = _track_frames(model, source, out, settings, on_progress, annotated, show)
    if summary.skipped:
        raise IncompleteError(
            f'{source} was not tracked as a whole: {first_of(summary.skipped, 2)}; {out} has the '
            f'{summary.images} images that could be read',
            summary,
        )
    return summary


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
    skipped: list[str] = []
    identities: set[int] = set()
    images = boxes = 0

    def summary() -> Summary:
        return Summary(images, boxes, len(identities), tuple(skipped), returns=pipeline.returns)

    rows = GrowingFile(out)
    drawn = None
    try:
        with ExitStack() as stack:
            stack.enter_context(rows)
            files = image_files(source)
            video = stack.enter_context(
                VideoReader(source, skipped.append, settings.hardware_decoding)
                if files is None
                else ImageFilesReader(files, settings.rate, skipped.append)
            )
            if annotated:
                drawn = stack.enter_context(DrawnVideo(annotated, video.rate, video.size))
            on_progress(0, video.frame_count)
            # Frames of a camera do not wait here: they would be tracked late.
            live = is_camera(source)
            frames = video if live else stack.enter_context(ReadAhead(video))
            try:
                for frame, tracks in pipeline.track_all(frames, 1 if live else None):
                    ids = tracks.ids.tolist()
                    lines = result_rows(frame.index + 1, ids, tracks.boxes, tracks.scores)
                    rows.write(''.join(lines))
                    identities.update(ids)
                    images += 1
                    boxes += len(lines)
                    on_progress(images, video.frame_count)
                    if drawn is None and show is None:
                        continue
                    picture = annotate(frame.image, tracks, model.class_names)
                    if drawn is not None:
                        drawn.write(picture)
                    if show is not None and not show(picture):
                        break
            except KeyboardInterrupt:
                if not live or not images:
                    raise
            if not images:
                raise VideoError(
                    f'{source} has no readable frame: {first_of(skipped, 2)}'
                    if skipped
                    else f'no frame of {source} was tracked'
                )
    except BaseException as error:
        places = [out.partial for out in (rows, drawn) if out is not None and out.kept]
        if not places:
            raise
        text = f'{" and ".join(map(str, places))} has what was tracked: {images} images'
        if isinstance(error, KeyboardInterrupt):
            raise InterruptedTracking(text) from error
        if not isinstance(error, Exception):
            raise
        raise IncompleteError(f'{error}; {text}', summary()) from error
    return summary()


def _track_bag(
    model: GTR, source: Path, out: Path, settings: TrackingOptions, on_progress: ProgressCallback
) -> Summary:
    # Imported here: rosbags is an optional dependency.
    from gtr_ros.recordings.bags import count_messages
    from gtr_ros.recordings.bags import DamagedBagError
    from gtr_ros.recordings.bags import output_topics
    from gtr_ros.recordings.bags import track_bag

    topics = output_topics(source, settings.image_topics, settings.node_name)
    total, done = count_messages(source), 0
    on_progress(done, total)

    def on_message() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    trackers = {name: _pipeline(model, settings) for name in topics}
    partial = partial_path(out)
    before = partial.stat().st_ino if partial.exists() else None
    damage = ()
    try:
        tracks = track_bag(
            source,
            out,
            topics,
            trackers,
            model.class_names,
            settings.storage,
            on_message,
        )
    except DamagedBagError as error:
        if not error.tracks.images:
            raise
        damage, tracks = (str(error),), error.tracks
    except KeyboardInterrupt as error:
        if not partial.exists() or partial.stat().st_ino == before:
            raise
        raise InterruptedTracking(
            f'{partial} has what was tracked: {done} of {total} messages'
        ) from error
    for name, tracker in trackers.items():
        if tracker.resets or tracker.repaired_stamps:
            warn(
                f'{source}: the stamps of {name} go back by more than a second {tracker.resets} '
                'times, where all tracks end, as in a new recording; in '
                f'{tracker.repaired_stamps} images they repeat or go back by less: these are '
                'taken to follow at the usual interval'
            )
    return Summary(
        tracks.images,
        tracks.boxes,
        sum(len(ids) for ids in tracks.identities.values()),
        (*tracks.skipped, *damage),
        tuple(topics.values()),
        sum(tracker.returns for tracker in trackers.values()),
    )


def _pipeline(model: GTR, settings: TrackingOptions) -> TrackingPipeline:
    """Return what tracks the images of one camera, (H, W, 3) uint8 RGB."""
    return TrackingPipeline(
        model,
        rule=rule_name(settings.rule_name, settings.model, not settings.detector),
        window=settings.window,
        min_hits=settings.min_hits,
        score_threshold=settings.score_threshold,
        weak_score_threshold=settings.weak_score_threshold,
        class_names=settings.classes,
        camera_motion=settings.camera_motion,
        colour='rgb',
        **({} if settings.gallery else {'gallery_size': 0}),
    )
