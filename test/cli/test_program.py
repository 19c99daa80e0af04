# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Help, version and wrong arguments of `gtr` are answered without loading what commands need."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

from paths import REPOSITORY
import pytest

from gtr_ros import __version__
from gtr_ros.cli import main
from gtr_ros.cli.arguments import add_tracking_arguments
from gtr_ros.tracking.rules import NAMES

#: what takes seconds to import, or is not installed everywhere
HEAVY = ('torch', 'torchvision', 'timm', 'scipy', 'ray', 'rosbags', 'matplotlib', 'onnxruntime')

WEIGHTS = 'gtr_ros/weights/gtr_mobile.safetensors'

_RUN = """
import sys
sys.argv[0] = 'gtr'
from gtr_ros.cli import main
try:
    status = main()
except SystemExit as end:
    status = end.code
print('status', status, 'loaded', *(name for name in {heavy!r} if name in sys.modules))
"""


def run(*arguments: str, folder: Path) -> tuple[int, list[str], str]:
    """Return the status of `gtr` in a process of its own, what it has loaded, and its output."""
    process = subprocess.run(
        [sys.executable, '-c', _RUN.format(heavy=HEAVY), *arguments],
        cwd=folder,
        env={**os.environ, 'PYTHONPATH': str(REPOSITORY), 'COLUMNS': '99'},
        capture_output=True,
        text=True,
    )
    *output, last = process.stdout.splitlines()
    words = last.split()
    assert words[0] == 'status', process.stderr
    return int(words[1]), words[3:], '\n'.join([*output, process.stderr])


@pytest.mark.parametrize(
    ('arguments', 'status', 'answer'),
    [
        (['--help'], 0, 'track objects in videos, images or ROS 2 bags'),
        (['--version'], 0, f'gtr {__version__}'),
        (['track', '--help'], 0, '--classes NAME'),
        ([], 2, 'COMMAND'),
        (['trak'], 2, "invalid choice: 'trak'"),
        (['track'], 2, 'SOURCE'),
        (['track', 'a.mp4', '--rule', 'none'], 2, "invalid choice: 'none'"),
        (['track', 'nowhere.mp4'], 1, 'no video at nowhere.mp4'),
        (['track', 'nowhere.mp4', '--min-hits', '-1'], 1, '--min-hits is -1'),
        (['track', 'frames/*.jpg'], 1, 'no image matches frames/*.jpg'),
        (
            ['track', 'nowhere.mp4', '--precision', 'bfloat16', '--runtime', 'onnxruntime'],
            1,
            'for',
        ),
    ],
)
def test_answers_that_need_no_model_do_not_import_torch(tmp_path, arguments, status, answer):
    found, loaded, output = run(*arguments, folder=tmp_path)
    assert answer in output
    assert (found, loaded) == (status, [])


@pytest.mark.parametrize('arguments', [['--help'], ['weights', 'show', WEIGHTS]])
def test_output_that_nobody_reads_to_its_end_is_no_error(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, '-m', 'gtr_ros.cli', *arguments],
        cwd=REPOSITORY,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert done.stderr == ''


def test_the_module_is_the_command():
    command = [sys.executable, '-m', 'gtr_ros.cli', '--version']
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f'gtr {__version__}\n')


def test_the_rules_of_the_command_are_those_of_the_tracker():
    import argparse

    parser = argparse.ArgumentParser()
    add_tracking_arguments(parser)
    [rule] = [action for action in parser._actions if action.dest == 'rule']
    assert rule.choices == NAMES


def test_a_wrong_command_is_refused(capsys):
    with pytest.raises(SystemExit) as end:
        main(['trak'])
    assert end.value.code == 2
    assert 'trak' in capsys.readouterr().err
