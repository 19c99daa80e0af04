# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracking of recordings: one, batches that are resumed, and on a cluster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from scripted import Scripted
from videos import write_noise

from gtr_ros.cli import main
from gtr_ros.media.video import VideoWriter
from gtr_ros.recordings import recording
from gtr_ros.recordings.folder import Job
from gtr_ros.recordings.folder import JobResult
from gtr_ros.recordings.folder import ResultsFolder
from gtr_ros.recordings.recording import Summary
from gtr_ros.recordings.recording import track_recording
from gtr_ros.recordings.recording import TrackingOptions
from gtr_ros.tracking import Tracker

pytestmark = pytest.mark.usefixtures('one_thread')

#: finds boxes in noise, too: for tests that compare results, not of their quality
FIND_ANYTHING = ['--score-threshold', '0', '--min-hits', '1', '--cores', '1']


def manifest(folder: Path) -> dict:
    return json.loads((folder / 'manifest.json').read_text())['recordings']


def results(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob('*.txt')}


@pytest.fixture
def track(tmp_path, monkeypatch):
    """Return a function that tracks a video and returns its summary and the frames with a box."""
    drawn = []

    def annotate(image, tracks, _) -> np.ndarray:
        assert tracks.confirmed.all()
        assert [trajectory.id for trajectory in tracks.trajectories] == tracks.ids.tolist()
        drawn.append(len(tracks))
        return image

    def track(model: Scripted, count: int, **settings) -> tuple[Summary, list[int]]:
        video, out = write_noise(tmp_path / 'video.mp4', count=count), tmp_path / 'out.txt'
        summary = track_recording(
            model,
            str(video),
            out,
            TrackingOptions(**settings),
            lambda *_: None,
            tmp_path / 'drawn.mp4',
        )
        frames = [int(line.split(',')[0]) for line in out.read_text().splitlines()]
        assert [t + 1 for t in range(count) if drawn[t]] == frames
        assert summary.boxes == len(frames)
        return summary, frames

    monkeypatch.setattr(recording, 'annotate', annotate)
    return track


@pytest.mark.parametrize(
    ('settings', 'frames'),
    [
        ({'min_hits': 3}, [3, 4, 6]),
        ({'min_hits': 1}, [1, 2, 3, 4, 6]),
        ({'min_hits': 1, 'weak_score_threshold': 0.25}, [1, 2, 3, 4, 5, 6]),
        ({'min_hits': 1, 'score_threshold': 0.2}, [1, 2, 3, 4, 5, 6]),
        ({'min_hits': 1, 'camera_motion': False}, [1, 2, 3, 4, 6]),
        ({}, [2, 3, 4, 6]),
    ],
)
def test_confirmed_tracks_are_written_and_drawn(track, settings, frames):
    model = Scripted(0.6, 0.7, 0.8, 0.9, 0.3, 0.8)
    summary, found = track(model, 6, **settings)
    assert found == frames
    assert str(summary) == f'{len(frames)} boxes of 1 tracks in 6 images'


def test_camera_motion_is_estimated_between_frames(tmp_path, monkeypatch):
    moved = []
    update = Tracker.update

    def record(self, detections):
        moved.append(detections.camera)
        return update(self, detections)

    monkeypatch.setattr(Tracker, 'update', record)
    scene = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    scene = scene.repeat(8, axis=0).repeat(8, axis=1)
    path = tmp_path / 'video.mp4'
    with VideoWriter(path, 10, (320, 240)) as writer:
        for x in (0, 8, 16):
            writer.write(scene[:240, x : x + 320])
    for on in (True, False):
        settings = TrackingOptions(camera_motion=on)
        track_recording(Scripted(0, 0, 0), str(path), tmp_path / 'o', settings, lambda *_: None)
    assert moved[0] is None
    for motion in moved[1:3]:
        np.testing.assert_allclose(motion, [[1, 0, -8], [0, 1, 0]], atol=0.6)
    assert moved[3:] == [None] * 3


@pytest.mark.parametrize('gallery', [True, False])
def test_the_summary_has_the_number_of_re_identified_tracks(track, gallery):
    model = Scripted(*[0.9] * 6, *[0] * 50, *[0.9] * 8)
    summary, _ = track(model, 64, min_hits=1, gallery=gallery)
    assert summary.returns == int(gallery)
    returns = ' (1 re-identified)' if gallery else ''
    assert f'tracks{returns} in 64 images' in str(summary)


def test_a_recording_that_fails_does_not_stop_the_others(tmp_path, capsys):
    good = [str(write_noise(tmp_path / f'{n}.mp4', n)) for n in range(2)]
    wrong = tmp_path / 'wrong.mp4'
    wrong.write_text('no video')
    out = tmp_path / 'out'
    sources = [good[0], str(wrong), str(tmp_path / 'gone.mp4'), good[1]]
    assert main(['track', *sources, '--out', str(out), *FIND_ANYTHING]) == 1
    error = ' '.join(capsys.readouterr().err.split())
    assert f'failed: {wrong} is not a readable video' in error
    assert f'failed: no video at {tmp_path / "gone.mp4"}' in error
    assert '2 of 4 failed: wrong, gone' in error
    states = {name: entry['state'] for name, entry in manifest(out).items()}
    assert states == {'0': 'done', 'wrong': 'failed', 'gone': 'failed', '1': 'done'}
    assert sorted(path.name for path in out.iterdir()) == ['0.txt', '1.txt', 'manifest.json']


