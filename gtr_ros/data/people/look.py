# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The look of one identity."""

from __future__ import annotations

from dataclasses import dataclass

Lab = tuple[float, float, float]

PATTERNS = ('', 'stripes', 'band', 'blocks', 'open')
BAGS = ('', 'backpack', 'shoulder', 'case')


@dataclass(frozen=True)
class Look:
    """
    What makes one identity.

    :param avatar: name of the avatar
    :param height: scale of the whole body
    :param width: scale across the height
    :param top: mean Lab colour of this part of the clothes; so `bottom` and `shoes`
    :param hair: mean Lab colour; None: the avatar's own
    :param tone: shift of the skin's Lab colour
    :param pattern: on the top: '' none, 'stripes', 'band' over the chest, 'blocks' (shoulders and
        sleeves of another colour), 'open' (a jacket with something below)
    :param second: Lab colour of the pattern
    :param bag: '' none, 'backpack', 'shoulder' (bag on the left hip), 'case' (in the right hand)
    :param bag_colour: Lab
    :param bag_size: scale
    :param gait: seed of the gait
    :param alike: avatars of others in an outfit of the same kind, for `resembling`
    """

    avatar: str
    height: float = 1.0
    width: float = 1.0
    top: Lab = (30.0, 0.0, 0.0)
    bottom: Lab = (30.0, 0.0, -10.0)
    shoes: Lab = (15.0, 0.0, 0.0)
    hair: Lab | None = None
    tone: Lab = (0.0, 0.0, 0.0)
    pattern: str = ''
    second: Lab = (80.0, 0.0, 0.0)
    bag: str = ''
    bag_colour: Lab = (15.0, 0.0, 0.0)
    bag_size: float = 1.0
    gait: int = 0
    alike: tuple[str, ...] = ()
