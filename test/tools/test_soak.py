# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`make soak`: its bounds, its file of parts, and two minutes of it."""

from __future__ import annotations

from importlib.util import module_from_spec
from importlib.util import spec_from_file_location
import os
from pathlib import Path
import subprocess
import sys

from paths import REPOSITORY
import pytest

SOAK = REPOSITORY / 'tools' / 'soak'
SECONDS = 120


def load_verdict():
    # Not through sys.path, where its neighbours would be found, too.
    spec = spec_from_file_location('soak_verdict', SOAK / 'verdict.py')
    module = sys.modules['soak_verdict'] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verdict = load_verdict()


def camera(**changes: int) -> dict[str, int]:
    ends = {'processed': 300, 'dropped': 650, 'failed': 0, 'skipped': 50, 'unmatched': 0}
    return {'received': 1000, 'lost': 0, **ends, **changes}


def part(sample=lambda second: {}, **changes: object):
    """Return a part that keeps all bounds, except for some changes."""
    usual = {'memory': 500.0, 'threads': 12, 'files': 30, 'age': 80.0, 'processing': 60.0}
    samples = [verdict.Sample(**{**usual, **sample(second)}) for second in range(SECONDS)]
    values = {
        'samples': samples,
        'reports': SECONDS,
        'longest_gap': 1.1,
        'counters': {'front': camera(), 'rear': camera()},
        **{'ids': 20, 'appearances': 40, 'found': 500, 'true': 900, 'calls': 9},
        **changes,
    }
    return verdict.Part('2026-11-28', 'a machine', SECONDS, 30.0, **values)


def failed(measured) -> list[str]:
    return [check.name for check in verdict.checks(measured) if not check.kept]


def test_a_part_that_keeps_all_bounds_passes():
    assert failed(part()) == []


@pytest.mark.parametrize(
    ('sample', 'name'),
    [
        (lambda t: {'memory': 500.0 + 2 * t}, 'memory is flat'),
        (lambda t: {'age': 80.0 + 3 * t}, 'latency is flat'),
        (lambda t: {'threads': 12 + t // 20}, 'threads are flat'),
        (lambda t: {'files': 30 + t // 5}, 'file descriptors are flat'),
    ],
)
def test_what_grows_is_named(sample, name):
    assert failed(part(sample)) == [name]


def test_a_slower_machine_is_no_latency_that_grows():
    slow = part(lambda t: {'age': 80.0 * (1 + t // 60), 'processing': 60.0 * (1 + t // 60)})
    assert failed(slow) == []


@pytest.mark.parametrize(
    ('changes', 'name'),
    [
        ({'reports': SECONDS // 2}, 'no callback is lost'),
        ({'longest_gap': 9.0}, 'no callback is lost'),
        ({'unanswered': 1}, 'every call is answered'),
        ({'counters': {'front': camera(dropped=649)}}, 'every image is accounted for'),
        (
            {'counters': {'front': camera(failed=1, processed=299)}},
            'every image is accounted for',
        ),
        ({'repeated': 1}, 'ids are unique and never reused'),
        ({'reused': 1}, 'ids are unique and never reused'),
        ({'ids': 1000}, 'few ids for each object'),
        ({'found': 3}, 'objects are found'),
        ({'samples': []}, 'measured'),
    ],
)
def test_what_is_lost_or_wrong_is_named(changes, name):
    assert failed(part(**changes)) == [name]


def test_the_verdict_is_over_all_parts_of_a_file(tmp_path, capsys):
    state = tmp_path / 'soak.jsonl'
    assert verdict.load(state) == []
    assert not verdict.judge([])
    verdict.append(state, part())
    assert verdict.judge(verdict.load(state))
    verdict.append(state, part(reused=1))
    assert not verdict.judge(verdict.load(state))
    verdict.append(state, part())
    parts = verdict.load(state)
    assert parts[2] == part()
    assert not verdict.judge(parts)
    assert 'FAILED: 3 parts, 0.10 hours' in capsys.readouterr().out


def run(*arguments: object) -> subprocess.CompletedProcess:
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    return subprocess.run(
        [sys.executable, str(SOAK), *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
    )


@pytest.mark.ros
def test_two_minutes_of_soak_keep_all_bounds(tmp_path: Path):
    pytest.importorskip('rclpy', reason='needs rclpy and the built messages')
    state = tmp_path / 'soak.jsonl'
    first = run('--minutes', 2, '--state', state)
    assert first.returncode == 0, first.stdout + first.stderr
    [measured] = verdict.load(state)
    assert measured.seconds >= SECONDS
    assert len(measured.events) == 8
    again = run('--minutes', 0, '--state', state)
    assert again.returncode == 0
    assert 'passed: 1 parts, 0.03 hours' in again.stdout
