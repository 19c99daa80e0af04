# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which parameters nothing uses: what is said with each linking rule is what happens."""

from __future__ import annotations

import ast
from dataclasses import fields
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy, whose types describe the parameters')

from paths import REPOSITORY
import rclpy
from rclpy.parameter import Parameter
from scripted import Scripted
import torch

from gtr_ros.node.tracker import pipeline
from gtr_ros.node.tracker.node import TrackerNode
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.node.tracker.pipeline import CameraFrame
from gtr_ros.node.tracker.pipeline import Pipeline
from gtr_ros.node.tracker.sharing import sharing_of
from gtr_ros.options import RULES
from gtr_ros.options import without_effect

#: used whatever the other parameters are; a new parameter must be here or in one of the tables
USED = (
    *('model', 'checkpoint', 'detector', 'device', 'runtime', 'precision', 'compile'),
    *('input_size', 'threads', 'cameras', 'image_transport', 'rule', 'autostart'),
    *('score_threshold', 'weak_score_threshold', 'class_names', 'window', 'min_hits'),
    *('max_rate', 'max_age', 'detections_topic', 'class_id_format', 'depth', 'follow_hidden'),
    *('zones_file', 'left_after', 'still_seconds', 'crop_rate', 'profile'),
)
#: refused, where nothing would use them
REFUSED = ('exported', 'provider', 'target_frame', 'people', 'share_ids')
#: a value of each other parameter, and what it needs; RULE: the rule evidence, too
RULE = {'rule': 'evidence'}
METRIC = {'target_frame': 'map'}
NEEDS: dict[str, tuple[Any, dict[str, Any]]] = {
    'camera_motion': (True, RULE),
    'camera_motion_frame': ('odom', {'camera_motion': True, **RULE}),
    'gallery_size': (7, RULE),
    'gallery_seconds': (60.0, {'gallery_size': 1000, **RULE}),
    'detections_slop': (0.1, {'detections_topic': 'boxes'}),
    'detections_width': (640, {'detections_topic': 'boxes'}),
    'detections_height': (480, {'detections_topic': 'boxes'}),
    'depth_slop': (0.1, {'depth': True}),
    'ground_frame': ('base', {'target_frame': 'map'}),
    'depth_error': (0.1, {'target_frame': 'map', 'depth': True}),
    'coast': (2.0, METRIC),
    'transform_timeout': (0.5, METRIC),
    'predict_seconds': (1.0, METRIC),
    'follow_frame': ('guest', METRIC),
    'still_speed': (0.1, {'still_seconds': 5.0}),
}
SHARED = {'cameras': ('front', 'left'), 'depth': True, 'target_frame': 'map', 'share_ids': True}
FRAME = CameraFrame(np.zeros((48, 64, 3), np.uint8), 1)
MOTION = np.array([[1.0, 0, 3], [0, 1, 0]])


def named(**parameters: Any) -> set[str]:
    """Return the parameters that are said to have no effect; others are set as these need."""
    if parameters.get('target_frame') and not parameters.get('depth'):
        parameters.setdefault('ground_frame', 'base')
    sizes = {'detections_width', 'detections_height'}
    if sizes & set(parameters):
        parameters = {**dict.fromkeys(sizes, 480), **parameters}
    return {line.split()[0] for line in without_effect(NodeParameters(**parameters))}


def test_every_parameter_is_in_a_table():
    assert sorted((*USED, *REFUSED, *NEEDS)) == sorted(s.name for s in fields(NodeParameters))
    declared = {spec.name for spec in fields(NodeParameters) if spec.metadata['needs']}
    # The motion of a camera is estimated by default, so that nobody has asked for it.
    assert declared == set(NEEDS) - {'camera_motion'}


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('name', [name for name in NEEDS if name != 'camera_motion'])
def test_a_parameter_is_named_where_something_is_missing_that_it_needs(name, rule):
    value, needs = NEEDS[name]
    given = {**needs, 'rule': rule, name: value}
    assert (name in named(**given)) == ('rule' in needs and rule != 'evidence')
    for other in set(needs) - {'rule'}:
        nothing = type(needs[other])()
        assert name in named(**{**given, other: nothing})


