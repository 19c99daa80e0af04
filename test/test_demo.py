# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo records what it promises, ends by itself, and leaves no process behind."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import sys

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from conftest import REPOSITORY
from node_processes import process
from node_processes import ros_environment
from node_processes import START_SECONDS
from rosbags.rosbag2 import Reader

from gtr_ros.media.video import VideoReader
from gtr_ros.media.video import VideoWriter
from gtr_ros.model.checkpoint import default_checkpoint

pytestmark = pytest.mark.ros

DEMO = [sys.executable, REPOSITORY / 'tools' / 'demo.py']


@pytest.fixture(scope='module', autouse=True)
def environment():
    if not default_checkpoint('mobile').is_file():
        pytest.skip('the trained network is not in the cache; get it with `gtr weights import`')
    with ros_environment():
        yield


@pytest.fixture
def video(tmp_path):
    path = tmp_path / 'noise.mp4'
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    with VideoWriter(path, 5, (320, 240)) as writer:
        for shift in range(30):
            writer.write(np.roll(noise, shift, axis=1))
    return path


def children_of(folder) -> list[str]:
    """Return the command lines of the processes that write, or were given, files in a folder."""
    found = []
    for entry in Path('/proc').iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / 'cmdline').read_text().replace('\0', ' ')
            output = os.readlink(entry / 'fd' / '1')
        except OSError:  # it has ended meanwhile
            continue
        if str(folder) in line or str(folder) in output:
            found.append(line)
    return found


def test_the_demo_records_a_bag_and_a_video_and_prints_its_table(video, tmp_path):
    out = tmp_path / 'out'
    with process(*DEMO, '--video', video, '--frames', '15', '--out', out) as demo:
        assert demo.wait(2 * START_SECONDS) == 0, demo.output
    for row in ('linking', 'frames processed', 'age of detections, p95', 'frames a second'):
        assert row in demo.output
    with VideoReader(out / 'tracked.mp4') as recorded:
        assert recorded.size == (320, 240)
    with Reader(out / 'bag') as bag:
        counts = {c.topic: c.msgcount for c in bag.connections}
    assert counts['/tracker/detections'] == counts['/tracker/trajectories'] > 5
    assert counts['/tracker/debug_image/compressed'] > 5
    assert children_of(tmp_path) == []


def test_ctrl_c_ends_the_demo_and_its_processes(video, tmp_path):
    with process(*DEMO, '--video', video, '--out', tmp_path / 'out') as demo:
        demo.wait_for_output('starting the publisher')
        demo.send(signal.SIGINT)
        assert demo.wait(START_SECONDS) == 130
        assert 'nothing is left running' in demo.output
    assert children_of(tmp_path) == []


def test_a_node_that_cannot_start_is_shown_with_its_reason(video, tmp_path):
    nothing = {'XDG_CACHE_HOME': str(tmp_path / 'empty')}
    with process(*DEMO, '--video', video, '--out', tmp_path / 'out', environment=nothing) as demo:
        assert demo.wait(START_SECONDS) == 1
    assert 'tracker_node ended with exit code 1' in demo.output
    assert 'gtr weights import' in demo.output
