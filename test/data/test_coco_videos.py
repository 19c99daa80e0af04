# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TAO and COCO videos are read as by their tools; broken rules are named."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
import json
from pathlib import Path

import numpy as np
from PIL import Image
import pytest

from gtr_ros.data.coco.video_writer import write_coco_results
from gtr_ros.data.coco.video_writer import write_coco_video
from gtr_ros.data.coco.videos import read_coco_video
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.sequence import Federated
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Role
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.evaluation.offline import ClassedBoxes

TAO = {
    'videos': [
        {
            'id': 4,
            'name': 'val/YFCC/a',
            'width': 64,
            'height': 48,
            'neg_category_ids': [7],
            'not_exhaustive_category_ids': [9, 999],
        },
        {
            'id': 2,
            'name': 'val/YFCC/b',
            'neg_category_ids': [3, 7, 9],
            'not_exhaustive_category_ids': [],
        },
    ],
    # Not in order: neither the images nor the categories.
    'images': [
        {'id': 12, 'video_id': 4, 'frame_index': 61, 'width': 64, 'height': 48},
        {'id': 10, 'video_id': 4, 'frame_index': 1, 'width': 64, 'height': 48},
        {'id': 11, 'video_id': 4, 'frame_index': 31, 'width': 64, 'height': 48},
        {'id': 20, 'video_id': 2, 'frame_index': 0, 'width': 32, 'height': 24},
    ],
    'tracks': [
        {'id': 100, 'video_id': 4, 'category_id': 3},
        {'id': 101, 'video_id': 4, 'category_id': 8},
    ],
    'annotations': [
        {'id': 1, 'image_id': 12, 'video_id': 4, 'track_id': 100, 'category_id': 3},
        {'id': 2, 'image_id': 10, 'video_id': 4, 'track_id': 100, 'category_id': 3},
        {'id': 3, 'image_id': 12, 'track_id': 101, 'category_id': 8},
    ],
    'categories': [
        {'id': 9, 'name': 'person', 'merged': [{'id': 8, 'name': 'baby'}]},
        {'id': 3, 'name': 'dog'},
        {'id': 7, 'name': 'cat'},
    ],
}
for _image in TAO['images']:
    _image['file_name'] = f'{_image["id"]}.png'
for _annotation in TAO['annotations']:
    _annotation['bbox'] = [10 * _annotation['id'], 5, 8, 4.5]


def tao(folder: Path, **changes) -> Path:
    """Write a TAO file with changes; `images__0__width=5` changes a value, None removes it."""
    data = deepcopy(TAO)
    for name, value in changes.items():
        at = data
        *parts, last = [int(part) if part.isdigit() else part for part in name.split('__')]
        for part in parts:
            at = at[part]
        if value is None:
            del at[last]
        else:
            at[last] = value
    path = folder / 'truth.json'
    path.write_text(json.dumps(data))
    return path


def test_frames_are_in_order_and_labels_in_order_of_category(tmp_path):
    first, second = read_coco_video(tao(tmp_path))
    assert (first.name, second.name) == ('val/YFCC/a', 'val/YFCC/b')
    assert first.class_names == second.class_names == ('dog', 'cat', 'person')
    assert (first.image_size, second.image_size) == ((48, 64), (24, 32))
    assert [len(t) for t in first.truth] == [1, 0, 2]
    assert [len(t) for t in second.truth] == [0]
    last = first.truth[2]
    assert last.ids.tolist() == [100, 101]
    assert last.boxes.tolist() == [[10, 5, 18, 9.5], [30, 5, 38, 9.5]]
    assert last.counted.all()


def test_merged_categories_are_one(tmp_path):
    first, _ = read_coco_video(tao(tmp_path))
    assert first.truth[2].labels.tolist() == [0, 2]


