# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node over real DDS: how it starts, refuses to start, and ends."""

from __future__ import annotations

from collections.abc import Iterator
import os
import signal

import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from node_processes import ros_environment
from node_processes import STOP_SECONDS
from node_processes import tracker_node
import torch

pytestmark = pytest.mark.ros


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.mark.parametrize('output', ['these untrained weights', 'tracking on /image'])
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_node_cleanly_at_any_time(number, output):
    with tracker_node(checkpoint='random', device='cpu') as node:
        node.wait_for_output(output)
        node.send(number)
        assert node.wait(STOP_SECONDS) == 0, node.output
        assert 'Traceback' not in node.output


def test_a_second_interrupt_does_not_interrupt_the_shutdown():
    with tracker_node(checkpoint='random', device='cpu') as node:
        node.wait_for_output('tracking on /image')
        node.send(signal.SIGINT)
        node.send(signal.SIGINT)
        assert node.wait(STOP_SECONDS) == 0, node.output
        assert 'Traceback' not in node.output


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        (
            {'checkpoint': '/nowhere/weights.safetensors'},
            ['no weights at /nowhere/weights.safetensors', 'included in the package'],
        ),
        ({'model': 'mot'}, ['no weights at ', 'gtr_mot.safetensors', 'gtr weights convert']),
        ({'device': 'gpu', 'checkpoint': 'random'}, ["device is 'gpu'", 'auto', 'cuda:N']),
        (
            {'class_names': '[person, hamster]', 'checkpoint': 'random'},
            ["'hamster'", 'did you mean'],
        ),
        ({'window': '1', 'checkpoint': 'random'}, ['window', '1', 'Min: 2']),
        pytest.param(
            {'device': 'cuda', 'checkpoint': 'random'},
            ["device is 'cuda'", '0 CUDA devices', 'cpu'],
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason='there is a CUDA device'),
        ),
    ],
)
def test_an_invalid_configuration_is_refused_with_the_reason(tmp_path, parameters, words):
    cache = {'XDG_CACHE_HOME': str(tmp_path)}
    with tracker_node(environment=cache, **parameters) as node:
        assert node.wait() == 1, node.output
        for word in words:
            assert word in node.output
        assert 'Traceback' not in node.output


def test_a_damaged_checkpoint_is_refused_with_its_path(tmp_path):
    damaged = tmp_path / 'damaged.safetensors'
    damaged.write_bytes(b'no weights')
    with tracker_node(checkpoint=damaged) as node:
        assert node.wait() == 1, node.output
        assert str(damaged) in node.output
        assert 'Traceback' not in node.output


def test_each_test_run_has_its_own_domain_on_this_machine_only():
    assert os.environ['ROS_DOMAIN_ID'] != '0'
    assert os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'


def test_torchs_threads_in_the_node_spin_only_briefly():
    environment = {'OMP_DISPLAY_ENV': 'verbose'}
    with tracker_node('__ns:=/asleep', environment=environment, checkpoint='random') as node:
        node.wait_for_output("GOMP_SPINCOUNT = '1000'")
