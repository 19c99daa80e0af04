# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelled images of each format are read; broken files are reported."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image
import pytest
from training_data import write_coco

from gtr_ros.data.coco.lvis import read_lvis
from gtr_ros.data.coco.stills import read_coco
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.stills.crowdhuman import read_crowdhuman
from gtr_ros.model import lvis
from gtr_ros.model.coco import CLASS_NAMES


def test_coco_is_read(tmp_path):
    file = write_coco(tmp_path)
    found = read_coco(file)
    assert found.class_names == ('person', 'crate')
    assert len(found.stills) == 4
    first = json.loads(file.read_text())['annotations'][0]
    x, y, w, h = first['bbox']
    still = found.stills[0]
    assert still.boxes[0].tolist() == [x, y, x + w, y + h]
    assert still.labels.tolist() == [0, 1]
    assert still.image().shape == (96, 96, 3)


def test_classes_are_matched_by_name_and_others_left_out(tmp_path):
    found = read_coco(write_coco(tmp_path), class_names=('bird', 'crate'))
    assert [still.labels.tolist() for still in found.stills] == [[1]] * 4


def test_the_labelled_coco_images_are_read(coco_mini):
    found = read_coco(coco_mini / 'train.json', class_names=CLASS_NAMES)
    truth = json.loads((coco_mini / 'train.json').read_text())
    crowds = sum(a['iscrowd'] for a in truth['annotations'])
    boxes = sum(len(still.boxes) for still in found.stills)
    assert len(found.stills) == len(truth['images'])
    assert boxes + crowds + found.dropped == len(truth['annotations'])
    assert sum(len(still.crowds) for still in found.stills) == crowds
    assert found.stills[0].image().shape[:2] == found.stills[0].size


BREAKS = {
    'images: no list': lambda d: d.update(images=3),
    'it has no annotations': lambda d: d.pop('annotations'),
    'annotation 1: image_id is 99': lambda d: d['annotations'][0].update(image_id=99),
    'annotation 1: category_id is 7': lambda d: d['annotations'][0].update(category_id=7),
    'annotation 2: the id occurs twice': lambda d: d['annotations'][0].update(id=2),
    'image 1: the id occurs twice': lambda d: d['images'][0].update(id=1),
    'annotation 1: bbox is': lambda d: d['annotations'][0].update(bbox=[1, 2, 3]),
    'annotation 1: it has no bbox': lambda d: d['annotations'][0].pop('bbox'),
    'outside its image': lambda d: d['annotations'][0].update(bbox=[500, 2, 9, 9]),
    'image 0: height and width': lambda d: d['images'][0].update(height=-5),
    'image 0: it has no file_name': lambda d: d['images'][0].pop('file_name'),
    '1 of its 4 images are missing': lambda d: d['images'][0].update(file_name='gone.png'),
    'its categories are bird, frog': lambda d: [
        c.update(name=n) for c, n in zip(d['categories'], ('bird', 'frog'))
    ],
}


@pytest.mark.parametrize('said', BREAKS)
def test_broken_entries_are_named_with_the_file(tmp_path, said):
    file = write_coco(tmp_path)
    data = json.loads(file.read_text())
    BREAKS[said](data)
    file.write_text(json.dumps(data))
    with pytest.raises(FormatError) as error:
        read_coco(file, class_names=('person', 'crate'))
    assert str(file) in str(error.value)
    assert said.replace('images: no list', 'images is not a list') in str(error.value)


def test_invalid_json_is_named_with_the_line(tmp_path):
    file = tmp_path / 'train.json'
    file.write_text('{"images": [],\n "annotations": [')
    with pytest.raises(FormatError, match=r'train\.json:2: not JSON'):
        read_coco(file)


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    file = write_coco(tmp_path)
    text = file.read_text()
    first = json.loads(text)['annotations'][0]['bbox']
    file.write_text(text.replace(json.dumps(first), '[NaN, 1, 2, 3]', 1))
    with pytest.raises(FormatError, match='annotation 1: bbox is'):
        read_coco(file)


@pytest.mark.parametrize('side', [0, 0.5, -4])
@pytest.mark.parametrize('index', [2, 3], ids=['width', 'height'])
def test_boxes_with_a_side_below_a_pixel_are_dropped_and_counted_alike(tmp_path, side, index):
    file = write_coco(tmp_path)
    data = json.loads(file.read_text())
    data['annotations'][0]['bbox'][index] = side
    file.write_text(json.dumps(data))
    found = read_coco(file)
    assert found.dropped == 1
    assert [still.dropped for still in found.stills] == [1, 0, 0, 0]
    assert found.stills[0].labels.tolist() == [1]


def test_a_file_with_more_such_boxes_than_others_is_refused(tmp_path):
    file = write_coco(tmp_path)
    data = json.loads(file.read_text())
    for count in (5, 8):
        for annotation in data['annotations'][:count]:
            annotation['bbox'] = [40, 40, -20, 5]  # two corners, instead of a corner and a size
        file.write_text(json.dumps(data))
        with pytest.raises(FormatError, match=f'{count} of its 8 boxes have a side below one'):
            read_coco(file)