@pytest.mark.parametrize(
    'given',
    [
        {'model': 'mot'},
        {'model': 'tao', 'rule': 'gaussian'},
        {'rule': 'paper'},
        {'rule': 'mobile'},
        {'rule': 'evidence', 'model': 'mot'},
        {'model': 'mot', 'detections_topic': 'boxes'},
        {'model': 'mot', 'detector': 'mine.onnx'},
        {},
    ],
)
def test_the_rule_that_counts_is_the_one_that_links(given, monkeypatch):
    monkeypatch.setattr(pipeline, 'load_model', lambda *_, **__: Model())
    settings = NodeParameters(gallery_size=7, **given)
    links = hasattr(Pipeline(settings).tracker().rule, 'gallery')
    assert bool(without_effect(settings)) == (not links) == (not settings.compensates)


def test_the_gallery_limits_the_objects_that_cameras_share_with_any_rule():
    for rule in RULES:
        assert named(rule=rule, gallery_size=7, gallery_seconds=60.0, **SHARED) == set()
        given = NodeParameters(rule=rule, gallery_size=7, gallery_seconds=60.0, **SHARED)
        known = sharing_of(given)._identities.rule
        assert (known.size, known.seconds) == (2 * 7, 60.0)


class Model(Scripted):
    """Finds a person in every image; keeps the least score of the boxes that are asked for."""

    class_names = ('person', 'dog')
    device = torch.device('cpu')
    detector = None

    def detect(self, images, stamps, score_threshold):
        self.asked, self.scores = score_threshold, iter([0.9])
        return super().detect(images, stamps or [None], score_threshold)


def built(settings: NodeParameters) -> list[object]:
    """Return everything that links the objects of a camera's images as these parameters say."""
    pipe = Pipeline(settings)
    [found] = pipe.detect([FRAME])
    tracker = pipe.tracker()
    moved = pipe.compensate(FRAME, found, motion=MOTION)
    # The rule tao compares the scores of all classes.
    found = replace(found, class_scores=np.array([[0.9, 0.1]], np.float32))
    return [
        pipe.model.asked,
        (tracker.rule, tracker.window, tracker.min_hits, tracker.begin_score),
        pipe.track(found).labels.tolist(),
        moved.camera is not None,
        settings.needs_transforms,
    ]


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('score_threshold', 0.2),
        ('weak_score_threshold', 0.2),
        ('class_names', ('dog',)),
        ('window', 5),
        ('min_hits', 2),
        ('camera_motion', False),
        ('camera_motion_frame', 'odom'),
        ('gallery_size', 7),
        ('gallery_size', 0),
        ('gallery_seconds', 60.0),
    ],
)
def test_what_is_not_named_changes_the_linking_and_what_is_named_does_not(
    monkeypatch, rule, name, value
):
    monkeypatch.setattr(pipeline, 'load_model', lambda *_, **__: Model())
    plain = NodeParameters(rule=rule)
    changed = replace(plain, **{name: value})
    # 0 and false are not named: they ask for nothing.
    used = rule == 'evidence' or 'rule' not in NEEDS.get(name, (0, {}))[1]
    assert (built(changed) != built(plain)) == used
    assert bool(without_effect(changed)) == (not used and bool(value))


def test_every_parameter_is_read_somewhere():
    own = ('gtr_ros/node/tracker/parameters.py', 'gtr_ros/model/options.py')
    read = set()
    for path in (REPOSITORY / 'gtr_ros').rglob('*.py'):
        if not str(path).endswith(own):
            nodes = ast.walk(ast.parse(path.read_text()))
            read |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    properties = {'cameras': 'camera_names', 'camera_motion': 'compensates'}
    names = {properties.get(spec.name, spec.name) for spec in fields(NodeParameters)}
    assert names <= read


def test_a_parameter_that_is_set_while_nothing_uses_it_is_named_once(monkeypatch):
    # None of those that can be set now needs others.
    spec = next(spec for spec in fields(NodeParameters) if spec.name == 'max_rate')
    needy = MappingProxyType({**spec.metadata, 'needs': ('depth',)})
    monkeypatch.setattr(spec, 'metadata', needy)
    said: list[str] = []
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    node = TrackerNode(context=context)
    monkeypatch.setattr(node.get_logger(), 'warning', said.append)
    try:
        for name, value in (('max_rate', 5.0), ('max_age', 2.0), ('max_rate', 0.0)):
            [result] = node.set_parameters([Parameter(name, value=value)])
            assert result.successful
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
    assert said == ['max_rate is 5.0, which has no effect without depth']
