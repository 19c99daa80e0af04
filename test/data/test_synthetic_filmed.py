# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Films follow their parameters, and their ground truth fits the pixels."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from PIL import Image
import pytest

from gtr_ros.boxes import box_iou
from gtr_ros.boxes import match_boxes
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Role
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.data.synthetic.animals import paint_animal
from gtr_ros.data.synthetic.animals import paint_bicycle
from gtr_ros.data.synthetic.animals import paint_coat
from gtr_ros.data.synthetic.animals import paint_rider
from gtr_ros.data.synthetic.chase import simulate_film
from gtr_ros.data.synthetic.drawing import make_looks
from gtr_ros.data.synthetic.filmed import Filmed
from gtr_ros.data.synthetic.filmed import generate_filmed
from gtr_ros.data.synthetic.filmed import GeneratedFilm
from gtr_ros.data.synthetic.scene import Scene
from gtr_ros.evaluation.identities import largest_share
from gtr_ros.stamps import NANOSECONDS

SMALL = Filmed(size=(240, 320))
KINDS = ('run', 'ride', 'turn')


@cache
def made(kind: str) -> GeneratedFilm:
    return generate_filmed(replace(SMALL, kind=kind))


def same_film(a: GeneratedFilm, b: GeneratedFilm) -> bool:
    """Return whether ground truth and detections are the same."""
    return all(
        np.array_equal(x.ids, y.ids) and np.array_equal(x.boxes, y.boxes)
        for x, y in zip(a.sequence.truth, b.sequence.truth, strict=True)
    ) and all(
        np.array_equal(x.boxes, y.boxes) and np.array_equal(x.labels, y.labels)
        for x, y in zip(a.detections, b.detections, strict=True)
    )


def subject_boxes(film: GeneratedFilm, person: int = 1) -> np.ndarray:
    """Return the boxes of an object that is in every frame, (T, 4)."""
    return np.stack([t.boxes[t.ids == person][0] for t in film.sequence.truth])


@pytest.mark.parametrize('kind', KINDS)
def test_the_same_seed_gives_the_same_film(kind):
    again = generate_filmed(replace(SMALL, kind=kind))
    assert same_film(made(kind), again)
    assert np.array_equal(made(kind).camera, again.camera)
    assert made(kind).sequence.image_key == again.sequence.image_key
    images = made(kind).sequence.images
    assert np.array_equal(images.at(150), again.sequence.images.at(150))
    assert np.array_equal(next(images()), images.at(0))
    assert images.at(0).shape == (240, 320, 3)


def test_another_seed_gives_another_film():
    other = generate_filmed(replace(SMALL, seed=1))
    assert not same_film(made('run'), other)
    assert other.sequence.image_key != made('run').sequence.image_key
    assert other.hidings == ()


@pytest.mark.parametrize('kind', KINDS)
def test_the_world_is_the_same_at_three_rates(kind):
    base = replace(SMALL, kind=kind, duration=8, jitter=0)
    slow, usual, fast = (generate_filmed(replace(base, rate=rate)) for rate in (5, 10, 30))
    for step, one in ((2, usual), (6, fast)):
        for a, b in zip(slow.sequence.truth, one.sequence.truth[::step], strict=True):
            assert np.array_equal(a.ids, b.ids)
            assert np.allclose(a.boxes, b.boxes, atol=1e-3)
        for a, b in zip(slow.detections, one.detections[::step], strict=True):
            assert sorted(a.labels) == sorted(b.labels)


