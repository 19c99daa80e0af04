# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decoding in hardware: the same frames, and a reason where it is not possible."""

from __future__ import annotations

from pathlib import Path
import warnings

import numpy as np
import pytest
from videos import write_noise

from gtr_ros.cli import main
from gtr_ros.input_warning import InputWarning
from gtr_ros.media import hardware
from gtr_ros.media.hardware import find_decoder
from gtr_ros.media.video import VideoReader


@pytest.fixture(scope='module')
def video(tmp_path_factory) -> Path:
    return write_noise(tmp_path_factory.mktemp('videos') / 'video.mp4', count=12)


def read(video: Path, hardware_decoding: bool) -> tuple[VideoReader, list]:
    with VideoReader(video, hardware_decoding=hardware_decoding) as reader:
        return reader, list(reader)


def test_frames_are_the_same_in_hardware_or_where_there_is_none(video):
    decoder, reason = find_decoder(f'file:{video}')
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        reader, found = read(video, hardware_decoding=True)
    assert reader.in_hardware == (decoder is not None)
    lines = [str(each.message) for each in caught if each.category is InputWarning]
    told = [] if decoder else [f'{video} is decoded in software: {reason}']
    assert lines == told
    _, expected = read(video, hardware_decoding=False)
    assert len(found) == len(expected) == 12
    for one, other in zip(found, expected, strict=True):
        assert (one.stamp, one.index) == (other.stamp, other.index)
        # Chroma may be interpolated in another way.
        np.testing.assert_allclose(one.image, other.image, atol=3 if decoder else 0)


def test_every_kind_of_device_that_fails_is_named(video, monkeypatch):
    # FFmpeg knows what it cannot open: there is never a device of this name.
    monkeypatch.setattr(hardware, 'hwdevices_available', lambda: ['cuda', 'vaapi'])
    made = hardware.HWAccel
    monkeypatch.setattr(
        hardware, 'HWAccel', lambda device, **options: made(device, '99', **options)
    )
    decoder, reason = find_decoder(f'file:{video}')
    assert decoder is None
    assert [part.partition(':')[0] for part in reason.split('; ')] == ['cuda', 'vaapi']


@pytest.mark.parametrize(
    ('devices', 'words'), [(None, 'has no decoders in hardware, 14'), ([], 'was built without')]
)
def test_a_version_without_it_says_so(video, monkeypatch, devices, words):
    if devices is None:
        monkeypatch.setattr(hardware, 'HWAccel', None)
    else:
        monkeypatch.setattr(hardware, 'hwdevices_available', lambda: devices)
    with pytest.warns(InputWarning, match=words):
        reader, frames = read(video, hardware_decoding=True)
    assert len(frames) == 12
    assert not reader.in_hardware


def test_without_the_option_nothing_is_tried(video, monkeypatch):
    monkeypatch.setattr(hardware, 'HWAccel', None)
    assert not read(video, hardware_decoding=False)[0].in_hardware


def test_the_command_tracks_in_software_and_says_why(video, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(hardware, 'hwdevices_available', lambda: [])
    out = tmp_path / 'tracks.txt'
    assert main(['track', str(video), '--out', str(out), '--hardware-decoding']) == 0
    assert out.exists()
    told = ' '.join(capsys.readouterr().err.split())
    assert 'is decoded in software: FFmpeg was built without decoders in hardware' in told