def test_what_a_video_is_labelled_for_is_kept(tmp_path):
    first, second = read_coco_video(tao(tmp_path))
    assert first.federated == Federated(frozenset([1]), frozenset([2]))
    assert second.federated is None
    changes = {'videos__1__neg_category_ids': [], 'videos__0__neg_category_ids': None}
    first, second = read_coco_video(tao(tmp_path, **changes))
    assert first.federated == Federated(not_exhaustive=frozenset([2]))
    assert second.federated == Federated()
    changes['videos__0__not_exhaustive_category_ids'] = None
    assert read_coco_video(tao(tmp_path, **changes))[0].federated is None


def test_every_30th_frame_is_one_a_second(tmp_path):
    first, second = read_coco_video(tao(tmp_path))
    assert first.frame_rate == 1
    assert first.stamps.tolist() == [33_333_333, 1_033_333_333, 2_033_333_333]
    assert second.frame_rate == 30
    for key in ('fps', 'frame_rate'):
        first, _ = read_coco_video(tao(tmp_path, **{f'videos__0__{key}': 60}))
        assert first.frame_rate == 2
        assert first.stamps[2] == 1_016_666_667


def test_alternative_names_of_coco_are_read(tmp_path):
    changes = {'tracks': None}
    for i in range(4):
        changes |= {f'images__{i}__frame_id': 5 - i, f'images__{i}__frame_index': None}
    for i in range(3):
        changes |= {f'annotations__{i}__instance_id': 6 + i, f'annotations__{i}__track_id': None}
    changes |= {'images__1__width': None, 'images__1__height': None}
    first, _ = read_coco_video(tao(tmp_path, **changes))
    assert first.image_size == (48, 64)
    assert [t.ids.tolist() for t in first.truth] == [[], [7], [6, 8]]
    assert first.frame_rate == 30


def test_a_crowd_is_a_region(tmp_path):
    changes = {'annotations__0__iscrowd': 1, 'annotations__0__track_id': None}
    first, _ = read_coco_video(tao(tmp_path, **changes))
    assert first.truth[2].ids.tolist() == [101]
    assert first.truth[2].regions.tolist() == [[10, 5, 18, 9.5]]
    assert first.truth[0].regions.shape == (0, 4)