def test_noise_of_the_detector_changes_neither_truth_nor_pixels():
    noisy = replace(SMALL, flips=0.7, missed=0.5, jitter=0.2)
    other = generate_filmed(noisy)
    assert noisy.image_key == SMALL.image_key
    for a, b in zip(made('run').sequence.truth, other.sequence.truth, strict=True):
        assert np.array_equal(a.boxes, b.boxes)
    assert replace(SMALL, shake=0).image_key != SMALL.image_key


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('seed', [0, 1, 2])
def test_the_subject_is_inside_the_image_by_half_or_more(kind, seed):
    # The ground truth has objects with at least half of their box in the image.
    one = generate_filmed(Filmed(kind=kind, seed=seed))
    assert len(one.sequence) == 200
    assert all(1 in truth.ids for truth in one.sequence.truth)
    for truth, found in zip(one.sequence.truth, one.detections, strict=True):
        for boxes in (truth.boxes, found.boxes):
            assert (boxes >= 0).all()
            assert (boxes <= [640, 480, 640, 480]).all()
            assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_only_the_subject_and_its_rider_count():
    for kind, count in (('run', 1), ('ride', 2), ('turn', 1)):
        for truth in made(kind).sequence.truth:
            assert truth.ids[truth.counted].tolist() == list(range(1, count + 1))
            assert (truth.roles[truth.ids > count] == Role.DISTRACTOR).all()
        assert max(len(truth) for truth in made(kind).sequence.truth) > count
    names = made('ride').sequence.class_names
    assert [names[k] for k in made('ride').sequence.truth[0].labels[:2]][1] == 'person'


def paces(filmed: Filmed) -> tuple[np.ndarray, np.ndarray]:
    """Return velocities, heights per second, and heights of the subject at 30 frames/s, (S,)."""
    stamps = regular_stamps(round(filmed.duration * 30), 30)
    taken = simulate_film(filmed, stamps)
    full = np.concatenate([taken.view, np.tile([[[0, 0, 1.0]]], (len(stamps), 1, 1))], axis=1)
    box = taken.boxes[:, 0]
    foot = np.stack([(box[:, 0] + box[:, 2]) / 2, box[:, 3], np.ones(len(box))], axis=-1)
    x = (np.linalg.inv(full) @ foot[..., None])[:, 0, 0]
    tall = (box[:, 3] - box[:, 1]) / np.sqrt(np.linalg.det(taken.view[:, :, :2]))
    return np.diff(x) * 30 / tall[1:], tall


def test_a_running_subject_gallops_stops_and_turns_back():
    pace, _ = paces(replace(SMALL, duration=60))
    assert np.abs(pace).max() <= 5.1
    fast = np.abs(pace) > 1.9
    assert 0.5 < fast.mean() < 0.95
    assert (np.abs(pace) < 0.1).mean() > 0.03
    # It turns back within half a second.
    assert ((pace[:-15] > 1.5) & (pace[15:] < -1.5)).any()


@pytest.mark.parametrize('kind', KINDS)
def test_the_subject_doubles_its_size_within_two_seconds(kind):
    _, tall = paces(replace(SMALL, kind=kind))
    assert (tall[60:] / tall[:-60]).max() == pytest.approx(2, rel=0.05)
    assert tall.max() / tall.min() == pytest.approx(2, rel=0.05)


def test_a_turning_subject_is_narrow_from_the_front():
    stamps = regular_stamps(200, 10)
    boxes = simulate_film(replace(SMALL, kind='turn'), stamps).boxes[:, 0]
    aspects = (boxes[:, 2] - boxes[:, 0]) / (boxes[:, 3] - boxes[:, 1])
    assert aspects.max() == pytest.approx(1.5, abs=0.01)
    assert aspects.min() == pytest.approx(0.6, abs=0.05)
    assert (aspects < 1).mean() > 0.1


@pytest.mark.parametrize('kind', KINDS)
def test_camera_motion_maps_the_background_to_the_next_frame(kind):
    """A frame is compared with the next one, warped by the camera's motion."""
    one, images = made(kind), made(kind).sequence.images
    assert np.array_equal(one.camera[0], np.eye(2, 3))
    for t in (1, 40, 77, 120, 199):
        before, after = images.empty(t - 1), images.empty(t)
        width, height = 320, 240
        moved = Image.fromarray(after).transform(
            (width, height),
            Image.Transform.AFFINE,
            one.camera[t].ravel().tolist(),
            Image.Resampling.BILINEAR,
        )
        y, x = np.mgrid[:height, :width] + 0.5
        there = np.stack([x, y, np.ones_like(x)], axis=-1) @ one.camera[t].T
        seen = ((there > 1) & (there < [width - 1, height - 1])).all(axis=-1)
        assert seen.mean() > 0.4
        off = np.abs(np.asarray(moved, float) - before).mean(axis=-1)[seen]
        still = np.abs(after.astype(float) - before).mean(axis=-1)[seen]
        assert off.mean() < 6
        assert off.mean() < 0.6 * still.mean()


