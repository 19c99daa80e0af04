# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Looks: what makes one identity, and identities that are hard to tell apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gtr_ros.data.people import colours
from gtr_ros.data.people.avatars import Avatars
from gtr_ros.data.people.avatars import person_of
from gtr_ros.data.people.bags import bag_mesh
from gtr_ros.data.people.look import BAGS
from gtr_ros.data.people.look import Lab
from gtr_ros.data.people.look import Look
from gtr_ros.data.people.look import PATTERNS
from gtr_ros.data.people.painting import paint

__all__ = ['LIKENESSES', 'Look', 'bag_mesh', 'make_look', 'paint', 'resembling']

LIKENESSES = ('same_clothes', 'swapped', 'similar')
#: heights of the avatars in the bind pose, metres; within 2 cm
_AVATAR_HEIGHT = {'F': 1.72, 'M': 1.80}
#: mean and standard deviation of grown-up people's heights, metres
_HEIGHT = {'F': (1.645, 0.065), 'M': (1.775, 0.07)}
#: Lab colours of hair with their shares; what is left keeps the avatar's own
_HAIR = (((14.0, 1.0, 1.0), 0.14), ((24.0, 5.0, 8.0), 0.14), ((62.0, 0.0, 2.0), 0.07))


def make_look(avatars: Avatars, split: str, identity: int, pool_seed: int = 0) -> Look:
    """
    Return the look of an identity; the same numbers give the same look.

    :param split: 'train', 'validation', 'test' or 'all': of the persons
    :param identity: 0 or more, without limit
    :param pool_seed: another pool of identities
    :raises ValueError: if the folder has nobody of the split
    """
    names = avatars.names(split)
    rng = np.random.default_rng([pool_seed, identity, 11])
    persons = sorted({person_of(name) for name in names})
    person = persons[int(rng.integers(len(persons)))]
    name = _draw_outfit(rng, [name for name in names if person_of(name) == person])
    sex = 'F' if '_F_' in name else 'M'
    top = colours.draw(rng, colours.TOPS)
    pattern = str(rng.choice(PATTERNS, p=(0.62, 0.11, 0.06, 0.09, 0.12)))
    tall = float(np.clip(rng.normal(*_HEIGHT[sex]), 1.5, 2.0))
    return Look(
        avatar=name,
        height=float(np.clip(tall / _AVATAR_HEIGHT[sex], 0.87, 1.12)),
        width=float(np.clip(rng.normal(1.0, 0.05), 0.9, 1.12)),
        top=top,
        bottom=colours.draw(rng, colours.BOTTOMS),
        shoes=colours.draw(rng, colours.SHOES),
        hair=_draw_hair(rng),
        tone=tuple(rng.normal(0, (3.5, 1.0, 1.5)).tolist()),
        pattern=pattern,
        second=_draw_second(rng, top),
        bag=str(rng.choice(BAGS, p=(0.56, 0.2, 0.14, 0.1))),
        bag_colour=colours.draw(rng, colours.BAGS),
        bag_size=float(rng.uniform(0.8, 1.2)),
        gait=int(rng.integers(2**31)),
        alike=_alike(rng, names, name),
    )


def resembling(look: Look, kind: str, rng: np.random.Generator) -> Look:
    """
    Return the look of another identity that is hard to tell from one.

    :param kind: 'same_clothes': another person in clothes of the same colours, of the same outfit
        if the avatars have it; 'swapped': the colours of top and bottom exchanged; 'similar': the
        same avatar in slightly other colours
    :raises ValueError: if there is no such kind, or nobody else
    """
    body = {
        'height': float(np.clip(look.height + rng.normal(0, 0.02), 0.87, 1.12)),
        'width': float(np.clip(look.width + rng.normal(0, 0.03), 0.9, 1.12)),
        'gait': int(rng.integers(2**31)),
    }
    if kind == 'same_clothes':
        if not look.alike:
            raise ValueError(f'nobody else can wear the clothes of {look.avatar}: one person only')
        other = look.alike[int(rng.integers(len(look.alike)))]
        tone = tuple(rng.normal(0, (3.5, 1.0, 1.5)).tolist())
        return replace(look, avatar=other, hair=_draw_hair(rng), tone=tone, **body)
    if kind == 'swapped':
        return replace(look, top=look.bottom, bottom=look.top, **body)
    if kind == 'similar':
        return replace(
            look,
            top=colours.near(rng, look.top, 5, 4),
            bottom=colours.near(rng, look.bottom, 5, 4),
            shoes=colours.near(rng, look.shoes, 6, 4),
            second=colours.near(rng, look.second, 6, 5),
            bag_colour=colours.near(rng, look.bag_colour, 6, 4),
            **body,
        )
    raise ValueError(f'kind is {kind!r}; expected one of {", ".join(LIKENESSES)}')


#: shares of the outfits; camouflage and scrubs are rare in streets, and all alike
_OUTFITS = {'Casual': 5.0, 'Default': 1.5, 'Busi': 2.0, 'Util': 1.2, 'Medi': 1.0, 'Milit': 0.5}


def _draw_outfit(rng: np.random.Generator, names: list[str]) -> str:
    shares = np.array([_OUTFITS.get(name.rpartition('_')[2], 1.0) for name in names])
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]


def _draw_hair(rng: np.random.Generator) -> Lab | None:
    drawn = rng.random()
    for colour, share in _HAIR:
        if drawn < share:
            return colours.near(rng, colour, 5, 2)
        drawn -= share
    return None


def _draw_second(rng: np.random.Generator, top: Lab) -> Lab:
    """Draw a colour that shows on the top's."""
    for _ in range(20):
        second = colours.draw(rng, colours.TOPS)
        if np.linalg.norm(np.subtract(second, top)) > 25:
            return second
    return (90.0, 0.0, 0.0) if top[0] < 50 else (15.0, 0.0, 0.0)


def _alike(rng: np.random.Generator, names: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return up to four avatars of other persons, those of the same outfit and sex first."""
    outfit, woman = name.rpartition('_')[2], '_F_' in name
    others = [other for other in names if person_of(other) != person_of(name)]
    others = [others[index] for index in rng.permutation(len(others))]

    def distance(other: str) -> int:
        return 2 * (other.rpartition('_')[2] != outfit) + (('_F_' in other) != woman)

    nearest = min(map(distance, others), default=0)
    return tuple(other for other in others if distance(other) == nearest)[:4]
