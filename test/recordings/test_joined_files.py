# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Video files that were joined byte by byte: read on, or incomplete, and never cut in silence."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from scripted import Scripted
from videos import encode

from gtr_ros.input_warning import InputWarning
from gtr_ros.media.completeness import find_second_file
from gtr_ros.media.video import VideoReader
from gtr_ros.recordings.options import TrackingOptions
from gtr_ros.recordings.recording import IncompleteError
from gtr_ros.recordings.recording import Summary
from gtr_ros.recordings.recording import track_recording

pytestmark = pytest.mark.usefixtures('one_thread')


def track(source: Path, out: Path) -> Summary:
    model = Scripted(*[0.9] * 100)
    settings = TrackingOptions(min_hits=1)
    return track_recording(model, str(source), out, settings, lambda *_: None)


def rows_of(path: Path) -> int:
    return len({line.split(',')[0] for line in path.read_text().splitlines()})


def join(folder: Path, name: str, codec: str, **options: str) -> tuple[Path, int]:
    """Write the same video twice into one file; return it, and where the second one begins."""
    part = encode(folder / f'part_{name}', codec, **options).read_bytes()
    path = folder / name
    path.write_bytes(part + part)
    return path, len(part)


@pytest.mark.parametrize(
    ('name', 'codec', 'options'),
    [
        ('a.flv', 'flv', {}),
        ('b.flv', 'libx264', {}),
        ('a.mp4', 'libx264', {}),
        ('b.mp4', 'libx264', {'movflags': 'faststart'}),
        ('c.mp4', 'libx264', {'movflags': 'frag_keyframe+empty_moov'}),
        ('a.mov', 'mpeg4', {}),
        ('a.wmv', 'wmv2', {}),
        ('a.apng', 'apng', {}),
        ('a.wtv', 'mpeg2video', {}),
    ],
)
def test_a_file_of_which_only_the_first_part_is_read_is_incomplete(tmp_path, name, codec, options):
    (joined, second), out = join(tmp_path, name, codec, **options), tmp_path / 'tracks.txt'
    with pytest.raises(
        IncompleteError, match=f'another one begins at byte {second}, and'
    ) as error:
        track(joined, out)
    assert error.value.summary.images == rows_of(out) == 40
    with VideoReader(joined) as video, pytest.warns(InputWarning, match=r'\(40 frames were\)'):
        assert len(list(video)) == 40


@pytest.mark.parametrize('codec', ['mpeg4', 'libx264'])
def test_a_nut_file_of_which_the_second_part_is_read_without_its_beginning(tmp_path, codec):
    """FFmpeg takes the second header for a picture, or goes on with one that depends on others."""
    (joined, second), out = join(tmp_path, 'a.nut', codec), tmp_path / 'tracks.txt'
    said = f'another one begins at byte {second}, and'
    with pytest.raises(IncompleteError, match=said), pytest.warns(InputWarning):
        track(joined, out)
    assert rows_of(out) >= 40


@pytest.mark.parametrize(
    ('name', 'codec', 'said'),
    [('a.mkv', 'libx264', r'go back \(1 times\)'), ('a.avi', 'mpeg4', '')],
)
def test_a_file_that_is_read_on_is_complete(tmp_path, name, codec, said):
    (joined, _), out = join(tmp_path, name, codec), tmp_path / 'tracks.txt'
    with pytest.warns(InputWarning, match=said) if said else nullcontext():
        assert track(joined, out).images == rows_of(out) == 80


def test_an_flv_file_that_is_read_on_too_late_is_incomplete(tmp_path):
    """FFmpeg goes on about 5 MB behind the second header, and the times go back."""
    part = encode(tmp_path / 'a.flv', 'flv').read_bytes()
    joined, out, size = tmp_path / 'joined.flv', tmp_path / 'tracks.txt', 6_000_000
    data = bytes([18]) + size.to_bytes(3, 'big') + bytes(7 + size) + (11 + size).to_bytes(4, 'big')
    joined.write_bytes(part + part[:13] + data + part[13:])
    with (
        pytest.raises(IncompleteError, match=f'another one begins at byte {len(part)}, and'),
        pytest.warns(InputWarning, match=r'go back \(1 times\)'),
    ):
        track(joined, out)
    assert 40 < rows_of(out) <= 80


@pytest.mark.parametrize(
    ('suffix', 'codec', 'name'),
    [
        ('flv', 'flv', 'flv'),
        ('mp4', 'mpeg4', 'mov,mp4,m4a,3gp,3g2,mj2'),
        ('wmv', 'wmv2', 'asf'),
        ('apng', 'apng', 'apng'),
        ('nut', 'mpeg4', 'nut'),
        ('wtv', 'mpeg2video', 'wtv'),
    ],
)
@pytest.mark.parametrize('size', [0, 3, 9, 30])
def test_a_file_that_ends_anywhere_has_no_second_one(tmp_path, suffix, codec, name, size):
    path = encode(tmp_path / f'a.{suffix}', codec)
    path.write_bytes(path.read_bytes() + bytes(size))
    assert find_second_file(str(path), name, 0) is None
    path.write_bytes(path.read_bytes()[: 50 + size])
    assert find_second_file(str(path), name, 0) is None
