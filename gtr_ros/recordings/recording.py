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

from gtr_ros.data.formats.motchallenge import result_rows
from gtr_ros.media.drawing import annotate
from gtr_ros.media.video import VideoReader
from gtr_ros.media.video import VideoWriter
from gtr_ros.model.build import build
from gtr_ros.model.build import RANDOM
from gtr_ros.model.gtr import GTR
from gtr_ros.runtime.export import fingerprint
from gtr_ros.runtime.loading import load_model
from gtr_ros.structures import Tracks
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import RULES
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.camera_motion import CameraMotion
from gtr_ros.tracking.rules import Rule
from gtr_ros.tracking.rules import rule_name

#: told how many frames, or messages of a bag, are done, and of how many if that is known
Step = Callable[[int, int | None], None]


@dataclass(frozen=True)
class TrackingOptions:
    """
    How recordings are tracked; plain values, which travel to other machines.

    :param model: one of `gtr_ros.model.build.MODELS`
    :param checkpoint: see `gtr_ros.model.build.build`
    :param runtime: with device, provider, exported, precision and compiled, see
        `gtr_ros.runtime.loading.load_model`
    :param window: frames of trajectories and of P_A
    :param rule_name: of `gtr_ros.tracking.rules.NAMES`; None: the model's own
    :param score_threshold: boxes that score less begin no track; None: the model's own
    :param weak_score_threshold: boxes from this score on may continue a track; 0: there are none
    :param min_hits: boxes from which on a track is written; 0: by the probability that it is of an
        object
    :param camera_motion: whether the camera's own motion is estimated, for the rule evidence
    :param gallery: whether the rule evidence knows again who comes back after minutes
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
    weak_score_threshold: float = 0.0
    min_hits: int = 0
    camera_motion: bool = True
    gallery: bool = True
    image_topics: tuple[str, ...] = ()
    storage: str | None = None

    @property
    def rule(self) -> Rule:
        """What links boxes to tracks."""
        rule = RULES[rule_name(self.rule_name, self.model)]
        if self.gallery or not isinstance(rule, EvidenceRule):
            return rule
        return replace(rule, gallery=replace(rule.gallery, size=0))

    def thresholds(self, model: GTR) -> tuple[float, float]:
        """
        Return the scores from which on boxes begin a track, and from which on they are looked at.

        :raises ValueError: if the second is above the first
        """
        begin, weak = self.score_threshold, self.weak_score_threshold
        begin = model.score_threshold if begin is None else begin
        if weak > begin:
            raise ValueError(
                f'--weak-score-threshold is {weak:g}, above --score-threshold {begin:g}; set it '
                'below that, or leave it out: no weak boxes'
            )
        return begin, weak or begin

    def absolute(self) -> TrackingOptions:
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
        model = load_model(
            self.model,
            self.checkpoint,
            self.runtime,
            self.device,
            self.provider,
            self.exported,
            self.precision,
            self.compiled,
        )
        self.thresholds(model)
        return model


@dataclass(frozen=True)
class Summary:
    """
    What was tracked in a recording.

    :param images: that were tracked
    :param boxes: that were written, of confirmed tracks
    :param tracks: different identities of those, counted by camera
    :param skipped: what was said of a bag's images that could not be read
    :param topics: of a bag, where the detections are
    :param returns: how often somebody who was lost came back and was known again
    """

    images: int
    boxes: int
    tracks: int
    skipped: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    returns: int = 0

    def __str__(self) -> str:
        back = f' ({self.returns} came back)' if self.returns else ''
        return f'{self.boxes} boxes of {self.tracks} tracks{back} in {self.images} images'


def is_bag(source: str | os.PathLike) -> bool:
    """Say whether a path means a bag, by its name: a folder, a .mcap or a .db3."""
    return Path(source).is_dir() or Path(source).suffix in ('.mcap', '.db3')


def track_recording(
    model: GTR,
    source: str,
    out: Path,
    settings: TrackingOptions,
    step: Step,
    annotated: Path | None = None,
) -> Summary:
    """
    Track a video into MOTChallenge text, or a bag into a bag with the detections added.

    What is written is of confirmed tracks, as the node publishes them.

    :param out: what is written, under this name when it is whole; of a bag, see
        `gtr_ros.recordings.bags.track_bag`
    :param annotated: of a video, also written with boxes and ids drawn
    :raises ValueError: names the file and what is wrong with it
    """
    if is_bag(source):
        return _track_bag(model, Path(source), out, settings, step)
    return _track_video(model, source, out, settings, step, annotated)


def _track_video(
    model: GTR,
    source: str,
    out: Path,
    settings: TrackingOptions,
    step: Step,
    annotated: Path | None,
) -> Summary:
    camera = _Camera(model, settings)
    rows, identities, images = [], set(), 0
    with ExitStack() as stack:
        video = stack.enter_context(VideoReader(source))
        writer = None
        if annotated:
            writer = stack.enter_context(VideoWriter(annotated, video.rate, video.size))
        step(0, video.frame_count)
        for frame in video:
            tracks = camera(frame.image, frame.stamp)
            keep = tracks.confirmed
            ids = tracks.ids[keep].tolist()
            rows += result_rows(frame.index + 1, ids, tracks.boxes[keep], tracks.scores[keep])
            identities.update(ids)
            if writer is not None:
                writer.write(annotate(frame.image, _confirmed(tracks), model.class_names))
            images += 1
            step(images, video.frame_count)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f'.{out.name}.part')
    part.write_text(''.join(rows))
    part.replace(out)
    return Summary(images, len(rows), len(identities), returns=camera.returns)


def _track_bag(
    model: GTR, source: Path, out: Path, settings: TrackingOptions, step: Step
) -> Summary:
    # Here, for rosbags is of an extra.
    from gtr_ros.recordings.bags import count_messages
    from gtr_ros.recordings.bags import output_topics
    from gtr_ros.recordings.bags import track_bag

    topics = output_topics(source, settings.image_topics)
    total, done = count_messages(source), 0
    step(done, total)

    def count() -> None:
        nonlocal done
        done += 1
        step(done, total)

    cameras = {name: _Camera(model, settings) for name in topics}
    tracks = track_bag(source, out, topics, cameras, model.class_names, settings.storage, count)
    return Summary(
        tracks.images,
        tracks.boxes,
        sum(len(ids) for ids in tracks.identities.values()),
        tuple(tracks.skipped),
        tuple(topics.values()),
        sum(camera.returns for camera in cameras.values()),
    )


class _Camera:
    """Tracks one camera's images."""

    def __init__(self, model: GTR, settings: TrackingOptions) -> None:
        begin_score, self._least_score = settings.thresholds(model)
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
        """How often somebody came back until now."""
        return self._tracker.returns

    def __call__(self, image: np.ndarray, stamp: int) -> Tracks:
        """Track an image, (H, W, 3) uint8 RGB, of a time in nanoseconds."""
        [detections] = self._model.detect([image], [stamp], self._least_score)
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
