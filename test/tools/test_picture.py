# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`make picture` writes an animated picture of the frames that were asked for."""

from __future__ import annotations

import os
from pathlib import Path
import re
import subprocess
import sys

import numpy as np
from opengl import needs_opengl
from paths import REPOSITORY
from PIL import Image
import pytest

from gtr_ros.data.people import generate
from gtr_ros.data.people import PeopleScene
from gtr_ros.media.video import VideoWriter


def make_picture(
    out: Path, *arguments: str, tool: str = 'picture.py'
) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, REPOSITORY / 'tools' / tool, '--out', out, *arguments],
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def video(tmp_path):
    """Write a video with a white bar of 20 columns, from column 20 i in frame i."""
    path = tmp_path / 'video.mp4'
    with VideoWriter(path, 10, (320, 240)) as writer:
        for i in range(12):
            image = np.zeros((240, 320, 3), np.uint8)
            image[:, 20 * i : 20 * (i + 1)] = 255
            writer.write(image)
    return path


def test_the_picture_has_the_frames_that_were_asked_for(video, tmp_path):
    out = tmp_path / 'picture.webp'
    run = make_picture(out, '--video', video, '--first', '4', '--frames', '6', '--width', '160')
    assert run.returncode == 0, run.stderr
    assert f'{out}: 6 frames' in run.stdout
    bars = []
    with Image.open(out) as picture:
        assert picture.size == (160, 120)
        assert picture.n_frames == 6
        for i in range(picture.n_frames):
            picture.seek(i)
            columns = np.asarray(picture.convert('L')).mean(axis=0)
            bars.append(float(np.average(np.arange(160), weights=columns)))
    assert bars == pytest.approx([10 * i + 4.5 for i in range(4, 10)], abs=2)


def test_a_part_behind_the_end_of_the_video_is_refused_and_nothing_is_written(video, tmp_path):
    out = tmp_path / 'picture.webp'
    run = make_picture(out, '--video', video, '--first', '50')
    assert run.returncode == 1
    assert 'fewer than 50 frames; give an earlier --first' in run.stderr
    assert not out.exists()
    assert not list(tmp_path.glob('*.part*'))


@needs_opengl
def test_the_picture_of_following_shows_the_person_at_the_pixel(tmp_path):
    people = generate(
        PeopleScene(
            objects=2,
            camera='stand',
            light='day',
            occluders=0,
            script='crossing',
            duration=1,
            seed=4,
        )
    )
    video, out = tmp_path / 'people.mp4', tmp_path / 'following.jpg'
    with VideoWriter(video, 10, (640, 480)) as writer:
        for t in range(len(people)):
            writer.write(people.image(t))
    frame = people.truth(7)
    first = frame.full_boxes[frame.ids == people.people[0].identity][0]
    x, y = (first[:2] + first[2:]) / 2
    numbers = ['--first', '0', '--frames', '7', '9', '--crop', '0', '0', '640', '480']
    arguments = ['--video', video, *numbers, '--pixel', f'{x:g}', f'{y:g}']
    run = make_picture(out, *arguments, tool='follow_picture.py')
    assert run.returncode == 0, run.stderr
    assert re.search(r'0\.0 s: following, id (\d+)\n0\.3 s: following, id \1\n', run.stdout)
    with Image.open(out) as picture:
        assert picture.size == (2 * 960 + 6, 720 + 40)
        sheet = np.asarray(picture).astype(int)
    # The edge of the person's box is as green as the bar above the frame.
    bar = sheet[5, 900]
    assert bar[1] > bar[0] + 100
    row = sheet[40 + round(1.5 * y), :960]
    green = np.flatnonzero(np.abs(row - bar).max(axis=1) < 60)
    assert len(green)
    assert np.abs(green.min() / 1.5 - first[0]) < 15
