# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How cosines and logits of a network become evidence: measured on clips, kept in checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import fields
import json
from typing import NamedTuple

from gtr_ros.parsing import parse_json

#: key in a checkpoint's metadata
KEY = 'calibration'

_LARGEST = 1e9  # absolute value of a number: their products and squares must be finite

#: measures of the similarity between two boxes
CUES = ('cosine', 'transformer')


class SimilarityPrior(NamedTuple):
    """
    A measure of similarity, between boxes and tracks, before a tracker has learnt more about it.

    :param same: mean for a track and its object after an absence
    :param different: mean for a track and another object
    :param deviation: standard deviation of both
    :param drop: how much higher it is from one box of a track to the next than `same`
    :param trust: number of pairs observed online that weigh as much as these values
    """

    same: float
    different: float
    deviation: float
    drop: float
    trust: float


@dataclass(frozen=True)
class Calibration:
    """
    How cosines and logits of one network become evidence, in natural units.

    The defaults are for a network that was not calibrated. A tracker also learns the statistics
    online; `trust` is the weight of the values here.

    :param cue: the better measure of similarity, one of `CUES`
    :param same: mean cosine between a box's feature and the mean feature of its own track, after
        an absence
    :param different: mean cosine between a box's feature and the mean feature of another object
    :param deviation: standard deviation of both cosines, until the tracker has seen some
    :param drop: how much higher the cosine of successive boxes of a track is than `same`
    :param trust: number of pairs observed online that weigh as much as these values
    :param logit_slope: evidence, in natural units, per unit of the transformer's logit G, mean of
        a track's boxes, above `logit_level`, after an absence; 0: not calibrated, and not used
    :param logit_level: logit G at which the evidence is 0
    :param logit_deviation: standard deviation of G for the same and for different objects, until
        the tracker has seen some
    :param logit_drop: how much higher G of successive boxes of a track is than after an absence
    :raises ValueError: if a number is out of range
    """

    cue: str = 'cosine'
    same: float = 0.8
    different: float = 0.4
    deviation: float = 0.2
    drop: float = 0.1
    trust: float = 50.0
    logit_slope: float = 0.0
    logit_level: float = 0.0
    logit_deviation: float = 2.0
    logit_drop: float = 0.0

    def __post_init__(self) -> None:
        if self.cue not in CUES:
            raise ValueError(f'cue is {self.cue!r}; expected one of {", ".join(CUES)}')
        for spec in fields(self)[1:]:
            value = getattr(self, spec.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f'{spec.name} is {value!r}; expected a number')
            if not abs(value) <= _LARGEST:  # also nan
                raise ValueError(
                    f'{spec.name} is {value}; expected a number from {-_LARGEST:g} to {_LARGEST:g}'
                )
        for name in ('deviation', 'trust', 'logit_deviation'):
            if getattr(self, name) <= 0:
                raise ValueError(f'{name} is {getattr(self, name)}; expected more than 0')

    @property
    def cosines(self) -> SimilarityPrior:
        """What is known of the cosine."""
        return SimilarityPrior(self.same, self.different, self.deviation, self.drop, self.trust)

    @property
    def logits(self) -> SimilarityPrior:
        """What is known of the transformer's logit: slope and level, as normal distributions."""
        half = self.logit_slope * self.logit_deviation**2 / 2
        level, deviation = self.logit_level, self.logit_deviation
        return SimilarityPrior(level + half, level - half, deviation, self.logit_drop, self.trust)

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> Calibration:
        """
        Read the calibration from a checkpoint's metadata; the defaults if there is none.

        :raises ValueError: if it cannot be read
        """
        text = metadata.get(KEY)
        if text is None:
            return cls()
        known = {spec.name for spec in fields(cls)}
        try:
            values = parse_json(text)
            return cls(**{key: value for key, value in values.items() if key in known})
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f'{KEY} in the metadata is {text!r}: {error}') from error

    def write(self) -> dict[str, str]:
        """Return the calibration as metadata of a checkpoint."""
        return {KEY: json.dumps(asdict(self))}
