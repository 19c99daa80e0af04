# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odd names, addresses and files of another kind: read if they are clear, otherwise named."""

from __future__ import annotations

import gzip
from pathlib import Path
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from videos import write_noise

from gtr_ros.cli import main
from gtr_ros.file_kinds import describe_file
from gtr_ros.file_kinds import missing_video
from gtr_ros.file_kinds import suggest_path
from gtr_ros.media.video import VideoError
from gtr_ros.media.video import VideoReader
from gtr_ros.media.video import VideoWriter
from gtr_ros.model.build import build
from gtr_ros.model.checkpoint import CheckpointError
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.recordings.sources import image_files


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


NAMES = (
    *('a:b.mp4', 'file:x.mp4', 'http:x.mp4', 'concat:x.mp4', 'pipe:0', 'rtsp:', 'C:\\x.mp4'),
    *('a b.mp4', '100%.mp4', '%d.mp4', '%s%n.mp4', 'ünï→.mp4', '日本.mp4', "a'b.mp4", 'a"b.mp4'),
    *('a[1].mp4', 'a*b.mp4', 'a?b.mp4', '#x.mp4', 'a,b.mp4', 'a|b.mp4', 'a\nb.mp4', '$HOME.mp4'),
    *('noext', 'v.MP4', 'v.txt', '.hidden.mp4', '~.mp4', '-dash.mp4', '--out.mp4', 'v.mp4 '),
)


@pytest.mark.parametrize('name', NAMES)
def test_a_video_may_have_any_name(folder, name):
    write_noise(folder / 'noise.mp4').rename(folder / name)
    with VideoReader(name) as video:
        assert len(list(video)) == 4
    assert image_files(name) is None  # no pattern


@pytest.mark.parametrize('name', ['a:b.mp4', 'file:x.mp4', '100%d.mp4', 'ü.mp4', 'a b.mp4'])
def test_a_video_of_any_name_can_be_written(folder, name):
    with VideoWriter(Path(name), 10, (32, 32)) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_slash_behind_the_name_of_a_video_is_ignored(folder):
    write_noise(folder / 'noise.mp4')
    with VideoReader('noise.mp4/') as video:
        assert video.source == 'noise.mp4'


@pytest.mark.parametrize(
    ('source', 'words'),
    [
        ('rtsp://camera/stream', ['is an address', 'image_publisher', 'tracker_node', 'ffmpeg']),
        ('http://camera/video.mjpg', ['is an address', 'tracker_node']),
        ('https://site/watch?v=x', ['is an address']),
        ('udp://@:1234', ['is an address']),
        ('RTSP://CAMERA', ['is an address']),
        ('v4l2:///dev/video7', ['give the device itself, such as /dev/video7']),
        ('v4l2://7', ['give the device itself, such as /dev/video7']),
        ('file:///tmp/none.mp4', ['give the path itself, such as /tmp/none.mp4']),
        ('clip.mp5', ['no video at clip.mp5', 'did you mean clip.mp4?']),
        ('Clip.mp4', ['did you mean clip.mp4?']),
        ('clipp.mp4', ['did you mean clip.mp4?']),
        ('clip', ['did you mean clip.mp4?']),
        ('none/clip.mp4', ['there is no folder none']),
        ('', ['is empty']),
        ('99', ['no camera at /dev/video99']),
        ('/dev/video99', ['no camera at /dev/video99']),
    ],
)
def test_a_source_that_is_not_there_is_named_with_a_way_out(folder, source, words, capsys):
    (folder / 'clip.mp4').touch()
    text = missing_video(source)
    assert [word for word in words if word not in text] == []
    with pytest.raises(VideoError):
        VideoReader(source)
    if not source.endswith('99'):  # cameras are opened later
        assert main(['track', source]) == 1
        assert 'Traceback' not in capsys.readouterr().err


CONTENTS = {
    'old.bag': (b'#ROSBAG V2.0\n' + bytes(50), 'a ROS 1 bag: convert it with `rosbags-convert'),
    'bag.mp4': (b'\x89MCAP0\r\n' + bytes(50), 'its name must end in .mcap'),
    'bag.mkv': (b'SQLite format 3\0' + bytes(50), 'a bag must end in .db3'),
    'bag.db3.zst': (b'\x28\xb5\x2f\xfd' + bytes(50), 'compressed with zstd'),
    'bag.mcap.gz': (gzip.compress(b'x'), 'compressed with gzip'),
    'bag.bz2': (b'BZh9' + bytes(50), 'compressed with bzip2'),
    'bag.xz': (b'\xfd7zXZ\0' + bytes(50), 'compressed with xz'),
    'bag.7z': (b'7z\xbc\xaf\x27\x1c' + bytes(50), 'a 7-Zip archive'),
    'bag.rar': (b'Rar!\x1a\7' + bytes(50), 'a RAR archive'),
    'page.mp4': (b'<!DOCTYPE html><html>not found</html>', 'a web page'),
    'lfs.mp4': (b'version https://git-lfs.github.com/spec/v1\n', 'git lfs pull'),
    'metadata.yaml': (b'rosbag2_bagfile_information:\n  version: 9\n', 'give its folder'),
    'empty.mp4': (b'', 'empty (0 bytes)'),
}


