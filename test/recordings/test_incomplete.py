# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is tracked stays: damaged and cut recordings, Ctrl-C, a full disk, other sizes."""

from __future__ import annotations

from collections.abc import Callable
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import av
import numpy as np
from PIL import Image
import pytest
from scripted import Scripted
from videos import encode
from videos import write_noise

from gtr_ros.cli import main
from gtr_ros.files import GrowingFile
from gtr_ros.media.video import VideoReader
from gtr_ros.recordings import drawn_video
from gtr_ros.recordings import recording
from gtr_ros.recordings.options import TrackingOptions
from gtr_ros.recordings.recording import IncompleteError
from gtr_ros.recordings.recording import InterruptedTracking
from gtr_ros.recordings.recording import track_recording

pytestmark = pytest.mark.usefixtures('one_thread')

FIND_ANYTHING = ['--checkpoint', 'random', '--score-threshold', '0', '--min-hits', '1']
SETTINGS = TrackingOptions(min_hits=1)


def frames_of(path: Path) -> list[int]:
    return [int(line.split(',')[0]) for line in path.read_text().splitlines()]


def cut(path: Path, part: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    return path


def track(source: Path, out: Path, count: int = 60, **arguments) -> recording.Summary:
    model = Scripted(*[0.9] * count)
    on_progress = arguments.pop('on_progress', lambda *_: None)
    return track_recording(model, str(source), out, SETTINGS, on_progress, **arguments)


KINDS = [
    ('a.mp4', 'libx264', {'movflags': 'faststart'}),
    ('a.mp4', 'libx264', {'movflags': 'frag_keyframe+empty_moov'}),
    ('a.mov', 'mpeg4', {'movflags': 'faststart'}),
    ('a.mkv', 'libx264', {}),
    ('a.avi', 'mpeg4', {}),
    ('a.flv', 'flv', {}),
    ('b.flv', 'libx264', {}),  # its first picture is not at 0
    ('a.wmv', 'wmv2', {}),
]


@pytest.mark.parametrize(('name', 'codec', 'options'), KINDS)
def test_a_video_that_was_cut_off_is_incomplete_and_its_frames_are_kept(
    tmp_path, name, codec, options
):
    video, out = encode(tmp_path / name, codec, **options), tmp_path / 'tracks.txt'
    assert track(video, out).images == 40  # whole: nothing is missing
    cut(video, 0.8)
    with pytest.raises(IncompleteError, match=r'cut off after \d+ frames') as error:
        track(video, out)
    frames = frames_of(out)
    assert 3 < len(frames) < 40
    assert frames == list(range(1, len(frames) + 1))
    assert error.value.summary.images == len(frames)
    assert not list(tmp_path.glob('*partial*'))


def test_python_programs_are_warned_of_a_video_that_was_cut_off(tmp_path):
    video = cut(encode(tmp_path / 'a.mkv', 'libx264'), 0.8)
    with (
        VideoReader(video) as reader,
        pytest.warns(UserWarning, match=r'cut off after \d+ frames'),
    ):
        assert len(list(reader)) > 10


def test_a_second_track_that_is_longer_is_no_cut(tmp_path):
    """An audio track goes on after the last frame."""
    path = tmp_path / 'a.mkv'
    with av.open(str(path), 'w') as container:
        video, audio = container.add_stream('mpeg4', rate=10), container.add_stream('pcm_s16le')
        video.width, video.height, video.pix_fmt = 64, 48, 'yuv420p'
        audio.codec_context.rate, audio.codec_context.layout = 8000, 'mono'
        for _ in range(10):
            picture = np.zeros((48, 64, 3), np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
        for _ in range(30):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), 's16', 'mono')
            sound.rate = 8000
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))
    with VideoReader(path) as reader:
        assert reader._length > 2.5
    assert track(path, tmp_path / 'tracks.txt').images == 10


def damage_frames(path: Path, damaged: set[int]) -> Path:
    """Overwrite some frames of an AVI file."""
    content = bytearray(path.read_bytes())
    starts = [i for i in range(len(content)) if content[i : i + 4] == b'00dc'][
        1:
    ]  # not the header
    for index in damaged:
        start = starts[index] + 8
        size = int.from_bytes(content[start - 4 : start], 'little')
        content[start : start + size] = bytes(size)
    path.write_bytes(content)
    return path


