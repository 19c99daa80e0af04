# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options are checked where they are made, and the tables that list their choices agree."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import fields
from dataclasses import replace

import pytest

from gtr_ros.evaluation.session import EvaluationOptions
from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.build import make_transformer
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.options import RUNTIMES
from gtr_ros.model.registry import model_builder
from gtr_ros.model.registry import model_spec
from gtr_ros.model.registry import MODELS
from gtr_ros.model.registry import ModelSpec
from gtr_ros.model.registry import resolve
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.options import ConfigurationError
from gtr_ros.options import option
from gtr_ros.options import Options
from gtr_ros.options import RANGES
from gtr_ros.options import RULES
from gtr_ros.options import without_effect
from gtr_ros.recordings.options import TrackingOptions
from gtr_ros.tracking import rules
from gtr_ros.training.objective import Objective


@dataclass(frozen=True)
class Example(Options):
    speed: float = option(1.0, 'Speed.', limits=(0.0, 2.0))
    colour: str = option('red', 'Colour.', choices=lambda: ('red', 'blue'))


def test_a_value_out_of_its_range_is_refused():
    with pytest.raises(ConfigurationError, match=r'speed is 3\.0; expected a number from 0\.0 to'):
        Example(speed=3.0)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), '1', None, True])
def test_a_value_that_is_no_number_in_the_range_is_refused(value):
    with pytest.raises(ConfigurationError, match=r'speed is .*; expected a number from 0\.0 to'):
        Example(speed=value)


WRONG = {
    'score_threshold': (40.0, -1.0, float('nan'), float('inf')),
    'weak_score_threshold': (40.0, -1.0, float('nan')),
    'window': (1, 0, -4, 257),
    'min_hits': (-1, 65),
}


@pytest.mark.parametrize(('name', 'value'), [(n, v) for n, some in WRONG.items() for v in some])
def test_node_recordings_and_evaluations_have_the_same_ranges(name, value):
    said = f'{name} is .*; expected a number from {RANGES[name][0]} to {RANGES[name][1]}'
    with pytest.raises(ConfigurationError, match=said):
        NodeParameters(**{name: value})
    with pytest.raises(ConfigurationError, match=said):
        TrackingOptions(**{name: value})
    of_evaluations = {'score_threshold': 'threshold', 'window': 'window'}
    if name in of_evaluations:
        with pytest.raises(ConfigurationError, match=said):
            EvaluationOptions(**{of_evaluations[name]: value})


def test_the_ranges_of_the_node_are_those_of_all():
    for spec in fields(NodeParameters):
        assert spec.metadata['limits'] == RANGES.get(spec.name, spec.metadata['limits'])


def test_a_value_that_is_no_choice_is_refused():
    assert Example(colour='blue').colour == 'blue'
    with pytest.raises(ConfigurationError, match="colour is 'pink'; expected one of red, blue"):
        Example(colour='pink')


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({'runtime': 'onnxruntime', 'precision': 'float16'}, r'precision float16 and .* are for'),
        ({'runtime': 'torch', 'exported': 'onnx'}, "exported is 'onnx', but runtime torch"),
        ({'compile': True, 'exported': 'onnx'}, 'compile True is torch, which reads no exported'),
        ({'provider': 'tensorrt'}, 'provider is tensorrt, but runtime auto has no providers'),
        (
            {'provider': 'cuda', 'runtime': 'onnxruntime', 'device': 'cpu'},
            'provider is cuda, which computes on a GPU, but device is cpu',
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, said):
    with pytest.raises(ConfigurationError, match=said):
        ModelOptions(**options)
    NodeParameters(**{**options, list(options)[-1]: getattr(ModelOptions(), list(options)[-1])})


def test_a_detectors_file_has_a_provider_in_every_runtime():
    assert ModelOptions(provider='cuda', detector='mine.onnx', runtime='torch').provider == 'cuda'
    assert ModelOptions(exported='onnx').exported == 'onnx'  # auto may read it


def test_an_option_that_nothing_uses_is_named():
    assert without_effect(NodeParameters()) == []
    assert without_effect(NodeParameters(coast=2.0, ground_frame='base')) == [
        "ground_frame is 'base', which has no effect without target_frame",
        'coast is 2.0, which has no effect without target_frame',
    ]
    assert without_effect(NodeParameters(coast=2.0, target_frame='map', depth=True)) == []
    # of two options, one is enough; nothing is asked for with an empty text or 0
    said = ["follow_frame is 'guest', which has no effect without depth or target_frame"]
    assert without_effect(NodeParameters(follow_frame='guest')) == said
    assert without_effect(NodeParameters(follow_frame='guest', depth=True)) == []
    assert without_effect(NodeParameters(follow_frame='', predict_seconds=0.0)) == []


