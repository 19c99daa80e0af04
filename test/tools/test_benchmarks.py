# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report of `make bench` and its comparison with an earlier one; not the speeds themselves."""

from __future__ import annotations

from dataclasses import asdict
import json
from pathlib import Path
import re
import subprocess
import sys

from paths import REPOSITORY
import pytest
import torch

from benchmarks import fleet
from benchmarks import gpu
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


def test_the_report_compares_our_trackers_with_the_fastest_peer(report):
    content = json.loads(report.read_text())
    rows = {row['name']: row for row in content['rows']}
    title = 'tracker, T = 16, 20 objects'
    for name in ('evidence', 'evidence, transformer', 'gaussian, streaming', 'gaussian, cached'):
        own = rows[f'{title}, {name}']
        assert own['low'] <= own['milliseconds'] <= own['high']
        assert own['comparator'].endswith('the fastest baseline')
        assert own['ratio_low'] <= own['ratio'] <= own['ratio_high']
    beside = rows[f'{title}, evidence, against gaussian, streaming']
    assert beside['comparator'] == 'gaussian, streaming'
    assert beside['milliseconds'] == rows[f'{title}, evidence']['milliseconds']
    assert all(limit['flops'] > 1e8 for limit in content['limits'].values())


@pytest.mark.ros
def test_the_node_is_compared_with_a_bare_one():
    pytest.importorskip('rclpy', reason='needs rclpy and the built messages')
    from benchmarks.node_overhead import rows
    from benchmarks.node_overhead import run

    measured = run(objects=7, frames=30)
    assert (measured['node'].objects, measured['bare'].objects) == (7, 0)
    for kind in ('node', 'bare'):
        own = measured[kind]
        assert len(own.seconds) + own.lost == len(own.cpu) == 30
        assert own.lost < 15
        assert [i for i, _ in own.megabytes] == [0, 10, 20]
        assert min(megabytes for _, megabytes in own.megabytes) > 10
    table = list(rows(7, measured))
    names = [each.name.rpartition(', ')[2] for each in table]
    assert names == ['image to message', 'bare node', 'overhead', 'CPU', 'CPU of the bare node']
    assert all(each.low <= each.milliseconds <= each.high for each in table)
    assert '7 published' in table[0].note
    assert table[0].comparator == table[3].comparator == 'bare'


def gpu_rows(**options) -> list[str]:
    device = torch.device('cpu')
    return [row.name for row in gpu.measure(device, quick=True, **options)]


def test_a_part_of_the_gpu_benchmark_is_measured_alone():
    names = gpu_rows(parts=('association',))
    assert names
    assert all(name.startswith('cpu: association') for name in names)


def test_whole_frames_are_also_measured_as_one_graph():
    names = gpu_rows(parts=('mobile',))
    for batch in (1, 2):
        title = f'cpu: mobile, 160 x 120 to detections, batch {batch}, bfloat16'
        assert {title, f'{title}, graph'} <= set(names)


def test_the_gpu_benchmark_begins_no_block_after_its_time():
    skipped = []
    assert gpu_rows(seconds=-1, on_skip=skipped.append) == []
    # Single images come first: they matter most.
    assert skipped == [
        'association',
        *('mobile, batch 1', 'mot, batch 1', 'mobile, batch 2', 'mot, batch 2'),
    ]


def test_a_fleet_is_simulated_and_its_ages_and_drops_are_reported(tmp_path):
    file = tmp_path / 'fleet.json'
    arguments = ['fleet', '--quick', '--device', 'cpu', '--cameras', '1', '3', '--rate', '4']
    command = [sys.executable, '-m', 'benchmarks', *arguments, '--size', '320x240']
    result = subprocess.run(
        [*command, '--json', str(file)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    rows = json.loads(file.read_text())['rows']
    title = 'x 320 x 240 at 4 Hz'
    names = [f'cpu: fleet, mobile, {count} {title}' for count in (1, 3)]
    assert [row['name'] for row in rows] == names
    for each, count in zip(rows, (1, 3), strict=True):
        assert 0 < each['low'] <= each['milliseconds'] <= each['high']
        found = re.search(
            r'p95 ([\d.]+) ms, max ([\d.]+) ms; (\d+) .* (\d+) dropped', each['note']
        )
        p95, largest, tracked, dropped = map(float, found.groups())
        # The note has one decimal.
        assert each['milliseconds'] <= p95 + 0.05
        assert p95 <= largest
        assert 1 <= tracked <= tracked + dropped <= 4 * count + 2 * count


def test_a_fleet_begins_no_number_of_cameras_after_its_time():
    skipped = []
    simulated = fleet.Fleet(cameras=(1, 2))
    assert not list(fleet.measure(torch.device('cpu'), simulated, -1, skipped.append))
    assert len(skipped) == 2


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [(['--size', '640'], '--size is 640'), (['--cameras', '65'], '--cameras from 1 to 64')],
)
def test_a_fleet_that_cannot_be_simulated_is_refused(arguments, words):
    result = bench('--device', 'cpu', *arguments)
    assert result.returncode == 2
    assert words in result.stderr


def test_a_ratio_that_is_worse_than_tolerated_is_reported():
    now = row('a', [2.0, 2.0], 'b', [4.0, 4.0])
    assert now.ratio == 2
    before = {'a': {**asdict(now), 'ratio': 2.5}}
    assert not list(slower_than(before, [now], tolerance=0.25))
    [line] = slower_than(before, [now], tolerance=0.1)
    assert line == 'a: 2.00 times as fast as b, before: 2.50 times'
    # With another comparator the ratios cannot be compared.
    before['a']['comparator'] = 'c'
    assert not list(slower_than(before, [now], tolerance=0.1))


def test_a_file_that_is_not_a_report_is_refused(tmp_path):
    file = tmp_path / 'no.json'
    file.write_text('{}')
    result = bench('--against', str(file))
    assert result.returncode == 1
    assert 'is not a report of this command' in result.stderr
