# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags are read as they were written; damage and wrong types are reported."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
import pytest

pytest.importorskip('rosbags', reason='needs the evaluation extra')

from rosbags.rosbag2 import Writer
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores
from writers import write_bag

from gtr_ros.data.formats import bag_messages
from gtr_ros.data.formats import rosbag
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.input_warning import InputWarning

STORAGES = ('mcap', 'sqlite3')
SUFFIXES = {'mcap': '.mcap', 'sqlite3': '.db3'}
STAMPS = [1_700_000_000_000_000_000 + 50_000_000 * i for i in range(6)]
BOXES = np.array([[10.5, 20, 30, 60], [1, 2, 3, 4]])
IMAGES = '/camera/image_raw'
TRUTH = '/truth'


def picture(seed: int = 0, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth() -> np.ndarray:
    rows, columns = np.mgrid[:48, :64].astype(np.uint8)
    return np.stack((rows * 4, columns * 3, 255 - rows), axis=2)


def bag(path: Path, storage: str = 'mcap', **changes) -> Path:
    arguments = {
        'images': [(stamp, picture(i)) for i, stamp in enumerate(STAMPS)],
        'detections_topic': TRUTH,
        'detections': [(stamp, BOXES, [0.5, 1], [0, 1], [7, 12]) for stamp in STAMPS],
        'class_names': ('person', 'dog'),
    }
    write_bag(path, storage, **(arguments | changes))
    return path


def raw_bag(path: Path, kind: str, messages: list, topic: str = '/topic', store=None) -> Path:
    """Write messages with their times of receipt."""
    with Writer(path, version=9) as writer:
        store = store or bag_messages.typestore()
        connection = writer.add_connection(topic, kind, typestore=store)
        for received, message in messages:
            data = store.serialize_cdr(message, kind)
            writer.write(connection, received, data)
    return path


def image_message(pixels: np.ndarray, encoding: str, padding: int = 0, stamp: int = STAMPS[0]):
    height, width, channels = pixels.shape
    rows = np.full((height, width * channels + padding), 77, np.uint8)
    rows[:, : width * channels] = pixels.reshape(height, -1)
    fields = (height, width, encoding, 0, rows.shape[1], rows.reshape(-1))
    return bag_messages.make_message(
        'sensor_msgs/Image', bag_messages.make_header(stamp, 'camera'), *fields
    )


def compressed_message(data: bytes, name: str):
    header = bag_messages.make_header(STAMPS[0], 'camera')
    data = np.frombuffer(data, np.uint8)
    return bag_messages.make_message('sensor_msgs/CompressedImage', header, name, data)


def detections_message(stamp: int = STAMPS[0], ids=('1',), labels=(0,), **changes):
    row = (stamp, BOXES[:1].repeat(len(ids), 0), [0.5] * len(ids), labels, ids)
    names = ('person', 'dog', '1', 'cat')
    message = bag_messages.bag_detections_message(*row, names, 'camera')
    for name, value in changes.items():
        *parts, last = name.split('__')
        at = message.detections[0]
        for part in parts:
            at = at[int(part)] if part.isdigit() else getattr(at, part)
        setattr(at, last, value)
    return message


def cut(file: Path, part: float = 0.5) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * part)])


def storage_file(path: Path) -> Path:
    return next(f for f in path.iterdir() if f.suffix in SUFFIXES.values())


def test_detection_arrays_have_the_type_hash_of_vision_msgs_4():
    assert bag_messages.typestore().hash_rihs01(bag_messages.DETECTIONS) == (
        'RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968'
    )


@pytest.mark.parametrize('storage', STORAGES)
def test_images_survive_a_round_trip(tmp_path, storage):
    images = rosbag.BagImages(bag(tmp_path / 'new' / 'run', storage))
    assert (images.topic, images.frame_count, images.size) == (IMAGES, 6, (64, 48))
    assert len(images) == 6
    assert images.rate == 20
    assert images.stamps.tolist() == STAMPS
    for _ in range(2):
        frames = list(images)
        assert [f.index for f in frames] == list(range(6))
        assert [f.stamp for f in frames] == STAMPS
        for index, frame in enumerate(frames):
            np.testing.assert_array_equal(frame.image, picture(index))
            assert frame.image.flags.c_contiguous
            assert frame.image.flags.writeable