def test_recordings_of_a_batch_have_the_results_of_single_ones(tmp_path):
    sources = [str(write_noise(tmp_path / f'{n}.mp4', n)) for n in range(2)]
    out = tmp_path / 'out'
    assert main(['track', *sources, '--out', str(out), *FIND_ANYTHING]) == 0
    for n, source in enumerate(sources):
        alone = tmp_path / 'alone.txt'
        assert main(['track', source, '--out', str(alone), *FIND_ANYTHING]) == 0
        assert results(out)[f'{n}.txt'] == alone.read_text()
        assert manifest(out)[str(n)]['summary']['images'] == 4


def test_a_batch_may_have_bags_and_videos(tmp_path):
    pytest.importorskip('rosbags', reason='needs the evaluation extra')
    from writers import write_bag

    from gtr_ros.data.formats.rosbag import read_bag_detections

    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    write_bag(tmp_path / 'bag', images=[(t * 10**8, image) for t in range(1, 4)])
    video, out = write_noise(tmp_path / 'video.mp4'), tmp_path / 'out'
    command = ['track', str(tmp_path / 'bag'), str(video), '--out', str(out), *FIND_ANYTHING]
    assert main(command) == 0
    assert len(read_bag_detections(out / 'bag', image_size=(48, 64))) == 3
    # A changed bag is tracked again and replaces the result.
    os.utime(tmp_path / 'bag' / 'metadata.yaml', (1, 2**31))
    assert main(command) == 0
    assert len(read_bag_detections(out / 'bag', image_size=(48, 64))) == 3


def test_finished_recordings_are_not_tracked_again(tmp_path, capsys):
    sources = [write_noise(tmp_path / f'{n}.mp4', n) for n in range(3)]
    out = tmp_path / 'out'
    command = ['track', '--out', str(out), *FIND_ANYTHING]
    assert main([*command, *map(str, sources[:2])]) == 0
    before = {path.name: path.stat().st_mtime_ns for path in out.glob('*.txt')}
    write_noise(sources[1], seed=9)
    assert main([*command, *map(str, sources)]) == 0
    assert '1 of 3 were already done' in capsys.readouterr().err
    after = {path.name: path.stat().st_mtime_ns for path in out.glob('*.txt')}
    assert after['0.txt'] == before['0.txt']
    assert after['1.txt'] > before['1.txt']
    assert '2.txt' in after


def folder_of(path: Path, *sources: Path, **settings) -> ResultsFolder:
    return ResultsFolder(path, list(map(str, sources)), TrackingOptions(**settings), 'weights')


def test_a_batch_that_was_killed_is_resumed(tmp_path):
    videos = [write_noise(tmp_path / f'{n}.mp4') for n in range(2)]
    out = tmp_path / 'out'
    with folder_of(out, *videos) as folder:
        assert [job.name for job in folder.waiting] == ['0', '1']
        (out / '0.txt').write_text('')
        folder.record(JobResult('0', Summary(4, 0, 0)))
        # What a killed process leaves: an unrecorded result and an incomplete one.
        (out / '1.txt').write_text('?')
        (folder.partial / '1.abc').mkdir()
    with folder_of(out, *videos) as folder:
        assert folder.waiting == [Job('1', str(videos[1]), str(out / '1.txt'))]
        assert not list(folder.partial.iterdir())


def test_a_folder_that_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    video, out = write_noise(tmp_path / 'a.mp4'), tmp_path / 'out'
    out.mkdir()
    (out / 'a.txt').write_text('another file')
    with (
        pytest.raises(ValueError, match=r'a\.txt exists and is not a result of'),
        folder_of(out, video),
    ):
        pass
    assert [path.name for path in out.iterdir()] == ['a.txt']
    (out / 'a.txt').unlink()
    first, second = folder_of(out, video), folder_of(out, video)
    with first, pytest.raises(ValueError, match='in use by another'), second:
        pass
    with pytest.raises(ValueError, match='window 32, not 8'), folder_of(out, video, window=8):
        pass
    for settings in ({'min_hits': 3}, {'weak_score_threshold': 0.1}, {'gallery': False}):
        [name] = settings
        with pytest.raises(ValueError, match=f'with {name} '), folder_of(out, video, **settings):
            pass
    with folder_of(out, video, device='cuda', runtime='onnxruntime'):
        pass  # device and runtime may differ
    (out / 'manifest.json').write_text('{"format": 1}')
    with (
        pytest.raises(ValueError, match=r'manifest\.json is not a manifest'),
        folder_of(out, video),
    ):
        pass
    (out / 'manifest.json').write_text('{"format": 1, "settings": {}, "recordings": {}}')
    with pytest.raises(ValueError, match='another version'), folder_of(out, video):
        pass


