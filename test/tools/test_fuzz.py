# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small part of `make fuzz`, and that it finds what it looks for."""

from __future__ import annotations

import faulthandler
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from paths import REPOSITORY
import pytest

pytest.importorskip('vision_msgs', reason='needs the messages')
pytest.importorskip('rosbags', reason='needs the evaluation extra')
pytest.importorskip('onnxruntime', reason='needs ONNX Runtime')


@pytest.fixture(scope='module')
def tool():
    sys.path.insert(0, str(REPOSITORY / 'tools'))
    try:
        import fuzz
    finally:
        sys.path.pop(0)
    return fuzz


def test_every_parser_gives_only_its_documented_errors(tmp_path):
    run = subprocess.run(
        [
            *(sys.executable, 'tools/fuzz.py', '--each', '200', '--seconds', '0.3'),
            *('--seed', '7', '--findings', str(tmp_path)),
        ],
        cwd=REPOSITORY,
        env={**os.environ, 'PYTHONPATH': str(REPOSITORY), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1].endswith(' inputs, 0 findings')


def read_badly(data: bytes) -> None:
    kind = data[0] % 6
    if kind == 0:
        raise KeyError('not documented')
    if kind == 1:
        raise SystemExit
    if kind == 2:
        while True:
            pass
    if kind == 3:
        faulthandler.disable()  # of this process: the crash is meant
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == 4:
        bytearray(8 << 30)
    raise ValueError('documented')


def test_each_way_to_fail_is_found(tool, monkeypatch):
    def make(folder: Path):
        def mutate(chance):
            return bytes([int(chance.integers(6))])

        return tool.Subject(mutate, read_badly, (ValueError,))

    monkeypatch.setitem(tool.PARSERS, 'bad', tool.Parser(1, make))
    monkeypatch.setattr(tool, '_SECONDS', 0.2)
    result = tool.fuzz('bad', 24, seed=1)
    found = ' '.join(result.findings)
    for word in ('KeyError', 'SystemExit', 'takes too long', 'SIGSEGV', 'MemoryError'):
        assert word in found
    assert 'ValueError' not in found
    assert result.tried == 24


def test_an_input_follows_from_its_number(tool, tmp_path):
    name = 'scenes as text'
    subject = tool.PARSERS[name].make(tmp_path)
    inputs = [tool.make_input(subject, name, 3, i) for i in range(20)]
    assert inputs == [tool.make_input(subject, name, 3, i) for i in range(20)]
    assert len(set(inputs)) > 10


def test_an_input_that_ends_the_process_does_not_end_the_others(tool, monkeypatch):
    def make(folder: Path):
        def read(index: int) -> None:
            if index == 2:
                os._exit(3)

        return tool.Subject(lambda chance: next(numbers), read, ())

    numbers = iter(range(100))
    monkeypatch.setitem(tool.PARSERS, 'bad', tool.Parser(1, make))
    start = time.monotonic()
    result = tool.fuzz('bad', 5, seed=1)
    assert result.findings == {'ends the process with 3': 2}
    assert time.monotonic() - start < 60
