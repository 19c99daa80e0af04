# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many recordings: nothing is done twice, nothing stops the others, a cluster gives the same."""

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

from gtr_ros.cli import main
from gtr_ros.media.video import VideoWriter
from gtr_ros.recordings.folder import Job
from gtr_ros.recordings.folder import Outcome
from gtr_ros.recordings.folder import ResultsFolder
from gtr_ros.recordings.recording import Settings
from gtr_ros.recordings.recording import Summary

pytestmark = pytest.mark.usefixtures('one_thread')

#: sees something in noise, too: shows that results are the same, never that they are good
ANYTHING = ['--score-threshold', '0', '--cores', '1']


def write_video(path: Path, seed: int = 0, count: int = 4) -> Path:
    noise = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, 10, (64, 48)) as writer:
        for shift in range(count):
            writer.write(np.roll(noise, shift, axis=1))
    return path


def manifest(folder: Path) -> dict:
    return json.loads((folder / 'manifest.json').read_text())['recordings']


def results(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob('*.txt')}


def test_one_that_is_wrong_fails_and_the_others_go_on(tmp_path, capsys):
    good = [str(write_video(tmp_path / f'{n}.mp4', n)) for n in range(2)]
    wrong = tmp_path / 'wrong.mp4'
    wrong.write_text('no video')
    out = tmp_path / 'out'
    sources = [good[0], str(wrong), str(tmp_path / 'gone.mp4'), good[1]]
    assert main(['track', *sources, '--out', str(out), *ANYTHING]) == 1
    error = ' '.join(capsys.readouterr().err.split())
    assert f'failed: {wrong} is no video that can be read' in error
    assert f'failed: no video at {tmp_path / "gone.mp4"}' in error
    assert '2 of 4 failed: wrong, gone' in error
    states = {name: entry['state'] for name, entry in manifest(out).items()}
    assert states == {'0': 'done', 'wrong': 'failed', 'gone': 'failed', '1': 'done'}
    assert sorted(path.name for path in out.iterdir()) == ['0.txt', '1.txt', 'manifest.json']


def test_each_is_tracked_as_if_it_were_alone(tmp_path):
    sources = [str(write_video(tmp_path / f'{n}.mp4', n)) for n in range(2)]
    out = tmp_path / 'out'
    assert main(['track', *sources, '--out', str(out), *ANYTHING]) == 0
    for n, source in enumerate(sources):
        alone = tmp_path / 'alone.txt'
        assert main(['track', source, '--out', str(alone), *ANYTHING]) == 0
        assert results(out)[f'{n}.txt'] == alone.read_text()
        assert manifest(out)[str(n)]['summary']['images'] == 4


def test_bags_and_videos_go_together(tmp_path):
    pytest.importorskip('rosbags', reason='needs the evaluation extra')
    from gtr_ros.evaluation.formats.rosbag import read_bag_detections
    from gtr_ros.evaluation.formats.rosbag import write_bag

    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    write_bag(tmp_path / 'bag', images=[(t * 10**8, image) for t in range(1, 4)])
    video, out = write_video(tmp_path / 'video.mp4'), tmp_path / 'out'
    command = ['track', str(tmp_path / 'bag'), str(video), '--out', str(out), *ANYTHING]
    assert main(command) == 0
    assert len(read_bag_detections(out / 'bag', image_size=(48, 64))) == 3
    # Again, as a bag that was changed: it takes the place of the old one.
    os.utime(tmp_path / 'bag' / 'metadata.yaml', (1, 2**31))
    assert main(command) == 0
    assert len(read_bag_detections(out / 'bag', image_size=(48, 64))) == 3


def test_what_is_done_is_not_done_again(tmp_path, capsys):
    sources = [write_video(tmp_path / f'{n}.mp4', n) for n in range(3)]
    out = tmp_path / 'out'
    command = ['track', '--out', str(out), *ANYTHING]
    assert main([*command, *map(str, sources[:2])]) == 0
    before = {path.name: path.stat().st_mtime_ns for path in out.glob('*.txt')}
    write_video(sources[1], seed=9)
    assert main([*command, *map(str, sources)]) == 0
    assert '1 of 3 were done before' in capsys.readouterr().err
    after = {path.name: path.stat().st_mtime_ns for path in out.glob('*.txt')}
    assert after['0.txt'] == before['0.txt']
    assert after['1.txt'] > before['1.txt']
    assert '2.txt' in after


def folder_of(path: Path, *sources: Path, **settings) -> ResultsFolder:
    return ResultsFolder(path, list(map(str, sources)), Settings(**settings), 'weights')


