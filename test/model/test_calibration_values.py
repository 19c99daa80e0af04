# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A calibration in metadata has numbers that can be computed with, or is refused."""

from dataclasses import asdict
from dataclasses import replace
import json

import numpy as np
import pytest

from gtr_ros.model.calibration import Calibration
from gtr_ros.model.calibration import KEY


def test_what_is_written_is_read():
    made = Calibration(cue='transformer', same=0.7, logit_slope=0.5)
    assert Calibration.read(made.write()) == made
    assert Calibration.read({}) == Calibration()


@pytest.mark.parametrize('value', [1e300, -1e10, 10**400, float('nan'), float('inf'), '1', True])
def test_numbers_beyond_all_measurements_are_refused(value):
    text = json.dumps(asdict(Calibration()) | {'logit_slope': value})
    with pytest.raises(ValueError, match='logit_slope is'):
        Calibration.read({KEY: text})


def test_the_largest_numbers_give_finite_priors():
    largest = dict.fromkeys(('same', 'logit_slope', 'logit_level', 'logit_deviation'), 1e9)
    made = replace(Calibration(), **largest)
    assert np.isfinite([*made.cosines, *made.logits]).all()


@pytest.mark.parametrize('text', ['[' * 100_000, '9' * 5000, '[]', 'null', '{"cue": []}'])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match='calibration in the metadata'):
        Calibration.read({KEY: text})
