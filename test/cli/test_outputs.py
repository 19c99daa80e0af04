# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No command of `gtr` writes over one of its inputs, whatever names lead there."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import shutil

import pytest
from videos import write_noise

from gtr_ros.cli import main
from gtr_ros.cli.outputs import check_outputs
from gtr_ros.cli.outputs import INPUTS
from gtr_ros.cli.outputs import OUTPUTS
from gtr_ros.cli.program import _parser

ANYTHING = ['--checkpoint', 'random', '--score-threshold', '0', '--min-hits', '1']
#: folders that files may be added to
OTHERS = {'data'}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return the current folder, which has a video under several names."""
    monkeypatch.chdir(tmp_path)
    write_noise(tmp_path / 'video.mp4')
    (tmp_path / 'sub').mkdir()
    (tmp_path / 'soft.mp4').symlink_to('video.mp4')
    (tmp_path / 'hard.mp4').hardlink_to('video.mp4')
    (tmp_path / 'linked').symlink_to('.')
    return tmp_path


def refused(capfd, *arguments: str) -> str:
    """Return the error of a command that changes no file."""

    def content() -> dict[str, bytes]:
        files = (f for f in Path().rglob('*') if f.is_file())
        return {str(file): file.read_bytes() for file in files}

    before = content()
    assert main(list(arguments)) == 1
    assert content() == before
    return ' '.join(capfd.readouterr().err.split())


@pytest.mark.parametrize(
    'name',
    ['video.mp4', './sub/../video.mp4', 'soft.mp4', 'hard.mp4', 'linked/video.mp4', 'ABSOLUTE'],
)
@pytest.mark.parametrize('flag', ['--out', '--video'])
def test_a_recording_is_not_written_over(folder, capfd, flag, name):
    name = str(folder / 'video.mp4') if name == 'ABSOLUTE' else name
    for source, out in (('video.mp4', name), (name, 'video.mp4')):
        error = refused(capfd, 'track', source, flag, out, *ANYTHING)
        assert f'gtr: {flag} is {Path(out)}, which would write over' in error
        assert 'choose another name' in error


def test_the_name_of_an_unfinished_result_is_an_output_too(folder, capfd):
    shutil.copy('video.mp4', 'a.partial.mp4')
    error = refused(capfd, 'track', 'a.partial.mp4', '--video', 'a.mp4', *ANYTHING)
    assert 'would write over a.partial.mp4' in error


@pytest.mark.parametrize('sources', [['frames'], ['frames/*.jpg'], ['frames/1.jpg']])
def test_an_image_of_a_folder_is_not_written_over(folder, capfd, sources):
    Path('frames').mkdir()
    Path('frames/1.jpg').write_bytes(b'')
    error = refused(capfd, 'track', *sources, '--out', 'frames/1.jpg')
    assert 'would write over frames/1.jpg' in error


def test_two_outputs_are_two_files(folder, capfd):
    error = refused(capfd, 'track', 'video.mp4', '--out', 'a.mp4', '--video', 'linked/a.mp4')
    assert '--out and --video are both' in error


@pytest.mark.parametrize('name', ['metadata.yaml', 'bag_0.mcap', 'bag_0.db3'])
def test_an_output_does_not_go_into_a_bag(folder, capfd, name):
    Path('bag').mkdir()
    Path('bag', name).write_text('')
    error = refused(capfd, 'track', 'bag', '--out', 'linked/bag/tracked')
    assert '--out is linked/bag/tracked, inside the bag bag' in error


def test_text_beside_the_images_of_a_folder_is_no_input(folder):
    Path('frames').mkdir()
    Path('frames/1.jpg').write_bytes(b'')
    Path('frames/tracks.txt').write_text('an earlier result')
    check_outputs(argparse.Namespace(sources=['frames'], out=Path('frames/tracks.txt')))


def test_a_device_can_be_an_output_twice():
    null = Path(os.devnull)
    check_outputs(argparse.Namespace(sources=['a.mp4'], out=null, annotated=null))


@pytest.mark.parametrize(
    'arguments',
    [
        ['track', 'video.mp4', '--checkpoint', 'w.safetensors', '--out', 'w.safetensors'],
        ['track', 'video.mp4', '--checkpoint', 'w.safetensors', '--video', 'linked/w.safetensors'],
        ['evaluate', 'frames', '--out', 'linked/frames'],
        ['evaluate', 'a.json', '--boxes', 'evaluation/table.csv', '--out', 'evaluation'],
        ['evaluate', 'a.json', '--images', 'frames', '--out', 'frames'],
        ['evaluate', 'frames', '--cache', 'frames'],
        ['train', 'run.yaml', '--out', 'run.yaml'],
        ['export', '--checkpoint', 'w.safetensors', '--out', 'w.safetensors'],
        ['adapt', 'video.mp4', '--out', 'hard.mp4'],
        ['weights', 'convert', 'w.safetensors', '--out', 'linked/w.safetensors'],
        ['weights', 'import', '--from', 'w.safetensors', '--out', './w.safetensors'],
    ],
)
def test_each_command_refuses(folder, capfd, arguments):
    for name in ('w.safetensors', 'run.yaml', 'a.json', 'frames/1.jpg', 'evaluation/table.csv'):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text('')
    assert 'would write over' in refused(capfd, *arguments)


def commands(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Return the parsers of all commands."""
    found = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return [c for a in found for p in a.choices.values() for c in commands(p)] or [parser]


def test_every_argument_with_a_path_is_known_as_input_or_output():
    for command in commands(_parser()):
        for action in command._actions:
            path = action.type is Path or action.metavar in ('FILE', 'FOLDER', 'DIR')
            if path or action.dest in ('sources', 'sequences', 'recording'):
                assert action.dest in {*INPUTS, *OUTPUTS, *OTHERS}, command.prog