def test_an_image_of_another_size_than_its_annotations_say_is_named(tmp_path):
    found = read_coco(write_coco(tmp_path))
    Image.new('RGB', (50, 40)).save(tmp_path / 'train' / '0.png')
    with pytest.raises(FormatError, match=r'0\.png: its size is 50 x 40; .* 96 x 96'):
        found.stills[0].image()
    (tmp_path / 'train' / '1.png').write_bytes(b'no image')
    with pytest.raises(FormatError, match=r'1\.png: not a readable image'):
        found.stills[1].image()


def crowdhuman(folder, *people) -> None:
    Image.new('RGB', (60, 40)).save(folder / 'a,1.jpg')
    line = json.dumps({'ID': 'a,1', 'gtboxes': list(people)})
    (folder / 'train.odgt').write_text(line + '\n')


def test_crowdhumans_full_bodies_reach_beyond_the_image_and_ignored_ones_are_crowds(tmp_path):
    crowdhuman(
        tmp_path,
        {'tag': 'person', 'fbox': [-10, 5, 30, 60], 'extra': {'box_id': 0}},
        {'tag': 'person', 'fbox': [20, 5, 10, 20], 'extra': {'ignore': 1}},
        {'tag': 'mask', 'fbox': [30, 5, 10, 20], 'extra': {'ignore': 1}},
    )
    found = read_crowdhuman(tmp_path / 'train.odgt', tmp_path)
    assert found.class_names == ('person',)
    assert found.stills[0].boxes.tolist() == [[-10, 5, 20, 65]]
    assert len(found.stills[0].crowds) == 2
    assert found.stills[0].image().shape == (40, 60, 3)


@pytest.mark.parametrize(
    ('line', 'said'),
    [
        ('{"ID": "c"}', 'line 2: it has no gtboxes'),
        ('{', ':2: not JSON'),
        ('{"ID": "c", "gtboxes": [{"tag": "person"}]}', 'line 2, box 0 .*it has no fbox'),
        ('{"ID": "c", "gtboxes": [7]}', ':2: gtboxes is not a list of objects'),
        ('{"ID": "a,1", "gtboxes": []}', ":2: line 1 already has ID 'a,1'"),
        ('{"ID": "b", "gtboxes": []}', '1 of its 2 images are missing'),
    ],
)
def test_a_broken_line_of_crowdhuman_is_named(tmp_path, line, said):
    crowdhuman(tmp_path, {'tag': 'person', 'fbox': [1, 5, 30, 30], 'extra': {}})
    with (tmp_path / 'train.odgt').open('a') as file:
        file.write(line + '\n')
    with pytest.raises(FormatError, match=said):
        read_crowdhuman(tmp_path / 'train.odgt', tmp_path)


def test_lvis_gets_coco_boxes_except_for_duplicates_and_absent_classes(tmp_path):
    (tmp_path / 'train2017').mkdir()
    for number in (9, 25):
        Image.new('RGB', (100, 80)).save(tmp_path / 'train2017' / f'{number}.jpg')
    names = lvis.class_names()
    tv, person, dog = (names.index(n) for n in ('television_set', 'person', 'dog'))
    images = [
        {'id': 9, 'height': 80, 'width': 100, 'coco_url': 'http://x/train2017/9.jpg'},
        {'id': 25, 'height': 80, 'width': 100, 'coco_url': 'http://x/train2017/25.jpg'},
    ]
    images[0]['neg_category_ids'] = [dog + 1]
    images[1]['neg_category_ids'] = []
    own = {'id': 1, 'image_id': 9, 'category_id': tv + 1, 'bbox': [10, 10, 40, 40]}
    categories = [{'id': i + 1, 'name': names[i]} for i in (tv, person, dog)]
    (tmp_path / 'lvis.json').write_text(
        json.dumps({'images': images, 'annotations': [own], 'categories': categories})
    )
    photos = [
        {'id': i, 'height': 80, 'width': 100, 'file_name': f'{i:d}.jpg'} for i in (9, 25, 77)
    ]
    kinds = [{'id': i, 'name': n} for i, n in ((1, 'person'), (2, 'tv'), (3, 'dog'))]
    rows = [
        (9, 2, [11, 11, 40, 40]),  # LVIS has the same box
        (9, 2, [60, 10, 30, 30]),  # LVIS has no such box
        (9, 3, [10, 10, 20, 20]),  # LVIS says that there is no dog
        (9, 1, [10, 10, 40, 40]),  # another class at the same position
        (25, 3, [5, 5, 20, 20]),
        (77, 3, [5, 5, 20, 20]),  # an image that is not in LVIS
    ]
    annotations = [
        {'id': k + 1, 'image_id': i, 'category_id': c, 'bbox': b, 'iscrowd': 0}
        for k, (i, c, b) in enumerate(rows)
    ]
    (tmp_path / 'coco.json').write_text(
        json.dumps({'images': photos, 'annotations': annotations, 'categories': kinds})
    )
    found = read_lvis(tmp_path / 'lvis.json', tmp_path, tmp_path / 'coco.json')
    first, second = found.stills
    assert first.labels.tolist() == [tv, tv, person]
    np.testing.assert_array_equal(first.boxes[1], [60, 10, 90, 40])
    assert second.labels.tolist() == [dog]
    assert first.file == tmp_path / 'train2017' / '9.jpg'
