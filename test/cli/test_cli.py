# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr track` with a single file, and its errors."""

from __future__ import annotations

import numpy as np
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
    ],
)
def test_errors_are_one_line(video, tmp_path, capfd, arguments, message):
    arguments = [str(video) if a == 'VIDEO' else a for a in arguments]
    assert main(['track', *arguments, '--out', str(tmp_path / 'tracks.txt')]) == 1
    error = capfd.readouterr().err
    assert message in error
    assert 'Traceback' not in error
    assert not (tmp_path / 'tracks.txt').exists()


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
