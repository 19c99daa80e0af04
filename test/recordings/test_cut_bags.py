# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags that are not whole: cut off, without metadata, compressed, with images that are none."""

from __future__ import annotations

from contextlib import closing
import json
from pathlib import Path
import shutil
import sqlite3

import numpy as np
import pytest

pytest.importorskip('rosbags', reason='needs the evaluation extra')

from rosbags.rosbag2 import CompressionFormat
from rosbags.rosbag2 import CompressionMode
from rosbags.rosbag2 import Reader
from rosbags.rosbag2 import Writer
from scripted import Scripted
from writers import bag_image_message

from gtr_ros.cli import main
from gtr_ros.data.formats.bag_messages import IMAGE
from gtr_ros.data.formats.bag_messages import typestore
from gtr_ros.data.formats.bag_reader import STORAGES
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.rosbag import read_bag_detections
from gtr_ros.recordings.options import TrackingOptions
from gtr_ros.recordings.recording import IncompleteError
from gtr_ros.recordings.recording import track_recording

pytestmark = pytest.mark.usefixtures('one_thread')

FIND_ANYTHING = ['--score-threshold', '0', '--min-hits', '1']
TENTH = 100_000_000


def write(
    path: Path,
    storage: str,
    mode: CompressionMode = CompressionMode.NONE,
    count: int = 60,
    wrong: tuple[int, ...] = (),
) -> Path:
    """Write a bag of noise; the images `wrong` have an encoding that is not read."""
    store, rng = typestore(), np.random.default_rng(0)
    writer = Writer(path, version=9, storage_plugin=STORAGES[storage])
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        topic = writer.add_connection('/image', IMAGE, typestore=store)
        for t in range(count):
            image = rng.integers(0, 255, (96, 128, 3), np.uint8)
            message = bag_image_message((t + 1) * TENTH, image, False, 'optical')
            if t in wrong:
                message.encoding = '16UC1'
            writer.write(topic, (t + 1) * TENTH, store.serialize_cdr(message, IMAGE))
    return path


def storage_file(bag: Path) -> Path:
    [file] = (f for f in bag.iterdir() if f.name != 'metadata.yaml')
    return file


def cut(bag: Path, part: float = 0.7) -> None:
    file = storage_file(bag)
    content = file.read_bytes()
    file.write_bytes(content[: int(part * len(content))])


def images(bag: Path) -> list[tuple[int, bytes]]:
    with Reader(bag) as reader:
        return [(t, bytes(data)) for c, t, data in reader.messages() if c.topic == '/image']


def track(bag: Path, out: Path):
    settings = TrackingOptions(min_hits=1)
    return track_recording(Scripted(*[0.9] * 99), str(bag), out, settings, lambda *_: None)


KINDS = [
    ('mcap', CompressionMode.NONE),
    ('mcap', CompressionMode.STORAGE),
    ('mcap', CompressionMode.FILE),
    ('sqlite3', CompressionMode.NONE),
    ('sqlite3', CompressionMode.FILE),
]


@pytest.mark.parametrize('metadata', [True, False])
@pytest.mark.parametrize(('storage', 'mode'), KINDS)
def test_a_bag_that_was_cut_off_is_tracked_as_far_as_it_goes(tmp_path, storage, mode, metadata):
    bag, out = write(tmp_path / 'bag', storage, mode), tmp_path / 'out'
    before = images(bag)
    cut(bag)
    if not metadata:
        (bag / 'metadata.yaml').unlink()
    with pytest.raises(IncompleteError, match='cut off') as error:
        track(bag, out)
    count = error.value.summary.images
    assert 20 < count < 60
    assert images(out) == before[:count]
    assert len(read_bag_detections(out, class_names=('person',), image_size=(96, 128))) == count
    assert f'storage_identifier: {storage}' in (out / 'metadata.yaml').read_text()


@pytest.mark.parametrize(('storage', 'mode'), KINDS)
def test_a_whole_bag_without_metadata_is_complete(tmp_path, storage, mode):
    bag, out = write(tmp_path / 'bag', storage, mode), tmp_path / 'out'
    before = images(bag)
    (bag / 'metadata.yaml').unlink()
    assert track(bag, out).images == 60
    assert images(out) == before