@pytest.mark.parametrize('storage', STORAGES)
def test_compressed_images_survive_a_round_trip(tmp_path, storage):
    images = [(stamp, smooth()) for stamp in STAMPS]
    path = bag(tmp_path / 'run', storage, images=images, compressed=True)
    frames = list(rosbag.BagImages(path))
    assert [f.stamp for f in frames] == STAMPS
    assert abs(frames[0].image.astype(int) - smooth()).mean() < 4
    assert frames[0].image.flags.c_contiguous


@pytest.mark.parametrize('storage', STORAGES)
def test_a_storage_file_is_read_without_its_folder(tmp_path, storage):
    path = storage_file(bag(tmp_path / 'run', storage))
    assert len(list(rosbag.BagImages(path))) == 6
    assert rosbag.read_rosbag(path).name == 'run'


@pytest.mark.parametrize('storage', STORAGES)
def test_detections_survive_a_round_trip_with_their_ids(tmp_path, storage):
    path = bag(tmp_path / 'run', storage)
    messages = rosbag.read_bag_detections(path, class_names=('dog', 'person'), image_size=(48, 64))
    assert [stamp for stamp, _, _ in messages] == STAMPS
    for stamp, detections, ids in messages:
        assert ids == ['7', '12']
        np.testing.assert_allclose(detections.boxes, BOXES)
        assert detections.boxes.dtype == detections.scores.dtype == np.float32
        np.testing.assert_allclose(detections.scores, [0.5, 1])
        assert detections.labels.tolist() == [1, 0]
        assert detections.features.shape == (2, 1)
        assert (detections.image_size, detections.stamp) == ((48, 64), stamp)


def test_other_classes_are_left_out_and_decimal_ones_are_indices(tmp_path):
    messages = [(1, detections_message(ids='abcd', labels=(0, 1, 2, 3)))]
    path = raw_bag(tmp_path / 'run', bag_messages.DETECTIONS, messages)
    (message,) = rosbag.read_bag_detections(path, class_names=('cat', 'dog'), image_size=(90, 90))
    assert message[1].labels.tolist() == [1, 1, 0]
    assert message[2] == ['b', 'c', 'd']
    with pytest.warns(InputWarning, match=r'none of the 4 detections on /topic is of bus'):
        (message,) = rosbag.read_bag_detections(path, class_names=('bus',), image_size=(90, 90))
    assert len(message[1]) == 0
    assert message[2] == []


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8', '8UC1', '8UC3'])
def test_every_plain_encoding_is_read_as_rgb(tmp_path, encoding, padding):
    rgb, alpha = picture(), picture(1)[:, :, :1]
    if encoding in ('mono8', '8UC1'):
        pixels, rgb = rgb[:, :, :1], rgb[:, :, :1].repeat(3, axis=2)
    else:
        pixels = rgb if encoding.startswith('rgb') else rgb[:, :, ::-1]
        if encoding in ('rgba8', 'bgra8'):
            pixels = np.concatenate((pixels, alpha), axis=2)
    messages = [(1, image_message(pixels, encoding, padding))]
    path = raw_bag(tmp_path / 'run', bag_messages.IMAGE, messages)
    (frame,) = rosbag.BagImages(path)
    np.testing.assert_array_equal(frame.image, rgb)
    assert frame.image.flags.c_contiguous


def test_an_unsupported_encoding_is_an_error_that_lists_the_others(tmp_path):
    messages = [(1, image_message(picture(), 'rgb8')), (2, image_message(picture(), 'yuv422'))]
    messages[1][1].header.stamp.sec += 1
    images = rosbag.BagImages(raw_bag(tmp_path / 'run', bag_messages.IMAGE, messages))
    with pytest.raises(FormatError, match=r"image 1 .*/topic: encoding 'yuv422' .*rgb8, bgr8"):
        list(images)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'width': 0}, 'empty'),
        ({'step': 64 * 3 - 1}, 'step 191 is too small'),
        ({'height': 49}, 'truncated: 9216 bytes of data, but 49 rows of 192'),
    ],
)
def test_an_image_that_does_not_fit_its_data_is_refused(tmp_path, change, said):
    message = image_message(picture(), 'rgb8')
    for name, value in change.items():
        setattr(message, name, value)
    path = raw_bag(tmp_path / 'run', bag_messages.IMAGE, [(1, message)])
    with pytest.raises(FormatError, match=f'image 0 .*{said}'):
        rosbag.BagImages(path)


