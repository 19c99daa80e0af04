# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes with visits follow their parameters, and returns are counted correctly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.data.synthetic.visits import Absence
from gtr_ros.data.synthetic.visits import generate_visits
from gtr_ros.data.synthetic.visits import GeneratedVisits
from gtr_ros.data.synthetic.visits import Visits
from gtr_ros.evaluation.returns import count_returns
from gtr_ros.evaluation.returns import ReturnCounts
from gtr_ros.stamps import NANOSECONDS

FEW = Visits(people=4, strangers=3, size=(240, 320))


@pytest.fixture(scope='module')
def made() -> GeneratedVisits:
    return generate_visits(Visits())


@pytest.fixture(scope='module')
def few() -> GeneratedVisits:
    return generate_visits(FEW)


def visits_of(made: GeneratedVisits, person: int) -> list[np.ndarray]:
    """Return the stamps of each visit of a person."""
    truth, stamps = made.sequence.truth, made.sequence.stamps
    seen = stamps[[person in one.ids for one in truth]]
    backs = [r.back for r in made.returns if r.id == person]
    return np.split(seen, np.searchsorted(seen, backs))


def same_truth(a: Sequence, b: Sequence) -> bool:
    return np.array_equal(a.stamps, b.stamps) and all(
        np.array_equal(x.ids, y.ids) and np.array_equal(x.boxes, y.boxes)
        for x, y in zip(a.truth, b.truth, strict=True)
    )


def test_the_same_seed_gives_the_same_scene(few):
    again = generate_visits(FEW)
    assert same_truth(few.sequence, again.sequence)
    assert few.returns == again.returns
    assert few.sequence.image_key == again.sequence.image_key
    for a, b in zip(few.detections, again.detections, strict=True):
        assert np.array_equal(a.boxes, b.boxes)
        assert np.array_equal(a.scores, b.scores)
    for t in (0, 50, len(few.sequence) - 1):
        assert np.array_equal(few.sequence.images.at(t), again.sequence.images.at(t))


def test_another_seed_gives_another_scene(few):
    other = generate_visits(replace(FEW, seed=1))
    assert other.returns != few.returns
    assert other.sequence.image_key != few.sequence.image_key
    assert not np.array_equal(other.sequence.images.at(0), few.sequence.images.at(0))


def test_looks_and_noise_change_nothing_else(few):
    alike = generate_visits(replace(FEW, similarity=1.0, missed=0.5, jitter=0.1))
    assert same_truth(few.sequence, alike.sequence)
    assert few.returns == alike.returns
    noisy = replace(FEW, missed=0.5, false=1.0, jitter=0.1)
    assert noisy.image_key == FEW.image_key
    assert replace(FEW, similarity=1.0).image_key != FEW.image_key


def test_the_visits_are_the_same_at_two_rates(few):
    fast = generate_visits(replace(FEW, rate=10.0)).sequence
    assert fast.stamps[np.isin(fast.stamps, few.sequence.stamps)].tolist() == (
        few.sequence.stamps.tolist()
    )
    rows = np.searchsorted(fast.stamps, few.sequence.stamps).tolist()
    assert same_truth(fast.select(rows), few.sequence)


def test_absences_are_within_their_range(made):
    absences = np.array([r.back - r.left for r in made.returns]) / NANOSECONDS
    assert len(absences) == 12 * 2
    assert 10 <= absences.min() < 30
    assert 100 < absences.max() <= 600


def test_a_person_is_absent_between_two_visits(made):
    truth, stamps = made.sequence.truth, made.sequence.stamps
    for r in made.returns:
        absent = np.flatnonzero((r.left <= stamps) & (stamps < r.back))
        assert not any(r.id in truth[t].ids for t in absent)


