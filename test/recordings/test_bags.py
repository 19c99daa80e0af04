# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracking of bags: all messages are copied unchanged, and detections are added."""

from itertools import islice
from pathlib import Path
import re
import sqlite3
import warnings

import numpy as np
import pytest
import torch

pytest.importorskip('rosbags', reason='needs the evaluation extra')

from rosbags.rosbag2 import Reader
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores
from writers import bag_image_message
from writers import write_bag

from gtr_ros.cli import main
from gtr_ros.data.formats.bag_messages import make_header
from gtr_ros.data.formats.bag_messages import typestore
from gtr_ros.data.formats.bag_reader import STORAGES
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.rosbag import read_bag_detections
from gtr_ros.input_warning import InputWarning
from gtr_ros.media.video import VideoReader
from gtr_ros.model.association import CosineAssociation
from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.registry import default_checkpoint
from gtr_ros.recordings.bags import output_topics
from gtr_ros.recordings.bags import track_bag
from gtr_ros.recordings.recording import track_recording
from gtr_ros.recordings.recording import TrackingOptions
from gtr_ros.structures import Detections
from gtr_ros.structures import Tracks
from gtr_ros.tracking import Tracker

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
TENTH = 100_000_000
BOX = [2, 3, 9, 11]


def picture(t: int) -> np.ndarray:
    return np.full((16, 24, 3), 10 * t % 250, np.uint8)


def write(path: Path, topics: dict[str, str], count: int = 6, storage: str = 'mcap') -> Path:
    """Write a bag of images, received 5 ms after their stamp, and of strings."""
    store = typestore()
    with Writer(path, version=9, storage_plugin=STORAGES[storage]) as writer:
        images = {n: writer.add_connection(n, k, typestore=store) for n, k in topics.items()}
        strings = writer.add_connection('/strings', 'std_msgs/msg/String', typestore=store)
        for t in range(count):
            stamp = (t + 1) * TENTH
            for name, kind in topics.items():
                message = bag_image_message(stamp, picture(t), kind == COMPRESSED, 'optical')
                data = store.serialize_cdr(message, kind)
                writer.write(images[name], stamp + 5_000_000, data)
            string = store.types['std_msgs/msg/String'](f'string {t}')
            data = store.serialize_cdr(string, 'std_msgs/msg/String')
            writer.write(strings, stamp + 6_000_000, data)
    return path


def read(path: Path) -> list[tuple[str, int, bytes]]:
    with Reader(path) as reader:
        return [(c.topic, time, bytes(data)) for c, time, data in reader.messages()]


class OneObject:
    """A fake tracker with one track, which is confirmed from the third image on."""

    def __init__(self) -> None:
        self.seen = []

    def __call__(self, image: np.ndarray, stamp: int) -> Tracks:
        self.seen.append((int(image.mean().round()), stamp))
        return Tracks(
            ids=np.array([7]),
            boxes=np.array([BOX], np.float32),
            scores=np.array([0.5], np.float32),
            labels=np.array([0]),
            confirmed=np.array([len(self.seen) > 2]),
        )


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_all_messages_are_copied_and_each_image_is_followed_by_its_detections(tmp_path, storage):
    bag = write(tmp_path / 'bag', {'/camera/image_raw': IMAGE}, storage=storage)
    out, tracker = tmp_path / 'tracked', OneObject()
    topics = output_topics(bag)
    assert topics == {'/camera/image_raw': '/tracker/detections'}
    tracks = track_bag(bag, out, topics, {'/camera/image_raw': tracker}, ('person',))
    assert (tracks.images, tracks.boxes) == (6, 4)
    assert tracks.identities == {'/camera/image_raw': {7}}
    assert tracker.seen == [(10 * t, (t + 1) * TENTH) for t in range(6)]
    written = read(out)
    assert [m for m in written if m[0] != '/tracker/detections'] == read(bag)
    times = [m[1] for m in written]
    assert times == sorted(times)
    found = read_bag_detections(out, image_size=(16, 24))
    assert [stamp for stamp, _, _ in found] == [(t + 1) * TENTH for t in range(6)]
    assert [ids for _, _, ids in found] == [[], [], ['7'], ['7'], ['7'], ['7']]
    np.testing.assert_allclose(found[-1][1].boxes, [BOX])
    assert f'storage_identifier: {storage}' in (out / 'metadata.yaml').read_text()
    store = typestore()
    [answer] = [m for m in written if m[0] == '/tracker/detections'][-1:]
    message = store.deserialize_cdr(answer[2], 'vision_msgs/msg/Detection2DArray')
    assert message.header == make_header(6 * TENTH, 'optical')


