# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a frame has freed is there for the next one; threads that wait fall asleep soon."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: faults of pages while blocks as large as a frame's are taken and freed again, after the first
COUNT_FAULTS = """
import resource, sys, threading
from gtr_ros.runtime.process import keep_freed_memory
if sys.argv[1] == 'keep':
    assert keep_freed_memory()
import torch

def frames(count):
    for _ in range(count):
        blocks = [torch.ones(2_000_000) for _ in range(12)]
        del blocks

def count():
    frames(3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    frames(5)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

torch.set_num_threads(1)
thread = threading.Thread(target=count)
thread.start()
thread.join()
"""


def faults(how: str) -> int:
    command = [sys.executable, '-c', COUNT_FAULTS, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_what_a_worker_has_freed_it_gets_without_asking_the_system():
    assert faults('keep') < 100 < faults('give back')


WAIT = """
import sys
from gtr_ros.runtime.process import sleep_soon
assert sleep_soon()
import torch
assert not sleep_soon()
"""


@pytest.mark.parametrize(
    ('given', 'shown'),
    [({}, "GOMP_SPINCOUNT = '1000'"), ({'GOMP_SPINCOUNT': '77'}, "GOMP_SPINCOUNT = '77'")],
)
def test_torchs_threads_fall_asleep_soon_unless_the_user_says_otherwise(given, shown):
    result = subprocess.run(
        [sys.executable, '-c', WAIT],
        env={**os.environ, 'OMP_DISPLAY_ENV': 'verbose', **given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown in result.stderr
