# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Paint changes the clothes that it should, by as much as it should, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from gtr_ros.data.people import colours
from gtr_ros.data.people.avatars import Avatars
from gtr_ros.data.people.avatars import BOTTOM
from gtr_ros.data.people.avatars import HAIR
from gtr_ros.data.people.avatars import SKIN
from gtr_ros.data.people.avatars import TOP
from gtr_ros.data.people.look import Look
from gtr_ros.data.people.painting import paint

NAMES = Avatars().names()
RED, NAVY, WHITE = (42.0, 55.0, 32.0), (20.0, 5.0, -18.0), (92.0, 0.0, 2.0)


@pytest.fixture(scope='module')
def avatars() -> Avatars:
    return Avatars()


def inside(avatar, part: int, margin: int = 8) -> np.ndarray:
    """Return the texels of a part that are not near its edge."""
    return ndimage.binary_erosion(avatar.parts == part, iterations=margin)


def mean_of(texture: np.ndarray, where: np.ndarray) -> np.ndarray:
    return colours.lab(texture[where]).mean(axis=0)


@pytest.mark.parametrize('name', NAMES)
def test_clothes_have_the_colours_of_the_look(avatars, name):
    avatar = avatars.read(name)
    texture = paint(avatar, Look(avatar=name, top=RED, bottom=NAVY))
    for part, colour in ((TOP, RED), (BOTTOM, NAVY)):
        if not (avatar.parts == part).any():
            assert name == 'White_F_3_Casual'  # a dress has no bottom
            continue
        assert np.linalg.norm(mean_of(texture, inside(avatar, part)) - colour) < 12


@pytest.mark.parametrize('name', NAMES)
def test_a_look_changes_no_skin(avatars, name):
    avatar = avatars.read(name)
    skin = inside(avatar, SKIN)
    first = paint(avatar, Look(avatar=name, top=RED, bottom=NAVY, shoes=WHITE))
    second = paint(avatar, Look(avatar=name, top=WHITE, bottom=RED, shoes=NAVY))
    assert skin.sum() > 1000
    assert np.array_equal(first[skin], second[skin])
    assert np.abs(first[skin].astype(int) - avatar.atlas[skin]).max() <= 3


def test_a_look_changes_no_hair_unless_it_names_a_colour(avatars):
    avatar = avatars.read('White_F_3_Casual')
    hair = inside(avatar, HAIR)
    look = Look(avatar=avatar.name, top=RED)
    assert np.array_equal(paint(avatar, look)[hair], avatar.atlas[hair])
    grey = paint(avatar, replace(look, hair=(62.0, 0.0, 2.0)))
    assert np.linalg.norm(mean_of(grey, hair) - (62, 0, 2)) < 12


def test_skin_tone_moves_skin_only(avatars):
    avatar = avatars.read(NAMES[0])
    look = Look(avatar=avatar.name)
    lighter = replace(look, tone=(6.0, 0.0, 0.0))
    first, second = paint(avatar, look), paint(avatar, lighter)
    top, skin = inside(avatar, TOP), inside(avatar, SKIN)
    assert np.array_equal(first[top], second[top])
    assert mean_of(second, skin)[0] - mean_of(first, skin)[0] == pytest.approx(6, abs=1)


def test_cloth_keeps_its_shading(avatars):
    avatar = avatars.read('Asian_M_2_Casual')
    jeans = inside(avatar, BOTTOM)
    painted = paint(avatar, Look(avatar=avatar.name, bottom=(40.0, 10.0, 20.0)))
    before = colours.lab(avatar.atlas[jeans])[:, 0]
    after = colours.lab(painted[jeans])[:, 0]
    assert np.corrcoef(before, after)[0, 1] > 0.95


@pytest.mark.parametrize('pattern', ['stripes', 'band', 'blocks', 'open'])
def test_a_pattern_has_both_colours_and_leaves_the_bottom(avatars, pattern):
    avatar = avatars.read('AIAN_F_1_Casual')
    look = Look(avatar=avatar.name, top=NAVY, second=WHITE)
    plain, patterned = paint(avatar, look), paint(avatar, replace(look, pattern=pattern))
    top, bottom = inside(avatar, TOP), inside(avatar, BOTTOM)
    light = colours.lab(patterned[top])[:, 0]
    assert 0.03 < (light > 70).mean() < 0.8
    assert (light < 40).mean() > 0.2
    assert np.array_equal(plain[bottom], patterned[bottom])


@pytest.mark.parametrize('size', [64, 128, 256, 512])
def test_small_textures_are_the_large_one_seen_from_afar(avatars, size):
    avatar = avatars.read(NAMES[0])
    look = Look(avatar=avatar.name, top=RED, bottom=NAVY)
    texture = paint(avatar, look, size)
    assert texture.shape == (size, size * 3 // 2, 3)
    assert texture.dtype == np.uint8
    step = 512 // size
    where = inside(avatar, TOP)[step // 2 :: step, step // 2 :: step]
    assert np.linalg.norm(mean_of(texture, where) - RED) < 12


def test_a_texture_is_the_same_every_time(avatars):
    avatar = avatars.read(NAMES[0])
    look = Look(avatar=avatar.name, pattern='stripes')
    first = paint(avatar, look, 128)
    first_copy = first.copy()
    first[:] = 0  # the caller's own
    assert np.array_equal(paint(avatar, look, 128), first_copy)


def test_another_size_is_refused(avatars):
    with pytest.raises(ValueError, match='size is 100; expected 64, 128, 256 or 512'):
        paint(avatars.read(NAMES[0]), Look(avatar=NAMES[0]), 100)


def test_lab_and_back_is_the_same_colour():
    grid = np.stack(np.meshgrid(*[np.arange(0, 256, 15, np.uint8)] * 3), axis=-1)
    back = colours.rgb(colours.lab(grid))
    assert np.abs(back.astype(int) - grid).max() <= 2


def test_lab_of_known_colours():
    known = {
        (255, 255, 255): (100, 0, 0),
        (0, 0, 0): (0, 0, 0),
        (255, 0, 0): (53.24, 80.09, 67.20),
        (0, 0, 255): (32.30, 79.19, -107.86),
    }
    for rgb, lab in known.items():
        assert colours.lab(np.array(rgb, np.uint8)) == pytest.approx(lab, abs=0.1)
