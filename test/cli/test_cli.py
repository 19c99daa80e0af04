# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr track` with a single file, and its errors."""

from __future__ import annotations

import numpy as np
from PIL import Image
import pytest
from videos import write_noise

from gtr_ros.cli import main
from gtr_ros.media.video import VideoReader
from gtr_ros.media.video import VideoWriter


@pytest.fixture
def video(tmp_path):
    return write_noise(tmp_path / 'video.mp4')


def test_a_video_is_tracked_to_text_and_an_annotated_video(video, tmp_path):
    text, annotated = tmp_path / 'out' / 'tracks.txt', tmp_path / 'out' / 'tracked.mp4'
    arguments = ['track', str(video), '--out', str(text), '--video', str(annotated)]
    anything = ['--checkpoint', 'random', '--score-threshold', '0', '--min-hits', '1']
    assert main([*arguments, *anything]) == 0
    rows = [line.split(',') for line in text.read_text().splitlines()]
    assert {int(row[0]) for row in rows} == {1, 2, 3, 4}
    assert all(len(row) == 10 and int(row[1]) >= 1 for row in rows)
    with VideoReader(annotated) as result:
        assert len(list(result)) == 4


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nowhere.mp4', '--checkpoint', 'random'], 'no video at nowhere.mp4'),
        (['VIDEO', '--checkpoint', 'nothing.safetensors'], 'no weights at nothing.safetensors'),
        (['VIDEO', '--checkpoint', 'random', '--device', 'gpu'], "device is 'gpu'"),
        (['VIDEO', '--checkpoint', 'random', '--window', '1'], 'window is 1'),
        (['VIDEO', '--score-threshold', '40'], '--score-threshold is 40.0; expected a number'),
        (['VIDEO', '--score-threshold', 'nan'], '--score-threshold is nan; expected a number'),
        (['VIDEO', '--score-threshold=-1'], '--score-threshold is -1.0; expected a number'),
        (['VIDEO', '--weak-score-threshold', '2'], '--weak-score-threshold is 2.0; expected'),
        (['VIDEO', '--min-hits', '65'], '--min-hits is 65; expected a number from 0 to 64'),
    ],
)
def test_errors_are_one_line(video, tmp_path, capfd, arguments, message):
    arguments = [str(video) if a == 'VIDEO' else a for a in arguments]
    assert main(['track', *arguments, '--out', str(tmp_path / 'tracks.txt')]) == 1
    error = capfd.readouterr().err
    assert message in error
    assert 'Traceback' not in error
    assert not (tmp_path / 'tracks.txt').exists()


@pytest.mark.parametrize(
    ('flag', 'value'),
    [
        ('--score-threshold', '40'),
        ('--score-threshold', 'nan'),
        ('--score-threshold', '-1'),
        ('--window', '1'),
        ('--window', '1000'),
    ],
)
def test_evaluations_refuse_numbers_that_the_node_refuses(tmp_path, capfd, flag, value):
    arguments = ['synthetic:duration=2', f'{flag}={value}', '--out', str(tmp_path / 'out')]
    assert main(['evaluate', *arguments]) == 1
    error = capfd.readouterr().err
    assert f'gtr: {flag} is ' in error
    assert 'expected a number from' in error
    assert not (tmp_path / 'out').exists()


def test_unpadded_names_and_a_missing_image_give_the_frames_of_the_text(tmp_path, capfd):
    folder = tmp_path / 'frames'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in (8, 9, 10, 12):
        pixels = rng.integers(0, 255, (48, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f'{number}.png')
    anything = ['--checkpoint', 'random', '--score-threshold', '0', '--min-hits', '1']
    text = tmp_path / 'tracks.txt'
    assert main(['track', str(folder), '--out', str(text), *anything]) == 0
    assert {int(line.split(',')[0]) for line in text.read_text().splitlines()} == {1, 2, 3, 5}
    message = capfd.readouterr().err
    assert 'gtr: warning: ' in message
    assert '1 frames are missing from 8.png to 12.png: 4 ' in message


def test_people_are_tracked_in_a_real_video(pets, tmp_path):
    clip = tmp_path / 'clip.mp4'
    with VideoReader(pets / 'vtest.avi') as source, VideoWriter(clip, 10, source.size) as writer:
        for frame in source:
            if frame.index == 20:
                break
            writer.write(frame.image)
    text = tmp_path / 'tracks.txt'
    assert main(['track', str(clip), '--out', str(text)]) == 0
    rows = np.loadtxt(text, delimiter=',')
    lengths = np.unique(rows[:, 1], return_counts=True)[1]
    # Three people walk in the open for the whole clip.
    assert (lengths >= 18).sum() >= 3
