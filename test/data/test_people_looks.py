# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Looks are reproducible and as varied as clothes in streets; likenesses are hard to tell."""

from __future__ import annotations

import numpy as np
import pytest

from gtr_ros.data.people.avatars import Avatars
from gtr_ros.data.people.avatars import person_of
from gtr_ros.data.people.looks import make_look
from gtr_ros.data.people.looks import resembling


@pytest.fixture(scope='module')
def avatars() -> Avatars:
    return Avatars()


@pytest.fixture(scope='module')
def many(avatars):
    return [make_look(avatars, 'test', identity) for identity in range(400)]


def test_an_identity_has_the_same_look_every_time(avatars, many):
    assert make_look(Avatars(), 'test', 17) == many[17]
    assert make_look(avatars, 'test', 17, pool_seed=1) != many[17]


def test_no_two_identities_look_the_same(many):
    assert len({(look.avatar, look.top, look.bottom, look.gait) for look in many}) == len(many)


def test_everybody_of_the_split_occurs(avatars, many):
    assert {look.avatar for look in many} == set(avatars.names('test'))


def test_heights_are_those_of_adults(avatars, many):
    heights = [look.height * avatars.read(look.avatar).height for look in many]
    assert 1.45 < min(heights) < 1.6
    assert 1.85 < max(heights) < 2.05


def test_most_clothes_are_dark_grey_or_white(many):
    chroma = np.array([np.hypot(*look.top[1:]) for look in many])
    light = np.array([look.top[0] for look in many])
    assert 0.55 < (chroma < 20).mean() < 0.9
    assert (light < 35).mean() > 0.3
    assert (chroma > 40).mean() > 0.03


def test_a_pattern_shows_on_the_cloth(many):
    patterned = [look for look in many if look.pattern]
    assert len(patterned) > 60
    assert all(np.linalg.norm(np.subtract(look.second, look.top)) > 20 for look in patterned)


def test_some_carry_bags_and_most_do_not(many):
    kinds = [look.bag for look in many]
    assert {'', 'backpack', 'shoulder', 'case'} == set(kinds)
    assert 0.4 < kinds.count('') / len(kinds) < 0.7


def test_the_same_clothes_are_worn_by_another_person(many):
    look = many[3]
    other = resembling(look, 'same_clothes', np.random.default_rng(0))
    assert person_of(other.avatar) != person_of(look.avatar)
    assert (other.top, other.bottom, other.shoes) == (look.top, look.bottom, look.shoes)
    assert (other.bag, other.pattern) == (look.bag, look.pattern)


def test_the_same_outfit_is_preferred_for_the_same_clothes(many):
    look = next(look for look in many if look.avatar == 'Asian_M_2_Casual')
    assert look.alike == ('Hispanic_M_1_Casual',)


def test_swapped_colours_are_those_of_top_and_bottom(many):
    look = many[3]
    other = resembling(look, 'swapped', np.random.default_rng(0))
    assert (other.top, other.bottom) == (look.bottom, look.top)
    assert other.avatar == look.avatar
    assert other.gait != look.gait


def test_similar_colours_differ_a_little(many):
    rng = np.random.default_rng(0)
    for look in many[:50]:
        other = resembling(look, 'similar', rng)
        assert other.avatar == look.avatar
        assert 0 < np.linalg.norm(np.subtract(other.top, look.top)) < 30


def test_a_likeness_follows_its_random_numbers(many):
    first, again = (resembling(many[0], 'similar', np.random.default_rng(seed)) for seed in (5, 5))
    assert first == again


def test_an_unknown_likeness_is_refused(many):
    with pytest.raises(ValueError, match="kind is 'twin'; expected one of same_clothes"):
        resembling(many[0], 'twin', np.random.default_rng(0))


def test_nobody_can_wear_the_clothes_if_there_is_nobody_else(many):
    from dataclasses import replace

    with pytest.raises(ValueError, match='one person only'):
        resembling(replace(many[0], alike=()), 'same_clothes', np.random.default_rng(0))
