# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a network's numbers are worth: measured on its training clips, kept with its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import fields
import json
import math

#: in a checkpoint's metadata
KEY = 'calibration'

#: what may say whether two boxes look alike
CUES = ('cosine', 'transformer')


@dataclass(frozen=True)
class Calibration:
    """
    How cosines and logits of one network turn into evidence, in natural units.

    The defaults are of a network of which nothing is known; a tracker learns the cosines of one
    while it runs, and `trust` says how soon it does.

    :param cue: which of the two is the better measure of likeness, one of `CUES`
    :param same: mean cosine of a box's feature with the mean feature of its own track, after it
        was out of sight
    :param different: mean cosine with the mean feature of another object
    :param deviation: standard deviation of either
    :param drop: how much more alike successive boxes of a track are than `same` says
    :param trust: pairs seen online that weigh as much as `same` and `different` do
    :param logit_slope: evidence, in natural units, for each unit of the transformer's logit G that
        is above `logit_level`; 0: it was not calibrated, and is not used
    :param logit_level: logit G, of the best of a track's boxes, that says nothing either way
    :raises ValueError: if a number is not finite, or out of range
    """

    cue: str = 'cosine'
    same: float = 0.8
    different: float = 0.4
    deviation: float = 0.2
    drop: float = 0.1
    trust: float = 50.0
    logit_slope: float = 0.0
    logit_level: float = 0.0

    def __post_init__(self) -> None:
        if self.cue not in CUES:
            raise ValueError(f'cue is {self.cue!r}; expected one of {", ".join(CUES)}')
        for spec in fields(self)[1:]:
            value = getattr(self, spec.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f'{spec.name} is {value!r}; expected a number')
            if not math.isfinite(value):
                raise ValueError(f'{spec.name} is {value}; expected a finite number')
        for name in ('deviation', 'trust'):
            if getattr(self, name) <= 0:
                raise ValueError(f'{name} is {getattr(self, name)}; expected more than 0')

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> Calibration:
        """
        Read what a checkpoint's metadata says; the defaults where it says nothing.

        :raises ValueError: if what it says cannot be read
        """
        text = metadata.get(KEY)
        if text is None:
            return cls()
        known = {spec.name for spec in fields(cls)}
        try:
            values = json.loads(text)
            return cls(**{key: value for key, value in values.items() if key in known})
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f'{KEY} in the metadata is {text!r}: {error}') from error

    def write(self) -> dict[str, str]:
        """Return the metadata that say it."""
        return {KEY: json.dumps(asdict(self))}
