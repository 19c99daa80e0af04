# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings that every test runs under, and the data that some need."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import sys

from paths import SHARED
import pytest

# Before anything imports rclpy: this machine only, a domain of this run's own, checked messages.
os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
os.environ.setdefault('ROS_PYTHON_CHECK_FIELDS', '1')
os.environ.setdefault('AMENT_PREFIX_PATH', sys.prefix)
# What runtime auto would measure depends on the machine; tests of it unset this.
os.environ.setdefault('GTR_AUTO_RUNTIME', 'torch')

if 'PYTEST_XDIST_WORKER' in os.environ:
    os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)  # not that of its parent
    # Processes that each use all cores take turns on them.
    os.environ.setdefault('OMP_NUM_THREADS', '1')

# A shell starts its background jobs with Ctrl-C ignored, and what they start inherits that; tests
# send Ctrl-C to what they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def one_thread():
    """Let torch use one thread: small convolutions on many, beside other tests, take minutes."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='session')
def pets() -> Path:
    """Return the folder of the pedestrian video with ground truth, which is not for everybody."""
    folder = SHARED / 'data' / 'pets09_s2l1'
    if not folder.is_dir():
        pytest.skip('the PETS video is not here (../shared/data/pets09_s2l1)')
    return folder


@pytest.fixture(scope='session')
def coco_mini() -> Path:
    """Return the folder of a few labelled COCO images, which are not for everybody."""
    folder = SHARED / 'data' / 'coco_mini'
    if not folder.is_dir():
        pytest.skip('the COCO images are not here (../shared/data/coco_mini)')
    return folder
