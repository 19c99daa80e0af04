# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Meshes and textures of people, kept from scene to scene."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from typing import NamedTuple
from typing import TypeVar

import numpy as np

from gtr_ros.data.people.avatars import Avatar
from gtr_ros.data.people.avatars import Avatars
from gtr_ros.data.people.bags import bag_mesh
from gtr_ros.data.people.looks import Look
from gtr_ros.data.people.looks import paint
from gtr_ros.data.people.meshes import coarse_mesh
from gtr_ros.data.people.meshes import fine_mesh
from gtr_ros.data.people.meshes import Mesh
from gtr_ros.data.people.meshes import paint_swatches
from gtr_ros.data.people.meshes import with_bag

_T = TypeVar('_T')

#: height of a person's texture, pixels
TEXTURE = 256


class Dressed(NamedTuple):
    """
    A person as it is drawn.

    :param avatar: its joints
    :param fine: its mesh
    :param coarse: its mesh with less detail
    :param texture: (TEXTURE, TEXTURE * 3 // 2, 3) uint8 RGB
    """

    avatar: Avatar
    fine: Mesh
    coarse: Mesh
    texture: np.ndarray


class Wardrobe:
    """
    The avatars of a folder, and what is made of them.

    :param folder: None: the avatars that the package contains
    :param kept: number of people that stay in memory (some 3 MB each)
    """

    def __init__(self, folder: Path | None, kept: int = 64) -> None:
        self.avatars = Avatars(folder)
        self._kept = kept
        self._coarse: OrderedDict[Any, Mesh] = OrderedDict()
        self._dressed: OrderedDict[Any, Dressed] = OrderedDict()

    def dress(self, look: Look) -> Dressed:
        """Return a person with a look."""
        return _remember(self._dressed, self._kept, look, lambda: self._make(look))

    def _make(self, look: Look) -> Dressed:
        avatar = self.avatars.read(look.avatar)
        fine = fine_mesh(avatar)
        coarse = _remember(self._coarse, 4 * self._kept, avatar.name, lambda: coarse_mesh(avatar))
        texture = paint(avatar, look, TEXTURE)
        bag = bag_mesh(look, avatar)
        if bag is not None:
            fine, coarse = with_bag(fine, bag), with_bag(coarse, bag)
            paint_swatches(texture, bag)
        return Dressed(avatar, fine, coarse, texture)


@cache
def wardrobe_of(folder: str) -> Wardrobe:
    """Return the one wardrobe of a folder in this process; '': that of the package."""
    return Wardrobe(Path(folder).expanduser() if folder else None)


def _remember(kept: OrderedDict[Any, _T], most: int, key: Any, make: Callable[[], _T]) -> _T:
    """Return a value that was made before, or make it; the oldest ones are forgotten."""
    if key not in kept:
        kept[key] = make()
        while len(kept) > most:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return kept[key]
