# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pipeline passes valid parameters to model and tracker, and refuses invalid ones."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from queue import Queue
from threading import current_thread
from types import SimpleNamespace
import weakref

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy, whose types describe the parameters')

import torch

from gtr_ros.model.association import CosineAssociation
from gtr_ros.node.tracker import pipeline
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.node.tracker.pipeline import CameraFrame
from gtr_ros.node.tracker.pipeline import Pipeline
from gtr_ros.node.tracker.statistics import CameraStatistics
from gtr_ros.node.tracker.worker import Worker
from gtr_ros.options import ConfigurationError
from gtr_ros.structures import Detections
from gtr_ros.tracking import RULES

TENTH = 100_000_000
IMAGE = np.zeros((40, 60, 3), np.uint8)


class FourObjects(torch.nn.Module):
    """A model that detects a cat, a dog, a cow and a dog in every image."""

    class_names = ('cat', 'dog', 'cow')
    device = torch.device('cpu')
    association = SimpleNamespace(description='none at all')
    detector = None

    def __init__(self) -> None:
        super().__init__()
        self.calls = []

    def detect(self, images, stamps=None, score_threshold=0.4):
        self.calls.append(([image.shape for image in images], stamps, score_threshold))
        columns = np.arange(4, dtype=np.float32)
        boxes = np.stack([columns, columns, columns + 5, columns + 5], axis=1)
        return [
            Detections(
                boxes=boxes,
                scores=columns / 10,
                labels=np.array([0, 1, 2, 1]),
                features=torch.arange(4.0)[:, None],
                image_size=(40, 60),
                stamp=stamp,
                class_scores=np.eye(3, dtype=np.float32)[[0, 1, 2, 1]],
            )
            for stamp in stamps or [None] * len(images)
        ]

    def describe(self, image, detections):
        return replace(detections, features=torch.ones(len(detections), 2))


class EchoTracker:
    """A tracker that returns the detections."""

    def __init__(self, association, rule, window, min_hits, begin_score) -> None:
        self.association, self.rule = association, rule
        self.window, self.min_hits, self.begin_score = window, min_hits, begin_score
        self.resets = 0

    def update(self, detections):
        return detections

    def reset(self):
        self.resets += 1


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setattr(pipeline, 'load_model', lambda *_, **__: FourObjects())
    monkeypatch.setattr(pipeline, 'Tracker', EchoTracker)
    return lambda **parameters: Pipeline(settings(**parameters))


def settings(**parameters) -> NodeParameters:
    return NodeParameters(checkpoint='random', device='cpu', **parameters)


def track_image(pipe: Pipeline, stamp: int | None):
    [found] = pipe.detect([CameraFrame(IMAGE, stamp)])
    return pipe.track(found)


def test_only_the_classes_asked_for_reach_the_tracker_with_all_their_fields(make):
    found = track_image(make(class_names=('dog',)), 7)
    assert found.labels.tolist() == [1, 1]
    assert found.boxes[:, 0].tolist() == [1, 3]
    np.testing.assert_allclose(found.scores, [0.1, 0.3], atol=1e-6)
    assert found.features[:, 0].tolist() == [1, 3]
    assert found.class_scores.tolist() == [[0, 1, 0], [0, 1, 0]]
    assert found.stamp == 7


def test_without_a_filter_every_class_reaches_the_tracker(make):
    assert track_image(make(), 7).labels.tolist() == [0, 1, 2, 1]


def test_parameters_reach_the_model_and_the_tracker(make):
    pipe = make(score_threshold=0.25, window=5, min_hits=2)
    tracker = pipe.tracker()
    assert (tracker.window, tracker.min_hits, tracker.begin_score) == (5, 2, 0.25)
    assert tracker.rule == RULES['evidence']
    assert make().tracker().min_hits is None
    track_image(pipe, 9)
    assert pipe.model.calls[-1] == ([IMAGE.shape], [9], 0.25)


def test_live_parameters_are_applied_together_or_not_at_all(make):
    pipe = make()
    pipe.update(settings(score_threshold=0.75, window=9, min_hits=4, class_names=('cow',)))
    assert track_image(pipe, None).labels.tolist() == [2]
    assert pipe.model.calls[-1] == ([IMAGE.shape], [None], 0.75)
    tracker = pipe.tracker()
    assert (tracker.window, tracker.min_hits, tracker.begin_score) == (9, 4, 0.75)
    pipe.update(settings(score_threshold=0.75, weak_score_threshold=0.5, class_names=('cow',)))
    assert tracker.min_hits is None
    assert track_image(pipe, None).labels.tolist() == [2]
    assert pipe.model.calls[-1] == ([IMAGE.shape], [None], 0.5)
    assert tracker.begin_score == 0.75
    with pytest.raises(ConfigurationError, match='hamster'):
        pipe.update(settings(score_threshold=0.1, class_names=('hamster',)))
    assert pipe.score_threshold == 0.75