def test_images_come_in_order_and_a_missing_one_is_named(tmp_path):
    folder = tmp_path / 'frames'
    folder.mkdir()
    for identity, level in ((10, 50), (11, 100), (12, 150)):
        Image.new('RGB', (64, 48), (level, 0, 0)).save(folder / f'{identity}.png')
    path = tao(tmp_path)
    first, second = read_coco_video(path, folder)
    assert [image[0, 0, 0] for image in first.images()] == [50, 100, 150]
    assert [image[0, 0, 0] for image in first.select([0, 2]).images()] == [50, 150]
    with pytest.raises(FormatError, match=r'frames/20\.png: not a readable image'):
        next(second.images())
    keys = {s.image_key for s in (first, second, read_coco_video(path)[0])}
    assert len(keys) == 3
    assert first.image_key == read_coco_video(path, folder)[0].image_key
    Image.new('RGB', (60, 48)).save(folder / '10.png')
    with pytest.raises(FormatError, match=r'10\.png: its size is 60 x 48; expected 64 x 48'):
        next(first.images())


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'images': None}, 'it has no images'),
        ({'images': 5}, 'images is not a list of objects'),
        ({'tracks': [5]}, 'tracks is not a list of objects'),
        ({'videos__1__id': 4}, 'video 4: the id occurs twice'),
        ({'videos__1__id': None}, 'video at position 1 .* has no id'),
        ({'videos__1__id': [1]}, r'video \[1\]: id is neither'),
        ({'videos__0__fps': 0}, 'video 4: fps is 0; expected a number from 0.001'),
        ({'videos__0__fps': 'fast'}, "video 4: fps is 'fast'"),
        ({'videos__0__neg_category_ids': ['a']}, 'video 4: neg_category_ids is not a list'),
        (
            {'images__3': TAO['images'][0] | {'id': 5, 'frame_index': 2}},
            'video 2: it has no image',
        ),
        ({'images__0__video_id': 5}, 'image 12: video_id is 5, but there is no such video'),
        ({'images__0__file_name': None}, 'image 12: it has no file_name'),
        ({'images__0__frame_index': None}, 'image 12: it has no frame_index or frame_id'),
        ({'images__0__frame_index': -1}, 'image 12: frame_index is -1'),
        ({'images__0__frame_index': 2.5}, r'image 12: frame_index is 2\.5'),
        ({'images__2__frame_index': 1}, 'image 11: image 10 of video 4 already has frame_index 1'),
        ({'images__0__width': 63}, 'image 12: its size is 63 x 48, and that of image 10 64 x 48'),
        ({'images__0__width': 0}, 'image 12: width is 0'),
        ({'images__3__width': None}, 'image 20: it has no width'),
        ({'categories__1__name': None}, 'category 3: it has no name'),
        ({'categories__1__id': 'a'}, "category 'a': id is not a whole number"),
        ({'categories__0__merged': [{}]}, 'category 9: merged: it has no id'),
        ({'categories__0__merged': [8]}, 'category 9: merged is not a list of objects'),
        ({'annotations__2__image_id': 13}, 'annotation 3: image_id is 13, .* no such image'),
        ({'annotations__2__image_id': [1]}, r'annotation 3: image_id is \[1\]'),
        (
            {'annotations__2__category_id': 5},
            'annotation 3: category_id is 5, .* no such category',
        ),
        ({'annotations__2__category_id': None}, 'annotation 3: it has no category_id'),
        ({'annotations__2__track_id': None}, 'annotation 3: it has no track_id or instance_id'),
        ({'annotations__2__track_id': 'x'}, "annotation 3: track_id is 'x'"),
        ({'annotations__2__track_id': 102}, 'annotation 3: track_id is 102, .* no such track'),
        ({'annotations__2__track_id': [1]}, r'annotation 3: track_id is \[1\]; expected a number'),
        (
            {'annotations__0__video_id': 2},
            'annotation 1: video_id is 2, but that of its image is 4',
        ),
        ({'annotations__2__bbox': None}, 'annotation 3: it has no bbox'),
        ({'annotations__2__bbox': [1, 2, 3]}, r'annotation 3: bbox is \[1, 2, 3\]'),
        ({'annotations__2__bbox': [1, 2, 3, 'a']}, 'annotation 3: bbox is'),
        ({'annotations__2__bbox': [1, 2, 3, float('nan')]}, 'annotation 3: bbox is .*nan'),
        ({'annotations__2__bbox': [1, 2, 0, 5]}, 'annotation 3: bbox is 0 x 5 pixels'),
        ({'annotations__2__bbox': [1, 2, 5, -1]}, 'annotation 3: bbox is 5 x -1 pixels'),
        (
            {'annotations__2__id': None, 'annotations__2__bbox': []},
            r'annotation at position 2 \(from 0\): bbox',
        ),
        (
            {'annotations__2__track_id': 100, 'annotations__2__category_id': 3},
            'annotation 3: track 100 occurs twice in image 12 and category 3',
        ),
    ],
)
def test_broken_rules_are_named(tmp_path, changes, said):
    with pytest.raises(FormatError, match=rf'truth\.json: ({said})'):
        read_coco_video(tao(tmp_path, **changes))


def test_an_id_may_occur_in_two_classes_of_an_image(tmp_path):
    first, _ = read_coco_video(tao(tmp_path, annotations__2__track_id=100))
    assert first.truth[2].ids.tolist() == [100, 100]


def test_invalid_json_is_refused_with_its_position(tmp_path):
    path = tmp_path / 'truth.json'
    with pytest.raises(FormatError, match='cannot be read'):
        read_coco_video(path)
    path.write_text('{"videos": [],\n "images": [}')
    with pytest.raises(FormatError, match=r'truth\.json:2: not JSON: .*\(column 13\)'):
        read_coco_video(path)
    path.write_bytes(b'\xff\xfe\x00')
    with pytest.raises(FormatError, match='not a text file'):
        read_coco_video(path)
    path.write_text('[]')
    with pytest.raises(FormatError, match='expected an object with videos, images'):
        read_coco_video(path)


