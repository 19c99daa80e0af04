# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of models, weights and memory, against the node in its own process: docs/trust.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import resource
import signal

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from faults import faulty_node
from faults import Mark
from faults import OBJECTS
from faults import Rig
from faults import rig
from faults import scene
from node_processes import ANSWER_SECONDS
from node_processes import ros_environment
from node_processes import STOP_SECONDS
from node_processes import tracker_node
from safetensors import safe_open
from safetensors.torch import save_file

from gtr_ros.model.registry import default_checkpoint

pytestmark = pytest.mark.ros


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def running() -> Iterator[Rig]:
    with rig('/model') as made:
        yield made


def send_together(running: Rig, left: np.ndarray, right: np.ndarray) -> tuple[int, int]:
    """Publish an image of each camera while the model is busy; return their stamps."""
    busy = running.keep_busy('right')
    stamps = running.send('left', left), running.send('right', right)
    running.answer('right', busy)
    return stamps


@pytest.mark.parametrize(
    ('mark', 'words'),
    [
        (Mark.RAISES, 'RuntimeError: the model has failed'),
        (Mark.NAN, 'the output of the network is not finite'),
        (Mark.TOO_LARGE, 'the image of 96 x 64 pixels does not fit in the memory of the device'),
    ],
)
def test_a_model_that_fails_once(running, mark, words):
    with running.survives():
        running.fails('left', scene(mark), words)


def test_a_model_that_fails_for_one_camera_from_some_image_on(running):
    ids = {name: running.ids(name) for name in running.cameras}
    for _ in range(10):
        running.fails('left', scene(Mark.RAISES), 'the model has failed')
        assert running.ids('right') == ids['right']
    said = f'skipped an image of {running.topic("left")}: Traceback'
    assert running.node.output.count(said) <= 5
    assert running.status['left']['level'] == '2'
    assert 'images failed' in running.status['left']['message']
    # Ten images later the tracks may have ended.
    after = running.ids('left')
    assert len(after) == len(OBJECTS)
    assert after == ids['left'] or min(after) > max(ids['left'])
    running.counted('left')


def test_a_batch_that_does_not_fit_in_the_memory_is_detected_in_parts(running):
    with running.survives():
        left, right = send_together(running, scene(Mark.CROWDED), scene(Mark.CROWDED))
        assert len(running.answer('left', left).detections) == len(OBJECTS)
        assert len(running.answer('right', right).detections) == len(OBJECTS)
        for name in running.cameras:
            assert int(running.counted(name, split=1)['failed']) >= 0
        running.node.wait_for_output('the images of 2 cameras do not fit in the memory')
        # The next batch is tried as a whole again.
        left, right = send_together(running, scene(), scene())
        running.answer('left', left)
        running.answer('right', right)
        running.counted('left', split=0)


@pytest.mark.parametrize('mark', [Mark.RAISES, Mark.TOO_LARGE, Mark.NAN])
def test_an_image_that_fails_in_a_batch_takes_no_other_with_it(running, mark):
    with running.survives():
        _, right = send_together(running, scene(mark), scene())
        assert len(running.answer('right', right).detections) == len(OBJECTS)
        running.counted('left', failed=1, split=1)
        running.counted('right', split=1)


def test_a_machine_without_memory_for_an_image(running):
    pid = running.node.pid
    large = scene(size=(1080, 1920))
    with running.survives():
        assert len(running.exchange('left', large).detections) == len(OBJECTS)
        size = int(Path(f'/proc/{pid}/statm').read_text().split()[0]) * resource.getpagesize()
        room = size + 16_000_000
        limits = resource.prlimit(pid, resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))
        try:
            begin = len(running.node.output)
            for _ in range(3):
                running.send('left', scene(size=(2160, 3840)))
            # In the node's part of the middleware, in the model's, or in the middleware itself:
            # there no image arrives, and the node says that of this camera.
            said = (
                'a message, a call or a timer failed',
                '3840 x 2160 pixels does not fit',
                f'no image on {running.topic("left")}',
            )
            assert running.user.spin_until(
                lambda: any(words in running.node.output[begin:] for words in said),
                ANSWER_SECONDS,
            ), running.node.output
        finally:
            resource.prlimit(pid, resource.RLIMIT_AS, limits)
        assert len(running.exchange('left', large).detections) == len(OBJECTS)
        running.recount('left')


@pytest.mark.slow
def test_a_model_that_hangs_is_reported_while_images_wait(running):
    said = 'but the model has been busy with the same one for'
    with running.survives(same_ids=False):
        # A later image would replace one that the model has not begun with.
        stamp = running.keep_busy('left', Mark.HANGS)
        timer = running.user.node.create_timer(0.1, lambda: running.send('left', scene()))
        try:
            assert running.user.spin_until(lambda: said in running.status['left']['message'])
        finally:
            running.user.node.destroy_timer(timer)
        assert running.status['left']['level'] == '1'
        running.answer('left', stamp)
        running.node.wait_for_output(said)
        running.ids('left')
        running.recount('left')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_an_image(number):
    with rig('/signal') as running:
        running.keep_busy('left')
        running.node.send(number)
        assert running.node.wait(STOP_SECONDS) == 0, running.node.output
        assert 'Traceback' not in running.node.output


@pytest.fixture(scope='module')
def weights() -> tuple[dict, dict]:
    """Return the tensors and the metadata of the default checkpoint."""
    with safe_open(default_checkpoint('mobile'), 'pt') as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118


@pytest.mark.parametrize('fault', ['not a number', 'another shape', 'cut'])
def test_weights_that_cannot_be_used_are_refused_by_name(weights, tmp_path, fault):
    state, metadata = dict(weights[0]), weights[1]
    path, name = tmp_path / 'weights.safetensors', next(k for k in state if k.endswith('weight'))
    if fault == 'not a number':
        state[name] = state[name].clone()
        state[name].view(-1)[0] = float('nan')
    elif fault == 'another shape':
        state[name] = state[name].flatten()
    save_file(state, path, metadata)
    if fault == 'cut':
        path.write_bytes(path.read_bytes()[:-1000])
    said = {'not a number': f'not finite numbers: {name}', 'cut': 'damaged'}
    with tracker_node(checkpoint=path) as node:
        assert node.wait() == 1, node.output
        assert str(path) in node.output
        assert said.get(fault, name) in node.output
        assert 'Traceback' not in node.output


def test_weights_of_another_architecture_are_refused(weights, tmp_path):
    path = tmp_path / 'weights.safetensors'
    save_file(weights[0], path, {**weights[1], 'model': 'gtr_mot'})
    with faulty_node('/other', checkpoint=path) as node:
        assert node.wait() == 1, node.output
        assert str(path) in node.output
        assert 'Traceback' not in node.output
