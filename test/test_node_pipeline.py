# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pipeline: parameters reach the model and the tracker, or are refused before they could."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
import weakref

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy, whose types describe the parameters')

import torch

from gtr_ros.node import pipeline
from gtr_ros.node.parameters import ConfigurationError
from gtr_ros.node.parameters import NodeParameters
from gtr_ros.node.pipeline import Frame
from gtr_ros.node.pipeline import Pipeline
from gtr_ros.structures import Detections
from gtr_ros.tracking import RULES

IMAGE = np.zeros((40, 60, 3), np.uint8)


class FourObjects(torch.nn.Module):
    """A model that sees a cat, a dog, a cow and a dog in every image."""

    class_names = ('cat', 'dog', 'cow')
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


class Listener:
    """A tracker that gives back the detections themselves."""

    def __init__(self, association, rule, window, min_hits) -> None:
        self.association, self.rule = association, rule
        self.window, self.min_hits = window, min_hits
        self.resets = 0

    def update(self, detections):
        return detections

    def reset(self):
        self.resets += 1


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setattr(pipeline, 'load_model', lambda *_: FourObjects())
    monkeypatch.setattr(pipeline, 'Tracker', Listener)
    return lambda **parameters: Pipeline(settings(**parameters))


def settings(**parameters) -> NodeParameters:
    return NodeParameters(checkpoint='random', device='cpu', **parameters)


def track(pipe: Pipeline, stamp: int | None):
    [found] = pipe.detect([Frame(IMAGE, stamp)])
    return pipe.follow(found)


def test_only_the_classes_asked_for_reach_the_tracker_with_all_their_fields(make):
    found = track(make(class_names=('dog',)), 7)
    assert found.labels.tolist() == [1, 1]
    assert found.boxes[:, 0].tolist() == [1, 3]
    np.testing.assert_allclose(found.scores, [0.1, 0.3], atol=1e-6)
    assert found.features[:, 0].tolist() == [1, 3]
    assert found.class_scores.tolist() == [[0, 1, 0], [0, 1, 0]]
    assert found.stamp == 7


def test_without_a_filter_every_class_reaches_the_tracker(make):
    assert track(make(), 7).labels.tolist() == [0, 1, 2, 1]


def test_parameters_reach_the_model_and_the_tracker(make):
    pipe = make(score_threshold=0.25, window=5, min_hits=2)
    [tracker] = pipe._trackers.values()
    assert (tracker.window, tracker.min_hits, tracker.rule) == (5, 2, RULES['mobile'])
    assert make(rule='paper')._trackers[''].rule == RULES['paper']
    track(pipe, 9)
    assert pipe.model.calls[-1] == ([IMAGE.shape], [9], 0.25)


def test_live_parameters_are_taken_over_at_once_or_not_at_all(make):
    pipe = make()
    pipe.update(settings(score_threshold=0.75, window=9, min_hits=4, class_names=('cow',)))
    assert track(pipe, None).labels.tolist() == [2]
    assert pipe.model.calls[-1] == ([IMAGE.shape], [None], 0.75)
    assert (pipe._trackers[''].window, pipe._trackers[''].min_hits) == (9, 4)
    with pytest.raises(ConfigurationError, match='hamster'):
        pipe.update(settings(score_threshold=0.1, class_names=('hamster',)))
    assert pipe.score_threshold == 0.75


def test_all_cameras_go_through_the_model_at_once_and_have_trackers_of_their_own(make):
    pipe = make(cameras=('front', 'left'))
    assert pipe.model.calls[-1][0] == [(480, 640, 3)] * 2
    found = pipe.detect([Frame(IMAGE, 1), Frame(IMAGE[:20], 2)])
    assert pipe.model.calls[-1][:2] == ([(40, 60, 3), (20, 60, 3)], [1, 2])
    assert [objects.stamp for objects in found] == [1, 2]
    assert pipe._trackers['front'] is not pipe._trackers['left']
    pipe.reset()
    assert (pipe.resets('front'), pipe.resets('left')) == (1, 1)


def test_another_detectors_boxes_are_described_filtered_and_followed(make):
    pipe = make(detections_topic='boxes', class_names=('forklift',), score_threshold=0.5)
    boxes = np.array([[1, 2, 9, 9], [2, 3, 8, 9], [3, 3, 9, 9]], np.float32)
    labels = np.array([pipe.label_of(name) for name in ('forklift', 'forklift', 'pallet')])
    scores = np.array([0.9, 0.1, 0.9], np.float32)
    given = Detections(boxes, scores, labels, torch.zeros(3, 1), (40, 60))
    calls = len(pipe.model.calls)
    [found] = pipe.detect([Frame(IMAGE, 5, given)])
    assert len(pipe.model.calls) == calls
    assert found.boxes.tolist() == boxes[:1].tolist()
    assert found.features.tolist() == [[1, 1]]
    assert found.stamp == 5
    assert pipe.class_names == ['forklift', 'pallet']


def test_a_closed_pipeline_holds_no_model(make):
    pipe = make()
    model = weakref.ref(pipe.model)
    pipe.close()
    assert model() is None


def test_the_model_runs_once_before_the_first_image(make):
    assert len(make().model.calls) == 1


def test_a_model_that_does_not_run_on_the_device_is_refused(make, monkeypatch):
    def fail(*_):
        raise RuntimeError('out of memory')

    monkeypatch.setattr(FourObjects, 'detect', fail)
    with pytest.raises(ConfigurationError, match=r"device cpu: out of memory\. .*'cpu'"):
        make()


def test_an_unknown_class_is_refused_with_those_that_are_close(make):
    with pytest.raises(ConfigurationError, match=r"'dogg'.*one of dog\?"):
        make(class_names=('cat', 'dogg'))


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ConfigurationError, match="device is 'gpu'"):
        Pipeline(NodeParameters(checkpoint='random', device='gpu'))