def test_the_camera_moves_fast_at_times_and_shakes():
    move = generate_filmed(Filmed(seed=1)).camera @ [320, 240, 1] - [320, 240]
    speed = np.linalg.norm(move, axis=1) * 10
    assert np.median(speed) > 120
    assert speed.max() > 400
    assert np.abs(np.diff(move[:, 1])).mean() > 1
    calm = generate_filmed(Filmed(seed=1, shake=0, whips=0)).camera
    assert np.abs(calm[:, 0, 1]).max() < 1e-12


@pytest.mark.parametrize('kind', KINDS)
def test_objects_are_drawn_inside_their_boxes(kind):
    one, images = made(kind), made(kind).sequence.images
    stamps = one.sequence.stamps
    boxes = simulate_film(replace(SMALL, kind=kind), stamps).boxes
    seen = []
    for t in range(0, 200, 23):
        changed = (images.at(t) != images.empty(t)).any(axis=2)
        inside = np.zeros_like(changed)
        # Also of objects with less than half of their box in the image.
        for x1, y1, x2, y2 in boxes[t].round().astype(int).clip(0):
            inside[max(y1 - 1, 0) : y2 + 1, max(x1 - 1, 0) : x2 + 1] = True
        assert not changed[~inside].any()
        x1, y1, x2, y2 = one.sequence.truth[t].boxes[0].astype(int)
        seen.append(changed[y1:y2, x1:x2].mean())
    assert np.median(seen) > 0.35
    assert max(seen) > 0.4


def test_a_subject_behind_a_tree_is_in_the_truth_but_not_drawn():
    filmed = replace(SMALL, others=0, flips=0, missed=0)
    one = generate_filmed(filmed)
    taken = simulate_film(filmed, one.sequence.stamps)
    trunks = taken.trees[:, 0]
    hidden = 0
    for t, (truth, found) in enumerate(zip(one.sequence.truth, one.detections)):
        middle = np.append((truth.boxes[0, :2] + truth.boxes[0, 2:]) / 2, 1)
        ends = taken.view[t] @ np.stack([trunks, np.full(len(trunks), 190), np.ones(len(trunks))])
        near = np.abs(ends[0] - middle[0]) < 3
        if near.any():
            hidden += 1
            x, y = middle[:2].astype(int)
            same = one.sequence.images.at(t)[y - 2 : y + 3, x - 2 : x + 3]
            assert np.array_equal(same, one.sequence.images.empty(t)[y - 2 : y + 3, x - 2 : x + 3])
            assert not len(found) or found.scores[0] < 0.85
    assert hidden


def label_runs(one: GeneratedFilm) -> list[tuple[bool, int]]:
    """Return runs of wrong or right labels of the subject, with their lengths in frames."""
    runs: list[tuple[bool, int]] = []
    for truth, found in zip(one.sequence.truth, one.detections, strict=True):
        for i, j in zip(*match_boxes(box_iou(truth.boxes, found.boxes.astype(float)))):
            if truth.ids[i] == 1:
                wrong = bool(truth.labels[i] != found.labels[j])
                if runs and runs[-1][0] == wrong:
                    runs[-1] = wrong, runs[-1][1] + 1
                else:
                    runs.append((wrong, 1))
    return runs


@pytest.mark.parametrize('flips', [0.2, 0.5])
def test_labels_are_wrong_in_spells_at_the_given_rate(flips):
    common = {'flips': flips, 'missed': 0, 'jitter': 0.01, 'others': 0, 'duration': 150}
    runs = label_runs(generate_filmed(replace(SMALL, **common)))
    wrong = [length for is_wrong, length in runs if is_wrong]
    assert sum(wrong) / sum(length for _, length in runs) == pytest.approx(flips, abs=0.06)
    assert 3 < np.mean(wrong) < 20
    assert len(wrong) > 20


@pytest.mark.parametrize('flips', [0.0, 1.0])
def test_labels_are_never_or_always_wrong(flips):
    runs = label_runs(generate_filmed(replace(SMALL, flips=flips)))
    assert [is_wrong for is_wrong, _ in runs] == [flips == 1]


