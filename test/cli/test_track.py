# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of `gtr track`: classes, the window, and videos of phones."""

from __future__ import annotations

from importlib.util import find_spec
import os
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest
from upright import phone_video
from videos import write_noise

from gtr_ros.cli import main
from gtr_ros.cli import tracking
from gtr_ros.media.video import VideoReader
from gtr_ros.media.video import VideoWriter

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture
def clip(pets, tmp_path) -> list[np.ndarray]:
    """Return some images in which three people walk."""
    with VideoReader(pets / 'vtest.avi') as video:
        return [frame.image for frame, _ in zip(video, range(12))]


@pytest.fixture
def noise(tmp_path) -> Path:
    return write_noise(tmp_path / 'noise.mp4')


def tracked(path: Path) -> np.ndarray:
    """Return the rows of a file of tracks."""
    return np.loadtxt(path, delimiter=',', ndmin=2)


def test_people_are_found_in_a_phone_video(clip, tmp_path):
    video = phone_video(tmp_path / 'phone.mp4', clip, 6)
    text, drawn = tmp_path / 'tracks.txt', tmp_path / 'drawn.mp4'
    arguments = ['--out', str(text), '--video', str(drawn), '--classes', 'person']
    assert main(['track', str(video), *arguments]) == 0
    rows = tracked(text)
    lengths = np.unique(rows[:, 1], return_counts=True)[1]
    assert (lengths >= 10).sum() >= 3
    # People stand: their boxes are higher than wide.
    width, height = rows[:, 4], rows[:, 5]
    assert (height > 1.5 * width).mean() > 0.9
    with VideoReader(drawn) as result:
        assert result.size == (768, 576)


def test_only_the_given_classes_are_tracked(clip, tmp_path):
    video, text = tmp_path / 'clip.mp4', tmp_path / 'tracks.txt'
    with VideoWriter(video, 10, (768, 576)) as writer:
        for image in clip:
            writer.write(image)
    found = {}
    for name in ('person', 'car', 'person car'):
        assert main(['track', str(video), '--out', str(text), '--classes', *name.split()]) == 0
        found[name] = {tuple(row[2:6]) for row in tracked(text)} if text.read_text() else set()
    assert len(found['person']) >= 30
    assert not found['person'] & found['car']
    assert found['person'] < found['person car']


def test_an_unknown_class_is_refused_with_a_similar_name(noise, tmp_path, capsys):
    out = tmp_path / 'tracks.txt'
    assert main(['track', str(noise), '--out', str(out), '--classes', 'person', 'bicicle']) == 1
    error = ' '.join(capsys.readouterr().err.split())
    assert "--classes has 'bicicle'" in error
    assert 'did you mean one of bicycle' in error
    assert not out.exists()


@pytest.fixture
def shown(monkeypatch) -> list[np.ndarray]:
    """Put a list in the place of the window; tracking ends at `ImageWindow.most` images."""

    class ImageWindow:
        most = 100

        def __init__(self, title: str) -> None:
            assert title == 'gtr track: noise'

        def __enter__(self) -> ImageWindow:
            return self

        def __exit__(self, *_) -> None:
            images.append(None)

        def show(self, image: np.ndarray) -> bool:
            images.append(image)
            return len(images) < ImageWindow.most

    images = []
    monkeypatch.setattr('gtr_ros.cli.track.check_display', lambda: None)
    monkeypatch.setattr(tracking, 'ImageWindow', ImageWindow)
    return images


def show(video: Path, out: Path) -> int:
    anything = ['--checkpoint', 'random', '--score-threshold', '0', '--min-hits', '1']
    return main(['track', str(video), '--show', '--out', str(out), *anything])


def test_each_frame_is_shown_with_its_tracks(noise, tmp_path, shown):
    assert show(noise, tmp_path / 'tracks.txt') == 0
    *images, closed = shown
    assert closed is None
    with VideoReader(noise) as video:
        for image, frame in zip(images, video, strict=True):
            assert image.shape == frame.image.shape
            assert (image != frame.image).any()


def test_a_closed_window_ends_the_tracking_and_keeps_its_result(noise, tmp_path, shown):
    tracking.ImageWindow.most = 2
    out = tmp_path / 'tracks.txt'
    assert show(noise, out) == 0
    assert len(shown) == 3
    assert set(tracked(out)[:, 0]) == {1, 2}


def test_without_a_display_the_window_is_refused(noise, tmp_path, monkeypatch, capsys):
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr('sys.platform', 'linux')
    assert show(noise, tmp_path / 'tracks.txt') == 1
    error = ' '.join(capsys.readouterr().err.split())
    assert '--show needs a display, but neither DISPLAY nor WAYLAND_DISPLAY is set' in error
    assert not (tmp_path / 'tracks.txt').exists()


def test_a_display_that_does_not_answer_is_named(noise, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('DISPLAY', 'localhost:977')
    assert show(noise, tmp_path / 'tracks.txt') == 1
    error = ' '.join(capsys.readouterr().err.split())
    drawn = find_spec('tkinter') is not None and find_spec('PIL.ImageTk') is not None
    assert ('--show cannot open a window' if drawn else '--show needs tkinter') in error
    assert 'Traceback' not in error


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['a.mp4', 'b.mp4', '--show'], '--show is for a single video'),
        (['a.mp4', '--show', '--ray', 'local'], '--show is for a single video without --ray'),
        (['bag.mcap', '--show'], 'bag.mcap is a bag: --show is for videos and images'),
        (['bag.mcap', '--video', 'a.mp4'], 'bag.mcap is a bag: --video is for videos and images'),
    ],
)
def test_the_window_is_for_one_video(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(['track', *arguments]) == 1
    assert message in ' '.join(capsys.readouterr().err.split())


def test_waiting_threads_sleep_soon_because_other_programs_may_run_beside(noise, tmp_path):
    command = [sys.executable, '-m', 'gtr_ros.cli', 'track', noise, '--checkpoint', 'random']
    run = subprocess.run(
        [*command, '--out', tmp_path / 'tracks.txt'],
        env={**os.environ, 'OMP_DISPLAY_ENV': 'verbose'},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "GOMP_SPINCOUNT = '1000'" in run.stderr