def motion_jpeg(path: Path) -> Path:
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mjpeg', rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuvj420p'
        noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
        for shift in range(20):
            image = np.roll(noise, shift, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode(None))
    return path


def test_a_damaged_frame_is_left_out_and_named(tmp_path, capfd):
    video = damage_frames(motion_jpeg(tmp_path / 'a.avi'), {5, 11})
    out, drawn = tmp_path / 'tracks.txt', tmp_path / 'drawn.mp4'
    arguments = ['track', str(video), '--out', str(out), '--video', str(drawn), *FIND_ANYTHING]
    assert main(arguments) == 1
    error = ' '.join(capfd.readouterr().err.split())
    assert 'is damaged after frame 5' in error
    assert 'damaged after frame 11' in error
    assert f'{out} has the 18 images that could be read' in error
    # The numbers of the frames after it do not change.
    assert set(frames_of(out)) == set(range(1, 21)) - {6, 12}
    with VideoReader(drawn) as result:
        assert len(list(result)) == 18


@pytest.mark.parametrize('wrong', ['damaged', 'smaller'])
@pytest.mark.parametrize('index', [0, 2])
def test_an_image_that_cannot_be_used_is_left_out_and_named(tmp_path, wrong, index):
    folder = tmp_path / 'frames'
    folder.mkdir()
    for number in range(1, 6):
        Image.new('RGB', (64, 48)).save(folder / f'{number}.png')
    if wrong == 'damaged':
        (folder / f'{index + 1}.png').write_bytes(b'\x89PNG')
    else:
        Image.new('RGB', (32, 48)).save(folder / f'{index + 1}.png')
    out = tmp_path / 'tracks.txt'
    with pytest.raises(IncompleteError) as error:
        track(folder, out)
    lost = set(range(1, 6)) - set(frames_of(out))
    if wrong == 'smaller' and index == 0:
        assert lost == {2, 3, 4, 5}  # the first image has the size of the recording
    else:
        assert lost == {index + 1}
    assert [f'{n}.png' in text for n, text in zip(sorted(lost), error.value.summary.skipped)] == [
        True
    ] * len(lost)


def test_a_recording_without_any_readable_image_has_no_result(tmp_path):
    folder, out = tmp_path / 'frames', tmp_path / 'tracks.txt'
    folder.mkdir()
    for number in range(3):
        (folder / f'{number}.png').write_bytes(b'\x89PNG')
    with pytest.raises(ValueError, match='not a readable image'):
        track(folder, out)
    assert not list(tmp_path.glob('tracks*'))