def scene(name: str = 'a', frames: int = 4, **changes) -> Sequence:
    boxes = np.array([[1, 2, 11, 22.5], [20, 5, 30, 15]])
    arguments = {
        'name': name,
        'class_names': ('person', 'dog'),
        'image_size': (48, 64),
        'frame_rate': 10.0,
        'truth': tuple(Truth.of([1, 2], boxes + t, [0, 1]) for t in range(frames)),
        'stamps': regular_stamps(frames, 10),
    }
    return Sequence(**(arguments | changes))


def same(a: Sequence, b: Sequence) -> None:
    assert (a.name, a.class_names, a.image_size) == (b.name, b.class_names, b.image_size)
    assert (a.frame_rate, a.federated) == (b.frame_rate, b.federated)
    assert a.stamps.tolist() == b.stamps.tolist()
    for here, there in zip(a.truth, b.truth, strict=True):
        for field in ('ids', 'boxes', 'labels', 'roles', 'regions'):
            np.testing.assert_array_equal(getattr(here, field), getattr(there, field))


def test_sequences_survive_a_round_trip(tmp_path):
    federated = Federated(negative=frozenset([1]), not_exhaustive=frozenset([0]))
    # One frame is missing before the last.
    stamps = np.array([0, 100, 200, 400]) * 1_000_000
    region = Truth.of([1], [[1, 2, 3, 4]], [0], regions=[[5, 6, 7, 8]])
    sequences = [
        scene('a', federated=federated, stamps=stamps),
        scene('val/b', truth=(region,), stamps=stamps[:1], federated=Federated()),
        scene('c'),
    ]
    path = tmp_path / 'new' / 'truth.json'
    write_coco_video(path, sequences)
    read = read_coco_video(path)
    first = sequences[0]
    same(first, read[0])
    for written, back, ids in zip(sequences[1:], read[1:], ([3], [4, 5])):
        # Tracks are numbered through all videos.
        truth = tuple(replace(t, ids=np.array(ids)) for t in written.truth)
        same(replace(written, truth=truth), back)
    write_coco_video(path, read)
    for a, b in zip(read, read_coco_video(path), strict=True):
        same(a, b)


def test_all_ids_are_from_1_and_tracks_have_one_class(tmp_path):
    write_coco_video(tmp_path / 'truth.json', [scene('a'), scene('b', class_names=('dog', 'cat'))])
    data = json.loads((tmp_path / 'truth.json').read_text())
    assert [c['name'] for c in data['categories']] == ['person', 'dog', 'cat']
    for name, count in (
        ('videos', 2),
        ('categories', 3),
        ('images', 8),
        ('tracks', 4),
        ('annotations', 16),
    ):
        assert [entry['id'] for entry in data[name]] == list(range(1, count + 1))
    assert [t['category_id'] for t in data['tracks']] == [1, 2, 2, 3]
    assert [v['neg_category_ids'] for v in data['videos']] == [[1, 2], [2, 3]]
    assert data['annotations'][0]['bbox'] == [1, 2, 10, 20.5]
    assert data['annotations'][0]['area'] == 205


def test_distractors_become_regions_and_void_boxes_are_dropped(tmp_path):
    boxes = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 9, 12, 12]]
    roles = [Role.COUNTED, Role.DISTRACTOR, Role.VOID]
    truth = (Truth.of([1, 2, 3], boxes, roles=roles),)
    sequence = scene(truth=truth, stamps=np.zeros(1, np.int64))
    write_coco_video(tmp_path / 'truth.json', [sequence])
    (read,) = read_coco_video(tmp_path / 'truth.json')
    assert read.truth[0].boxes.tolist() == boxes[:1]
    assert read.truth[0].regions.tolist() == boxes[1:2]


