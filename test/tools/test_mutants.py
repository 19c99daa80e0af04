# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The mutants of `make mutants`: what is changed, and that a test that fails is noticed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

from paths import REPOSITORY
import pytest

SOURCE = '''
"""A docstring 1."""
LIMIT: int = 5

def grow(x, step=0.5, *, on=True):
    """Not changed."""
    if x < LIMIT and on:
        raise ValueError(f'{x} is {1}')
    note(x, level=2)
    return x + step
'''


@pytest.fixture(scope='module')
def tool():
    sys.path.insert(0, str(REPOSITORY / 'tools'))
    try:
        import mutants_syntax
    finally:
        sys.path.pop(0)
    return mutants_syntax


def test_each_mutant_differs_in_one_place(tool):
    found = tool.find_mutants(SOURCE)
    changes = {(mutant.before, mutant.after) for mutant in found}
    assert changes == {
        ('5', '6'),
        ('0.5', '0.75'),
        ('True', 'False'),
        ('x < LIMIT and on', 'not (x < LIMIT and on)'),
        ('x < LIMIT and on', 'x < LIMIT or on'),
        ('x < LIMIT', 'x <= LIMIT'),
        ('x < LIMIT', 'x >= LIMIT'),
        ('note(x, level=2)', 'pass'),
        ('note(x, level=2)', 'note(x)'),
        ('2', '3'),
        ('x + step', 'x - step'),
        ('x + step', 'None'),
    }
    plain = ast.unparse(ast.parse(SOURCE)).splitlines()
    for mutant in found:
        lines = ast.unparse(tool.mutate(SOURCE, mutant.index)).splitlines()
        assert len(lines) == len(plain)
        assert sum(one != other for one, other in zip(lines, plain)) == 1


def test_mutants_know_where_they_are_and_when_they_run(tool):
    found = {mutant.before: mutant for mutant in tool.find_mutants(SOURCE)}
    assert (found['5'].function, found['5'].at_import, found['5'].lines) == ('', True, (3, 3))
    assert found['0.5'].at_import
    assert (found['x + step'].function, found['x + step'].lines) == ('grow', (10, 10))
    assert not found['x + step'].at_import


def test_a_mutant_that_a_test_notices_is_killed():
    run = subprocess.run(
        [
            *(sys.executable, 'tools/mutants.py', '--group', 'tracking', '--jobs', '1'),
            *('--tests', 'test/tracking/test_clock.py', '--module', 'tracking/clock'),
            *('--per-module', '6'),
        ],
        cwd=REPOSITORY,
        env={**os.environ, 'PYTHONPATH': str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    row = next(line for line in run.stdout.splitlines() if line.startswith('tracking'))
    _, _, tried, killed, *_ = row.split()
    assert int(tried) == 6, run.stdout + run.stderr
    assert int(killed) >= 4, run.stdout
