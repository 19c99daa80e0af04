# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gaps in which a person cannot be found, ids that go on to another person, and varied factors."""

from __future__ import annotations

import numpy as np
import pytest

from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Role
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.evaluation.curve_scenes import frames_of_visits
from gtr_ros.evaluation.curve_scenes import IDLE_FRAMES
from gtr_ros.evaluation.curve_scenes import RenderedScenes
from gtr_ros.evaluation.curve_scenes import scenes_of
from gtr_ros.evaluation.gaps import Gap
from gtr_ros.evaluation.gaps import Gaps
from gtr_ros.evaluation.gaps import gaps_of
from gtr_ros.evaluation.identities import false_joins
from gtr_ros.evaluation.names import FACTORS
from gtr_ros.evaluation.names import parse_factors
from gtr_ros.evaluation.progress import Percent

LEFT, RIGHT = [0, 0, 10, 20], [40, 0, 50, 20]
MS = 10**6


def seen(states: str) -> Sequence:
    """Return a sequence of person 3 at 10 Hz: x can be found, h is hidden, . is out of view."""
    truth = [
        Truth.of([], [])
        if state == '.'
        else Truth.of([3], [LEFT], roles=[Role.COUNTED if state == 'x' else Role.DISTRACTOR])
        for state in states
    ]
    stamps = regular_stamps(len(states), 10)
    return Sequence('s', ('person',), (48, 64), 10.0, tuple(truth), stamps)


def test_a_gap_is_between_two_times_when_a_person_can_be_found():
    gaps = gaps_of(seen('hx...xxhhxh.'))
    assert gaps == [Gap(3, 200 * MS, 500 * MS, False), Gap(3, 700 * MS, 900 * MS, True)]
    assert [gap.seconds for gap in gaps] == [0.3, 0.2]


def test_a_person_who_is_out_of_view_for_a_part_of_a_gap_is_not_only_hidden():
    assert [gap.in_view for gap in gaps_of(seen('xhh.hx'))] == [False]


def test_gaps_are_chosen_by_duration_and_kind():
    hidden, away = Gap(3, 0, 500 * MS, True), Gap(3, 0, 2000 * MS, False)
    assert [Gaps().has(gap) for gap in (hidden, away)] == [True, True]
    assert [Gaps(0.5, 1.0, in_view=True).has(gap) for gap in (hidden, away)] == [True, False]
    assert [Gaps(0.6).has(gap) for gap in (hidden, away)] == [False, True]
    assert not Gaps(0.1, 0.5).has(hidden)


def together(frames: int) -> Sequence:
    """Return a sequence in which persons 1 and 2 stand beside each other."""
    truth = (Truth.of([1, 2], [LEFT, RIGHT]),) * frames
    stamps = regular_stamps(frames, 10)
    return Sequence('s', ('person',), (48, 64), 10.0, truth, stamps)


