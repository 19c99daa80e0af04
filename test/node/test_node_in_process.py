# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node in this process, with a fake pipeline: its services, transitions and threads."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
import threading
from time import monotonic
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from node_processes import ANSWER_SECONDS
from node_processes import Camera
from node_processes import ros_environment
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from gtr_ros.media import drawing
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.node.tracker import pipeline
from gtr_ros.node.tracker.node import TrackerNode
from gtr_ros.options import ConfigurationError
from gtr_ros.structures import Tracks
from gtr_ros.tracking.reidentification import Reidentification

pytestmark = pytest.mark.ros

PIXELS = np.zeros((6, 8, 3), np.uint8)
DARK, BRIGHT = PIXELS, PIXELS + 200
BOX = [1, 2, 5, 6]
SUCCESS = TransitionCallbackReturn.SUCCESS


class OneObject:
    """A pipeline that detects one object in every image, and fails on bright images."""

    association, description, device_megabytes = 'none', 'one object', ''
    device, place, class_names = 'cpu', 'cpu', ['thing']

    def __init__(self, parameters, progress) -> None:
        self.settings = parameters
        self.score_threshold = parameters.score_threshold
        self.stamps, self.reset_count = [], 0

    def update(self, parameters):
        if 'hamster' in parameters.class_names:
            raise ConfigurationError('no hamster')
        self.settings = parameters
        self.score_threshold = parameters.score_threshold

    def reset(self):
        self.reset_count += 1

    def tracker(self, camera=''):
        return SimpleNamespace(
            resets=self.reset_count,
            repaired_stamps=3,
            returns=2,
            last_return=Reidentification(0, 9, 1, 60.0),
        )

    def warm_up(self, is_over):
        pass

    def close(self):
        self.settings = None

    def detect(self, frames):
        self.stamps += [frame.stamp for frame in frames]
        if any(frame.image.mean() > 100 for frame in frames):
            raise RuntimeError('too bright')
        return frames

    def compensate(self, frame, detections, camera='', motion=None):
        return detections

    def track(self, frame, camera=''):
        return Tracks(
            ids=np.array([1]),
            boxes=np.array([BOX], np.float32),
            labels=np.array([0]),
            scores=np.array([0.5], np.float32),
            confirmed=np.array([True]),
        )


@pytest.fixture
def running(monkeypatch) -> Iterator[SimpleNamespace]:
    """Return the active node, its camera and the arguments of every call of `annotate`."""
    drawn = []
    monkeypatch.setattr(pipeline, 'Pipeline', OneObject)
    monkeypatch.setattr(
        drawing, 'annotate', lambda *arguments: drawn.append(arguments) or arguments[0] + 1
    )

    with ros_environment(), spinning() as node:
        camera = Camera()
        camera.wait_for_tracker()
        yield SimpleNamespace(node=node, camera=camera, drawn=drawn)
        camera.close()


@contextmanager
def spinning(**parameters) -> Iterator[TrackerNode]:
    """Spin an active node on a thread of its own."""

    def spin() -> None:
        with suppress(ExternalShutdownException):
            rclpy.spin(node)

    rclpy.init(args=[])
    node = TrackerNode(
        parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()]
    )
    assert node.trigger_configure() == node.trigger_activate() == SUCCESS
    thread = threading.Thread(target=spin)
    thread.start()
    yield node
    rclpy.try_shutdown()
    thread.join(ANSWER_SECONDS)
    node.stop()
    node.destroy_node()


def on_executor(running: SimpleNamespace, function: Callable[[], None]) -> None:
    """Call a function on the executor's thread, as a lifecycle service does."""
    task = running.node.executor.create_task(function)
    assert running.camera.spin_until(task.done, ANSWER_SECONDS)
    task.result()


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == 'tracker worker']


