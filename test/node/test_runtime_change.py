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


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


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
        assert monotonic() - begun < 10.0
        assert 'Traceback' not in node.output
    assert not list(tmp_path.glob('gtr_ros/runtimes/*'))
