# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The stages of a frame add up, and the node prints them if profiling is enabled."""

from __future__ import annotations

import math
from time import perf_counter
from time import sleep
from types import SimpleNamespace

import pytest

from gtr_ros.profiling import FRAMES
from gtr_ros.profiling import NO_TIMER
from gtr_ros.profiling import Profiler


def test_stages_add_up_to_the_elapsed_time():
    profiler = Profiler(('before', 'a', 'b'))
    start = perf_counter()
    timer = profiler.begin(start)
    sleep(0.01)
    timer.mark('a')
    timer.mark('b')
    sleep(0.005)
    marking = perf_counter()
    timer.mark('a')
    marked = perf_counter()
    timer.before('before', 1 + marked - start)
    elapsed = perf_counter() - start
    profiler.end(timer)
    assert timer.seconds['a'] >= 0.015
    assert timer.seconds['a'] + timer.seconds['b'] <= elapsed
    # The stage ended when the last one was marked, whenever that was.
    assert 1 - 1e-9 <= timer.seconds['before'] <= 1 + marked - marking + 1e-9
    assert list(profiler.medians()) == ['before', 'a', 'b']


def test_watched_methods_are_parts_of_their_stage():
    owner = SimpleNamespace(work=sleep)
    profiler = Profiler(('a', 'a.work'))
    profiler.watch(owner, 'work')
    profiler.watch(owner, 'what_it_does_not_have')
    timer = profiler.begin(perf_counter())
    owner.work(0.004)
    owner.work(0.004)
    timer.mark('a', profiler.take_parts())
    profiler.end(timer)
    assert 0.008 <= timer.seconds['a.work'] <= timer.seconds['a']
    assert not profiler.take_parts()
    title, first, part, last = profiler.table().splitlines()
    assert 'median ms' in title
    assert first.startswith('a ')
    assert part.startswith('  work')
    assert last.split()[0] == 'all'
    assert last.endswith('100.0%')


def test_a_disabled_profiler_does_nothing():
    work = len
    owner = SimpleNamespace(work=work)
    profiler = Profiler(('a',), enabled=False)
    profiler.watch(owner, 'work')
    assert owner.work is work
    timer = profiler.begin(0.0)
    assert timer is NO_TIMER
    timer.mark('a')
    timer.before('a', 1.0)
    profiler.end(timer)
    assert profiler.table() == ''
    assert profiler.medians() == {}


def test_an_unknown_age_is_left_out_and_old_frames_are_dropped():
    profiler = Profiler(('age', 'a'))
    for _ in range(FRAMES + 10):
        timer = profiler.begin(perf_counter())
        timer.mark('a')
        timer.before('age', math.nan)
        profiler.end(timer)
    assert list(profiler.medians()) == ['a']
    assert f'{FRAMES}' in profiler.table()


@pytest.mark.ros
def test_the_node_prints_every_stage_once(tmp_path):
    pytest.importorskip('rclpy', reason='needs rclpy and the built messages')
    from node_processes import Camera
    from node_processes import ros_environment
    from node_processes import tracker_node
    import numpy as np

    with ros_environment(), tracker_node(profile='true', device='cpu') as node:
        node.wait_for_output('tracking on /image')
        camera = Camera()
        try:
            camera.wait_for_tracker()
            camera.exchange(np.zeros((120, 160, 3), np.uint8))
            values = camera.next_diagnostics()
            node.wait_for_output('where the time of a frame goes')
        finally:
            camera.close()
        node.wait_for_output('100.0%')
        _, _, table = node.output.rpartition('where the time of a frame goes')
    words = [line.split()[0] for line in table.splitlines() if line.endswith('%')]
    parts = ['prepare', 'network', 'decode', 'features']
    for name in ('mailbox', 'conversion', 'detector', *parts, 'tracker', 'publishing', 'all'):
        assert words.count(name) == 1, table
    assert float(values['profile.detector_ms']) > 0