@pytest.mark.parametrize('name', CONTENTS)
def test_a_file_of_another_kind_is_named_for_what_it_is(folder, name, capsys):
    content, said = CONTENTS[name]
    Path(name).write_bytes(content)
    assert said in describe_file(Path(name))
    with pytest.raises(VideoError, match='is not a readable video but') as refusal:
        VideoReader(name)
    assert said in str(refusal.value)
    assert main(['evaluate', name, '--out', 'out']) == 1
    error = capsys.readouterr().err
    assert said in error.replace('\n', ' ')


@pytest.mark.parametrize('pack', ['w', 'w:gz', 'zip'])
def test_an_archive_is_named(folder, pack):
    (folder / 'a').write_text('text')
    if pack == 'zip':
        with zipfile.ZipFile('archive', 'w') as archive:
            archive.write('a')
    else:
        with tarfile.open('archive', pack) as archive:
            archive.add('a')
    assert 'unpack it first' in describe_file(Path('archive'))


@pytest.mark.parametrize(
    ('given', 'words'),
    [
        ('my_modle.safetensors', ['did you mean my_model.safetensors?']),
        ('my_model', ['did you mean my_model.safetensors?']),
        ('My_Model.safetensors', ['did you mean my_model.safetensors?']),
        ('none.safetensors', ['there are no weights at none.safetensors']),
        ('none/x.safetensors', ['there is no folder none']),
        ('Random', ['did you mean random?']),
        ('weights', ['a folder', 'it has other.pth']),
        ('https://site/x.safetensors', ['an address; download the file']),
        ('torch.pt', ['but one of torch']),
        ('empty.safetensors', ['empty (0 bytes)']),
        ('old.bag', ['a ROS 1 bag']),
    ],
)
def test_a_mistyped_checkpoint_is_not_blamed_on_the_installation(folder, given, words):
    (folder / 'my_model.safetensors').touch()
    (folder / 'empty.safetensors').touch()
    (folder / 'old.bag').write_bytes(CONTENTS['old.bag'][0])
    (folder / 'weights').mkdir()
    (folder / 'weights' / 'other.pth').touch()
    torch.save({'x': torch.zeros(1)}, 'torch.pt')
    with pytest.raises(CheckpointError) as refusal:
        build('mobile', given)
    text = str(refusal.value)
    assert [word for word in words if word not in text] == []
    assert 'reinstall' not in text


def test_a_missing_default_checkpoint_is_blamed_on_the_installation(folder, monkeypatch):
    monkeypatch.setattr('gtr_ros.model.build.default_checkpoint', lambda _: folder / 'gone')
    with pytest.raises(CheckpointError, match='included in the package; reinstall it'):
        build('mobile')


def test_a_file_that_weights_show_is_given_is_suggested(folder):
    (folder / 'mine.safetensors').touch()
    with pytest.raises(CheckpointError, match=r'did you mean mine\.safetensors\?'):
        load_checkpoint(Path('mine.safetensor'))


def test_nothing_is_suggested_where_nothing_is_similar(folder):
    (folder / 'abc.mp4').touch()
    assert suggest_path(Path('qwerty.mp4')) == ''
    assert suggest_path(folder) == ' (it is a folder)'


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--score-treshold', '.3'], 'did you mean --score-threshold?'),
        (['--score-threshold', '0,4'], '0,4 is not a number; write 0.4'),
        (['--window', '8.5'], '8.5 is not a whole number'),
        (['--window', 'many'], 'many is not a number'),
        (['--window', 'inf'], 'inf is not a whole number'),
        (['--modell', 'mot'], 'did you mean --model?'),
        (['--rule', 'evidnce'], "invalid choice: 'evidnce'"),
    ],
)
def test_a_wrong_argument_is_named_with_a_suggestion(folder, arguments, said, capsys):
    with pytest.raises(SystemExit):
        main(['track', 'clip.mp4', *arguments])
    assert said in capsys.readouterr().err


def test_a_name_that_begins_with_a_dash_is_explained(folder, capsys):
    (folder / '-dash.mp4').touch()
    with pytest.raises(SystemExit):
        main(['track', '-dash.mp4'])
    assert 'is written ./-dash.mp4' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--rate', '0'], '--rate is 0.0'),
        (['--score-threshold', '40'], '--score-threshold is 40'),
        (['--min-hits', '-1.0'], '--min-hits is -1'),
        (['--window', '1.0'], '--window is 1;'),
    ],
)
def test_a_number_out_of_range_is_named_as_it_was_given(folder, arguments, said, capsys):
    assert main(['track', 'clip.mp4', *arguments]) == 1
    assert said in capsys.readouterr().err