def test_each_camera_has_its_own_tracker_and_topic(tmp_path):
    kinds = {'/front/image_raw': IMAGE, '/left/image/compressed': COMPRESSED}
    bag = write(tmp_path / 'bag', kinds)
    with pytest.raises(FormatError, match=r'several image topics; name.*/left/image/compressed'):
        output_topics(bag)
    topics = output_topics(bag, list(kinds))
    assert list(topics.values()) == ['/tracker/front/detections', '/tracker/left/detections']
    trackers = {name: OneObject() for name in kinds}
    track_bag(bag, tmp_path / 'out', topics, trackers, ('person',))
    for name in kinds:
        assert [value for value, _ in trackers[name].seen] == [0, 10, 20, 30, 40, 50]
        assert len(read_bag_detections(tmp_path / 'out', topics[name], image_size=(16, 24))) == 6
    assert output_topics(bag, ['/front/image_raw']) == {'/front/image_raw': '/tracker/detections'}


def test_an_image_that_cannot_be_read_is_reported_and_copied(tmp_path):
    store = typestore()
    bag = tmp_path / 'bag'
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topic = writer.add_connection('/image', IMAGE, typestore=store)
        for t in range(3):
            message = bag_image_message(t * TENTH, picture(t), False, 'optical')
            if t == 1:
                message.encoding = '16UC1'
            writer.write(topic, (t + 1) * TENTH, store.serialize_cdr(message, IMAGE))
    tracks = track_bag(bag, tmp_path / 'out', output_topics(bag), {'/image': OneObject()}, ('a',))
    assert tracks.images == 2
    [error] = tracks.skipped
    assert '/image, image at 0.200 s' in error
    assert '16UC1' in error
    assert len([m for m in read(tmp_path / 'out') if m[0] == '/image']) == 3


def write_stamps(path: Path, stamps: list[int]) -> Path:
    """Write a bag of images with these stamps, received a tenth of a second apart."""
    store = typestore()
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topic = writer.add_connection('/image', IMAGE, typestore=store)
        for t, stamp in enumerate(stamps):
            message = bag_image_message(stamp, picture(t), False, 'optical')
            writer.write(topic, 10**18 + t * TENTH, store.serialize_cdr(message, IMAGE))
    return path


@pytest.mark.parametrize(
    ('stamps', 'times'),
    [
        # no stamps: receive times; otherwise with the delay of the last stamped image
        ([0, 0, 0], [10**18, 10**18 + TENTH, 10**18 + 2 * TENTH]),
        ([TENTH, 0, 0, 4 * TENTH], [TENTH, 2 * TENTH, 3 * TENTH, 4 * TENTH]),
    ],
)
def test_an_image_without_a_stamp_gets_its_time_from_when_it_was_received(tmp_path, stamps, times):
    bag, tracker = write_stamps(tmp_path / 'bag', stamps), OneObject()
    track_bag(bag, tmp_path / 'out', output_topics(bag), {'/image': tracker}, ('a',))
    assert [time for _, time in tracker.seen] == times