def encoded(kind: str, image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def test_compressed_images_that_hold_no_8_bit_image_are_refused(tmp_path):
    depth = Image.fromarray(np.full((48, 64), 4000, np.uint16))
    jpeg = encoded('JPEG', Image.fromarray(smooth()))
    cases = {
        'depth': (encoded('PNG', depth), '16UC1; png', 'expected 8 bits'),
        'noise': (b'nothing of the kind', 'jpeg', "'jpeg' cannot be decoded"),
        'half': (jpeg[: len(jpeg) // 2], 'jpeg', "'jpeg' cannot be decoded"),
    }
    for name, (data, form, said) in cases.items():
        messages = [(1, compressed_message(data, form))]
        path = raw_bag(tmp_path / name, bag_messages.COMPRESSED_IMAGE, messages)
        with pytest.raises(FormatError, match=said):
            rosbag.BagImages(path)


def test_a_png_is_read_exactly(tmp_path):
    message = compressed_message(encoded('PNG', Image.fromarray(picture())), 'rgb8; png')
    path = raw_bag(tmp_path / 'run', bag_messages.COMPRESSED_IMAGE, [(1, message)])
    (frame,) = rosbag.BagImages(path)
    np.testing.assert_array_equal(frame.image, picture())


def test_images_of_two_sizes_are_refused(tmp_path):
    images = [(STAMPS[0], picture()), (STAMPS[1], picture(width=32))]
    path = bag(tmp_path / 'run', images=images)
    with pytest.raises(FormatError, match=r'image 1 .*32 x 48, but 64 x 48 before'):
        list(rosbag.BagImages(path))


def test_without_a_stamp_the_time_of_receipt_is_used(tmp_path):
    messages = [(500 + i, image_message(picture(i), 'rgb8', stamp=0)) for i in range(3)]
    images = rosbag.BagImages(raw_bag(tmp_path / 'run', bag_messages.IMAGE, messages))
    assert [frame.stamp for frame in images] == images.stamps.tolist() == [500, 501, 502]


def test_one_image_has_a_rate_too(tmp_path):
    assert rosbag.BagImages(bag(tmp_path / 'run', images=[(5, picture())])).rate == 10


@pytest.mark.parametrize('stamps', [[5, 5], [5, 4]])
def test_stamps_that_do_not_ascend_are_refused(tmp_path, stamps):
    messages = [(i, image_message(picture(), 'rgb8', stamp=s)) for i, s in enumerate(stamps)]
    images = rosbag.BagImages(raw_bag(tmp_path / 'run', bag_messages.IMAGE, messages))
    with pytest.raises(
        FormatError, match=rf'image 1 .*stamp {stamps[1]} ns is not after the previous one, 5 ns'
    ):
        list(images)
    with pytest.raises(FormatError, match='image 1'):
        _ = images.rate


def test_a_missing_or_ambiguous_topic_is_an_error_that_lists_all(tmp_path):
    path = bag(tmp_path / 'run', image_topic='/left')
    listed = r'/left \(sensor_msgs/msg/Image, 6 messages\), /truth \(vision_msgs'
    with pytest.raises(FormatError, match=rf'no topic .* named /right\. .*{listed}'):
        rosbag.BagImages(path, '/right')
    with pytest.raises(FormatError, match=r'no topic .* named /truth\.'):
        rosbag.BagImages(path, TRUTH)
    only_truth = bag(tmp_path / 'truth', images=[])
    with pytest.raises(FormatError, match='no topic of image messages'):
        rosbag.BagImages(only_truth)
    with Writer(tmp_path / 'two', version=9) as writer:
        for topic in ('/left', '/right'):
            store = bag_messages.typestore()
            connection = writer.add_connection(topic, bag_messages.IMAGE, typestore=store)
            message = image_message(picture(), 'rgb8')
            writer.write(connection, 1, store.serialize_cdr(message, bag_messages.IMAGE))
    with pytest.raises(FormatError, match=r'several topics .*; name one\. .*/left .*/right'):
        rosbag.BagImages(tmp_path / 'two')
    assert rosbag.BagImages(tmp_path / 'two', '/right').frame_count == 1


@pytest.mark.parametrize('storage', STORAGES)
def test_a_sequence_has_the_truth_of_each_image(tmp_path, storage):
    truth = [(stamp, BOXES, [1, 1], [0, 1], [7, 12]) for stamp in STAMPS[1:4]]
    truth.append((STAMPS[4] + 1, BOXES, [1, 1], [0, 1], [8, 9]))
    path = bag(tmp_path / 'run.1', storage, detections=truth)
    sequence = rosbag.read_rosbag(path, class_names=('person', 'dog'))
    assert (sequence.name, sequence.class_names) == ('run.1', ('person', 'dog'))
    assert (sequence.image_size, sequence.frame_rate) == ((48, 64), 20)
    assert sequence.stamps.tolist() == STAMPS
    assert [len(t) for t in sequence.truth] == [0, 2, 2, 2, 0, 0]
    assert sequence.truth[2].ids.tolist() == [7, 12]
    assert sequence.truth[2].labels.tolist() == [0, 1]
    assert sequence.truth[2].counted.all()
    np.testing.assert_allclose(sequence.truth[2].boxes, BOXES)
    images = list(sequence.images())
    np.testing.assert_array_equal(images[5], picture(5))
    assert sequence.image_key == rosbag.read_rosbag(path).image_key
    assert rosbag.read_rosbag(path, name='mine').name == 'mine'


def test_ids_that_are_not_numbers_get_numbers_after_the_others(tmp_path):
    truth = [
        (STAMPS[0], BOXES, [1, 1], [0, 0], ['Ada', 41]),
        (STAMPS[1], BOXES, [1, 1], [0, 0], ['Bob', 'Ada']),
    ]
    sequence = rosbag.read_rosbag(bag(tmp_path / 'run', detections=truth))
    assert [t.ids.tolist() for t in sequence.truth[:2]] == [[42, 41], [43, 42]]


@pytest.mark.parametrize(
    ('truth', 'said'),
    [
        ([(STAMPS[0], BOXES, [1, 1], [0, 0], [3, 3])], "message 0 .*id '3' occurs more than once"),
        ([(STAMPS[0], BOXES, [1, 1], [0, 0], ['03', 3])], 'occurs more than once'),
        ([(STAMPS[0], BOXES, [1, 1], [0, 0], ['', 3])], 'message 0 .*has no id'),
        (
            [(STAMPS[0], BOXES[:1], [1], [0], [3])] * 2,
            'message 1 .*an earlier message has the same stamp',
        ),
        ([(STAMPS[0] + 1, BOXES[:1], [1], [0], [3])], 'no ground truth has the stamp of an image'),
    ],
)
def test_ground_truth_without_unique_ids_or_stamps_is_refused(tmp_path, truth, said):
    path = bag(tmp_path / 'run', detections=truth)
    with pytest.raises(FormatError, match=said):
        rosbag.read_rosbag(path)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'bbox__center__theta': 0.5}, 'rotated by 0.5 rad'),
        ({'bbox__size_x': 0.0}, 'size 0 x 40; expected finite numbers and a positive size'),
        ({'bbox__size_y': float('nan')}, 'positive size'),
        ({'bbox__center__position__x': float('inf')}, 'expected finite'),
        ({'results': []}, 'results is empty'),
        ({'results__0__hypothesis__score': 1.5}, r'score is 1\.5; expected a number from 0 to 1'),
        ({'results__0__hypothesis__score': float('nan')}, 'score is nan'),
    ],
)
def test_invalid_detections_are_refused(tmp_path, changes, said):
    messages = [(1, detections_message()), (2, detections_message(**changes))]
    path = raw_bag(tmp_path / 'run', bag_messages.DETECTIONS, messages)
    with pytest.raises(FormatError, match=rf'message 1 .* detection 0 \(from 0\): .*{said}'):
        rosbag.read_bag_detections(path, image_size=(48, 64))


