# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Synthetic scenes follow their parameters, and differ in nothing else."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.data.synthetic import generate
from gtr_ros.data.synthetic import Hiding
from gtr_ros.data.synthetic import Scene
from gtr_ros.data.synthetic.drawing import make_looks
from gtr_ros.data.synthetic.drawing import paint_person
from gtr_ros.data.synthetic.world import visibility
from gtr_ros.evaluation.identities import identities_kept
from gtr_ros.stamps import NANOSECONDS

SMALL = (120, 160)


def same_truth(a, b) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(x.ids, y.ids) and np.array_equal(x.boxes, y.boxes) for x, y in zip(a, b)
    )


def same_detections(a, b) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(x.boxes, y.boxes)
        and np.array_equal(x.scores, y.scores)
        and x.stamp == y.stamp
        for x, y in zip(a, b)
    )


def true_results(sequence: Sequence) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(truth.ids, truth.boxes) for truth in sequence.truth]


def test_a_scene_is_reproducible():
    a, b = (generate(Scene(size=SMALL, camera=20, duration=4, seed=7)) for _ in range(2))
    assert same_truth(a.sequence.truth, b.sequence.truth)
    assert same_detections(a.detections, b.detections)
    assert a.hidings == b.hidings
    assert a.sequence.image_key == b.sequence.image_key
    again = list(a.sequence.images())
    assert len(again) == len(a.sequence) == 40
    for x, y, z in zip(a.sequence.images(), b.sequence.images(), again, strict=True):
        assert x.shape == (*SMALL, 3)
        assert x.dtype == np.uint8
        assert np.array_equal(x, y)
        assert np.array_equal(x, z)


def test_another_seed_is_another_scene():
    a, b = (generate(Scene(size=SMALL, duration=2, seed=seed)).sequence for seed in (0, 1))
    assert not same_truth(a.truth, b.truth)
    assert a.image_key != b.image_key
    assert (next(a.images()) != next(b.images())).any(axis=2).mean() > 0.5


def test_the_world_is_the_same_at_two_rates():
    fast, slow = (generate(Scene(rate=rate, camera=40, seed=3)) for rate in (10, 5))
    assert np.array_equal(fast.sequence.stamps[::2], slow.sequence.stamps)
    assert same_truth(fast.sequence.truth[::2], slow.sequence.truth)
    assert same_detections(fast.detections[::2], slow.detections)
    assert fast.hidings == slow.hidings
    images = islice(fast.sequence.images(), 0, 10, 2)
    assert all(np.array_equal(a, b) for a, b in zip(images, slow.sequence.images()))


def test_similarity_changes_looks_and_nothing_else():
    a, b = (generate(Scene(similarity=similarity)) for similarity in (0, 1))
    assert same_truth(a.sequence.truth, b.sequence.truth)
    assert same_detections(a.detections, b.detections)
    first = [next(x.sequence.images()) for x in (a, b)]
    changed = (first[0] != first[1]).any(axis=2)
    assert 0.01 < changed.mean() < 0.3
    inside = np.zeros_like(changed)
    for x1, y1, x2, y2 in a.sequence.truth[0].boxes:
        inside[int(y1) - 1 : int(y2) + 2, int(x1) - 1 : int(x2) + 2] = True
    assert not changed[~inside].any()


def test_occlusion_changes_no_walk():
    seen = [generate(Scene(occlusion=length)).sequence.truth for length in (0, 2)]
    for every, some in zip(*seen, strict=True):
        rows = np.searchsorted(every.ids, some.ids)
        assert np.array_equal(every.ids[rows], some.ids)
        assert np.array_equal(every.boxes[rows], some.boxes)


def test_more_people_leave_the_others_as_they_are():
    few, many = (generate(Scene(objects=count, false=0)) for count in (3, 8))
    for a, b in zip(few.sequence.truth, many.sequence.truth):
        assert np.array_equal(a.boxes, b.boxes[b.ids <= 3])