def test_what_an_option_needs_is_an_option():
    names = [spec.name for spec in fields(NodeParameters)]
    needs = {spec.name: spec.metadata['needs'] for spec in fields(NodeParameters)}
    assert {name for name, others in needs.items() if others} >= {'coast', 'depth_slop'}
    for name in names:
        for text in [text for need in needs[name] for text in need.split(' or ')]:
            other, _, value = text.partition(' ')
            assert other in names and name != other
            if value:
                replace(NodeParameters(), **{other: value})  # raises if it has no such value


@dataclass(frozen=True)
class Lamp(Options):
    on: bool = option(False, 'Whether it is on.')
    kind: str = option('', 'Kind.', choices=('', 'led', 'gas'))
    level: float = option(0.5, 'Level.', needs=('on',))
    colour: str = option('red', 'Colour.', needs=('on', 'kind led'))
    glow: int = option(1, 'Glow.', needs=('on or kind gas',))

    def meaning(self, name):
        return super().meaning(name) or ('led' if name == 'kind' else '')


@pytest.mark.parametrize(
    ('given', 'missing'),
    [
        ({'level': 0.7, 'on': True}, ''),
        ({'level': 0.7}, 'on'),
        ({'level': 0.0}, ''),
        ({'colour': 'blue'}, 'on'),
        ({'colour': 'blue', 'kind': 'gas'}, 'on and kind led'),
        ({'colour': 'blue', 'kind': 'gas', 'on': True}, 'kind led'),
        ({'colour': 'blue', 'kind': 'led', 'on': True}, ''),
        ({'colour': 'blue', 'on': True}, ''),
        ({'glow': 3, 'kind': 'gas'}, ''),
        ({'glow': 3, 'on': True}, ''),
        ({'glow': 3}, 'on or kind gas'),
    ],
)
def test_an_option_may_need_several_others_one_of_them_or_a_value(given, missing):
    said = without_effect(Lamp(**given))
    assert [line.partition(' no effect without ')[2] for line in said] == [missing] * bool(missing)


def test_the_node_has_every_option_of_a_model():
    own = {spec.name: spec for spec in fields(NodeParameters)}
    for spec in fields(ModelOptions):
        assert own[spec.name].metadata == spec.metadata
        assert own[spec.name].default == spec.default


def test_every_rule_that_users_can_name_exists():
    assert tuple(rules.RULES) == RULES


@pytest.mark.parametrize('name', RUNTIMES)
def test_every_runtime_loads_and_describes(name):
    runtime = resolve(RUNTIMES[name])()
    assert callable(runtime.load)
    assert callable(runtime.describe)


@pytest.mark.parametrize('name', MODELS)
def test_every_entry_of_the_registry_holds(name):
    spec = model_spec(name)
    assert callable(model_builder(name))
    assert spec.rule in RULES
    assert isinstance(make_transformer(name), AssociationTransformer)
    assert issubclass(resolve(spec.objective), Objective)
    NodeParameters(model=name, **spec.parameters)


def test_a_model_that_is_registered_becomes_a_choice(monkeypatch):
    with pytest.raises(ConfigurationError, match="model is 'mine'; expected one of mobile, mot"):
        ModelOptions(model='mine')
    with pytest.raises(ValueError, match="model 'mine'; expected one of mobile, mot, tao"):
        model_builder('mine')
    spec = ModelSpec('my model', lambda: 'built', 'paper', weights='none')
    monkeypatch.setitem(MODELS, 'mine', spec)
    assert ModelOptions(model='mine').model == 'mine'
    assert NodeParameters(model='mine').model == 'mine'
    assert model_builder('mine')() == 'built'
    assert rules.rule_name(None, 'mine') == 'paper'


def test_paths_become_absolute_for_other_processes():
    options = ModelOptions(checkpoint='weights.safetensors', exported='~/onnx')
    paths = options.absolute_paths()
    assert paths['checkpoint'].startswith('/')
    assert '~' not in paths['exported']
    assert ModelOptions(checkpoint='random').absolute_paths() == {}