def test_what_is_not_a_bag_is_refused(tmp_path):
    with pytest.raises(FormatError, match='nowhere: no such bag'):
        rosbag.BagImages(tmp_path / 'nowhere')
    with pytest.raises(FormatError, match='the folder is empty'):
        rosbag.BagImages(tmp_path)
    (tmp_path / 'notes').touch()
    with pytest.raises(FormatError, match=r'no metadata\.yaml.*ros2 bag reindex'):
        rosbag.BagImages(tmp_path)
    (tmp_path / 'metadata.yaml').write_text('rosbag2_bagfile_information: {version: 5}')
    with pytest.raises(FormatError, match='relative_file_paths is no list of names'):
        rosbag.BagImages(tmp_path)
    (tmp_path / 'old.bag').write_bytes(b'#ROSBAG V2.0\n')
    with pytest.raises(FormatError, match=r'old\.bag: cannot be read as a bag'):
        rosbag.BagImages(tmp_path / 'old.bag')


@pytest.mark.parametrize('storage', STORAGES)
def test_an_empty_bag_is_refused(tmp_path, storage):
    path = bag(tmp_path / 'run', storage, images=[], detections=[])
    with pytest.raises(FormatError, match=r'run: the bag is empty'):
        rosbag.BagImages(path)


@pytest.mark.parametrize('part', [0, 0.02, 0.5, 0.98])
@pytest.mark.parametrize('storage', STORAGES)
def test_a_storage_that_is_cut_off_is_named(tmp_path, storage, part):
    path = bag(tmp_path / 'run', storage)
    cut(storage_file(path), part)
    with pytest.raises(FormatError, match=rf'run\{SUFFIXES[storage]}: ') as caught:
        list(rosbag.BagImages(path))
    assert any(word in str(caught.value) for word in ('cut off', 'damaged', 'empty (0 bytes)'))
    with pytest.raises(FormatError):
        rosbag.read_rosbag(path)