class OneBox:
    """A fake model that always finds the same box."""

    name = 'mobile'
    batches = False
    external = None
    class_names = ('person',)
    association = CosineAssociation()
    score_threshold = 0.4

    def detect(self, images, stamps, score_threshold):
        return [
            Detections(
                boxes=np.array([BOX], np.float32),
                scores=np.array([0.9], np.float32),
                labels=np.zeros(1, np.int64),
                features=torch.ones(1, 4),
                image_size=images[0].shape[:2],
                stamp=stamps[0],
            )
        ]


@pytest.mark.parametrize(
    ('tenths', 'ids', 'warned'),
    [
        # jitter
        ([50, 51, 51, 50, 53, 54, 46, 55], '11111111', r'second 0 times, .*; in 3 images'),
        # the clock was reset, or another recording was joined
        ([50, 51, 52, 12, 13, 14], '111222', r'stamps of /image go back .* second 1 times'),
        # some images have no stamp
        ([50, 51, 0, 0, 54, 0], '111111', None),
    ],
)
def test_stamps_that_jitter_keep_the_ids_of_a_bag(tmp_path, tenths, ids, warned):
    bag, out = write_stamps(tmp_path / 'bag', [t * TENTH for t in tenths]), tmp_path / 'out'
    settings = TrackingOptions(min_hits=1, gallery=False)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter('always')
        track_recording(OneBox(), str(bag), out, settings, lambda *_: None)
    found = [str(w.message) for w in found if w.category is InputWarning]
    assert len(found) == (warned is not None)
    assert all(re.search(warned, text) for text in found)
    found = read_bag_detections(out, class_names=('person',), image_size=(16, 24))
    assert [''.join(names) for _, _, names in found] == list(ids)


def test_a_truncated_bag_is_tracked_as_far_as_it_can_be_read(tmp_path):
    bag = write(tmp_path / 'bag', {'/image': IMAGE}, 40, 'sqlite3')
    metadata = bag / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('message_count: 80', 'message_count: 90'))
    out = tmp_path / 'out'
    with pytest.raises(FormatError, match=r'bag.*truncated: 80 messages of the 90'):
        track_bag(bag, out, output_topics(bag), {'/image': OneObject()}, ('a',))
    assert len(read(out)) == 120


def test_custom_types_are_kept_for_a_file_without_its_metadata(tmp_path):
    bag = tmp_path / 'bag'
    own, definition = 'robot_msgs/msg/Mood', 'string name\nfloat32 strength\n'
    types = get_typestore(Stores.ROS2_JAZZY)
    types.register(get_types_from_msg(definition, own))
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        image = writer.add_connection('/image', IMAGE, typestore=types)
        mood = writer.add_connection('/mood', own, typestore=types)
        message = bag_image_message(TENTH, picture(1), False, 'optical')
        writer.write(image, TENTH, typestore().serialize_cdr(message, IMAGE))
        writer.write(mood, TENTH, types.serialize_cdr(types.types[own]('calm', 0.5), own))
    [file] = bag.glob('*.mcap')
    out = tmp_path / 'out'
    track_bag(file, out, output_topics(file), {'/image': OneObject()}, ('a',))
    with Reader(out) as reader:
        [kept] = reader.topics['/mood'].connections
        assert kept.digest == types.hash_rihs01(own)
        assert [m for m in read(out) if m[0] == '/mood'] == [
            m for m in read(bag) if m[0] == '/mood'
        ]


def remove_type_definitions(bag: Path) -> Path:
    """Make an sqlite3 bag like those from before Iron, which do not define their types."""
    metadata = bag / 'metadata.yaml'
    hashes = re.compile(r'type_description_hash:\s*\S+')
    metadata.write_text(hashes.sub("type_description_hash: ''", metadata.read_text()))
    [file] = bag.glob('*.db3')
    with sqlite3.connect(file) as database:
        database.execute('DELETE FROM message_definitions')
        database.execute("UPDATE topics SET type_description_hash = ''")
    database.close()
    return bag


