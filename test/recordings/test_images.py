# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders and globs of images are recordings, alone and among others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from PIL import Image
import pytest
from upright import photo

from gtr_ros.cli import main
from gtr_ros.media.video import VideoReader
from gtr_ros.media.video import VideoWriter
from gtr_ros.recordings.folder import ResultsFolder
from gtr_ros.recordings.options import TrackingOptions
from gtr_ros.recordings.sources import gather_images
from gtr_ros.recordings.sources import image_files
from gtr_ros.recordings.sources import opens_as_bag

pytestmark = pytest.mark.usefixtures('one_thread')

#: finds boxes in noise, too: for tests that compare results, not of their quality
FIND_ANYTHING = ['--score-threshold', '0', '--min-hits', '1', '--cores', '1']
NOISE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def write_frames(folder: Path, names: list[str], orientation: int | None = None) -> Path:
    """Write an image that moves by a pixel in each frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for shift, name in enumerate(names):
        image = np.roll(NOISE, shift, axis=1)
        if orientation is None:
            Image.fromarray(image).save(folder / name)
        else:
            (folder / name).write_bytes(photo(image, orientation, 'PNG'))
    return folder


def track(*arguments: object) -> int:
    return main(['track', *map(str, arguments), *FIND_ANYTHING])


def touch(folder: Path, *names: str) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return [str(folder / name) for name in names]


def names_of(source: str | Path) -> list[str]:
    return [file.name for file in image_files(source)]


def test_folder_glob_and_expanded_glob_give_the_same_tracks(tmp_path, capsys):
    # In the order of their digits 10 would come before 9.
    folder = write_frames(tmp_path / 'frames', ['8.png', '9.png', '10.png', '11.png'])
    (folder / 'notes.txt').write_text('not an image')
    for out, sources in {
        'folder': [folder],
        'glob': [folder / '*.png'],
        'expanded': sorted(folder.glob('*.png')),
    }.items():
        assert track(*sources, '--out', tmp_path / f'{out}.txt') == 0, capsys.readouterr().err
    expected = (tmp_path / 'folder.txt').read_text()
    assert {int(line.split(',')[0]) for line in expected.splitlines()} == {1, 2, 3, 4}
    assert (tmp_path / 'glob.txt').read_text() == expected
    assert (tmp_path / 'expanded.txt').read_text() == expected


def test_photos_of_a_phone_give_the_tracks_of_upright_images(tmp_path):
    names = ['1.png', '2.png', '3.png']
    upright = write_frames(tmp_path / 'upright', names)
    turned = write_frames(tmp_path / 'turned', names, orientation=6)
    assert track(upright, '--out', tmp_path / 'upright.txt') == 0
    assert track(turned, '--out', tmp_path / 'turned.txt') == 0
    text = (tmp_path / 'turned.txt').read_text()
    assert text
    assert text == (tmp_path / 'upright.txt').read_text()


def test_a_folder_is_drawn_as_a_video_at_its_rate(tmp_path):
    folder = write_frames(tmp_path / 'frames', ['1.png', '2.png', '3.png'])
    drawn = tmp_path / 'drawn.mp4'
    assert track(folder, '--rate', 4, '--video', drawn, '--out', tmp_path / 'tracks.txt') == 0
    with VideoReader(drawn) as video:
        assert (video.rate, video.frame_count, video.size) == (4, 3, (64, 48))


def test_images_are_tracked_among_other_recordings(tmp_path, capsys):
    frames = write_frames(tmp_path / 'frames', ['1.png', '2.png'])
    stereo = write_frames(tmp_path / 'stereo', ['l1.png', 'l2.png', 'l3.png', 'r1.png'])
    video, out = tmp_path / 'video.mp4', tmp_path / 'out'
    with VideoWriter(video, 10, (64, 48)) as writer:
        writer.write(NOISE)
    sources = [frames, video, *sorted(stereo.glob('l*.png')), stereo / 'r*.png']
    assert track(*sources, '--out', out) == 0
    recordings = json.loads((out / 'manifest.json').read_text())['recordings']
    images = {name: entry['summary']['images'] for name, entry in recordings.items()}
    assert images == {'frames': 2, 'video': 1, 'stereo_l': 3, 'stereo_r': 1}
    assert sorted(path.stem for path in out.glob('*.txt')) == sorted(images)
    assert track(frames, '--out', tmp_path / 'alone.txt') == 0
    assert (out / 'frames.txt').read_text() == (tmp_path / 'alone.txt').read_text()
    # An image more, and only its recording is tracked again.
    write_frames(frames, ['1.png', '2.png', '3.png'])
    capsys.readouterr()
    assert track(*sources, '--out', out) == 0
    assert '3 of 4 were already done' in capsys.readouterr().err


def test_results_at_another_rate_or_of_other_classes_are_refused(tmp_path):
    frames, out = write_frames(tmp_path / 'frames', ['1.png']), tmp_path / 'out'

    def open_folder(**settings):
        return ResultsFolder(out, [str(frames)], TrackingOptions(**settings), 'weights')

    with open_folder():
        pass
    for settings in ({'rate': 5.0}, {'classes': ('person',)}):
        [name] = settings
        with pytest.raises(ValueError, match=f'with {name} '), open_folder(**settings):
            pass
    # A manifest from before these options has the results of their defaults.
    manifest = json.loads((out / 'manifest.json').read_text())
    for name in ('rate', 'classes'):
        del manifest['settings'][name]
    (out / 'manifest.json').write_text(json.dumps(manifest))
    with open_folder():
        pass


def test_files_of_the_same_folder_and_name_are_numbered(tmp_path):
    sources = touch(tmp_path, 'cam.mp4', 'cam.avi')
    with ResultsFolder(tmp_path / 'out', sources, TrackingOptions(), 'weights') as folder:
        assert [job.name for job in folder.waiting] == ['cam', 'cam_2']


def test_other_files_of_a_folder_are_left_out(tmp_path):
    touch(tmp_path, 'b.JPG', 'a.png', '._a.png', 'a.txt', 'a.mp4')
    assert names_of(tmp_path) == ['a.png', 'b.JPG']
    assert names_of(tmp_path / '*') == ['a.png', 'b.JPG']


@pytest.mark.parametrize('bag_file', ['metadata.yaml', 'bag_0.mcap', 'bag_0.db3'])
def test_a_bag_with_images_beside_it_is_a_bag(tmp_path, bag_file):
    touch(tmp_path, 'picture.jpg', bag_file)
    assert opens_as_bag(tmp_path)
    assert image_files(tmp_path) is None


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path):
    touch(tmp_path, 'video[1].mp4', 'photo[1].jpg')
    assert image_files(tmp_path / 'video[1].mp4') is None
    assert names_of(tmp_path / 'photo[1].jpg') == ['photo[1].jpg']


def test_images_of_a_folder_whose_name_has_brackets_are_found(tmp_path):
    files = touch(tmp_path / 'run [2]', '1.jpg', '2.jpg', '10.jpg')
    [source] = gather_images(files)
    assert names_of(source) == ['1.jpg', '2.jpg', '10.jpg']


@pytest.mark.parametrize(
    'names',
    [
        ['1.jpg', '2.jpg'],
        ['left_1.png', 'left_2.png'],
        ['a.jpg', 'aa.jpg'],
        ['a.jpg', 'aaa.jpg', 'aba.jpg'],
        ['1.jpg', '2.png', '3.JPEG'],
        ['[1].jpg', '[2].jpg'],
    ],
)
def test_images_given_one_by_one_are_one_recording(tmp_path, names):
    files = touch(tmp_path, *names)
    touch(tmp_path, 'readme.txt', 'video.mp4')
    video = str(tmp_path / 'video.mp4')
    first, glob, last = gather_images([video, *files, 'other.mp4'])
    assert (first, last) == (video, 'other.mp4')
    assert sorted(names_of(glob)) == sorted(names)


def test_an_image_alone_stays_what_it_is(tmp_path):
    [file] = touch(tmp_path, '1.jpg')
    touch(tmp_path, '2.jpg')
    assert gather_images([file]) == [file]
    assert names_of(file) == ['1.jpg']


def test_a_choice_of_images_that_no_glob_describes_is_refused(tmp_path):
    files = touch(tmp_path, '1.jpg', '2.jpg', '3.jpg')
    with pytest.raises(ValueError, match=r'2 images of .* give the folder, or a glob in quotes'):
        gather_images([files[0], files[2]])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['frames/*.jpg'], 'no image matches frames/*.jpg: no file does'),
        (['*.mp4'], 'no image matches *.mp4: video.mp4 is none; expected .jpg'),
        (['frames', '--rate', '0'], 'rate is 0.0; expected a number from 0.001'),
        (['video.mp4', '--rate', '5'], '--rate is for those'),
        (['damaged'], 'damaged/1.png is not a readable image'),
        (['nothing'], 'nothing'),
    ],
)
def test_errors_name_the_source(tmp_path, monkeypatch, capsys, arguments, message):
    write_frames(tmp_path / 'frames', ['1.png'])
    touch(tmp_path, 'video.mp4')
    touch(tmp_path / 'damaged', '1.png')
    (tmp_path / 'nothing').mkdir()
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir())
    assert main(['track', *arguments]) == 1
    error = ' '.join(capsys.readouterr().err.split())
    assert message in error
    assert 'Traceback' not in error
    assert sorted(os.listdir()) == before
