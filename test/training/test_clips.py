# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation and sources of clips: pasted objects, deformation, lost frames, correct boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image
import pytest
from training_data import rectangles
from training_data import write_coco

from gtr_ros.data.coco.stills import read_coco
from gtr_ros.training.augmentation import add_look_alikes
from gtr_ros.training.augmentation import add_occluders
from gtr_ros.training.augmentation import Augmentation
from gtr_ros.training.augmentation import bend_objects
from gtr_ros.training.augmentation import blur_motion
from gtr_ros.training.augmentation import drop_frames
from gtr_ros.training.clip import Clip
from gtr_ros.training.crops import MovingCrop
from gtr_ros.training.pasting import Deformation
from gtr_ros.training.pasting import draw_path
from gtr_ros.training.pasting import paste
from gtr_ros.training.pasting import PastedObject
from gtr_ros.training.sources import Mixture
from gtr_ros.training.sources import StillClips

EVERYTHING = Augmentation(
    dropped=0.2,
    bend=0.1,
    mirror=0.5,
    look_alikes=1,
    occluders=1,
    light=0.2,
    colour=0.1,
    blur=0.5,
    noise=5,
)


def check(clip: Clip) -> None:
    """Assert the invariants of a clip."""
    assert len(clip.images) == len(clip.boxes) == len(clip.labels) == len(clip.ids)
    for image, boxes, labels, ids in zip(clip.images, clip.boxes, clip.labels, clip.ids):
        assert image.dtype == np.uint8
        assert image.shape[2] == 3
        assert boxes.shape == (len(ids), 4)
        assert boxes.dtype == np.float32
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert len(set(ids.tolist())) == len(ids)
        assert (labels >= 0).all()


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize('seed', range(8))
def test_an_augmented_clip_is_valid_and_reproducible(seed):
    clip = rectangles(seed, frames=6, size=96, objects=3)
    one, two = (EVERYTHING(clip, generator(seed)) for _ in range(2))
    check(one)
    assert all(np.array_equal(a, b) for a, b in zip(one.images, two.images, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(one.boxes, two.boxes, strict=True))


def test_no_augmentation_changes_nothing():
    clip = rectangles(1)
    assert Augmentation()(clip, generator()) is clip


def test_lost_frames_leave_at_least_two():
    clip = rectangles(1, frames=6)
    lengths = {len(drop_frames(clip, 0.9, generator(s))) for s in range(30)}
    assert min(lengths) == 2
    assert max(lengths) < 6


def red_object(boxes, label: int = 7) -> PastedObject:
    picture = Image.new('RGB', (10, 20), 'red')
    undeformed = Deformation.draw(generator(), 0.0)
    return PastedObject(picture, label, np.array(boxes, float), undeformed)


def test_a_pasted_object_has_its_own_id_and_occludes_what_is_behind():
    clip = rectangles(1, frames=2, objects=1)
    box = clip.boxes[0][0].tolist()
    pasted = paste(clip, [red_object([box, [0, 0, 6, 8]])])
    check(pasted)
    assert not pasted.complete
    assert [ids.tolist() for ids in pasted.ids] == [[2], [1, 2]]
    assert [labels.tolist() for labels in pasted.labels] == [[7], [0, 7]]
    x, y = (int(box[0] + box[2]) // 2, int(box[1] + box[3]) // 2)
    assert pasted.images[0][y, x].tolist() == [255, 0, 0]
    assert pasted.images[1][y, x].tolist() == clip.images[1][y, x].tolist()


def test_of_two_pasted_objects_the_one_with_the_lower_edge_is_in_front():
    clip = replace(rectangles(1, objects=0), ids=(np.zeros(0, np.int64),) * 2)
    high, low = [10, 10, 30, 40], [10, 14, 30, 44]
    pasted = paste(clip, [red_object([low] * 2, 1), red_object([high] * 2, 2)])
    assert [labels.tolist() for labels in pasted.labels] == [[1], [1]]


def test_an_object_outside_the_frame_has_no_box():
    clip = rectangles(1, frames=2, objects=0)
    pasted = paste(clip, [red_object([[10, 10, 30, 40], [60, 10, 80, 40]])])
    assert [len(boxes) for boxes in pasted.boxes] == [1, 0]


def test_occluders_hide_objects_and_have_no_boxes():
    clip = rectangles(3, frames=6, size=96, objects=3)
    hidden = 0
    for seed in range(10):
        changed = add_occluders(clip, 4, generator(seed))
        check(changed)
        assert {i for ids in changed.ids for i in ids.tolist()} <= {1, 2, 3}
        hidden += sum(3 - len(ids) for ids in changed.ids)
    assert hidden > 0


def test_a_look_alike_has_the_class_of_the_original_and_its_own_id():
    clip = rectangles(3, frames=3, size=96, objects=2)
    found = [add_look_alikes(clip, 1, generator(seed)) for seed in range(10)]
    assert any(3 in ids for c in found for ids in c.ids)
    for changed in found:
        check(changed)
        assert {label for labels in changed.labels for label in labels.tolist()} <= {0, 1}


def test_bending_stays_inside_the_boxes():
    clip = rectangles(5, frames=3, size=96, objects=1)
    x1, y1, x2, y2 = clip.boxes[0][0].astype(int).tolist()
    noisy = clip.images[0].copy()
    noisy[y1:y2, x1:x2] = generator().integers(0, 255, (y2 - y1, x2 - x1, 3))
    clip = replace(clip, images=(noisy,) * 3)
    bent = bend_objects(clip, 0.2, 1.0, generator(2))
    changed = (bent.images[2] != noisy).any(axis=2)
    assert changed[y1:y2, x1:x2].mean() > 0.3
    changed[y1:y2, x1:x2] = False
    assert not changed.any()


def test_motion_blur_smears_along_its_line():
    image = np.zeros((21, 21, 3), np.uint8)
    image[10, 10] = 255
    across = blur_motion(image, 8, 0.0)
    rows, columns = np.nonzero(across[..., 0])
    assert set(rows.tolist()) == {10}
    assert len(set(columns.tolist())) >= 7


def test_a_path_has_the_clips_length_and_the_objects_aspect():
    boxes = draw_path(9, (200, 300), 0.4, generator(1))
    assert boxes.shape == (9, 4)
    sides = boxes[:, 2:] - boxes[:, :2]
    np.testing.assert_allclose(sides[:, 0] / sides[:, 1], 0.4)


def test_clips_of_stills_have_pasted_objects_of_the_given_class(tmp_path):
    stills = read_coco(write_coco(tmp_path, size=160)).stills
    source = StillClips(stills, MovingCrop(3, 96), pasted_objects=6, pasted_labels=[1])
    seen = set()
    for seed in range(6):
        clip = source(generator(seed))
        check(clip)
        for labels, ids in zip(clip.labels, clip.ids):
            seen |= set(labels[ids > 2].tolist())
    assert seen == {1}


def test_a_mixture_draws_by_weight():
    clips = [rectangles(1), rectangles(2)]
    mixture = Mixture([lambda rng: clips[0], lambda rng: clips[1]], [3, 1])
    drawn = [mixture(generator(n)) is clips[0] for n in range(400)]
    assert 0.68 < np.mean(drawn) < 0.82