def test_images_of_all_cameras_are_one_batch_and_each_camera_has_its_own_tracker(make):
    pipe = make(cameras=('front', 'left'))
    assert pipe.model.calls[-1][0] == [(480, 640, 3)] * 2
    found = pipe.detect([CameraFrame(IMAGE, 1), CameraFrame(IMAGE[:20], 2)])
    assert pipe.model.calls[-1][:2] == ([(40, 60, 3), (20, 60, 3)], [1, 2])
    assert [objects.stamp for objects in found] == [1, 2]
    assert pipe.tracker('front') is not pipe.tracker('left')
    pipe.reset()
    assert [pipe.tracker(name).resets for name in ('front', 'left')] == [1, 1]


def test_another_detectors_boxes_get_features_are_filtered_and_tracked(make):
    pipe = make(detections_topic='boxes', class_names=('forklift',), score_threshold=0.5)
    boxes = np.array([[1, 2, 9, 9], [2, 3, 8, 9], [3, 3, 9, 9]], np.float32)
    labels = np.array([pipe.label_of(name) for name in ('forklift', 'forklift', 'pallet')])
    scores = np.array([0.9, 0.1, 0.9], np.float32)
    given = Detections(boxes, scores, labels, torch.zeros(3, 1), (40, 60))
    calls = len(pipe.model.calls)
    found = pipe.track(pipe.detect([CameraFrame(IMAGE, 5, given)])[0])
    assert len(pipe.model.calls) == calls
    assert found.boxes.tolist() == boxes[:1].tolist()
    assert found.features.tolist() == [[1, 1]]
    assert found.stamp == 5
    assert pipe.class_names == ['forklift', 'pallet']


@pytest.mark.parametrize(
    ('parameters', 'rule'),
    [
        ({}, 'evidence'),
        ({'model': 'mot'}, 'mot'),
        ({'model': 'tao'}, 'tao'),
        ({'model': 'mot', 'detections_topic': 'boxes'}, 'evidence'),
        ({'rule': 'paper', 'detections_topic': 'boxes'}, 'paper'),
        ({'model': 'mot', 'rule': 'mobile'}, 'evidence'),
        ({'rule': 'gaussian'}, 'gaussian'),
    ],
)
def test_the_rule_is_a_parameter_or_follows_from_model_and_detector(make, parameters, rule):
    assert make(**parameters).tracker().rule == RULES[rule]


def test_the_gallery_of_the_rule_evidence_is_a_parameter(make):
    rule = make(gallery_size=7, gallery_seconds=60.0).tracker().rule
    assert (rule.gallery.size, rule.gallery.seconds) == (7, 60.0)
    assert make(rule='paper', gallery_size=7).tracker().rule == RULES['paper']


@pytest.fixture
def track_boxes(monkeypatch):
    """Return a function that tracks another detector's boxes with given scores in a frame."""
    monkeypatch.setattr(FourObjects, 'association', CosineAssociation())
    monkeypatch.setattr(pipeline, 'load_model', lambda *_, **__: FourObjects())
    stamps = iter(range(TENTH, 100 * TENTH, TENTH))

    def track_boxes(pipe: Pipeline, scores: list[float]):
        boxes = np.array([[1, 2, 9, 19], [30, 3, 38, 20]], np.float32)[: len(scores)]
        labels, nothing = np.zeros(len(scores), np.int64), torch.zeros(len(scores), 1)
        pipe.label_of('box')
        given = Detections(boxes, np.array(scores, np.float32), labels, nothing, (40, 60))
        [found] = pipe.detect([CameraFrame(IMAGE, next(stamps), given)])
        return pipe.track(found)

    return track_boxes


def test_weak_detections_continue_tracks_and_start_none(track_boxes):
    parameters = {'detections_topic': 'boxes', 'score_threshold': 0.5}
    pipe = Pipeline(settings(weak_score_threshold=0.2, **parameters))
    assert track_boxes(pipe, [0.9, 0.4]).ids.tolist() == [1]
    assert track_boxes(pipe, [0.3, 0.4]).ids.tolist() == [1]
    assert track_boxes(pipe, [0.1, 0.4]).ids.tolist() == []
    assert track_boxes(pipe, [0.9, 0.6]).ids.tolist() == [1, 2]
    pipe.update(settings(**parameters))
    assert track_boxes(pipe, [0.4, 0.6]).ids.tolist() == [2]


def test_a_likely_object_is_confirmed_at_once_and_a_doubtful_one_later(track_boxes):
    pipe = Pipeline(settings(detections_topic='boxes', score_threshold=0.5))
    frames = [track_boxes(pipe, [0.95, 0.55]).confirmed.tolist() for _ in range(8)]
    assert frames[0] == [True, False]
    assert frames[-1] == [True, True]


def test_the_motion_of_a_camera_is_passed_to_its_tracker(make):
    pipe = make(cameras=('front', 'left'), camera_motion=True)
    scene = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    scene = scene.repeat(8, axis=0).repeat(8, axis=1)

    def moved(camera: str, x: int, y: int) -> np.ndarray | None:
        frame = CameraFrame(scene[y : y + 240, x : x + 320], 1)
        [found] = pipe.detect([frame])
        found = pipe.compensate(frame, found, camera)
        return pipe.track(found, camera).camera

    assert moved('front', 40, 60) is None
    assert moved('left', 100, 100) is None
    np.testing.assert_allclose(moved('front', 60, 52), [[1, 0, -20], [0, 1, 8]], atol=0.6)
    assert moved('left', 100, 100).tolist() == [[1, 0, 0], [0, 1, 0]]
    pipe.reset()
    assert moved('front', 62, 52) is None


