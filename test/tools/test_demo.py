# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo records a bag and a video, ends by itself, and leaves no process behind."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import sys
from time import monotonic

import av
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from node_processes import process
from node_processes import ros_environment
from node_processes import START_SECONDS
from paths import REPOSITORY
from rosbags.rosbag2 import Reader
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores

from gtr_ros.media.video import VideoReader
from gtr_ros.media.video import VideoWriter

pytestmark = pytest.mark.ros

DEMO = [sys.executable, REPOSITORY / 'tools' / 'demo.py']


@pytest.fixture(scope='module', autouse=True)
def environment():
    with ros_environment():
        yield


def without_a_frame_count(video: Path) -> Path:
    path = video.with_suffix('.mkv')
    with av.open(str(video)) as source, av.open(str(path), 'w') as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    return path


def noise(path: Path, rate: float) -> Path:
    image = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    with VideoWriter(path, rate, (320, 240)) as writer:
        for shift in range(30):
            writer.write(np.roll(image, shift, axis=1))
    return path


@pytest.fixture
def video(tmp_path):
    return noise(tmp_path / 'noise.mp4', 5)


@pytest.fixture
def long_video(tmp_path):
    return noise(tmp_path / 'long.mp4', 0.1)


def children_of(folder) -> list[str]:
    """Return the command lines of processes that use files in a folder, as output or argument."""
    found = []
    for entry in Path('/proc').iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / 'cmdline').read_text().replace('\0', ' ')
            output = os.readlink(entry / 'fd' / '1')
        except OSError:  # the process has ended
            continue
        if str(folder) in line or str(folder) in output:
            found.append(line)
    return found


def test_the_demo_records_a_bag_and_a_video_and_prints_its_results(video, tmp_path):
    out, types = tmp_path / 'out', get_typestore(Stores.ROS2_JAZZY)
    with process(*DEMO, '--video', video, '--frames', '15', '--out', out) as demo:
        assert demo.wait(2 * START_SECONDS) == 0, demo.output
    for row in ('linking', 'frames processed', 'age of detections, p95', 'frames per second'):
        assert row in demo.output
    assert '│ frames published              │ 15' in demo.output
    with Reader(out / 'bag') as bag:
        stamps = [
            types.deserialize_cdr(data, connection.msgtype).header.stamp
            for connection, _, data in bag.messages()
            if connection.topic == '/tracker/debug_image/compressed'
        ]
        counts = {c.topic: c.msgcount for c in bag.connections}
    # How many of the 15 are tracked depends on the machine.
    assert counts['/tracker/detections'] == counts['/tracker/trajectories'] > 1
    assert counts['/tracker/debug_image/compressed'] > 1
    seconds = [stamp.sec + stamp.nanosec / 1e9 for stamp in (stamps[0], stamps[-1])]
    with VideoReader(out / 'tracked.mp4') as recorded:
        assert recorded.size == (320, 240)
        # 5 frames per second, even if the node dropped some.
        assert abs(recorded.frame_count - 1 - 5 * (seconds[1] - seconds[0])) <= 1
    assert children_of(tmp_path) == []


@pytest.mark.parametrize(
    'number',
    [signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
    ids=['Ctrl-C', 'kill', 'closed terminal'],
)
def test_a_signal_ends_the_demo_and_its_processes(long_video, tmp_path, number):
    with process(*DEMO, '--video', long_video, '--out', tmp_path / 'out') as demo:
        demo.wait_for_output('starting the publisher')
        demo.send(number)
        assert demo.wait(START_SECONDS) == 128 + number
        assert 'Traceback' not in demo.output
        assert 'all processes were stopped' in demo.output
    assert children_of(tmp_path) == []


def test_repeated_interrupts_leave_no_process_behind(long_video, tmp_path):
    with process(*DEMO, '--video', long_video, '--out', tmp_path / 'out') as demo:
        demo.wait_for_output('starting the publisher')
        deadline = monotonic() + START_SECONDS
        # Ctrl-C again and again, at any point: the demo ends, and so do its children.
        while children_of(tmp_path) and monotonic() < deadline:
            demo.send(signal.SIGINT)
        assert children_of(tmp_path) == []


def test_a_video_of_unknown_length_shows_progress(video, tmp_path):
    unknown = without_a_frame_count(video)
    with VideoReader(unknown) as reader:
        assert reader.frame_count is None
    with process(*DEMO, '--video', unknown, '--out', tmp_path / 'out') as demo:
        assert demo.wait(2 * START_SECONDS) == 0, demo.output
    assert 'of ? frames tracked' in demo.output
    assert '│ frames published              │ 30' in demo.output


def test_the_reason_is_shown_if_the_node_cannot_start(video, tmp_path):
    (tmp_path / 'torchvision.py').write_text("raise ImportError('torchvision is damaged')")
    broken = {'PYTHONPATH': f'{tmp_path}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'}
    with process(*DEMO, '--video', video, '--out', tmp_path / 'out', environment=broken) as demo:
        assert demo.wait(START_SECONDS) == 1
    assert 'tracker_node ended with exit code 1' in demo.output
    assert 'torchvision is damaged' in demo.output
