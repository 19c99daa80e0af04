# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JSON and YAML of others: whatever is wrong with them is one error."""

import pytest

from gtr_ros.parsing import parse_json
from gtr_ros.parsing import parse_yaml
from gtr_ros.parsing import ParseError


def test_valid_texts_are_parsed():
    assert parse_json('{"a": [1, 2.5, null]}') == {'a': [1, 2.5, None]}
    assert parse_yaml('a: [1, 2.5, null]') == {'a': [1, 2.5, None]}


@pytest.mark.parametrize('text', ['', '{', '[1,]', '9' * 5000, '[' * 100_000, '\ud800'])
def test_what_is_not_json_is_named(text):
    with pytest.raises(ParseError, match='not JSON'):
        parse_json(text)


def test_the_line_of_a_fault_in_json_is_known():
    with pytest.raises(ParseError, match='column 2') as raised:
        parse_json('{\n"a": 1,\n x}')
    assert raised.value.line == 3


@pytest.mark.parametrize(
    'text', ['{', 'a: 2026-06-31', '[' * 10_000, 'a: !!python/name:os.system', 'a: \0', '? {}: 1']
)
def test_what_is_not_yaml_is_named(text):
    with pytest.raises(ParseError, match='not YAML'):
        parse_yaml(text)
