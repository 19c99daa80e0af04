# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node in this process, around a model of known truth: what it does, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import suppress
import threading
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from node_processes import ANSWER_SECONDS
from node_processes import Camera
from node_processes import ros_environment
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.parameter import Parameter

from gtr_ros.media import drawing
from gtr_ros.node import pipeline
from gtr_ros.node.tracker_node import TrackerNode
from gtr_ros.structures import Tracks

pytestmark = pytest.mark.ros

PIXELS = np.zeros((6, 8, 3), np.uint8)
DARK, BRIGHT = PIXELS, PIXELS + 200
BOX = [1, 2, 5, 6]


class OneObject:
    """A pipeline that sees one object in every image, but fails on bright ones."""

    def __init__(self, parameters) -> None:
        self.score_threshold = parameters.score_threshold
        self.device, self.association, self.class_names = 'cpu', 'none', ('thing',)
        self.resets = 0
        self.stamps = []

    def __call__(self, image, stamp):
        self.stamps.append(stamp)
        if image.mean() > 100:
            raise RuntimeError('too bright')
        return Tracks(
            ids=np.array([1]),
            boxes=np.array([BOX], np.float32),
            labels=np.array([0]),
            scores=np.array([0.5], np.float32),
            confirmed=np.array([True]),
        )


@pytest.fixture
def running(monkeypatch) -> Iterator[SimpleNamespace]:
    """Give the active node, its camera and the arguments of every call of `annotate`."""
    drawn = []
    monkeypatch.setattr(pipeline, 'Pipeline', OneObject)
    monkeypatch.setattr(
        drawing, 'annotate', lambda *arguments: drawn.append(arguments) or arguments[0] + 1
    )

    def spin() -> None:
        with suppress(ExternalShutdownException):
            rclpy.spin(node)

    with ros_environment():
        rclpy.init(args=[])
        node = TrackerNode()
        node.configure()
        node.activate()
        thread = threading.Thread(target=spin)
        thread.start()
        camera = Camera()
        camera.wait_for_tracker()
        yield SimpleNamespace(node=node, camera=camera, drawn=drawn)
        camera.close()
        rclpy.try_shutdown()
        thread.join(ANSWER_SECONDS)
        node.deactivate()
        node.cleanup()
        node.destroy_node()


def on_executor(running: SimpleNamespace, function: Callable[[], None]) -> None:
    """Call something on the thread that spins the node, where a lifecycle would call it."""
    task = running.node.executor.create_task(function)
    assert running.camera.spin_until(task.done, ANSWER_SECONDS)
    task.result()


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == 'tracker worker']


def test_the_debug_image_is_drawn_only_while_somebody_subscribes(running):
    camera, drawn = running.camera, running.drawn
    camera.exchange(DARK)
    assert not drawn
    camera.watch_debug_image()
    message = camera.exchange(DARK)
    assert camera.spin_until(lambda: camera.debug_images, ANSWER_SECONDS)
    assert len(drawn) == 1
    image, tracks, names = drawn[0]
    np.testing.assert_array_equal(image, DARK)
    assert (tracks.ids.tolist(), tuple(names)) == ([1], ('thing',))
    [debug] = camera.debug_images.values()
    assert debug.header == message.header
    assert set(debug.data) == {1}
    camera.ignore_debug_image()
    publisher = running.node._debug_image
    assert camera.spin_until(lambda: publisher.get_subscription_count() == 0, ANSWER_SECONDS)
    camera.exchange(DARK)
    assert len(drawn) == 1


def test_an_exception_in_the_model_is_counted_and_the_next_image_tracked(running, capfd):
    camera = running.camera
    stamp = camera.send(BRIGHT)
    assert camera.spin_until(
        lambda: bool(camera.diagnostics) and camera.diagnostics[-1]['failed'] == '1',
        ANSWER_SECONDS,
    )
    assert camera.diagnostics[-1]['last_error'] == 'RuntimeError: too bright'
    assert camera.diagnostics[-1]['level'] == '2'
    assert stamp not in camera.detections
    assert camera.exchange(DARK).detections
    logged = capfd.readouterr().err
    assert 'skipped an image of /image' in logged
    assert 'Traceback' in logged
    assert 'RuntimeError: too bright' in logged


def test_an_image_without_a_stamp_is_tracked_without_one(running):
    camera = running.camera
    camera.jump_to(0)
    stamp = camera.exchange(DARK).header.stamp
    assert (stamp.sec, stamp.nanosec) == (0, 0)
    assert running.node._pipeline.stamps[-1] is None


def test_the_score_threshold_can_be_changed_while_running(running):
    node = running.node
    [accepted] = node.set_parameters([Parameter('score_threshold', value=0.7)])
    assert accepted.successful
    assert node._pipeline.score_threshold == 0.7
    [refused] = node.set_parameters([Parameter('score_threshold', value=1.7)])
    assert not refused.successful
    assert '1.7' in refused.reason
    assert node._pipeline.score_threshold == 0.7


def test_deactivate_leaves_no_thread_and_activate_works_again(running):
    camera = running.camera
    camera.exchange(DARK)
    assert len(workers()) == 1
    on_executor(running, running.node.deactivate)
    assert not workers()
    on_executor(running, running.node.activate)
    camera.wait_for_tracker()
    assert camera.exchange(DARK).detections
