# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node: defaults, ranges, and messages for invalid values."""

from dataclasses import asdict
from dataclasses import fields
from dataclasses import replace
from pathlib import Path
import sys

import pytest

pytest.importorskip('rclpy', reason='needs rclpy')

from rcl_interfaces.msg import ParameterType
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
import yaml

from gtr_ros.model.registry import MODELS
from gtr_ros.model.registry import own_parameters
from gtr_ros.node.declaring import accept_integers
from gtr_ros.node.declaring import declare_all
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.options import ConfigurationError
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking.rules import NAMES

CONFIG = Path('config/mobile.yaml')
LIVE = (
    'score_threshold',
    'weak_score_threshold',
    'class_names',
    'window',
    'min_hits',
    'max_rate',
    'max_age',
)


@pytest.fixture
def node_with():
    """Return a function that makes nodes with parameter overrides."""
    context = rclpy.Context()
    rclpy.init(context=context)
    nodes = []

    def make(*arguments: str, **overrides) -> Node:
        nodes.append(
            Node(
                'tracker',
                context=context,
                cli_args=['--ros-args', *arguments] if arguments else None,
                parameter_overrides=[Parameter(name, value=overrides[name]) for name in overrides],
            )
        )
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


def test_a_node_without_overrides_has_the_defaults(node_with):
    assert declare_all(node_with(), NodeParameters) == NodeParameters()


def test_overrides_are_applied(node_with):
    node = node_with(score_threshold=0.25, window=8, class_names=['dog', 'cat'], device='cuda:1')
    parameters = declare_all(node, NodeParameters)
    assert parameters == replace(
        NodeParameters(),
        score_threshold=0.25,
        window=8,
        class_names=('dog', 'cat'),
        device='cuda:1',
    )


def test_the_yaml_file_has_exactly_the_defaults(node_with):
    parameters = declare_all(node_with('--params-file', str(CONFIG)), NodeParameters)
    assert parameters == NodeParameters()


@pytest.mark.parametrize(
    ('model', 'score_threshold', 'window'), [('mot', 0.55, 32), ('tao', 0.4, 16)]
)
def test_the_files_of_the_papers_models_have_the_published_settings(
    node_with, model, score_threshold, window
):
    file = CONFIG.with_name(f'{model}.yaml')
    parameters = declare_all(node_with('--params-file', str(file)), NodeParameters)
    assert parameters == NodeParameters(
        model=model, score_threshold=score_threshold, window=window, min_hits=5
    )
    given = yaml.safe_load(file.read_text())['/**']['ros__parameters']
    assert given.keys() == asdict(parameters).keys()


@pytest.mark.parametrize('name', MODELS)
def test_without_a_file_a_model_has_the_settings_of_its_file(node_with, name):
    file = CONFIG.with_name(f'{name}.yaml')
    expected = declare_all(node_with('--params-file', str(file)), NodeParameters)
    assert declare_all(node_with(model=name), NodeParameters, own_parameters) == expected
    changed = declare_all(node_with(model=name, min_hits=2), NodeParameters, own_parameters)
    assert changed == replace(expected, min_hits=2)


def test_the_yaml_file_names_every_parameter_and_its_default():
    given = yaml.safe_load(CONFIG.read_text())['/**']['ros__parameters']
    expected = {**asdict(NodeParameters()), 'class_names': [''], 'cameras': ['']}
    assert given == expected


def test_yaml_files_and_the_page_of_parameters_are_generated_from_the_dataclass():
    sys.path.insert(0, 'tools')
    import parameter_files

    for name in MODELS:
        text = CONFIG.with_name(f'{name}.yaml').read_text()
        assert text == parameter_files.yaml_file(name), f'run tools/parameter_files.py: {name}'
    page = Path('docs/parameters.md').read_text()
    assert page == parameter_files.page(page), 'run tools/parameter_files.py'
    assert parameter_files.table() in page


@pytest.mark.parametrize('written', ['[]', "['']"])
def test_an_empty_list_of_classes_means_all_and_the_parameter_is_set(node_with, written):
    node = node_with('-p', f'class_names:={written}')
    assert declare_all(node, NodeParameters).class_names == ()
    assert node.get_parameter('class_names').value == ['']


def test_every_parameter_has_a_descriptor(node_with):
    node = node_with()
    declare_all(node, NodeParameters)
    types = {
        bool: ParameterType.PARAMETER_BOOL,
        int: ParameterType.PARAMETER_INTEGER,
        float: ParameterType.PARAMETER_DOUBLE,
        str: ParameterType.PARAMETER_STRING,
        tuple: ParameterType.PARAMETER_STRING_ARRAY,
    }
    for spec in fields(NodeParameters):
        descriptor = node.describe_parameter(spec.name)
        assert descriptor.description == spec.metadata['description']
        assert descriptor.type == types[type(spec.default)]
        assert descriptor.read_only == (spec.name not in LIVE)
        ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
        expected = [spec.metadata['limits']] if spec.metadata['limits'] else []
        assert [(limit.from_value, limit.to_value) for limit in ranges] == expected
    assert node.describe_parameter('model').additional_constraints == (
        f'one of: {", ".join(MODELS)}'
    )


