# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `make bench` writes, and what it calls slower; not how fast anything is."""

from __future__ import annotations

from dataclasses import asdict
import json
from pathlib import Path
import subprocess
import sys

from paths import REPOSITORY
import pytest

from benchmarks.measuring import row
from benchmarks.measuring import slower_than


def bench(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, '-m', 'benchmarks', 'trackers', '--quick', *arguments]
    return subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope='module')
def report(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp('bench') / 'report.json'
    result = bench('--json', str(file))
    assert result.returncode == 0, result.stdout + result.stderr
    return file


def test_the_report_has_our_trackers_beside_the_fastest_peer(report):
    content = json.loads(report.read_text())
    rows = {row['name']: row for row in content['rows']}
    title = 'tracker, T = 16, 20 objects'
    for name in ('evidence', 'evidence, transformer', 'gaussian, streaming', 'gaussian, cached'):
        own = rows[f'{title}, {name}']
        assert own['low'] <= own['milliseconds'] <= own['high']
        assert own['comparator'].endswith('the fastest peer')
        assert own['ratio_low'] <= own['ratio'] <= own['ratio_high']
    beside = rows[f'{title}, evidence, beside gaussian, streaming']
    assert beside['comparator'] == 'gaussian, streaming'
    assert beside['milliseconds'] == rows[f'{title}, evidence']['milliseconds']
    assert all(limit['flops'] > 1e8 for limit in content['limits'].values())


@pytest.mark.ros
def test_the_node_beside_a_bare_one_has_a_row_of_each_thing():
    pytest.importorskip('rclpy', reason='needs rclpy and the built messages')
    from benchmarks.node_overhead import rows
    from benchmarks.node_overhead import run

    turns = run(objects=7, frames=30)
    assert (turns['node'].objects, turns['bare'].objects) == (7, 0)
    for kind in ('node', 'bare'):
        own = turns[kind]
        assert len(own.seconds) + own.lost == len(own.cpu) == 30
        assert own.lost < 15
        assert [turn for turn, _ in own.megabytes] == [0, 10, 20]
        assert min(megabytes for _, megabytes in own.megabytes) > 10
    made = list(rows(7, turns))
    names = [each.name.rpartition(', ')[2] for each in made]
    assert names == ['image to message', 'bare', 'overhead', 'CPU', 'CPU of the bare']
    assert all(each.low <= each.milliseconds <= each.high for each in made)
    assert '7 published' in made[0].note
    assert made[0].comparator == made[3].comparator == 'bare'


def test_a_ratio_that_is_far_worse_than_it_was_is_named():
    now = row('a', [2.0, 2.0], 'b', [4.0, 4.0])
    assert now.ratio == 2
    before = {'a': {**asdict(now), 'ratio': 2.5}}
    assert not list(slower_than(before, [now], tolerance=0.25))
    [line] = slower_than(before, [now], tolerance=0.1)
    assert line == 'a: 2.00 times as fast as b, it was 2.50 times'
    # Beside something else it was another question.
    before['a']['comparator'] = 'c'
    assert not list(slower_than(before, [now], tolerance=0.1))


def test_what_is_no_report_is_refused(tmp_path):
    file = tmp_path / 'no.json'
    file.write_text('{}')
    result = bench('--against', str(file))
    assert result.returncode == 1
    assert 'is no report of this command' in result.stderr