@pytest.mark.parametrize('occlusion', [0.25, 1.0, 3.7])
def test_hidings_have_the_exact_duration(occlusion):
    made = generate(Scene(occlusion=occlusion, rate=20, seed=2))
    stamps = made.sequence.stamps
    hidden = {i: np.zeros(len(stamps), bool) for i in range(1, 11)}
    for hiding in made.hidings:
        assert hiding.end - hiding.begin == round(occlusion * NANOSECONDS)
        hidden[hiding.id] |= (hiding.begin <= stamps) & (stamps < hiding.end)
    for i, gone in hidden.items():
        assert [i in truth.ids for truth in made.sequence.truth] == (~gone).tolist()
        times = sorted(x for h in made.hidings if h.id == i for x in (h.begin, h.end))
        assert len(times) in (2, 4)
        seen = np.diff([0, *times, 12 * NANOSECONDS])[::2]
        assert (seen >= 2 * NANOSECONDS - 2).all()


def test_a_short_scene_has_short_times_around_its_hidings():
    made = generate(Scene(duration=3, occlusion=2, size=SMALL))
    assert len(made.hidings) == 10
    assert all(h.begin > 0 and h.end < 3 * NANOSECONDS for h in made.hidings)


def test_without_occlusion_there_are_no_hidings():
    made = generate(Scene(occlusion=0, duration=3, size=SMALL))
    assert made.hidings == ()
    assert all(len(truth) == 10 for truth in made.sequence.truth)


def test_people_of_similarity_one_are_identical():
    a, b = (paint_person(look, 0.3) for look in make_looks(Scene(objects=2, similarity=1)))
    assert np.array_equal(a, b)
    a, b = (
        np.asarray(paint_person(look, 0.3)) for look in make_looks(Scene(objects=2, similarity=0))
    )
    body = a[..., 3] > 128
    assert np.abs(a[body, :3].astype(int) - b[body, :3]).mean() > 20


def test_drawings_differ_more_at_lower_similarity():
    differences = []
    for similarity in (0, 0.25, 0.5, 0.75, 1):
        a, b = (
            np.asarray(paint_person(look, 0), int)
            for look in make_looks(Scene(objects=2, similarity=similarity))
        )
        differences.append(np.abs(a - b).mean())
    assert differences == sorted(differences, reverse=True)


@pytest.mark.parametrize('phase', [0, 0.25, 0.4, 0.5, 0.9])
def test_a_drawn_person_fills_its_box(phase):
    for look in make_looks(Scene(objects=3)):
        person = paint_person(look, phase)
        left, top, right, bottom = person.getchannel('A').getbbox()
        assert left <= 4
        assert top <= 4
        assert right >= person.width - 4
        assert bottom >= person.height - 4


def test_boxes_enclose_the_drawn_people():
    # While the only person is hidden, a frame shows the background alone.
    still = generate(Scene(objects=1, seed=5)).sequence
    frames = list(still.images())
    empty = frames[next(t for t, truth in enumerate(still.truth) if not len(truth))]
    for frame, truth in zip(frames[::7], still.truth[::7]):
        ys, xs = np.nonzero((frame != empty).any(axis=2))
        if len(truth):
            drawn = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            assert np.abs(truth.boxes[0] - drawn).max() < 2.5
        else:
            assert len(ys) == 0


def test_the_camera_moves_boxes_and_scenery_together():
    still, moved = (generate(Scene(occlusion=0, camera=c)).sequence for c in (0, 60))
    offsets = [
        (b.boxes[:, :2] - a.boxes[np.isin(a.ids, b.ids), :2])[
            (b.boxes[:, :2] > 0).all(axis=1) & (b.boxes[:, 2] < 640)
        ]
        for a, b in zip(still.truth, moved.truth)
    ]
    for offset in offsets:
        assert np.ptp(offset, axis=0).max() < 1e-6
    path = np.array([offset[0] for offset in offsets])
    speed = np.linalg.norm(np.diff(path, axis=0), axis=1) * 10
    assert np.sqrt((speed**2).mean()) == pytest.approx(60, rel=0.05)