def published(left: list[int], right: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return results with the ids of the left and the right box of each frame; 0: no box."""
    return [
        (np.array([i for i in pair if i]), np.array([b for i, b in zip(pair, (LEFT, RIGHT)) if i]))
        for pair in zip(left, right)
    ]


@pytest.mark.parametrize(
    ('left', 'right', 'expected'),
    [
        ([7] * 12, [8] * 12, (0, 2)),
        # An id that somebody else has for two frames is still the first person's.
        ([7] * 5 + [8] * 2 + [7] * 5, [8] * 5 + [7] * 2 + [8] * 5, (0, 2)),
        ([7] * 6 + [8] * 6, [8] * 6 + [7] * 6, (2, 2)),
        ([7] * 6 + [0] * 6, [0] * 6 + [7] * 6, (1, 1)),
        ([7] * 6 + [9] * 6, [0] * 12, (0, 2)),
        ([0] * 12, [0] * 12, (0, 0)),
    ],
)
def test_an_id_that_goes_on_to_another_person_is_a_false_join(left, right, expected):
    assert false_joins(together(12), published(left, right)) == expected


def test_few_frames_are_used_while_everybody_is_away():
    stamps = regular_stamps(720, 10)
    frames = frames_of_visits(stamps, np.array([[5.0, 65.0], [3.0, 63.0]]))
    assert frames[:61] == list(range(61))  # until 1 s after the last has left
    assert frames[-100:] == list(range(620, 720))  # from 1 s before the first returns
    idle = frames[61:-100]
    assert len(idle) == IDLE_FRAMES
    assert np.diff(idle).max() <= np.diff(idle).min() + 1


@pytest.mark.parametrize('absences', [np.zeros((0, 2)), np.full((3, 2), np.inf), [[2, 6], [5, 9]]])
def test_all_frames_are_used_while_somebody_is_there(absences):
    frames = frames_of_visits(regular_stamps(120, 10), np.array(absences, float).reshape(-1, 2))
    assert frames == list(range(120))


def test_factors_may_have_values():
    parsed = parse_factors(['absence=60', 'camera=drive,wall', 'objects=3', 'likeness'], 'people')
    assert parsed == {
        'absence': (60.0,),
        'camera': ('drive', 'wall'),
        'objects': (3,),
        'likeness': FACTORS['people']['likeness'],
    }


@pytest.mark.parametrize(
    ('text', 'kind', 'said'),
    [
        ('likeness', 'drawn', "'likeness': drawn scenes do not have it; expected occlusion, obj"),
        ('similarity', 'people', 'expected occlusion, objects, likeness, rate, camera, absence'),
        ('camera=sideways', 'people', 'camera=sideways; expected some of wall, stand'),
        ('camera=wall', 'drawn', 'camera=wall; expected numbers'),
        ('objects=2.5', 'people', 'objects=2.5; expected whole numbers'),
    ],
)
def test_a_wrong_factor_is_an_error(text, kind, said):
    with pytest.raises(ValueError) as caught:
        parse_factors([text], kind)
    assert said in str(caught.value)


def test_the_parameters_of_scenes_are_checked():
    assert scenes_of('people:objects=3,size=96x128').base.size == (96, 128)
    assert scenes_of('drawn:similarity=0.8').base.similarity == 0.8
    with pytest.raises(ValueError, match='expected drawn or people'):
        scenes_of('filmed')
    with pytest.raises(ValueError, match='similarity'):
        scenes_of('people:similarity=0.8')


def test_lower_rates_are_every_nth_frame_of_the_same_pictures():
    scenes = RenderedScenes()
    parts = [scenes.part('rate', (), rate, 4) for rate in FACTORS['people']['rate']]
    assert [part.stride for part in parts] == [1, 2, 5, 10]
    assert len({part.scene for part in parts}) == 1
    with pytest.raises(ValueError, match='rate=3; expected the rate of the scenes, 10, divided'):
        scenes.part('rate', (), 3.0, 0)


def test_occlusions_of_all_lengths_are_measured_in_the_same_scene():
    scenes, values = RenderedScenes(), (0.5, 1.0, 2.0, 4.0)
    parts = [scenes.part('occlusion', values, value, 0) for value in values]
    assert len({part.scene for part in parts}) == 1
    for tenths in range(5, 80):
        gap = Gap(1, 0, tenths * 100 * MS, True)
        assert [part.gaps.has(gap) for part in parts].count(True) == 1


def test_a_scene_with_an_absence_is_longer_and_only_absences_are_measured():
    part = RenderedScenes().part('absence', (), 60.0, 1)
    assert (part.scene.absence, part.scene.duration) == (60.0, 72.0)
    assert part.gaps.shortest == 60.0
    assert RenderedScenes().part('absence', (), 0.0, 1).gaps.shortest == 0.5


def test_the_progress_of_a_scene_is_that_of_its_first_task():
    shown = []
    progress = Percent(lambda: shown.append(0))
    advance = progress.start_task('boxes', 4)
    reached = []
    for _ in range(4):
        advance()
        reached.append(len(shown))
    assert reached == [24, 49, 74, 99]
    progress.start_task('camera motion', 4)()
    assert len(shown) == 99
    progress.finish_part()
    assert len(shown) == 100
    progress.finish_part()  # nothing to be done
    assert len(shown) == 200
