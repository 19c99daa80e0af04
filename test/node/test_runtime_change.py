# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node that starts on a machine where the runtimes were never measured, and changes to one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import signal
from time import monotonic

from photographs import moving_people
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')
pytest.importorskip('openvino', reason='needs the openvino extra')

from node_processes import ANSWER_SECONDS
from node_processes import Camera
from node_processes import ros_environment
from node_processes import tracker_node

from gtr_ros.model.options import FORCED

pytestmark = pytest.mark.ros

#: a camera of another size than the node's warm-up
WIDTH, HEIGHT = 320, 240
CHANGE_SECONDS = 120.0
COMPILE_SECONDS = 600.0
#: two on an idle machine; what is interrupted would take minutes
STOP_SECONDS = 30.0


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


def children(pid: int) -> list[int]:
    """Return the ids of the processes that a process started, from any of its threads."""
    tasks = Path('/proc', str(pid), 'task').glob('*/children')
    return [int(child) for task in tasks for child in task.read_text().split()]


def empty_cache(folder: Path, runtime: str) -> dict[str, str]:
    return {'XDG_CACHE_HOME': str(folder), FORCED: runtime}


def test_no_image_is_lost_and_ids_are_kept_when_the_runtime_changes(tmp_path):
    [image] = moving_people(WIDTH, HEIGHT, 1)
    # Which one would be the fastest depends on the machine: the openvino extra is here.
    with tracker_node(min_hits=1, environment=empty_cache(tmp_path, 'openvino')) as node:
        node.wait_for_output('tracking on /image')
        assert 'on cpu, runtime torch until a faster one is ready' in node.output
        camera = Camera()
        try:
            camera.wait_for_tracker()
            stamps = [camera.send(image)]
            assert camera.spin_until(lambda: stamps[0] in camera.detections, ANSWER_SECONDS)
            assert 'runtime openvino, measured' not in node.output  # nobody waited for it
            end, after = monotonic() + CHANGE_SECONDS, 0
            while after < 5 and monotonic() < end:
                after += 'runtime openvino, measured' in node.output
                stamps.append(camera.send(image))
                assert camera.spin_until(lambda: stamps[-1] in camera.detections, ANSWER_SECONDS)
            assert after == 5, node.output
            assert camera.next_diagnostics()['device'] == 'cpu, runtime openvino'
            status = camera.diagnostics[-1]
            assert [status[name] for name in ('dropped', 'failed')] == ['0', '0']
            assert int(status['processed']) == len(stamps)
        finally:
            camera.close()
    ids = [{detection.id for detection in camera.detections[s].detections} for s in stamps]
    assert len(ids[0]) >= 3
    assert ids == [ids[0]] * len(ids)


def test_an_interrupt_does_not_wait_for_the_choice(tmp_path):
    with tracker_node(environment=empty_cache(tmp_path, 'onnxruntime')) as node:
        node.wait_for_output('tracking on /image')
        begun = monotonic()
        node.send(signal.SIGINT)
        assert node.wait() == 0
        assert monotonic() - begun < STOP_SECONDS
        assert 'Traceback' not in node.output
    assert not list(tmp_path.glob('gtr_ros/runtimes/*'))


def compiling(folder: Path, **parameters: object) -> dict[str, object]:
    return {
        'environment': {'XDG_CACHE_HOME': str(folder), 'OMP_NUM_THREADS': '1'},
        'compile': True,
        'device': 'cpu',
        **parameters,
    }


def test_images_are_tracked_while_their_size_is_compiled_and_an_interrupt_ends_at_once(tmp_path):
    images = moving_people(WIDTH, HEIGHT, 3)
    with tracker_node(**compiling(tmp_path, min_hits=1)) as node:
        node.wait_for_output('tracking on /image')
        assert 'on cpu, uncompiled until it is compiled for the size of the images' in node.output
        assert 'compiling' not in node.output  # no image came yet
        camera = Camera()
        try:
            camera.wait_for_tracker()
            for image in images:
                assert camera.exchange(image).detections
            node.wait_for_output('compiling the network for 1 x 576 x 448 pixels')
            assert 'compiled the network' not in node.output
            [pid] = children(node.pid)
        finally:
            camera.close()
        begun = monotonic()
        node.send(signal.SIGINT)
        assert node.wait() == 0
        assert monotonic() - begun < STOP_SECONDS
        assert 'Traceback' not in node.output
        deadline = monotonic() + STOP_SECONDS
        while Path('/proc', str(pid)).exists():
            assert monotonic() < deadline, 'the process that compiles is still there'
    assert not list(tmp_path.glob('gtr_ros/compiled/*'))


@pytest.mark.slow
def test_no_image_is_lost_and_ids_are_kept_when_the_network_is_compiled(tmp_path):
    [image] = moving_people(WIDTH, HEIGHT, 1)
    for ready in ('compiled the network', 'loaded the network'):  # the second start has a cache
        with tracker_node(**compiling(tmp_path, min_hits=1, input_size=64 * 4)) as node:
            node.wait_for_output('tracking on /image')
            camera = Camera()
            try:
                camera.wait_for_tracker()
                found, end, after = [], monotonic() + COMPILE_SECONDS, 0
                while after < 5 and monotonic() < end:
                    after += ready in node.output
                    found.append(camera.exchange(image))
                assert after == 5, node.output
                assert camera.next_diagnostics()['device'] == 'cpu compiled'
                status = camera.diagnostics[-1]
                assert [status[name] for name in ('dropped', 'failed')] == ['0', '0']
            finally:
                camera.close()
        ids = [{detection.id for detection in message.detections} for message in found]
        assert len(ids[0]) >= 1
        assert ids == [ids[0]] * len(ids)