def test_boxes_are_within_the_image():
    made = generate(Scene(objects=20, camera=150, false=3, jitter=0.2, seed=1))
    height, width = made.sequence.image_size
    for truth, found in zip(made.sequence.truth, made.detections):
        for boxes in (truth.boxes, found.boxes):
            assert (boxes >= 0).all()
            assert (boxes <= [width, height, width, height]).all()
            assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert found.image_size == made.sequence.image_size
        assert found.features.shape == (len(found), 1)
        assert found.boxes.dtype == found.scores.dtype == np.float32
    assert min(len(truth) for truth in made.sequence.truth) < 20, 'nobody left the image'


def test_missed_and_false_detections_have_the_given_rates():
    common = {'objects': 4, 'duration': 60, 'seed': 11}
    clean = generate(Scene(**common, missed=0, false=0)).detections
    dropped = generate(Scene(**common, missed=0.2, false=0)).detections
    extra = generate(Scene(**common, missed=0, false=0.7)).detections
    clean, dropped, extra = (sum(len(d) for d in x) for x in (clean, dropped, extra))
    assert dropped / clean == pytest.approx(0.8, abs=0.03)
    assert (extra - clean) / 600 == pytest.approx(0.7, abs=0.1)


def test_the_noise_of_detections_is_the_jitter():
    made = generate(Scene(objects=1, occlusion=0, duration=40, jitter=0.04, false=0))
    offsets = []
    for truth, found in zip(made.sequence.truth, made.detections):
        if len(found):
            sides = np.tile(truth.boxes[0, 2:] - truth.boxes[0, :2], 2)
            offsets.append((found.boxes[0] - truth.boxes[0]) / sides)
    assert np.std(offsets) == pytest.approx(0.04, rel=0.1)
    assert np.mean(offsets) == pytest.approx(0, abs=0.005)


def test_covered_people_are_in_the_truth_but_not_detected():
    made = generate(Scene(objects=40, occlusion=0, missed=0, false=0, duration=2))
    true, found = sum(len(t) for t in made.sequence.truth), sum(len(d) for d in made.detections)
    assert true == 40 * 20
    assert 0.5 * true < found < 0.97 * true
    scores = np.concatenate([d.scores for d in made.detections])
    assert 0.5 <= scores.min() < 0.65
    assert 0.8 < scores.max() <= 0.951


def test_visibility_is_the_fraction_not_covered_by_nearer_boxes():
    boxes = np.array([[0, 0, 40, 100], [20, 0, 60, 100], [0, 50, 40, 150], [200, 0, 240, 100.0]])
    visible = visibility(boxes, nearness=np.array([1, 2, 3, 1]))
    assert visible == pytest.approx([0.25, 0.75, 1, 1])
    assert visibility(np.zeros((0, 4)), np.zeros(0)).shape == (0,)


def test_the_order_of_detections_is_random():
    made = generate(Scene(missed=0, false=0, jitter=0, duration=3))
    centres = [d.boxes[:, 0] for d in made.detections]
    assert any((np.diff(np.argsort(np.argsort(x))) < 0).any() for x in centres)
    orders = {tuple(np.argsort(x)) for x in centres if len(x) == len(centres[0])}
    assert len(orders) > 5


def test_ground_truth_ids_are_kept():
    made = generate(Scene(seed=4))
    results = true_results(made.sequence)
    kept, total = identities_kept(made.sequence, made.hidings, results)
    assert kept == total == len(made.hidings)


def test_ids_that_change_during_hidings_are_not_kept():
    made = generate(Scene(seed=4))
    results = []
    for truth, stamp in zip(made.sequence.truth, made.sequence.stamps):
        over = [sum(h.id == i and h.end <= stamp for h in made.hidings) for i in truth.ids]
        results.append((truth.ids + 100 * np.array(over, int), truth.boxes))
    assert identities_kept(made.sequence, made.hidings, results) == (0, len(made.hidings))