def test_detections_are_missed_in_spells_at_the_given_rate():
    common = {'kind': 'turn', 'others': 0, 'duration': 150}
    all_, some = (
        np.array([len(d) for d in generate_filmed(replace(SMALL, **common, missed=m)).detections])
        for m in (0, 0.25)
    )
    assert some.sum() / all_.sum() == pytest.approx(0.75, abs=0.06)
    ends = np.diff(some[all_ == 1]) == 1
    assert 3 < (some[all_ == 1] == 0).sum() / ends.sum() < 9


@pytest.mark.parametrize('phase', [0, 0.125, 0.5, 0.75])
def test_drawings_fill_their_boxes(phase):
    coat, look = paint_coat(np.random.default_rng(3)), make_looks(Scene(objects=1))[0]
    drawings = [paint_animal(kind, coat, phase) for kind in ('cow', 'horse', 'dog')]
    drawings += [paint_bicycle(look, phase), paint_rider(look, phase, pedals=True)]
    for drawing in drawings:
        left, top, right, bottom = drawing.getchannel('A').getbbox()
        assert left <= 0.03 * drawing.width
        assert top <= 0.03 * drawing.height
        assert right >= 0.96 * drawing.width
        assert bottom >= 0.97 * drawing.height


def test_a_coat_is_the_same_in_every_phase():
    first, other = (paint_coat(np.random.default_rng(seed)) for seed in (0, 1))
    a, b = (np.asarray(paint_animal('cow', first, phase), int) for phase in (0, 0.4))
    c = np.asarray(paint_animal('cow', other, 0), int)
    body = (slice(90, 200), slice(80, 330))
    assert np.array_equal(a[body], b[body])
    assert np.abs(a[body] - c[body]).mean() > 10


def two_objects(*given: tuple[list[int], list[int]]) -> tuple[float, float]:
    """Return the largest share of two objects with these ids; 0: no result."""
    boxes = np.array([[10, 10, 40, 30], [50, 10, 80, 30], [10, 60, 40, 90.0]])
    roles = [Role.COUNTED, Role.COUNTED, Role.DISTRACTOR]
    frames = len(given[0])
    truth = (Truth.of([1, 2, 3], boxes, roles=roles),) * frames
    sequence = Sequence('two', ('dog',), (100, 100), 10, truth, regular_stamps(frames, 10))
    results = []
    for t, ids in enumerate(zip(*given)):
        there = np.array(ids) > 0
        # The distractor gets a new id in every frame, which does not count.
        results.append((np.append(np.array(ids)[there], 100 + t), boxes[[*there, True]]))
    return largest_share(sequence, results)


def test_the_largest_share_is_that_of_the_most_frequent_identity():
    assert two_objects([1, 1, 1, 1], [2, 2, 2, 2]) == (1, 1)
    assert two_objects([1, 1, 1, 3], [2, 5, 2, 6]) == pytest.approx((0.625, 2.5))
    assert two_objects([1, 2, 3, 4], [5, 6, 7, 8]) == (0.25, 4)


def test_frames_without_a_match_do_not_count():
    assert two_objects([1, 0, 0, 2], [0, 0, 0, 0]) == (0.5, 2)
    assert two_objects([0, 0], [0, 0]) == (0, 0)


def test_ground_truth_ids_have_a_share_of_one():
    for kind in KINDS:
        sequence = made(kind).sequence
        assert largest_share(sequence, [(t.ids, t.boxes) for t in sequence.truth]) == (1, 1)


def test_stamps_follow_the_frame_rate():
    one = generate_filmed(replace(SMALL, rate=30, duration=2))
    assert len(one.sequence) == len(one.detections) == len(one.camera) == 60
    assert one.sequence.stamps[30] == NANOSECONDS
    assert [d.stamp for d in one.detections] == one.sequence.stamps.tolist()


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'kind': 'swim'}, "kind is 'swim'; expected one of run, ride, turn"),
        ({'flips': 1.5}, r'flips is 1\.5; expected 0 to 1'),
        ({'size': (10, 10)}, 'size is .*96 to 8192'),
        ({'seed': -1}, 'seed is -1; expected 0 or more'),
    ],
)
def test_invalid_parameters_of_a_film_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        Filmed(**values)
