# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rows that are written are read again, with any values."""

from __future__ import annotations

from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.motchallenge import read_rows
from gtr_ros.data.formats.motchallenge import result_rows

SETTINGS = settings(derandomize=True, max_examples=100, deadline=None)
PLACES = st.floats(-1e5, 1e5, width=32)
SIDES = st.floats(0.25, 1e4, width=32)
BOXES = st.tuples(PLACES, PLACES, SIDES, SIDES)


@SETTINGS
@given(
    frames=st.lists(
        st.lists(st.tuples(BOXES, st.floats(0, 1, width=32)), max_size=4), min_size=1, max_size=5
    ),
    marks=st.sampled_from(['\n', '\r\n', '\r']),
)
def test_results_are_read_as_they_were_written(tmp_path_factory, frames, marks):
    path = tmp_path_factory.getbasetemp() / 'rows.txt'
    lines, expected = [], []
    for t, boxes in enumerate(frames, 1):
        corners = [(x, y, x + w, y + h) for (x, y, w, h), _ in boxes]
        scores = [score for _, score in boxes]
        ids = range(1, len(boxes) + 1)
        lines += result_rows(t, ids, corners, scores)
        expected += [(t, i, *row) for i, row in zip(ids, zip(corners, scores))]
    path.write_bytes(''.join(lines).replace('\n', marks).encode())
    found = read_rows(path, len(frames))
    assert len(found) == len(expected)
    for row, (frame, identity, corners, score) in zip(found, expected):
        assert (row.frame, row.id) == (frame, identity)
        np.testing.assert_allclose(row.box, corners, atol=0.011)
        assert row.score == pytest.approx(score, abs=1e-4)


@SETTINGS
@given(box=st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 4))
@example((1e16, 1.0, 1.0, 5.0))  # left + width is left
@example((1e39, 1.0, 1e39, 5.0))  # beyond float32
@example((3e5, 0.0, 1e-3, 5.0))  # no width in float32
def test_an_accepted_box_has_an_area_in_float32(tmp_path_factory, box):
    path = tmp_path_factory.getbasetemp() / 'det.txt'
    path.write_text(f'1,-1,{",".join(map(repr, box))},0.5,-1,-1,-1\n')
    try:
        [row] = read_rows(path, ids=False)
    except FormatError:
        return
    corners = np.array(row.box, np.float32)
    assert np.isfinite(corners).all()
    assert (corners[2:] > corners[:2]).all()