def test_frames_closer_than_their_rate_keep_their_order(tmp_path):
    sequence = scene(stamps=np.array([0, 1, 2, 3]))
    write_coco_video(tmp_path / 'truth.json', [sequence])
    (read,) = read_coco_video(tmp_path / 'truth.json')
    assert read.stamps.tolist() == regular_stamps(4, 10).tolist()


def found(ids, boxes, scores, labels) -> ClassedBoxes:
    return ClassedBoxes(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(labels, np.int64),
        np.array(ids, np.int64),
    )


def test_results_refer_to_the_ids_of_the_ground_truth(tmp_path):
    sequences = [scene('a', 2), scene('b', 1)]
    nothing = found([], [], [], [])
    results = [
        [nothing, found([7, 7], [[1, 2, 4, 6], [5, 6, 7, 8]], [0.5, 0.25], [0, 1])],
        [found([7], [[1, 2, 4, 6]], [1], [1])],
    ]
    write_coco_video(tmp_path / 'truth.json', sequences)
    write_coco_results(tmp_path / 'new' / 'results.json', sequences, results)
    rows = json.loads((tmp_path / 'new' / 'results.json').read_text())
    assert rows[0] == {
        'image_id': 2,
        'video_id': 1,
        'track_id': 1,
        'category_id': 1,
        'bbox': [1, 2, 3, 4],
        'score': 0.5,
    }
    assert [row['track_id'] for row in rows] == [1, 2, 3]
    images = {i['id']: i for i in json.loads((tmp_path / 'truth.json').read_text())['images']}
    assert [images[row['image_id']]['video_id'] for row in rows] == [1, 1, 2]
    assert [images[row['image_id']]['frame_index'] for row in rows] == [1, 1, 0]


@pytest.mark.parametrize(
    ('results', 'said'),
    [
        ([], 'results of 0 sequences; expected 1'),
        ([[]], 'results of 0 frames of a; expected 1'),
        ([[found([1], [[1, 2, 3, 4]], [1], [2])]], 'frame 0 of a has label 2; expected .* 0 to 1'),
        ([[found([1], [[1, 2, 3, np.nan]], [1], [1])]], 'a number is not finite'),
    ],
)
def test_results_that_do_not_match_the_sequences_are_refused(tmp_path, results, said):
    path = tmp_path / 'results.json'
    with pytest.raises(FormatError, match=said):
        write_coco_results(path, [scene(frames=1)], results)
    assert not path.exists()


def test_the_tao_toolkit_reads_written_files(tmp_path):
    """TrackEval finds every object, and counts all other results as false positives."""
    trackeval = pytest.importorskip('trackeval', reason='needs trackeval')
    sequences = [scene('a'), scene('b', federated=Federated(frozenset([1])))]
    truth = tmp_path / 'truth' / 'truth.json'
    write_coco_video(truth, sequences)
    results = []
    for sequence in sequences:
        results.append(
            [
                found([*t.ids, 9], [*t.boxes, [40, 30, 50, 40]], [1, 1, 0.5], [*t.labels, 1])
                for t in sequence.truth
            ]
        )
    write_coco_results(tmp_path / 'trackers' / 'mine' / 'data' / 'r.json', sequences, results)
    data = trackeval.datasets.TAO(
        {
            'GT_FOLDER': str(truth.parent),
            'TRACKERS_FOLDER': str(tmp_path / 'trackers'),
            'PRINT_CONFIG': False,
        }
    )
    assert data.class_list == ['person', 'dog']
    for name in ('a', 'b'):
        raw = data.get_raw_seq_data('mine', name)
        for label, extra in (('person', 0), ('dog', 4)):
            counts = data.get_preprocessed_seq_data(raw, label)
            assert (counts['num_gt_dets'], counts['num_tracker_dets']) == (4, 4 + extra)