@pytest.mark.parametrize(('storage', 'mode'), KINDS)
def test_a_compressed_bag_keeps_its_format(tmp_path, storage, mode):
    bag, out = write(tmp_path / 'bag', storage, mode), tmp_path / 'out'
    assert track(bag, out).images == 60
    assert f'storage_identifier: {storage}' in (out / 'metadata.yaml').read_text()


@pytest.mark.parametrize('storage', STORAGES)
def test_the_file_of_a_cut_bag_is_tracked_too(tmp_path, storage):
    bag, out = write(tmp_path / 'bag', storage), tmp_path / 'out'
    cut(bag)
    with pytest.raises(IncompleteError, match='cut off'):
        track(storage_file(bag), out)
    assert 20 < len(images(out)) < 60


@pytest.mark.parametrize('storage', STORAGES)
def test_a_compressed_file_is_a_bag(tmp_path, storage):
    bag = write(tmp_path / 'bag', storage, CompressionMode.FILE)
    before, out = images(bag), tmp_path / 'out'
    assert track(storage_file(bag), out).images == 60
    assert images(out) == before
    assert f'storage_identifier: {storage}' in (out / 'metadata.yaml').read_text()
    cut(bag)
    with pytest.raises(IncompleteError, match='cut off'):
        track(storage_file(bag), tmp_path / 'cut')


def test_a_split_bag_without_metadata_is_read_in_the_order_of_its_numbers(tmp_path):
    bag, out = tmp_path / 'bag', tmp_path / 'out'
    bag.mkdir()
    whole = images(write(tmp_path / 'whole', 'mcap', count=30))
    for number, messages in ((10, whole[20:]), (9, whole[:20])):
        with Writer(tmp_path / 'part', version=9, storage_plugin=STORAGES['mcap']) as writer:
            topic = writer.add_connection('/image', IMAGE, typestore=typestore())
            for t, data in messages:
                writer.write(topic, t, data)
        storage_file(tmp_path / 'part').rename(bag / f'bag_{number}.mcap')
        shutil.rmtree(tmp_path / 'part')
    assert track(bag, out).images == 30
    found = read_bag_detections(out, class_names=('person',), image_size=(96, 128))
    assert [stamp for stamp, _, _ in found] == [(t + 1) * TENTH for t in range(30)]


def test_messages_in_the_log_of_a_recorder_that_was_killed_are_read(tmp_path):
    bag, killed = write(tmp_path / 'bag', 'sqlite3', count=20), tmp_path / 'killed'
    before, file = images(bag), storage_file(bag)
    killed.mkdir()
    with closing(sqlite3.connect(file)) as database:
        database.execute('PRAGMA journal_mode=WAL')
        database.execute('PRAGMA wal_autocheckpoint=0')
        database.execute('DELETE FROM messages WHERE id > 10')
        database.commit()
        database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        rows = [(1, t, data) for t, data in before[10:]]
        insert = 'INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)'
        database.executemany(insert, rows)
        database.commit()
        for name in ('bag.db3', 'bag.db3-wal'):
            shutil.copy(bag / name, killed / name)
    assert track(killed, tmp_path / 'out').images == 20
    assert images(tmp_path / 'out') == before


def test_a_split_bag_of_which_a_part_is_missing_is_incomplete(tmp_path):
    bag, out = write(tmp_path / 'bag', 'mcap'), tmp_path / 'out'
    metadata = bag / 'metadata.yaml'
    text = metadata.read_text().replace('- bag.mcap', '- bag.mcap\n  - bag_1.mcap')
    metadata.write_text(text)
    with pytest.raises(IncompleteError, match=r'bag_1\.mcap is not in the folder'):
        track(bag, out)
    assert len(images(out)) == 60


@pytest.mark.parametrize('content', [b'', b'\x89MCAP0\r\n', b'no bag at all'])
def test_a_file_without_any_message_is_refused_and_leaves_nothing(tmp_path, content):
    bag = tmp_path / 'bag.mcap'
    bag.write_bytes(content)
    said = r'bag\.mcap: (cannot be read as a bag|not a bag but empty)'
    with pytest.raises(FormatError, match=said):
        track(bag, tmp_path / 'out')
    assert [path.name for path in tmp_path.iterdir()] == ['bag.mcap']