def test_the_debug_image_is_drawn_only_while_it_has_subscribers(running):
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
    publisher = running.node.cameras[''].outputs.publishers['debug_image']
    assert camera.spin_until(lambda: publisher.get_subscription_count() == 0, ANSWER_SECONDS)
    camera.exchange(DARK)
    assert len(drawn) == 1


def test_parameters_that_nothing_uses_are_named_when_the_node_is_activated(monkeypatch, capfd):
    monkeypatch.setattr(pipeline, 'Pipeline', OneObject)
    with (
        ros_environment(),
        spinning(coast=2.0, detections_slop=0.1, follow_frame='', rule='paper', gallery_size=7),
    ):
        pass
    said = [line for line in capfd.readouterr().err.splitlines() if 'has no effect' in line]
    assert len(said) == 3
    assert 'gallery_size is 7, which has no effect without rule evidence or share_ids' in said[0]
    assert 'detections_slop is 0.1, which has no effect without detections_topic' in said[1]
    assert 'coast is 2.0, which has no effect without target_frame' in said[2]


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
    assert running.node.pipeline.stamps[-1] is None


def test_the_counters_of_the_tracker_are_reported(running):
    values = running.camera.next_diagnostics()
    assert (values['resets'], values['repaired_stamps'], values['returns']) == ('0', '3', '2')
    assert values['last_return'] == 'id 1 after 60.0 s'


def test_live_parameters_reach_the_pipeline_all_or_none(running):
    node = running.node
    [accepted] = node.set_parameters([Parameter('score_threshold', value=0.7)])
    assert accepted.successful
    assert node.pipeline.settings.score_threshold == 0.7
    for name, value, word in (
        ('score_threshold', 1.7, '1.7'),
        ('class_names', ['hamster'], 'no hamster'),
    ):
        [refused] = node.set_parameters([Parameter(name, value=value)])
        assert not refused.successful
        assert word in refused.reason
    refused = node.set_parameters_atomically(
        [Parameter('window', value=7), Parameter('min_hits', value=-1)]
    )
    assert not refused.successful
    [refused] = node.set_parameters([Parameter('weak_score_threshold', value=0.8)])
    assert not refused.successful
    assert 'weak_score_threshold is 0.8, above score_threshold 0.7' in refused.reason
    assert node.pipeline.settings == node.settings
    assert (node.settings.score_threshold, node.settings.window) == (0.7, 32)


def test_deactivate_leaves_no_thread_and_every_transition_can_be_repeated(running):
    camera, node = running.camera, running.node
    camera.exchange(DARK)
    assert len(workers()) == 1
    for _ in range(2):
        on_executor(running, node.trigger_deactivate)
        assert not workers()
        on_executor(running, node.trigger_cleanup)
        assert node.pipeline is None
        on_executor(running, node.trigger_configure)
        on_executor(running, node.trigger_activate)
        camera.wait_for_tracker()
        assert camera.exchange(DARK).detections


def test_a_transition_that_raises_logs_why_and_the_node_can_be_configured_again(
    running, monkeypatch, capfd
):
    def fail(*_):
        raise RuntimeError('a broken disk')

    node = running.node
    on_executor(running, node.trigger_deactivate)
    on_executor(running, node.trigger_cleanup)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, 'Pipeline', fail)
        on_executor(running, node.trigger_configure)
    logged = capfd.readouterr().err
    assert 'cannot configure' in logged
    assert 'RuntimeError: a broken disk' in logged
    on_executor(running, node.trigger_configure)
    on_executor(running, node.trigger_activate)
    running.camera.wait_for_tracker()
    assert running.camera.exchange(DARK).detections


