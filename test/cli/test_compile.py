# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr compile`: what it builds is what a node would build, and is taken by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gtr_ros.cli import main
from gtr_ros.runtime import compiled
from gtr_ros.runtime import torch_runtime

pytestmark = pytest.mark.usefixtures('one_thread')

SMALL = ['compile', '--device', 'cpu', '--threads', '1', '--input-size', '64']


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    return tmp_path / 'gtr_ros' / 'compiled'


@pytest.fixture
def built(monkeypatch) -> list[tuple[int, ...]]:
    """Let compiling write any file, which any loader can open; return the sizes."""
    sizes = []

    class Builder:
        def __init__(self, *_: object) -> None: ...

        def __call__(self, size, file: Path) -> None:
            sizes.append(size)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(bytes(1_500_000))

    monkeypatch.setattr(torch_runtime, 'InAnotherProcess', Builder)
    monkeypatch.setattr(compiled, '_open', lambda *_: lambda pixels: (pixels,))
    return sizes


def test_every_size_and_batch_is_built_once_named_and_kept(built, cache, capsys):
    arguments = ['--size', '640x480', '--size', '1920x1080', '--batch', '1', '--batch', '2']
    assert main([*SMALL, *arguments]) == 0
    assert [size[0] for size in built] == [1, 2, 1, 2]
    assert len({size[2:] for size in built}) == 2
    told = ' '.join(capsys.readouterr().err.split())
    files = sorted(cache.iterdir())
    assert len(files) == 4
    for file in files:
        assert f'{file} (1.5 MB), 0 s' in told
    assert '1920 x 1080, batch 2: ' in told
    built.clear()
    assert main([*SMALL, *arguments]) == 0
    assert built == []
    assert 'compiled before' in ' '.join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--size', '640x480', '--batch', '0'], '--batch is 0; expected 1 or more'),
        (['--size', '640x480', '--checkpoint', 'random'], 'random weights differ'),
    ],
)
def test_what_cannot_be_built_is_refused(arguments, words, capsys):
    assert main([*SMALL, *arguments]) == 1
    assert words in ' '.join(capsys.readouterr().err.split())


@pytest.mark.parametrize('size', ['640', '0x480', '640x480x3', 'axb'])
def test_a_wrong_size_is_named(size, capsys):
    with pytest.raises(SystemExit):
        main(['compile', '--size', size])
    assert f"'{size}' is no size; expected width and height" in capsys.readouterr().err


def test_a_runtime_without_anything_to_build_says_so(tmp_path, capsys):
    pytest.importorskip('onnx', reason='needs the onnx extra')
    pytest.importorskip('onnxruntime', reason='needs the onnx extra')
    folder = str(tmp_path / 'exported')
    assert main(['export', '--out', folder]) == 0
    arguments = ['--runtime', 'onnxruntime', '--provider', 'cpu', '--exported', folder]
    assert main(['compile', '--size', '640x480', *arguments]) == 1
    assert 'nothing to build for runtime onnxruntime' in ' '.join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_what_is_built_is_taken_by_the_next_start(cache, capsys):
    arguments = [*SMALL, '--size', '64x48']
    assert main(arguments) == 0
    [file] = cache.iterdir()
    before = file.stat()
    assert main(arguments) == 0
    assert file.stat() == before
    assert 'loaded the network' in capsys.readouterr().err
