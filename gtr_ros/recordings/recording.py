# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One recording tracked: a video or a ROS 2 bag."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from dataclasses import replace
import os
from pathlib import Path

import numpy as np

from gtr_ros.evaluation.formats.motchallenge import result_rows
from gtr_ros.media.drawing import annotate
from gtr_ros.media.video import VideoReader
from gtr_ros.media.video import VideoWriter
from gtr_ros.model.build import build
from gtr_ros.model.build import RANDOM
from gtr_ros.model.gtr import GTR
from gtr_ros.runtime.export import fingerprint
from gtr_ros.runtime.loading import load_model
from gtr_ros.structures import Tracks
from gtr_ros.tracking import LinkingRule
from gtr_ros.tracking import RULES
from gtr_ros.tracking import Tracker

#: told how many frames, or messages of a bag, are done, and of how many if that is known
Step = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Settings:
    """
    How recordings are tracked; plain values, which travel to other machines.

    :param model: one of `gtr_ros.model.build.MODELS`
    :param checkpoint: see `gtr_ros.model.build.build`
    :param runtime: with device, provider, exported, precision and compiled, see
        `gtr_ros.runtime.loading.load_model`
    :param window: frames that the tracker looks at
    :param rule_name: of `gtr_ros.tracking.RULES`; None: the model's own
    :param score_threshold: boxes that score less are not tracked; None: the model's own
    :param image_topics: of a bag, those to be tracked; none: the only one
    :param storage: of the new bag; None: the old one's
    """

    model: str = 'mobile'
    checkpoint: str | None = None
    runtime: str = 'torch'
    device: str = 'auto'
    provider: str = 'auto'
    exported: str = ''
    precision: str = 'float32'
    compiled: bool = False
    window: int = 32
    rule_name: str | None = None
    score_threshold: float | None = None
    image_topics: tuple[str, ...] = ()
    storage: str | None = None

    @property
    def rule(self) -> LinkingRule:
        return RULES[self.rule_name or self.model]

    def absolute(self) -> Settings:
        """Return the same for processes that run in another folder."""
        paths = {
            name: os.path.abspath(Path(value).expanduser())
            for name in ('checkpoint', 'exported')
            if (value := getattr(self, name)) and value != RANDOM
        }
        return replace(self, **paths)

    def fingerprint(self) -> str:
        """Return what tells these weights from all others, wherever they run."""
        return fingerprint(build(self.model, self.checkpoint))

    def load(self) -> GTR:
        """Build the model and put it where it runs; raises ValueError if that cannot be."""
        return load_model(
            self.model,
            self.checkpoint,
            self.runtime,
            self.device,
            self.provider,
            self.exported,
            self.precision,
            self.compiled,
        )


@dataclass(frozen=True)
class Summary:
    """
    What was tracked in a recording.

    :param images: that were tracked
    :param boxes: that were written
    :param tracks: different identities, counted by camera
    :param skipped: what was said of a bag's images that could not be read
    :param topics: of a bag, where the detections are
    """

    images: int
    boxes: int
    tracks: int
    skipped: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f'{self.boxes} boxes of {self.tracks} tracks in {self.images} images'


def is_bag(source: str | os.PathLike) -> bool:
    """Say whether a path means a bag, by its name: a folder, a .mcap or a .db3."""
    return Path(source).is_dir() or Path(source).suffix in ('.mcap', '.db3')


def track_recording(
    model: GTR,
    source: str,
    out: Path,
    settings: Settings,
    step: Step,
    annotated: Path | None = None,
) -> Summary:
    """
    Track a video into MOTChallenge text, or a bag into a bag with the detections added.

    :param out: what is written, under this name when it is whole; of a bag, see
        `gtr_ros.evaluation.formats.bag_tracks.track_bag`
    :param annotated: of a video, also written with boxes and ids drawn
    :raises ValueError: names the file and what is wrong with it
    """
    if is_bag(source):
        return _track_bag(model, Path(source), out, settings, step)
    return _track_video(model, source, out, settings, step, annotated)


def _track_video(
    model: GTR, source: str, out: Path, settings: Settings, step: Step, annotated: Path | None
) -> Summary:
    follow = _make_follow(model, settings)
    rows, identities, images = [], set(), 0
    with ExitStack() as stack:
        video = stack.enter_context(VideoReader(source))
        writer = None
        if annotated:
            writer = stack.enter_context(VideoWriter(annotated, video.rate, video.size))
        step(0, video.frame_count)
        for frame in video:
            tracks = follow(frame.image, frame.stamp)
            rows += result_rows(frame.index + 1, tracks.ids, tracks.boxes, tracks.scores)
            identities.update(tracks.ids.tolist())
            if writer is not None:
                writer.write(annotate(frame.image, tracks, model.class_names))
            images += 1
            step(images, video.frame_count)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f'.{out.name}.part')
    part.write_text(''.join(rows))
    part.replace(out)
    return Summary(images, len(rows), len(identities))


def _track_bag(model: GTR, source: Path, out: Path, settings: Settings, step: Step) -> Summary:
    # Here, for rosbags is of an extra.
    from gtr_ros.evaluation.formats.bag_tracks import count_messages
    from gtr_ros.evaluation.formats.bag_tracks import output_topics
    from gtr_ros.evaluation.formats.bag_tracks import track_bag

    topics = output_topics(source, settings.image_topics)
    total, done = count_messages(source), 0
    step(done, total)

    def count() -> None:
        nonlocal done
        done += 1
        step(done, total)

    follow = {name: _make_follow(model, settings) for name in topics}
    tracks = track_bag(source, out, topics, follow, model.class_names, settings.storage, count)
    return Summary(
        tracks.images,
        tracks.boxes,
        sum(len(ids) for ids in tracks.identities.values()),
        tuple(tracks.skipped),
        tuple(topics.values()),
    )


def _make_follow(model: GTR, settings: Settings) -> Callable[[np.ndarray, int], Tracks]:
    """Return what tracks one camera's images."""
    tracker = Tracker(model.association, settings.rule, settings.window)

    def follow(image: np.ndarray, stamp: int) -> Tracks:
        [detections] = model.detect([image], [stamp], settings.score_threshold)
        return tracker.update(detections)

    return follow