def one_person(before: list[int], after: list[int]) -> tuple[int, int]:
    """Count one hiding from 1 s to 2 s at 10 frames/s, with these ids; 0: no result."""
    box = np.array([[10, 10, 30, 60.0]])
    truth = [Truth.of([1], box)] * 10 + [Truth.of([], [])] * 10 + [Truth.of([1], box)] * 10
    sequence = Sequence('one', ('person',), (100, 100), 10, tuple(truth), regular_stamps(30, 10))
    given = [0] * (10 - len(before)) + before + [0] * 10 + after + [0] * (10 - len(after))
    results = [(np.array([i] if i else []), box[: int(i > 0)]) for i in given]
    hidings = [Hiding(1, NANOSECONDS, 2 * NANOSECONDS)]
    return identities_kept(sequence, hidings, results)


def test_the_identity_is_the_most_frequent_of_five_frames():
    assert one_person([9, 9, 9, 9, 1, 1, 1, 2, 2], [1, 3, 3, 1, 1, 3, 3, 3]) == (1, 1)
    assert one_person([1, 1, 1, 1, 1, 2, 2, 2, 2, 2], [1]) == (0, 1)


def test_of_equally_frequent_ids_the_latest_counts():
    assert one_person([1, 2, 1, 2], [2]) == (1, 1)
    assert one_person([2, 1, 1, 2, 3], [2]) == (1, 1)
    assert one_person([1], [2, 1, 2, 1]) == (1, 1)


def test_a_hiding_without_matches_on_one_side_is_not_counted():
    assert one_person([], [1]) == (0, 0)
    assert one_person([1], []) == (0, 0)


def test_results_with_too_little_overlap_do_not_match():
    made = generate(Scene(seed=4, duration=6))
    results = [(t.ids, t.boxes + 500) for t in made.sequence.truth]
    assert identities_kept(made.sequence, made.hidings, results) == (0, 0)


def test_a_wrong_number_of_results_is_refused():
    made = generate(Scene(duration=2, size=SMALL))
    with pytest.raises(ValueError, match='shorter'):
        identities_kept(made.sequence, made.hidings, true_results(made.sequence)[:-1])


def test_a_scene_may_have_no_people():
    made = generate(Scene(objects=0, duration=2, size=SMALL, camera=10, false=0))
    assert len(list(made.sequence.images())) == len(made.detections) == 20
    assert identities_kept(made.sequence, made.hidings, true_results(made.sequence)) == (0, 0)


def test_the_text_form_of_a_scene_survives_a_round_trip():
    text = 'synthetic:objects=20,occlusion=2,rate=5,size=720x1280,seed=3'
    scene = Scene.parse(text)
    assert scene == Scene(objects=20, occlusion=2, rate=5, size=(720, 1280), seed=3)
    assert Scene.parse(str(scene)) == scene
    assert str(Scene.parse('synthetic')) == 'synthetic'
    assert Scene.parse('synthetic') == Scene()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('synthesis:objects=1', "'synthesis:objects=1'; expected synthetic"),
        ('synthetic:people=1', "'people'.*objects, occlusion, similarity, rate"),
        ('synthetic:', "key ''.*objects"),
        ('synthetic:seed=1,seed=2', 'seed occurs twice'),
        ('synthetic:objects=2.5', r'objects=2\.5; expected a whole number'),
        ('synthetic:rate=fast', 'rate=fast; expected a number'),
        ('synthetic:rate', 'rate=; expected a number'),
        ('synthetic:size=480', 'size=480; expected HEIGHTxWIDTH'),
        ('synthetic:size=10x10', 'size is .*96 to 8192'),
        ('synthetic:missed=1.5', r'missed is 1\.5; expected 0 to 1'),
        ('synthetic:rate=0', r'rate is 0\.0; expected 0\.1 to'),
        ('synthetic:duration=nan', 'duration is nan; expected'),
        ('synthetic:occlusion=12', r'occlusion is 12\.0 s; expected 0 to 11'),
        ('synthetic:occlusion=nan', 'occlusion is nan'),
        ('synthetic:seed=-1', 'seed is -1; expected 0 or more'),
    ],
)
def test_invalid_parameters_of_a_scene_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        Scene.parse(text)


def test_detection_noise_does_not_change_the_image_key():
    assert Scene(missed=0.5, false=2, jitter=0).image_key == Scene().image_key
    assert len({Scene(seed=1).image_key, Scene(rate=5).image_key, Scene().image_key}) == 3
