# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a frame has freed is there for the next one; threads that wait fall asleep soon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from gtr_ros.runtime.process import end_with_reader

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


WRITE = """
import sys
from gtr_ros.runtime.process import end_with_reader
with end_with_reader():
    print('a line')
    {then}
"""


@pytest.mark.parametrize('then', ['', 'sys.exit(0)', "print('x' * 1_000_000)"])
@pytest.mark.parametrize('unbuffered', ['', '1'])
def test_a_program_ends_without_a_message_when_nobody_reads_its_output(then, unbuffered):
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(
        [sys.executable, '-c', WRITE.format(then=then)],
        env={**os.environ, 'PYTHONUNBUFFERED': unbuffered},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert (run.returncode, run.stderr) == (128 + signal.SIGPIPE, '')


def test_another_pipe_that_breaks_is_an_error():
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError), end_with_reader(), os.fdopen(writer, 'w', 1) as pipe:
        pipe.write('a line\n')