def test_a_folder_goes_on_after_it_was_killed(tmp_path):
    videos = [write_video(tmp_path / f'{n}.mp4') for n in range(2)]
    out = tmp_path / 'out'
    with folder_of(out, *videos) as folder:
        assert [job.name for job in folder.waiting] == ['0', '1']
        (out / '0.txt').write_text('')
        folder.record(Outcome('0', Summary(4, 0, 0)))
        # What a kill leaves behind: a result that nobody recorded, and one that is not whole.
        (out / '1.txt').write_text('?')
        (folder.partial / '1.abc').mkdir()
    with folder_of(out, *videos) as folder:
        assert folder.waiting == [Job('1', str(videos[1]), str(out / '1.txt'))]
        assert not list(folder.partial.iterdir())


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    video, out = write_video(tmp_path / 'a.mp4'), tmp_path / 'out'
    out.mkdir()
    (out / 'a.txt').write_text('of others')
    with pytest.raises(ValueError, match=r'a\.txt exists, and is not of'), folder_of(out, video):
        pass
    assert [path.name for path in out.iterdir()] == ['a.txt']
    (out / 'a.txt').unlink()
    first, second = folder_of(out, video), folder_of(out, video)
    with first, pytest.raises(ValueError, match='in use by another'), second:
        pass
    with pytest.raises(ValueError, match='window 32, not 8'), folder_of(out, video, window=8):
        pass
    with folder_of(out, video, device='cuda', runtime='onnxruntime'):
        pass  # where it runs does not matter
    (out / 'manifest.json').write_text('{"format": 1}')
    with pytest.raises(ValueError, match=r'manifest\.json is no manifest'), folder_of(out, video):
        pass


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    paths = [tmp_path / name for name in ('x/a/cam.mp4', 'y/a/cam.mp4', 'y/b/cam.mp4', 'b.mp4')]
    with folder_of(tmp_path / 'out', *paths, paths[0]) as folder:
        names = [job.name for job in folder.waiting]
        assert names == ['x_a_cam', 'y_a_cam', 'b_cam', 'b']
    # Names stay, whoever comes later.
    later = tmp_path / 'z' / 'b.mp4'
    with folder_of(tmp_path / 'out', later, *paths) as folder:
        assert [job.name for job in folder.waiting] == ['z_b', *names]


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['a.mp4', '/dev/video0'], 'is a camera, which does not end'),
        (['a.mp4', 'b.mp4', '--video', 'c.mp4'], '--video is for one video'),
        (['a.mp4', 'b.mp4', '--cores', '0'], '--cores is 0'),
        (['a.mp4', '--ray', 'local', '--retries', '-1'], '--retries is -1'),
        (['a.mp4', 'b.mp4', '--image-topic', '/image'], 'is no bag'),
        (['a.mp4', 'b.mp4', '--checkpoint', 'no.safetensors'], 'no.safetensors'),
        (['a.mp4', 'b.mp4', '--checkpoint', 'random'], 'others in each process'),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert main(['track', *arguments]) == 1
    assert words in ' '.join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def workers_of(process: int) -> list[int]:
    """Return those below a process that track a recording now."""
    parents, titles = {}, {}
    for status in Path('/proc').glob('[0-9]*/stat'):
        try:
            number = int(status.parent.name)
            parents[number] = int(status.read_text().rpartition(')')[2].split()[1])
            titles[number] = (status.parent / 'cmdline').read_text()
        except OSError:
            continue  # it ended meanwhile

    def is_below(number: int) -> bool:
        while number in parents:
            number = parents[number]
            if number == process:
                return True
        return False

    return [n for n in titles if titles[n].startswith('ray::_track') and is_below(n)]


def test_a_cluster_whose_worker_is_killed_gives_what_one_process_gives(tmp_path):
    pytest.importorskip('ray', reason='needs the cluster extra')
    sources = [write_video(tmp_path / f'{n}.mp4', n, count=30) for n in range(3)]
    (tmp_path / 'wrong.mp4').write_text('no video')
    sources.append(tmp_path / 'wrong.mp4')
    command = ['track', *map(str, sources), *ANYTHING, '--out']
    spread, killed = tmp_path / 'spread', []
    process = subprocess.Popen(
        [sys.executable, '-m', 'gtr_ros.cli', *command, str(spread), '--ray', 'local'],
        stderr=subprocess.PIPE,
        text=True,
    )
    with ThreadPoolExecutor() as pool:
        said = pool.submit(process.communicate)
        while process.poll() is None and not killed:
            workers = workers_of(process.pid)
            # What is not whole yet shows that a recording has begun.
            if workers and len(list(spread.glob('.partial/*'))) >= len(workers):
                killed = workers[:1]
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.05)
        error = ' '.join(said.result(timeout=300)[1].split())
    assert killed, error
    assert process.returncode == 1, error
    assert 'its worker was lost; it begins again' in error
    assert '1 of 4 failed: wrong' in error
    assert error.count('is no video that can be read') == 1
    alone = tmp_path / 'alone'
    assert main([*command, str(alone)]) == 1
    assert len(results(alone)) == 3
    assert results(spread) == results(alone)
    assert not (spread / '.partial').exists()


@pytest.mark.parametrize(
    ('address', 'words'),
    [
        ('nowhere.invalid:6379', 'no Ray cluster at nowhere.invalid:6379'),
        ('localhost:1', 'no Ray cluster at localhost:1'),
        ('cluster', "--ray is 'cluster'; expected 'local', 'auto' or HOST:PORT"),
    ],
)
def test_no_cluster_at_an_address_is_one_clear_line(tmp_path, capsys, address, words):
    pytest.importorskip('ray', reason='needs the cluster extra')
    video = str(write_video(tmp_path / 'a.mp4'))
    command = ['track', video, '--out', str(tmp_path / 'out'), *ANYTHING]
    assert main([*command, '--ray', address]) == 1
    assert words in ' '.join(capsys.readouterr().err.split())