def test_only_a_clock_that_jumps_back_by_more_than_a_second_resets_the_tracks(monkeypatch):
    monkeypatch.setattr(pipeline, 'Pipeline', OneObject)
    with ros_environment(), spinning(use_sim_time=True) as node:
        camera = Camera()
        clock = camera.node.create_publisher(Clock, '/clock', 10)

        def set_to(seconds: float) -> None:
            now = round(seconds * 1e9)
            for _ in range(100):  # what is sent before both sides know each other is lost
                clock.publish(Clock(clock=nanoseconds_to_stamp(now)))
                if camera.spin_until(lambda: node.get_clock().now().nanoseconds == now, 0.3):
                    return
            raise AssertionError(f'the clock is {node.get_clock().now()}, not {now}')

        for seconds in (20.0, 19.5, 19.6, 18.7, 18.8):
            set_to(seconds)
        assert node.pipeline.reset_count == 0
        set_to(17.5)
        assert camera.spin_until(lambda: node.pipeline.reset_count == 1, ANSWER_SECONDS)
        camera.close()


@pytest.fixture
def may_end(monkeypatch) -> threading.Semaphore:
    """Return what lets the model end with an image."""
    made = threading.Semaphore(0)

    class Busy(OneObject):
        def detect(self, frames):
            found = super().detect(frames)  # keeps their stamps
            assert made.acquire(timeout=ANSWER_SECONDS)
            return found

    monkeypatch.setattr(pipeline, 'Pipeline', Busy)
    return made


def test_an_image_in_progress_is_published_before_the_node_is_inactive(may_end, capfd):
    with ros_environment(), spinning() as node:
        camera = Camera()
        camera.wait_for_tracker()
        statistics, begun = node.cameras[''].statistics, node.pipeline.stamps

        def is_busy() -> bool:
            camera.send(DARK)
            return bool(begun)

        assert camera.spin_until(is_busy, ANSWER_SECONDS)
        task = node.executor.create_task(node.trigger_deactivate)
        assert camera.spin_until(
            lambda: camera.node.count_subscribers('/image') == 0, ANSWER_SECONDS
        )
        may_end.release(10)
        assert camera.spin_until(task.done, ANSWER_SECONDS)
        assert camera.spin_until(lambda: begun[0] in camera.detections, ANSWER_SECONDS)
        assert statistics.failed == 0
        camera.close()
    assert 'Traceback' not in capfd.readouterr().err


def test_while_the_model_is_busy_only_the_newest_image_is_kept(may_end):
    with ros_environment(), spinning() as node:
        camera = Camera()
        camera.wait_for_tracker()
        statistics, begun = node.cameras[''].statistics, node.pipeline.stamps

        def arrive() -> int:
            for _ in range(3):  # best effort may lose some
                before = statistics.received
                stamp = camera.send(DARK)
                if camera.spin_until(lambda n=before: statistics.received > n, 5.0):
                    return stamp
            raise AssertionError('three images were lost')

        try:
            arrive()
            assert camera.spin_until(lambda: begun, ANSWER_SECONDS)
            for replaced in (3, 6, 9):
                newest = [arrive() for _ in range(4)][-1]
                assert camera.spin_until(
                    lambda n=replaced: statistics.dropped == n, ANSWER_SECONDS
                )
                may_end.release()
                assert camera.spin_until(lambda n=newest: begun[-1] == n, ANSWER_SECONDS)
        finally:
            may_end.release(10)
            camera.close()
    assert len(begun) == 4


def test_images_beyond_max_rate_are_skipped_and_counted(monkeypatch):
    monkeypatch.setattr(pipeline, 'Pipeline', OneObject)
    with ros_environment(), spinning(max_rate=5.0) as node:
        camera = Camera()
        camera.wait_for_tracker()
        camera.exchange(DARK)
        statistics = node.cameras[''].statistics
        before, start = statistics.processed, monotonic()
        while monotonic() - start < 3:
            camera.send_now(DARK)
            camera.spin_until(lambda: False, 0.02)
        elapsed = monotonic() - start
        processed = statistics.processed - before
        camera.close()
    assert 3 <= processed <= 5 * elapsed + 2
    assert statistics.skipped > 0.5 * statistics.received