@pytest.mark.parametrize(
    ('name', 'value', 'words'),
    [
        ('score_threshold', 1.5, ['score_threshold', '1.5', '1.0']),
        ('score_threshold', float('nan'), ['score_threshold', 'nan']),
        ('score_threshold', 2, ['score_threshold', '2.0', '1.0']),
        ('score_threshold', 'high', ['score_threshold', "'high'", 'STRING', 'DOUBLE', '0.4']),
        ('score_threshold', True, ['score_threshold', 'BOOL', 'DOUBLE', '0.4']),
        ('score_treshold', 0.3, ["'score_treshold'", 'did you mean score_threshold?']),
        ('class_name', ['dog'], ["'class_name'", 'did you mean class_names?']),
        ('window', 1, ['window', '1', '2']),
        ('window', 'many', ['window', "'many'", 'STRING', '32']),
        ('min_hits', -1, ['min_hits', '-1', '0', '64']),
        ('rule', 'iou', ['rule', "'iou'", 'one of', 'evidence', 'gaussian']),
        ('weak_score_threshold', 0.5, ['weak_score_threshold is 0.5', '0.4', 'below', '0.0']),
        ('gallery_size', 100_001, ['gallery_size', '100001', '100000']),
        ('gallery_seconds', -1.0, ['gallery_seconds', '-1', '86400']),
        ('threads', -1, ['threads', '-1']),
        ('model', 'yolo', ['model', "'yolo'", 'one of', 'mobile']),
        ('class_names', 'dog', ['class_names', 'STRING_ARRAY', "['person']"]),
        ('cameras', ['front', '2nd'], ['cameras', "'2nd'", 'letter']),
        ('cameras', ['a/b'], ['cameras', "'a/b'"]),
        ('cameras', ['front', 'front'], ['cameras', 'twice']),
        ('detections_width', 640, ['detections_width', '640', 'both']),
        ('image_transport', 'h264', ['image_transport', 'raw', 'compressed']),
    ],
)
def test_a_wrong_value_is_refused_with_value_rule_and_hint(node_with, name, value, words):
    with pytest.raises(ConfigurationError) as refusal:
        declare_all(node_with(**{name: value}), NodeParameters)
    for word in words:
        assert word in str(refusal.value)


def test_an_integer_is_accepted_where_a_number_is_meant(node_with, tmp_path):
    file = tmp_path / 'parameters.yaml'
    file.write_text('/**: {ros__parameters: {max_rate: 10, gallery_seconds: 60}}')
    node = node_with('--params-file', str(file), '-p', 'score_threshold:=1')
    parameters = declare_all(node, NodeParameters)
    assert parameters == replace(
        NodeParameters(), max_rate=10.0, gallery_seconds=60.0, score_threshold=1.0
    )
    assert node.get_parameter('max_rate').type_ == Parameter.Type.DOUBLE
    assert node.describe_parameter('max_rate').type == ParameterType.PARAMETER_DOUBLE


def test_an_integer_is_accepted_where_a_number_is_meant_while_the_node_runs(node_with):
    node = node_with()
    declare_all(node, NodeParameters)
    node.add_pre_set_parameters_callback(accept_integers(NodeParameters))
    [rate, window, wrong] = node.set_parameters(
        [
            Parameter('max_rate', value=10),
            Parameter('window', value=8),
            Parameter('score_threshold', value=2),
        ]
    )
    assert rate.successful
    assert window.successful
    assert not wrong.successful
    assert node.get_parameter('max_rate').value == 10.0
    assert node.get_parameter('window').value == 8


@pytest.mark.parametrize('section', ['/**', '/tracker', 'tracker'])
def test_a_typo_in_a_file_is_refused(node_with, tmp_path, section):
    file = tmp_path / 'parameters.yaml'
    file.write_text(f'{section}: {{ros__parameters: {{score_treshold: 0.3}}}}')
    with pytest.raises(ConfigurationError, match=r"'score_treshold' \(did you mean score_thresh"):
        declare_all(node_with('--params-file', str(file)), NodeParameters)


def test_a_parameter_of_another_node_in_a_shared_file_is_warned_of(node_with, tmp_path, capfd):
    file = tmp_path / 'robot.yaml'
    file.write_text(
        '/**: {ros__parameters: {use_sim_time: true, wheel_radius: 0.1, window: 8, '
        'qos_overrides: {/image: {subscription: {depth: 3}}}}}'
    )
    assert declare_all(node_with('--params-file', str(file)), NodeParameters).window == 8
    warnings = [line for line in capfd.readouterr().err.splitlines() if 'no parameter' in line]
    assert len(warnings) == 1
    assert "'wheel_radius': its value is ignored" in warnings[0]


def test_one_topic_of_boxes_for_several_cameras_is_refused():
    with pytest.raises(ConfigurationError, match=r'/yolo.*2 cameras.*remapped for each camera'):
        NodeParameters(cameras=('front', 'left'), detections_topic='/yolo')
    NodeParameters(cameras=('front', 'left'), detections_topic='yolo')


@pytest.mark.parametrize('value', [float('nan'), -0.1, 1.1])
def test_the_dataclass_itself_refuses_values_out_of_range(value):
    with pytest.raises(ConfigurationError, match=r'score_threshold is .*from 0\.0 to 1\.0'):
        NodeParameters(score_threshold=value)


def test_rules_and_gallery_defaults_are_those_of_the_tracker():
    defaults = NodeParameters()
    [rule] = [spec for spec in fields(NodeParameters) if spec.name == 'rule']
    assert rule.metadata['choices'] == ('', *NAMES)
    gallery = EvidenceRule().gallery
    assert (defaults.gallery_size, defaults.gallery_seconds) == (gallery.size, gallery.seconds)


def test_a_read_only_parameter_cannot_be_set_later(node_with):
    node = node_with()
    declare_all(node, NodeParameters)
    [model, threshold] = node.set_parameters(
        [Parameter('model', value='mot'), Parameter('score_threshold', value=0.5)]
    )
    assert not model.successful
    assert threshold.successful