def test_frames_of_another_size_are_tracked_and_drawn(tmp_path):
    """A stream whose resolution changes, as cameras and joined recordings have it."""
    video, parts = tmp_path / 'joined.h264', []
    for n, size in enumerate([(64, 48), (128, 96)]):
        part = tmp_path / f'{n}.h264'
        with av.open(str(part), 'w') as container:
            stream = container.add_stream('libx264', rate=10)
            stream.width, stream.height, stream.pix_fmt = *size, 'yuv420p'
            for t in range(6):
                picture = np.full((size[1], size[0], 3), 20 * t, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
            container.mux(stream.encode(None))
        parts.append(part.read_bytes())
    video.write_bytes(b''.join(parts))
    out, drawn = tmp_path / 'tracks.txt', tmp_path / 'drawn.mp4'
    with pytest.warns(UserWarning, match=r'6 of 12 frames have another size than the first, 64 x'):
        assert track(video, out, annotated=drawn).images == 12
    assert len(frames_of(out)) == 12
    with VideoReader(drawn) as result:
        assert [frame.image.shape for frame in result] == [(48, 64, 3)] * 12


def interrupt_after(count: int, error: type[BaseException] = KeyboardInterrupt) -> Callable:
    def on_progress(done: int, total: int | None) -> None:
        if done == count:
            raise error('no space left')

    return on_progress


def test_after_ctrl_c_the_rows_and_the_video_so_far_are_kept(tmp_path):
    video, out = write_noise(tmp_path / 'video.mp4', count=20), tmp_path / 'tracks.txt'
    out.write_text('an earlier result')
    drawn = tmp_path / 'drawn.mp4'
    with pytest.raises(InterruptedTracking, match=r'tracks\.partial\.txt and .*drawn\.partial'):
        track(video, out, on_progress=interrupt_after(7), annotated=drawn)
    assert out.read_text() == 'an earlier result'
    assert frames_of(tmp_path / 'tracks.partial.txt') == [1, 2, 3, 4, 5, 6, 7]
    with VideoReader(tmp_path / 'drawn.partial.mp4') as result:
        assert len(list(result)) == 6
    # The next try replaces both.
    track(video, out, annotated=drawn)
    assert len(frames_of(out)) == 20
    assert not (tmp_path / 'tracks.partial.txt').exists()


def test_a_failure_in_the_middle_keeps_the_rows_so_far(tmp_path):
    video, out = write_noise(tmp_path / 'video.mp4', count=20), tmp_path / 'tracks.txt'
    with pytest.raises(IncompleteError, match=r'no space left; .*tracks\.partial\.txt') as error:
        track(video, out, on_progress=interrupt_after(7, OSError))
    assert error.value.summary.images == 7
    assert not out.exists()


def test_nothing_is_left_of_a_recording_that_was_ended_before_its_first_row(tmp_path):
    video, out = write_noise(tmp_path / 'video.mp4', count=20), tmp_path / 'tracks.txt'
    with pytest.raises(KeyboardInterrupt):
        track(video, out, on_progress=interrupt_after(0), annotated=tmp_path / 'drawn.mp4')
    assert [path.name for path in tmp_path.iterdir()] == ['video.mp4']


def test_ctrl_c_completes_the_tracks_of_a_camera(tmp_path, monkeypatch):
    """A camera has no other end. Here a file is in its place."""
    monkeypatch.setattr(recording, 'is_camera', lambda source: True)
    video, out = write_noise(tmp_path / 'video.mp4', count=20), tmp_path / 'tracks.txt'
    assert track(video, out, on_progress=interrupt_after(7)).images == 7
    assert frames_of(out) == [1, 2, 3, 4, 5, 6, 7]


def test_a_video_that_cannot_be_written_to_its_end_costs_no_rows(tmp_path, monkeypatch):
    def write(self, image) -> None:
        if len(drawn) == 3:
            raise drawn_video.VideoError('cannot write: no space left on device')
        drawn.append(image)

    drawn = []
    video, out = write_noise(tmp_path / 'video.mp4', count=20), tmp_path / 'tracks.txt'
    monkeypatch.setattr(drawn_video.VideoWriter, 'write', write)
    with pytest.raises(IncompleteError, match='no space left on device'):
        track(video, out, annotated=tmp_path / 'drawn.mp4')
    assert frames_of(tmp_path / 'tracks.partial.txt') == [1, 2, 3, 4]


def test_half_a_row_is_not_kept(tmp_path, monkeypatch):
    path = tmp_path / 'tracks.txt'
    write = os.write

    def full(file: int, content) -> int:
        if file == text._file and full.begun:
            raise OSError(28, 'No space left on device')
        full.begun = file == text._file and b'2,' in bytes(content)
        return write(file, content[: 3 if full.begun else None])

    full.begun = False
    with pytest.raises(OSError, match='No space'), GrowingFile(path) as text:
        monkeypatch.setattr(os, 'write', full)
        text.write('1,1,0\n')
        text.write('2,1,0\n')
    assert (tmp_path / 'tracks.partial.txt').read_text() == '1,1,0\n'


def test_rows_of_an_earlier_try_stay_until_there_are_new_ones(tmp_path):
    partial = tmp_path / 'tracks.partial.txt'
    partial.write_text('1,1,0\n')
    with pytest.raises(KeyError), GrowingFile(tmp_path / 'tracks.txt') as text:
        text.write('')
        raise KeyError
    assert partial.read_text() == '1,1,0\n'
    with GrowingFile(tmp_path / 'tracks.txt'):
        pass
    assert (tmp_path / 'tracks.txt').read_text() == ''
    assert not partial.exists()


def test_two_processes_do_not_write_one_file(tmp_path):
    with GrowingFile(tmp_path / 'a.txt') as first:
        first.write('1\n')
        with pytest.raises(ValueError, match='is being written by another process'):
            GrowingFile(tmp_path / 'a.txt')
    assert (tmp_path / 'a.txt').read_text() == '1\n'


def test_rows_go_to_a_device_as_they_are_made(tmp_path, capfd):
    video = write_noise(tmp_path / 'video.mp4')
    reader, writer = os.pipe()
    track(video, Path(f'/dev/fd/{writer}'))
    os.close(writer)
    with open(reader) as file:
        assert [line.split(',')[0] for line in file] == ['1', '2', '3', '4']
    assert main(['track', str(video), '--out', os.devnull, *FIND_ANYTHING]) == 0
    assert Path(os.devnull).is_char_device()


def test_a_folder_as_output_is_refused_at_once(tmp_path, capfd):
    video = write_noise(tmp_path / 'video.mp4')
    (tmp_path / 'out').mkdir()
    assert main(['track', str(video), '--out', str(tmp_path / 'out'), *FIND_ANYTHING]) == 1
    error = ' '.join(capfd.readouterr().err.split())
    assert f'--out is {tmp_path / "out"}, a folder; give the name of a file' in error


@pytest.mark.parametrize(
    ('number', 'status'), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_process_that_is_ended_leaves_its_rows(tmp_path, number, status):
    video, out = write_noise(tmp_path / 'video.mp4', count=3000), tmp_path / 'tracks.txt'
    partial = tmp_path / 'tracks.partial.txt'
    command = [sys.executable, '-m', 'gtr_ros.cli', 'track', video, '--out', out, *FIND_ANYTHING]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while not (partial.exists() and partial.stat().st_size):
        assert process.poll() is None
        assert time.monotonic() < end, f'no row in {partial}'
        time.sleep(0.02)
    process.send_signal(number)
    error = process.communicate()[1]
    assert process.returncode == status, error
    assert not out.exists()
    assert frames_of(partial)[0] == 1
    if status > 0:
        assert f'{partial} has what was tracked' in ' '.join(error.split())
        assert 'Traceback' not in error


def test_a_cut_recording_of_a_batch_is_kept_and_tried_again(tmp_path, capfd):
    whole = encode(tmp_path / 'a.mkv', 'libx264')
    content = whole.read_bytes()
    other, out = write_noise(tmp_path / 'b.mp4'), tmp_path / 'out'
    command = ['track', str(whole), str(other), '--out', str(out), *FIND_ANYTHING[2:]]
    cut(whole, 0.8)
    for _ in range(2):
        assert main(command) == 1
        assert 'cut off after' in ' '.join(capfd.readouterr().err.split())
        entries = json.loads((out / 'manifest.json').read_text())['recordings']
        assert [entries[name]['state'] for name in 'ab'] == ['failed', 'done']
        assert 10 < entries['a']['summary']['images'] < 40
    assert (out / 'a.txt').exists()
    whole.write_bytes(content)
    assert main(command) == 0
    assert json.loads((out / 'manifest.json').read_text())['recordings']['a']['state'] == 'done'


def test_ctrl_c_in_a_batch_keeps_the_rows_of_the_recording(tmp_path, monkeypatch):
    from gtr_ros.recordings.folder import ResultsFolder

    video, out = write_noise(tmp_path / 'a.mp4', count=20), tmp_path / 'out'
    with (
        pytest.raises(InterruptedTracking, match=rf'{out}/a\.partial\.txt'),
        ResultsFolder(out, [str(video)], SETTINGS, 'weights') as folder,
    ):
        [job] = folder.waiting
        job.run(Scripted(*[0.9] * 20), SETTINGS, folder.partial, interrupt_after(7))
    assert frames_of(out / 'a.partial.txt') == [1, 2, 3, 4, 5, 6, 7]
    with ResultsFolder(out, [str(video)], SETTINGS, 'weights') as folder:
        [job] = folder.waiting
        folder.record(job.run(Scripted(*[0.9] * 20), SETTINGS, folder.partial, lambda *_: None))
    assert sorted(path.name for path in out.iterdir()) == ['a.txt', 'manifest.json']