def test_a_visits_frames_are_contiguous_at_the_rate(made):
    for person in range(1, 25):
        visits = visits_of(made, person)
        assert len(visits) == (3 if person <= 12 else 1)
        for stamps in visits:
            assert 4 * 5 - 1 <= len(stamps) <= 8 * 5 + 1
            assert (np.diff(stamps) == NANOSECONDS // 5).all()


def test_every_frame_has_a_person(made):
    assert all(len(truth) for truth in made.sequence.truth)
    assert len(made.sequence) <= 1500
    assert (np.diff(made.sequence.stamps) > 0).all()
    assert made.sequence.stamps[-1] > 5 * 60 * NANOSECONDS


def test_some_come_together(made):
    begins = sorted(visits_of(made, person)[0][0] for person in range(1, 25))
    assert (np.diff(begins) <= NANOSECONDS).sum() >= 4


def test_a_person_crosses_the_image_from_side_to_side(made):
    truth, stamps = made.sequence.truth, made.sequence.stamps
    for seen in visits_of(made, 1):
        rows = np.searchsorted(stamps, seen)
        boxes = np.stack([truth[t].boxes[truth[t].ids == 1][0] for t in rows])
        ends = sorted([boxes[0, [0, 2]].mean(), boxes[-1, [0, 2]].mean()])
        assert ends[0] < 60
        assert ends[1] > 580
        assert np.ptp(boxes[:, 3] - boxes[:, 1]) < 60


def test_people_are_drawn_inside_their_boxes(few):
    # Away from the border, everything drawn is inside a box.
    images, checked = few.sequence.images, 0
    for t in range(0, len(few.sequence), 9):
        boxes = few.sequence.truth[t].boxes
        changed = (images.at(t) != images.empty(t)).any(axis=2)
        inside = np.zeros_like(changed)
        for x1, y1, x2, y2 in boxes:
            inside[max(int(y1) - 1, 0) : int(y2) + 2, max(int(x1) - 1, 0) : int(x2) + 2] = True
            assert changed[int(y1) : int(y2), int(x1) : int(x2)].mean() > 0.25
        # People with less than half in the image are not in the ground truth.
        middle = np.arange(changed.shape[1])
        middle = (middle > 25) & (middle < changed.shape[1] - 25)
        assert not (changed & ~inside)[:, middle].any()
        checked += len(boxes)
    assert checked > 20


def test_light_changes_between_visits_and_clothes_do_not(few):
    images, stamps = few.sequence.images, few.sequence.stamps
    brightness, clothes = [], []
    for seen in visits_of(few, 1):
        t = int(np.searchsorted(stamps, seen[len(seen) // 2]))
        truth = few.sequence.truth[t]
        x1, y1, x2, y2 = truth.boxes[truth.ids == 1][0]
        middle, shirt = int((x1 + x2) / 2), int(y1 + 0.4 * (y2 - y1))
        brightness.append(images.empty(t).mean())
        colour = images.at(t)[shirt - 4 : shirt + 4, middle - 4 : middle + 4].mean(axis=(0, 1))
        clothes.append(colour / colour.sum())
    assert np.ptp(brightness) > 3
    assert np.ptp(clothes, axis=0).max() < 0.08


def test_boxes_and_detections_are_within_the_image(few):
    for truth, found in zip(few.sequence.truth, few.detections, strict=True):
        for boxes in (truth.boxes, found.boxes):
            assert (boxes >= 0).all()
            assert (boxes <= [320, 240, 320, 240]).all()
            assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert found.features.shape == (len(found), 1)


def results_of(made: GeneratedVisits, identity) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return ground truth boxes with the ids that identity(person, visit) returns."""
    results = []
    for truth, stamp in zip(made.sequence.truth, made.sequence.stamps.tolist()):
        numbers = [sum(r.id == i and r.back <= stamp for r in made.returns) for i in truth.ids]
        ids = [identity(int(i), visit) for i, visit in zip(truth.ids, numbers)]
        results.append((np.array(ids), truth.boxes))
    return results


def test_ground_truth_ids_are_all_right(made):
    results = results_of(made, lambda person, visit: person)
    counted = count_returns(made.sequence, made.returns, results)
    assert counted == ReturnCounts(24, 0, 0, 24, 12, 0)


def test_a_new_id_in_every_visit_counts_as_new(made):
    results = results_of(made, lambda person, visit: 100 * visit + person)
    counted = count_returns(made.sequence, made.returns, results)
    assert counted == ReturnCounts(0, 0, 24, 24, 12, 0)


def count_small_case(*rows: list[int]) -> ReturnCounts:
    """
    Count the returns of two people, with a stranger, at 10 frames/s; id 0: no result.

    Person 1 comes at 0 s and 20 s, person 2 at 10 s and 30 s, person 3 only at 40 s. Each row has
    the ids in one of these 5 visits.
    """
    box = np.array([[10, 10, 30, 60.0]])
    people = (1, 2, 1, 2, 3)
    truth, stamps, results = [], [], []
    for k, (person, row) in enumerate(zip(people, rows)):
        truth += [Truth.of([person], box)] * len(row)
        stamps.append(regular_stamps(len(row), 10) + 10 * k * NANOSECONDS)
        results += [(np.array([i] if i else []), box[: int(i > 0)]) for i in row]
    sequence = Sequence(
        'one', ('person',), (100, 100), 10, tuple(truth), np.concatenate(stamps).astype(np.int64)
    )
    returns = [Absence(1, NANOSECONDS, 20 * NANOSECONDS)]
    returns.append(Absence(2, 11 * NANOSECONDS, 30 * NANOSECONDS))
    return count_returns(sequence, returns, results)


def test_ids_of_other_people_are_wrong():
    assert count_small_case([1], [2], [2], [1], [9]) == ReturnCounts(0, 2, 0, 2, 1, 0)
    assert count_small_case([1], [2], [1], [2], [2]) == ReturnCounts(2, 0, 0, 2, 1, 1)


def test_an_id_that_another_person_gets_later_is_new():
    assert count_small_case([1], [2], [3], [3], [9]) == ReturnCounts(0, 1, 1, 2, 1, 0)


def test_the_first_and_last_five_frames_of_a_visit_decide():
    first, last = [7, 7, 7, 7, 7, 7, 1, 1, 1, 3], [1, 3, 1, 1, 3, 9, 9, 9, 9, 9]
    assert count_small_case(first, [2], last, [2], [9] * 9).right == 2
    assert count_small_case([1], [2], [0, 0, 5, 5, 5, 1, 1, 1], [2], [2, 2, 8, 8, 8]) == (
        ReturnCounts(1, 0, 1, 2, 1, 0)
    )


def test_visits_without_matches_are_not_counted():
    assert count_small_case([0], [2], [1], [2], [0]) == ReturnCounts(1, 0, 0, 1, 0, 0)
    assert count_small_case([1], [2], [0], [0], [9]) == ReturnCounts(0, 0, 0, 0, 1, 0)


def test_without_people_there_are_no_frames():
    made = generate_visits(Visits(people=0, strangers=0))
    assert len(made.sequence) == len(made.detections) == 0
    assert list(made.sequence.images()) == []
    assert count_returns(made.sequence, (), []) == ReturnCounts(0, 0, 0, 0, 0, 0)


def test_a_scene_may_have_strangers_only():
    made = generate_visits(replace(FEW, people=0))
    assert made.returns == ()
    assert {i for truth in made.sequence.truth for i in truth.ids} == {1, 2, 3}


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'visits': 0}, 'visits is 0; expected 1 to 100'),
        ({'longest_absence': 5.0}, r'longest_absence is 5\.0; expected 10\.0 to'),
        ({'size': (10, 10)}, 'size is .*96 to 8192'),
        ({'seed': -1}, 'seed is -1; expected 0 or more'),
    ],
)
def test_invalid_parameters_of_visits_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        Visits(**values)
