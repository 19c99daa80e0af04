# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A choice of a runtime that is damaged in the cache is measured again."""

from __future__ import annotations

from dataclasses import asdict
import json

import pytest

from gtr_ros.runtime.choice import Choice
from gtr_ros.runtime.choice import Question

MADE = Choice('torch', {'torch': 3.0}, {'openvino': 'not installed'})


@pytest.fixture
def question(tmp_path, monkeypatch) -> Question:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    return Question((), tmp_path / 'a.onnx', 'mark', 'key', 'title', True, (1, 3, 8, 8))


def test_what_was_kept_is_the_answer(question):
    question.keep(MADE)
    assert question.answer() == MADE
    assert 'torch 3.0 ms; openvino is passed over: not installed' in str(question.answer())


@pytest.mark.parametrize(
    'change',
    [
        {'milliseconds': 5},
        {'milliseconds': None},
        {'milliseconds': {'torch': 'fast'}},
        {'problems': []},
        {'problems': {'openvino': 3}},
        {'runtime': ['torch']},
        {'runtime': 'other'},
        {'unknown': 1},
    ],
)
def test_values_of_other_types_are_no_answer(question, change):
    question.keep(MADE)
    question.path.write_text(json.dumps(asdict(MADE) | change))
    assert question.answer() is None


@pytest.mark.parametrize('text', ['', '[]', '7', '[' * 100_000, '{"runtime": ' + '9' * 5000])
def test_what_is_not_json_is_no_answer(question, text):
    question.keep(MADE)
    question.path.write_text(text)
    assert question.answer() is None
