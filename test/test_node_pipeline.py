# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pipeline: parameters reach the model and the tracker, or are refused before they could."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy, whose types describe the parameters')

import torch

from gtr_ros.model.build import MODELS
from gtr_ros.node import pipeline
from gtr_ros.node.parameters import ConfigurationError
from gtr_ros.node.parameters import NodeParameters
from gtr_ros.node.pipeline import Pipeline
from gtr_ros.structures import Detections
from gtr_ros.tracking import RULES

IMAGE = np.zeros((40, 60, 3), np.uint8)


class FourObjects(torch.nn.Module):
    """A model that sees a cat, a dog, a cow and a dog in every image."""

    class_names = ('cat', 'dog', 'cow')
    association = SimpleNamespace(description='none at all')

    def __init__(self, checkpoint=None) -> None:
        super().__init__()
        self.calls = []

    def detect(self, images, stamps=None, score_threshold=0.4):
        self.calls.append((images[0].shape, stamps, score_threshold))
        columns = np.arange(4, dtype=np.float32)
        boxes = np.stack([columns, columns, columns + 5, columns + 5], axis=1)
        return [
            Detections(
                boxes=boxes,
                scores=columns / 10,
                labels=np.array([0, 1, 2, 1]),
                features=torch.arange(4.0)[:, None],
                image_size=(40, 60),
                stamp=stamps and stamps[0],
                class_scores=np.eye(3, dtype=np.float32)[[0, 1, 2, 1]],
            )
        ]


class Listener:
    """A tracker that gives back the detections themselves."""

    resets = 0

    def __init__(self, association, rule, window, min_hits) -> None:
        self.arguments = (association.description, rule, window, min_hits)

    def update(self, detections):
        return detections


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setitem(MODELS, 'mobile', FourObjects)
    monkeypatch.setattr(pipeline, 'Tracker', Listener)
    return lambda **parameters: Pipeline(
        NodeParameters(checkpoint='random', device='cpu', **parameters)
    )


def test_only_the_classes_asked_for_reach_the_tracker_with_all_their_fields(make):
    found = make(class_names=('dog',))(IMAGE, 7)
    assert found.labels.tolist() == [1, 1]
    assert found.boxes[:, 0].tolist() == [1, 3]
    np.testing.assert_allclose(found.scores, [0.1, 0.3], atol=1e-6)
    assert found.features[:, 0].tolist() == [1, 3]
    assert found.class_scores.tolist() == [[0, 1, 0], [0, 1, 0]]
    assert found.stamp == 7


def test_without_a_filter_every_class_reaches_the_tracker(make):
    assert make()(IMAGE, 7).labels.tolist() == [0, 1, 2, 1]


def test_parameters_reach_the_model_and_the_tracker(make):
    pipe = make(score_threshold=0.25, window=5, min_hits=2)
    assert pipe.tracker.arguments == ('none at all', RULES['mobile'], 5, 2)
    assert make(rule='paper').tracker.arguments[1] == RULES['paper']
    pipe(IMAGE, 9)
    assert pipe.model.calls[-1] == (IMAGE.shape, [9], 0.25)
    pipe.score_threshold = 0.75
    pipe(IMAGE, None)
    assert pipe.model.calls[-1] == (IMAGE.shape, [None], 0.75)


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
