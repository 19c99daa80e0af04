# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings on a GPU: the next frames are detected while the previous ones are tracked."""

from __future__ import annotations

from collections.abc import Iterator
from threading import active_count
from threading import Event

import numpy as np
from photographs import moving_people
import pytest
import torch

from gtr_ros.media.video import VideoFrame
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime.loading import load_model
from gtr_ros.runtime.pipeline import TrackingPipeline
from gtr_ros.structures import Detections

pytestmark = pytest.mark.usefixtures('one_thread')

SECONDS = 30.0
TENTH = 100_000_000


class Model:
    """Nothing but what a `TrackingPipeline` needs of a model, on what says it is a GPU."""

    batches = True
    external = None
    name = 'mobile'
    score_threshold = 0.4
    class_names = ('person',)

    def __init__(self, model: GTR) -> None:
        self.association = model.association
        self.images: list[int] = []
        self.width = model.association.features

    def detect(self, images, stamps, score_threshold) -> list[Detections]:
        self.images.append(len(images))
        if 13 in [image[0, 0, 0] for image in images]:
            raise RuntimeError('out of memory')
        return [
            Detections(
                boxes=np.array([[10, 10, 30, 60]], np.float32),
                scores=np.full(1, 0.9, np.float32),
                labels=np.zeros(1, np.int64),
                features=torch.ones(1, self.width),
                image_size=image.shape[:2],
                stamp=stamp,
            )
            for image, stamp in zip(images, stamps, strict=True)
        ]


@pytest.fixture(scope='module')
def loaded() -> GTR:
    return load_model(ModelOptions(device='cpu', runtime='torch'))


@pytest.fixture
def model(loaded) -> Model:
    return Model(loaded)


def numbered(count: int) -> Iterator[VideoFrame]:
    for t in range(count):
        yield VideoFrame(np.full((80, 120, 3), t, np.uint8), t * TENTH, t)


def test_ids_are_those_of_one_frame_after_the_other(loaded):
    frames = [VideoFrame(image, t * TENTH, t) for t, image in enumerate(moving_people(320, 240))]
    pipeline = TrackingPipeline(loaded)
    expected = [pipeline(frame) for frame in frames]
    found = list(TrackingPipeline(loaded).track_all(frames, 3))
    assert sum(map(len, expected)) > 12
    for frame, tracks, (other, others) in zip(frames, expected, found, strict=True):
        assert other is frame
        np.testing.assert_array_equal(others.ids, tracks.ids)
        np.testing.assert_allclose(others.boxes, tracks.boxes, atol=0.02)


def test_the_next_frames_are_detected_while_these_are_tracked(model, monkeypatch):
    pipeline, second = TrackingPipeline(model, min_hits=1), Event()
    detect, track = model.detect, pipeline.track

    def detect_and_tell(*arguments):
        if len(model.images) == 1:
            second.set()
        return detect(*arguments)

    def track_after_that(*arguments):
        assert second.wait(SECONDS)  # comes only if the second batch does not wait for this
        return track(*arguments)

    monkeypatch.setattr(model, 'detect', detect_and_tell)
    monkeypatch.setattr(pipeline, 'track', track_after_that)
    tracked = pipeline.track_all(numbered(13))
    found = [(frame.index, tracks.ids.tolist()) for frame, tracks in tracked]
    assert found == [(t, [1]) for t in range(13)]
    assert model.images == [8, 5]


def test_a_camera_is_not_read_ahead(model):
    made = []

    def frames():
        for frame in numbered(10):
            made.append(frame.index)
            yield frame

    threads = active_count()
    for frame, _ in TrackingPipeline(model).track_all(frames(), 1):
        assert made[-1] == frame.index
        assert active_count() == threads


def test_an_error_of_any_stage_reaches_the_caller_and_ends_the_thread(model, monkeypatch):
    threads, done = active_count(), []

    def damaged():
        yield from numbered(11)
        raise ValueError('damaged after frame 11')

    with pytest.raises(ValueError, match='damaged after frame 11'):
        for frame, _ in TrackingPipeline(model).track_all(damaged()):
            done.append(frame.index)
    assert done == list(range(11))  # also those of the batch that is not complete
    done.clear()
    with pytest.raises(RuntimeError, match='out of memory'):
        for frame, _ in TrackingPipeline(model).track_all(numbered(30)):
            done.append(frame.index)
    assert done == list(range(8))  # frame 13 is in the second batch
    pipeline = TrackingPipeline(model)
    monkeypatch.setattr(pipeline, 'track', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(pipeline.track_all(numbered(30)))
    assert active_count() == threads


def test_the_thread_ends_with_the_loop(model):
    threads = active_count()
    for frame, _ in TrackingPipeline(model).track_all(numbered(12)):
        if frame.index == 3:
            break
    assert active_count() == threads
    tracked = TrackingPipeline(model).track_all(numbered(12))
    with pytest.raises(KeyboardInterrupt):
        for _ in tracked:
            raise KeyboardInterrupt
    tracked.close()
    assert active_count() == threads