def test_messages_that_are_compressed_one_by_one_are_not_guessed(tmp_path):
    bag = write(tmp_path / 'bag', 'mcap', CompressionMode.MESSAGE)
    assert track(bag, tmp_path / 'whole').images == 60
    cut(bag)
    with pytest.raises(FormatError, match='cut off'):
        track(bag, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_a_bag_that_is_damaged_in_the_middle_is_tracked_up_to_there(tmp_path):
    bag, out = write(tmp_path / 'bag', 'mcap', CompressionMode.STORAGE, 90), tmp_path / 'out'
    file, before = storage_file(bag), images(bag)
    content = bytearray(file.read_bytes())
    chunk = content.index(b'\x28\xb5\x2f\xfd', len(content) // 2)  # where zstd begins
    content[chunk : chunk + 4] = bytes(4)
    file.write_bytes(content)
    with pytest.raises(IncompleteError, match='damaged after') as error:
        track(bag, out)
    count = error.value.summary.images
    assert 20 < count < 60
    assert images(out) == before[:count]


def command(*sources: Path, out: Path) -> int:
    return main(['track', *map(str, sources), '--out', str(out), *FIND_ANYTHING])


def test_a_bag_without_any_readable_image_is_an_error_and_leaves_nothing(tmp_path, capfd):
    bag, out = write(tmp_path / 'bag', 'mcap', count=4, wrong=(0, 1, 2, 3)), tmp_path / 'out'
    for _ in range(2):
        assert command(bag, out=out) == 1
        error = ' '.join(capfd.readouterr().err.split())
        assert (
            "none of its images can be read: /image, image at 0.100 s: encoding '16UC1'" in error
        )
        assert 'and 2 more' in error
        assert [path.name for path in tmp_path.iterdir()] == ['bag']


def test_a_bag_with_some_readable_images_is_incomplete(tmp_path, capfd):
    bag, out = write(tmp_path / 'bag', 'mcap', count=4, wrong=(2,)), tmp_path / 'out'
    assert command(bag, out=out) == 1
    error = ' '.join(capfd.readouterr().err.split())
    assert 'skipped /image, image at 0.300 s' in error
    assert f'{out} has the 3 images that could be read' in error
    assert len(images(out)) == 4


def test_a_message_that_is_damaged_costs_no_other(tmp_path):
    store, bag, out = typestore(), tmp_path / 'bag', tmp_path / 'out'
    with Writer(bag, version=9, storage_plugin=STORAGES['mcap']) as writer:
        topic = writer.add_connection('/image', IMAGE, typestore=store)
        for t in range(5):
            message = bag_image_message(t + 1, np.zeros((48, 64, 3), np.uint8), False, 'optical')
            data = bytes(store.serialize_cdr(message, IMAGE))
            writer.write(topic, t + 1, data[:30] if t == 2 else data)
    with pytest.raises(IncompleteError, match='not a message of sensor_msgs/msg/Image') as error:
        track(bag, out)
    assert error.value.summary.images == 4
    assert len(images(out)) == 5


def test_a_topic_without_messages_is_named_and_another_is_chosen(tmp_path):
    store, bag = typestore(), write(tmp_path / 'bag', 'mcap', count=2)
    empty = tmp_path / 'empty'
    with Writer(empty, version=9, storage_plugin=STORAGES['mcap']) as writer:
        writer.add_connection('/rear', IMAGE, typestore=store)
        front = writer.add_connection('/front', IMAGE, typestore=store)
        for t, data in images(bag):
            writer.write(front, t, data)
    assert track(empty, tmp_path / 'out').images == 2
    settings = TrackingOptions(image_topics=('/rear',))
    with pytest.raises(FormatError, match='/rear has no messages'):
        track_recording(Scripted(), str(empty), tmp_path / 'o', settings, lambda *_: None)


def test_bags_of_a_batch_that_are_not_whole_are_tried_again(tmp_path, capfd):
    some = write(tmp_path / 'some', 'mcap', count=4, wrong=(2,))
    none = write(tmp_path / 'none', 'mcap', count=3, wrong=(0, 1, 2))
    whole, out = write(tmp_path / 'whole', 'mcap', count=3), tmp_path / 'out'
    for _ in range(2):
        assert command(some, none, whole, out=out) == 1
        assert '2 of 3 failed: some, none' in ' '.join(capfd.readouterr().err.split())
        entries = json.loads((out / 'manifest.json').read_text())['recordings']
        states = {name: entry['state'] for name, entry in entries.items()}
        assert states == {'some': 'failed', 'none': 'failed', 'whole': 'done'}
        assert sorted(path.name for path in out.iterdir()) == ['manifest.json', 'some', 'whole']