def test_files_of_the_same_name_are_named_by_their_folders(tmp_path):
    paths = [tmp_path / name for name in ('x/a/cam.mp4', 'y/a/cam.mp4', 'y/b/cam.mp4', 'b.mp4')]
    with folder_of(tmp_path / 'out', *paths, paths[0]) as folder:
        names = [job.name for job in folder.waiting]
        assert names == ['x_a_cam', 'y_a_cam', 'b_cam', 'b']
    # Names do not change when recordings are added.
    later = tmp_path / 'z' / 'b.mp4'
    with folder_of(tmp_path / 'out', later, *paths) as folder:
        assert [job.name for job in folder.waiting] == ['z_b', *names]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['a.mp4', '/dev/video0'], 'is a camera, which has no end'),
        (['a.mp4', 'b.mp4', '--video', 'c.mp4'], '--video is for a single video'),
        (['a.mp4', 'b.mp4', '--cores', '0'], '--cores is 0'),
        (['a.mp4', '--ray', 'local', '--retries', '-1'], '--retries is -1'),
        (['a.mp4', '--min-hits', '-1'], '--min-hits is -1; expected a number from 0 to 64'),
        (
            # A file that exists: the model is loaded first, and states its threshold.
            [__file__, '--checkpoint', 'random', '--weak-score-threshold', '0.5'],
            '--weak-score-threshold is 0.5, above --score-threshold 0.4',
        ),
        (['a.mp4', 'b.mp4', '--image-topic', '/image'], 'is not a bag'),
        (['a.mp4', 'b.mp4', '--checkpoint', 'no.safetensors'], 'no.safetensors'),
        (['a.mp4', 'b.mp4', '--checkpoint', 'random'], 'random weights differ in each process'),
    ],
)
def test_errors_of_the_command(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(['track', *arguments]) == 1
    assert message in ' '.join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def workers_of(process: int) -> list[int]:
    """Return the descendants of a process that are tracking a recording."""
    parents, titles = {}, {}
    for status in Path('/proc').glob('[0-9]*/stat'):
        try:
            number = int(status.parent.name)
            parents[number] = int(status.read_text().rpartition(')')[2].split()[1])
            titles[number] = (status.parent / 'cmdline').read_text()
        except OSError:
            continue  # the process has ended

    def is_descendant(number: int) -> bool:
        while number in parents:
            number = parents[number]
            if number == process:
                return True
        return False

    return [n for n in titles if titles[n].startswith('ray::_track') and is_descendant(n)]


@pytest.mark.slow
def test_a_cluster_with_a_killed_worker_has_the_results_of_one_process(tmp_path):
    pytest.importorskip('ray', reason='needs the cluster extra')
    sources = [write_noise(tmp_path / f'{n}.mp4', n, count=30) for n in range(3)]
    (tmp_path / 'wrong.mp4').write_text('no video')
    sources.append(tmp_path / 'wrong.mp4')
    command = ['track', *map(str, sources), *FIND_ANYTHING, '--out']
    spread, killed = tmp_path / 'spread', []
    process = subprocess.Popen(
        [sys.executable, '-m', 'gtr_ros.cli', *command, str(spread), '--ray', 'local'],
        stderr=subprocess.PIPE,
        text=True,
    )
    with ThreadPoolExecutor() as pool:
        output = pool.submit(process.communicate)
        while process.poll() is None and not killed:
            workers = workers_of(process.pid)
            # An incomplete result shows that a recording has been started.
            if workers and len(list(spread.glob('.partial/*'))) >= len(workers):
                killed = workers[:1]
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.05)
        error = ' '.join(output.result(timeout=300)[1].split())
    assert killed, error
    assert process.returncode == 1, error
    assert 'its worker was lost; restarting' in error
    assert '1 of 4 failed: wrong' in error
    assert error.count('is not a readable video') == 1
    alone = tmp_path / 'alone'
    assert main([*command, str(alone)]) == 1
    assert len(results(alone)) == 3
    assert results(spread) == results(alone)
    assert not (spread / '.partial').exists()


@pytest.mark.parametrize(
    ('address', 'message'),
    [
        ('nowhere.invalid:6379', 'no Ray cluster at nowhere.invalid:6379'),
        ('localhost:1', 'no Ray cluster at localhost:1'),
        ('cluster', "--ray is 'cluster'; expected 'local', 'auto' or HOST:PORT"),
    ],
)
def test_a_wrong_address_of_a_cluster_is_reported(tmp_path, capsys, address, message):
    pytest.importorskip('ray', reason='needs the cluster extra')
    video = str(write_noise(tmp_path / 'a.mp4'))
    command = ['track', video, '--out', str(tmp_path / 'out'), *FIND_ANYTHING]
    assert main([*command, '--ray', address]) == 1
    assert message in ' '.join(capsys.readouterr().err.split())
