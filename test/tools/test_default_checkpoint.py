# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tool that trains the default checkpoint: its configurations, backgrounds and blending."""

from __future__ import annotations

import json
import sys

from paths import REPOSITORY
import pytest
import torch
from training_data import write_coco

from gtr_ros.training.config import People
from gtr_ros.training.config import read_config


@pytest.fixture(scope='module')
def tool():
    sys.path.insert(0, str(REPOSITORY / 'tools'))
    try:
        import default_checkpoint
    finally:
        sys.path.pop(0)
    return default_checkpoint


def test_backgrounds_are_the_images_without_a_person(tool, tmp_path):
    annotations = write_coco(tmp_path, count=4)
    content = json.loads(annotations.read_text())
    kinds = {category['id']: category['name'] for category in content['categories']}
    # `write_coco` puts a person into every image: two of them keep only the other object.
    content['annotations'] = [
        each
        for each in content['annotations']
        if each['image_id'] in (0, 2) or kinds[each['category_id']] != 'person'
    ]
    annotations.write_text(json.dumps(content))
    folder = tool.link_backgrounds(annotations, tmp_path / 'backgrounds')
    assert sorted(file.name for file in folder.iterdir()) == ['1.png', '3.png']
    assert (folder / '1.png').read_bytes() == (tmp_path / 'train' / '1.png').read_bytes()
    assert tool.link_backgrounds(annotations, folder) == folder  # again, after an interruption


def test_the_last_stage_trains_on_people_with_a_frozen_detector(tool, tmp_path):
    write_coco(tmp_path / 'coco_mini')
    change = tool.with_backgrounds(tmp_path / 'runs', tmp_path)
    config = read_config(tool.CONFIGS / 'mobile_people.yaml', (change,))
    people = [clips for clips in config.clips if isinstance(clips, People)]
    assert [str(each.people.backgrounds) for each in people] == [
        str(tmp_path / 'runs' / 'backgrounds')
    ]
    assert people[0].people.split == 'train'
    assert config.stored is not None and config.schedule.rates['detector'] == 0


def test_only_the_detector_is_blended(tool):
    first = {'detector.w': torch.zeros(2), 'head.w': torch.zeros(2)}
    second = {'detector.w': torch.ones(2), 'head.w': torch.ones(2)}
    blended = tool.blend(first, second)
    assert blended['detector.w'].tolist() == [tool.KEPT] * 2
    assert blended['head.w'].tolist() == [1, 1]


def test_weights_that_do_not_fit_float16_are_refused(tool):
    with pytest.raises(ValueError, match='float16'):
        tool.halve({'w': torch.tensor([1e6])})