def test_topics_whose_types_are_not_defined_in_the_bag_are_copied_without_definition(tmp_path):
    bag = remove_type_definitions(write(tmp_path / 'bag', {'/image': IMAGE}, 6, 'sqlite3'))
    [file] = bag.glob('*.db3')
    with sqlite3.connect(file) as database:
        database.execute("UPDATE topics SET type = 'robot_msgs/msg/Mood' WHERE name = '/strings'")
    database.close()
    metadata = bag / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('std_msgs/msg/String', 'robot_msgs/msg/Mood'))
    for storage in STORAGES:
        out = tmp_path / storage
        track_bag(bag, out, output_topics(bag), {'/image': OneObject()}, ('a',), storage)
        assert [m for m in read(out) if m[0] != '/tracker/detections'] == read(bag)
        with Reader(out) as reader:
            [mood] = reader.topics['/strings'].connections
            assert mood.msgtype == 'robot_msgs/msg/Mood'
            assert (mood.msgdef.data, mood.digest) == ('', '')
            assert reader.topics['/image'].msgdef.data == ''
            assert 'Detection2D[] detections' in reader.topics['/tracker/detections'].msgdef.data


# Releases after Humble have a field more.
RANGE = 'sensor_msgs/msg/Range'


@pytest.mark.parametrize('storage', STORAGES)
@pytest.mark.parametrize('defined', [True, False])
def test_a_topic_of_an_earlier_release_keeps_its_definition(tmp_path, storage, defined):
    if storage == 'mcap' and not defined:
        pytest.skip('an MCAP file has definitions')
    types = get_typestore(Stores.ROS2_HUMBLE)
    bag = tmp_path / 'bag'
    with Writer(bag, version=8, storage_plugin=STORAGES[storage]) as writer:
        image = writer.add_connection('/image', IMAGE, typestore=types)
        ranges = writer.add_connection('/range', RANGE, typestore=types)
        message = bag_image_message(TENTH, picture(1), False, 'optical')
        writer.write(image, TENTH, typestore().serialize_cdr(message, IMAGE))
        header = types.types['std_msgs/msg/Header'](
            types.types['builtin_interfaces/msg/Time'](1, 2), 'sonar'
        )
        data = types.serialize_cdr(types.types[RANGE](header, 1, 0.5, 0.1, 4.0, 2.0), RANGE)
        writer.write(ranges, TENTH, data)
    if not defined:
        remove_type_definitions(bag)
    out = tmp_path / 'out'
    track_bag(bag, out, output_topics(bag), {'/image': OneObject()}, ('a',))
    assert [m for m in read(out) if m[0] != '/tracker/detections'] == read(bag)
    with Reader(bag) as before, Reader(out) as after:
        [old], [new] = (r.topics['/range'].connections for r in (before, after))
        assert (new.msgdef, new.digest) == (old.msgdef, old.digest)
        assert 'variance' not in new.msgdef.data
        assert ('float32 max_range' in new.msgdef.data) == defined
    # Releases before Jazzy do not read version 9.
    assert 'version: 8' in (out / 'metadata.yaml').read_text()


def test_after_ctrl_c_what_was_tracked_is_kept_and_does_not_block_the_next_try(tmp_path):
    bag = write(tmp_path / 'bag', {'/image': IMAGE})
    out, partial = tmp_path / 'out.v2', tmp_path / 'out.partial.v2'
    topics = output_topics(bag)

    def track(count: int) -> None:
        messages = iter(range(count))

        def interrupt() -> None:
            if next(messages, None) is None:
                raise KeyboardInterrupt

        trackers = {'/image': OneObject()}
        track_bag(bag, out, topics, trackers, ('a',), on_message=interrupt)

    for count, images in ((4, 3), (8, 5)):
        with pytest.raises(KeyboardInterrupt):
            track(count)
        assert not out.exists()
        assert len([m for m in read(partial) if m[0] == '/image']) == images
    track(100)
    assert len(read(out)) == 18
    assert not partial.exists()


