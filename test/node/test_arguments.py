# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch arguments become values of parameters, or are refused with a remedy."""

import subprocess
import sys

from paths import REPOSITORY
import pytest

from gtr_ros.node.arguments import parse_arguments
from gtr_ros.node.arguments import refuse_unknown
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.options import ConfigurationError


@pytest.mark.parametrize(
    ('name', 'text', 'value'),
    [
        ('max_rate', '10', 10.0),
        ('max_rate', '1e-3', 0.001),
        ('score_threshold', '0.3', 0.3),
        ('window', '8', 8),
        ('window', '8.0', 8),
        ('depth', 'true', True),
        ('depth', 'False', False),
        ('class_names', "['person', 'car']", ('person', 'car')),
        ('class_names', '[person]', ('person',)),
        ('class_names', '[]', ()),
        ('class_names', "['']", ()),
        ('image_transport', 'compressed', 'compressed'),
        ('checkpoint', '1', '1'),
        ('checkpoint', 'true', 'true'),
        ('checkpoint', "''", ''),
    ],
)
def test_a_text_becomes_a_value_of_the_parameters_type(name, text, value):
    parsed = parse_arguments(NodeParameters, {name: text})
    assert parsed == {name: value}
    assert type(parsed[name]) is type(value)


@pytest.mark.parametrize(
    ('name', 'text', 'words'),
    [
        ('max_rate', 'fast', ["max_rate is 'fast'", 'a number, such as 0.0']),
        ('max_rate', 'true', ["max_rate is 'true'", 'a number']),
        ('max_rate', '-1', ['max_rate is -1.0', '0.0 to 1000.0']),
        ('max_rate', 'nan', ['max_rate is nan', '0.0 to 1000.0']),
        ('max_rate', '[1', ["max_rate is '[1'", 'a number']),
        ('window', '7.5', ["window is '7.5'", 'a whole number, such as 32']),
        ('window', 'inf', ["window is 'inf'", 'a whole number']),
        ('depth', '1', ["depth is '1'", 'true or false']),
        ('depth', 'null', ["depth is 'null'", 'true or false']),
        ('class_names', 'person', ["class_names is 'person'", "['person', 'car']"]),
        ('class_names', '[1, 2]', ["class_names is '[1, 2]'", "['person', 'car']"]),
        ('image_transport', 'h264', ["image_transport is 'h264'", 'raw, compressed']),
    ],
)
def test_a_text_that_is_no_such_value_is_refused_with_an_example(name, text, words):
    with pytest.raises(ConfigurationError) as refusal:
        parse_arguments(NodeParameters, {name: text})
    for word in words:
        assert word in str(refusal.value)


def test_two_values_that_only_fit_together_are_not_compared_with_defaults():
    # weak_score_threshold is above the default of score_threshold, but maybe not above the file's.
    given = {'weak_score_threshold': '0.5'}
    assert parse_arguments(NodeParameters, given) == {'weak_score_threshold': 0.5}


@pytest.mark.parametrize('text', ['[' * 10_000, '9' * 400, '9' * 5000, '2026-06-31', '{', 'a: \0'])
def test_texts_that_yaml_cannot_convert_are_refused(text):
    with pytest.raises(ConfigurationError, match='score_threshold'):
        parse_arguments(NodeParameters, {'score_threshold': text})


def test_unknown_names_are_refused_together_each_with_a_suggestion():
    known = ['score_threshold', 'namespace', 'image_topic']
    refuse_unknown(known, known)
    with pytest.raises(ConfigurationError) as refusal:
        refuse_unknown(['score_treshold', 'namespace', 'image_topik', 'xyz'], known)
    text = str(refusal.value)
    assert "'score_treshold' (did you mean score_threshold?)" in text
    assert "'image_topik' (did you mean image_topic?)" in text
    assert "'xyz';" in text or "'xyz'." in text
    assert '--show-args' in text


def test_a_launch_file_imports_the_parameters_without_rclpy_and_torch():
    modules = 'arguments', 'environment', 'tracker.parameters', 'viewer.parameters', 'programs'
    code = f'import sys; {"; ".join(f"import gtr_ros.node.{name}" for name in modules)}; '
    code += 'sys.exit(str(sys.modules.keys() & {"rclpy", "torch", "av", "numpy"}))'
    run = subprocess.run(
        [sys.executable, '-c', code], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert run.stderr.strip() == 'set()'
