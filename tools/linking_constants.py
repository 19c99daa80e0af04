# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The constants of the rule `evidence`, by dotted names, and the values to try instead."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import fields
from dataclasses import replace
from typing import NamedTuple

from gtr_ros.model.association import Association
from gtr_ros.tracking import evidence_rule
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking.motion import MotionModel

Number = float | int | bool

#: steps added to some constants; the others are halved and doubled
_STEPS: dict[str, tuple[float, ...]] = {
    'threshold': (-1.0, -0.5, 0.5, 1.0),
    'weak_threshold': (-1.5, 1.5),
    'gallery.threshold': (-2.0, -1.0, 1.0, 2.0),
    'gallery.drop': (-0.2, 0.2),
    'calibration.same': (-0.1, 0.1),
    'calibration.different': (-0.1, 0.1),
    'calibration.logit_level': (-1.0, 1.0),
}

#: constants for which 1 - value is halved and doubled
_CERTAIN = ('gallery.certainty',)

#: explicit values for some constants
_INSTEAD: dict[str, tuple[int, ...]] = {'gallery.size': (0, 10, 30)}


class LinkingSettings(NamedTuple):
    """The varied parts of a tracker; the association contains the calibration."""

    rule: EvidenceRule
    association: Association


def constants(settings: LinkingSettings) -> dict[str, Number]:
    """Return all constants by name: `threshold`, `motions.calm.prior`, `gallery.wait`, ..."""
    rule = settings.rule
    found = _numbers(rule, '')
    for name, models in _motions(rule).items():
        found |= _numbers(models[0], f'motions.{name}.')
    found |= dict.fromkeys((f'motions.{name}' for name, _ in _named(rule)), True)
    found |= _numbers(rule.gallery, 'gallery.')
    return found | _numbers(settings.association.calibration, 'calibration.')


def alternatives(settings: LinkingSettings, name: str) -> Iterator[Number]:
    """Return the values to try instead of a constant's value."""
    value = constants(settings)[name]
    if isinstance(value, bool):
        # A motion can be left out; flags of a motion are not varied.
        if not name.startswith('motions.') or name.count('.') == 1:
            yield not value
    elif name in _STEPS:
        yield from (round(value + step, 6) for step in _STEPS[name])
    elif name in _CERTAIN:
        yield from (round(1 - (1 - value) * factor, 6) for factor in (0.5, 2, 4))
    elif name in _INSTEAD:
        yield from _INSTEAD[name]
    elif value:
        yield from (type(value)(value * factor) for factor in (0.5, 2))


def format_value(name: str, value: Number) -> str:
    """Return a value as text."""
    if isinstance(value, bool):
        return 'on' if value else 'left out' if name.startswith('motions.') else 'off'
    return f'{value:g}'


def with_constant(settings: LinkingSettings, name: str, value: Number) -> LinkingSettings:
    """Return settings with one constant changed; equal motions change together."""
    rule, (owner, _, rest) = settings.rule, name.partition('.')
    if not rest:
        return settings._replace(rule=replace(rule, **{name: value}))
    if owner == 'gallery':
        gallery = replace(rule.gallery, **{rest: value})
        return settings._replace(rule=replace(rule, gallery=gallery))
    if owner == 'calibration':
        association = copy(settings.association)  # the copy shares its weights
        association.calibration = replace(association.calibration, **{rest: value})
        return settings._replace(association=association)
    kind, _, key = rest.partition('.')
    if key:
        equal = _motions(rule)[kind]
        motions = tuple(replace(m, **{key: value}) if m in equal else m for m in rule.motions)
    else:
        motions = tuple(m for n, m in _named(rule) if n != kind)
    return settings._replace(rule=replace(rule, motions=motions))


def _numbers(owner: object, prefix: str) -> dict[str, Number]:
    pairs = ((prefix + spec.name, getattr(owner, spec.name)) for spec in fields(owner))
    return {name: value for name, value in pairs if isinstance(value, float | int)}


def _named(rule: EvidenceRule) -> list[tuple[str, MotionModel]]:
    """Return the rule's motions with the names of their definitions."""
    known = {m: n.lower() for n, m in vars(evidence_rule).items() if isinstance(m, MotionModel)}
    return [(known.get(m, f'number {i}'), m) for i, m in enumerate(rule.motions)]


def _motions(rule: EvidenceRule) -> dict[str, list[MotionModel]]:
    """Return groups of motions that differ only in `with_background`, by the name of the first."""
    groups: dict[str, list[MotionModel]] = {}
    heads: dict[MotionModel, str] = {}
    for name, model in _named(rule):
        head = heads.setdefault(replace(model, with_background=False), name)
        groups.setdefault(head, []).append(model)
    return groups