def test_an_output_without_a_tracked_image_is_not_left(tmp_path):
    bag = write(tmp_path / 'bag', {'/image': IMAGE})

    def fail(image: np.ndarray, stamp: int) -> Tracks:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        track_bag(bag, tmp_path / 'out', output_topics(bag), {'/image': fail}, ('a',))
    assert [path.name for path in tmp_path.iterdir()] == ['bag']


def test_a_folder_of_somebody_else_is_not_taken_for_an_unfinished_output(tmp_path):
    bag = write(tmp_path / 'bag', {'/image': IMAGE})
    (tmp_path / 'out.partial').mkdir()
    (tmp_path / 'out.partial' / 'notes.txt').write_text('mine')
    with pytest.raises(FormatError, match=r'out\.partial: is not an unfinished copy'):
        track_bag(bag, tmp_path / 'out', output_topics(bag), {'/image': OneObject()}, ('a',))
    assert (tmp_path / 'out.partial' / 'notes.txt').read_text() == 'mine'


def test_existing_output_is_not_overwritten(tmp_path):
    bag = write(tmp_path / 'bag', {'/image': IMAGE})
    out, topics = tmp_path / 'out', output_topics(bag)
    track_bag(bag, out, topics, {'/image': OneObject()}, ('a',))
    before = read(out)
    with pytest.raises(FormatError, match='exists and is not overwritten'):
        track_bag(bag, out, topics, {'/image': OneObject()}, ('a',))
    assert read(out) == before


def test_a_tracked_bag_is_tracked_again_under_another_name(tmp_path):
    bag = write(tmp_path / 'bag', {'/image': IMAGE})
    once, twice = tmp_path / 'once', tmp_path / 'twice'
    track_bag(bag, once, output_topics(bag), {'/image': OneObject()}, ('a',))
    with pytest.raises(FormatError, match=r'already has a topic /tracker/detections.*--name'):
        output_topics(once, ['/image'])
    command = ['track', str(once), '--out', str(twice), '--name', 'robot/second']
    assert main([*command, '--checkpoint', 'random', '--score-threshold', '1']) == 0
    written = read(twice)
    assert [m for m in written if m[0] != '/robot/second/detections'] == read(once)
    assert len(written) - len(read(once)) == 6
    with pytest.raises(ValueError, match=r"--name is 'a b'; expected a name of ROS"):
        output_topics(bag, (), 'a b')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nowhere.mcap'], 'no such bag'),
        (['bag', '--image-topic', '/rear'], 'no image topic named /rear'),
        (['bag', '--video', 'out.mp4'], '--video is for videos'),
        (['bag', '--out', 'bag'], 'not overwritten'),
        (['video.mp4', '--storage', 'mcap'], 'is not a bag'),
    ],
)
def test_errors_of_the_command(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / 'bag', {'/image': IMAGE})
    assert main(['track', *arguments, '--checkpoint', 'random']) == 1
    assert message in ' '.join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_a_bag_of_real_video_has_the_ids_of_its_tracked_frames(pets, tmp_path):
    with VideoReader(pets / 'vtest.avi') as video:
        images = [frame.image for frame in islice(video, 24)]
    rows = [((t + 1) * TENTH, image) for t, image in enumerate(images)]
    write_bag(tmp_path / 'bag', images=rows)
    assert main(['track', str(tmp_path / 'bag'), '--device', 'cpu']) == 0
    model = gtr_mobile(default_checkpoint('mobile'))
    tracker = Tracker(model.association, begin_score=model.score_threshold)
    found = read_bag_detections(
        tmp_path / 'bag_tracked', class_names=model.class_names, image_size=images[0].shape[:2]
    )
    assert len(found) == len(images)
    people = 0
    for (stamp, image), (written, detections, ids) in zip(rows, found):
        tracks = tracker.update(model.detect([image], [stamp])[0])
        keep = tracks.confirmed
        assert written == stamp
        assert ids == [str(i) for i in tracks.ids[keep].tolist()]
        np.testing.assert_allclose(detections.boxes, tracks.boxes[keep], atol=1e-3)
        people += len(ids)
    assert people > 50