def test_a_known_motion_is_not_estimated_and_the_next_one_is_from_the_image_before_it(make):
    pipe, known = make(), np.array([[1.0, 0.1, 3.0], [-0.1, 1.0, 4.0]])
    scene = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    scene = scene.repeat(8, axis=0).repeat(8, axis=1)

    def moved(x: int, y: int, motion: np.ndarray | None = None) -> np.ndarray | None:
        frame = CameraFrame(scene[y : y + 240, x : x + 320], 1)
        [found] = pipe.detect([frame])
        return pipe.compensate(frame, found, motion=motion).camera

    assert moved(40, 60) is None
    assert moved(60, 52, known) is known
    assert moved(100, 100, known) is known
    np.testing.assert_allclose(moved(110, 100), [[1, 0, -10], [0, 1, 0]], atol=0.6)
    np.testing.assert_allclose(moved(110, 108), [[1, 0, 0], [0, 1, -8]], atol=0.6)
    assert moved(60, 52, known) is known
    pipe.reset()
    assert moved(62, 52) is None


@pytest.mark.parametrize('parameters', [{'camera_motion': False}, {'rule': 'paper'}])
def test_camera_motion_is_not_estimated_if_nothing_uses_it(make, parameters):
    pipe = make(**parameters)
    [found] = pipe.detect([CameraFrame(IMAGE, 1)])
    assert pipe.compensate(CameraFrame(IMAGE, 1), found) is found
    assert pipe.compensate(CameraFrame(IMAGE, 1), found, motion=np.eye(2, 3)) is found


def test_a_closed_pipeline_holds_no_model(make):
    pipe = make()
    model = weakref.ref(pipe.model)
    pipe.close()
    assert model() is None


def test_the_model_is_run_once_before_the_first_image(make):
    assert len(make().model.calls) == 1


@pytest.mark.parametrize(
    'parameters', [{}, {'rule': 'tao'}, {'rule': 'paper'}, {'detections_topic': 'boxes'}]
)
def test_whole_frames_are_made_up_and_leave_nothing_behind(parameters, monkeypatch, one_thread):
    pipe, calls = Pipeline(settings(**parameters)), []
    describe, update = pipe.model.describe, pipeline.Tracker.update

    def record(tracker, detections):
        calls.append(tracker)
        return update(tracker, detections)

    monkeypatch.setattr(pipeline, 'suppress', lambda *_: nullcontext())  # errors must be seen
    monkeypatch.setattr(pipeline.Tracker, 'update', record)
    monkeypatch.setattr(
        pipe.model, 'describe', lambda *a: calls.append(a[0].shape) or describe(*a)
    )
    pipe.warm_up()
    assert [call for call in calls if isinstance(call, tuple)] == [(480, 640, 3), (720, 1280, 3)]
    assert len(calls) == 2 + 2 * 2
    assert pipe.tracker() not in calls  # so its first id is still 1


def test_no_further_frame_is_made_up_while_an_image_waits(make):
    pipe = make()
    calls = len(pipe.model.calls)
    pipe.warm_up(lambda: True)
    assert len(pipe.model.calls) == calls


def test_the_worker_makes_up_frames_on_its_own_thread_before_the_first_image():
    events: Queue = Queue()

    def warm_up(is_over) -> None:
        events.put((current_thread().name, is_over()))

    camera = SimpleNamespace(
        name='',
        statistics=CameraStatistics(),
        read=lambda request: request,
        track=lambda request, frame, found: events.put((current_thread().name, found)),
    )
    worker = Worker(
        {'': camera}, lambda frames: ['found'], lambda *error: None, lambda *split: None, warm_up
    )
    worker.submit(camera, 'image')
    worker.start()
    try:
        assert events.get(timeout=30) == ('tracker worker', True)  # an image is waiting
        assert events.get(timeout=30) == ('tracker worker', 'found')
    finally:
        assert worker.stop(30)


def test_a_model_that_does_not_run_on_the_device_is_refused(make, monkeypatch):
    def fail(*_):
        raise RuntimeError('out of memory')

    monkeypatch.setattr(FourObjects, 'detect', fail)
    with pytest.raises(ConfigurationError, match=r"device cpu: out of memory\. .*'cpu'"):
        make()


def test_an_unknown_class_is_refused_with_similar_ones(make):
    with pytest.raises(ConfigurationError, match=r"'dogg'.*one of dog\?"):
        make(class_names=('cat', 'dogg'))


def test_an_unknown_device_is_refused():
    with pytest.raises(ConfigurationError, match="device is 'gpu'"):
        Pipeline(NodeParameters(checkpoint='random', device='gpu'))
