# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who is in a scene: identities, their looks and their gaits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtr_ros.data.people.avatars import Avatars
from gtr_ros.data.people.gait import Gait
from gtr_ros.data.people.gait import make_gait
from gtr_ros.data.people.looks import LIKENESSES
from gtr_ros.data.people.looks import Look
from gtr_ros.data.people.looks import make_look
from gtr_ros.data.people.looks import resembling
from gtr_ros.data.people.scene import CAST
from gtr_ros.data.people.scene import PeopleScene
from gtr_ros.data.people.scene import stream_of


@dataclass(frozen=True)
class Person:
    """
    A person of a scene.

    :param identity: below the scene's pool: one of the pool; the others are people who look like
        one of these. The same number is the same person in all scenes with this pool and split
    :param look: how the person looks
    :param gait: how the person moves
    """

    identity: int
    look: Look
    gait: Gait


def make_cast(scene: PeopleScene, avatars: Avatars) -> tuple[Person, ...]:
    """Draw the people of a scene."""
    stream = stream_of(scene, CAST)
    identities = _draw(stream, scene.pool, scene.objects)
    pairs = min(round(scene.likeness * scene.objects / 2), scene.objects // 2)
    for pair in range(pairs):
        base = identities[2 * pair]
        kind = int(stream.integers(len(LIKENESSES)))
        identities[2 * pair + 1] = scene.pool + len(LIKENESSES) * base + kind
    order = stream.permutation(len(identities))
    return tuple(make_person(scene, avatars, identities[i]) for i in order)


def make_person(scene: PeopleScene, avatars: Avatars, identity: int) -> Person:
    """Return the person with an identity: see `Person`."""
    base, kind = identity, None
    if identity >= scene.pool:
        base, kind = divmod(identity - scene.pool, len(LIKENESSES))
    look = make_look(avatars, scene.split, base)
    if kind is not None:
        look = resembling(look, LIKENESSES[kind], np.random.default_rng([base, kind]))
    return Person(identity, look, make_gait(look.gait))


def _draw(stream: np.random.Generator, pool: int, count: int) -> list[int]:
    """Draw different numbers below a pool's size."""
    drawn: dict[int, None] = {}
    while len(drawn) < count:
        drawn[int(stream.integers(pool))] = None
    return list(drawn)