@pytest.mark.parametrize('storage', STORAGES)
def test_damage_says_how_many_images_came_before(tmp_path, storage):
    # Large enough for separate chunks or pages.
    images = [(stamp, picture(i, 600, 700)) for i, stamp in enumerate(STAMPS)]
    path = bag(tmp_path / 'run', storage, images=images, detections=[])
    file = storage_file(path)
    content = bytearray(file.read_bytes())
    position = content.find(picture(3, 600, 700).tobytes()[:64])
    # Overwrites the end of the header, and the encoding.
    content[position - 48 : position] = b'\xff' * 48
    file.write_bytes(content)
    came = []
    with pytest.raises(FormatError, match='damaged after 3 of 6 messages of /camera/image_raw'):
        for frame in rosbag.BagImages(path):
            came.append(frame.index)
    assert came == [0, 1, 2]


def test_messages_missing_from_the_storage_are_an_error(tmp_path):
    path = bag(tmp_path / 'run')
    metadata = path / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('message_count: 6', 'message_count: 9'))
    with pytest.raises(FormatError, match='has 6 messages, and 9 by its metadata'):
        list(rosbag.BagImages(path))


def test_bags_without_message_definitions_are_read(tmp_path):
    import sqlite3

    path = bag(tmp_path / 'run', 'sqlite3')
    with sqlite3.connect(storage_file(path)) as base:
        # The schema of Foxy.
        base.execute('DROP TABLE schema')
        base.execute('DROP TABLE message_definitions')
        base.execute('ALTER TABLE topics DROP COLUMN type_description_hash')
    base.close()
    sequence = rosbag.read_rosbag(path, class_names=('person', 'dog'))
    assert [len(t) for t in sequence.truth] == [2] * 6
    np.testing.assert_array_equal(next(sequence.images()), picture())


def test_detections_with_other_fields_are_refused(tmp_path):
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(
        get_types_from_msg('std_msgs/Header header\nstring text', bag_messages.DETECTIONS)
    )
    message = store.types[bag_messages.DETECTIONS](
        bag_messages.make_header(1, ''), 'of another time'
    )
    path = raw_bag(tmp_path / 'run', bag_messages.DETECTIONS, [(1, message)], store=store)
    with pytest.raises(FormatError, match=r'other fields; expected those of .* vision_msgs 4'):
        rosbag.read_bag_detections(path, image_size=(48, 64))


def test_a_bag_is_written_whole_or_not_at_all(tmp_path):
    def images():
        yield STAMPS[0], picture()
        raise KeyError

    with pytest.raises(KeyError):
        bag(tmp_path / 'run', images=images())
    assert list(tmp_path.iterdir()) == []
    bag(tmp_path / 'run')
    with pytest.raises(FormatError, match='run: exists, and is not overwritten'):
        bag(tmp_path / 'run')
    with pytest.raises(FormatError, match='expected mcap or sqlite3'):
        bag(tmp_path / 'other', 'rosbag1')
    with pytest.raises(FormatError, match='stamp is -1 ns'):
        bag(tmp_path / 'other', images=[(-1, picture())])
