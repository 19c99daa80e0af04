# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A buffer of rows holds what a plain list would, and does not slide through memory."""

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest
import torch

from gtr_ros.tracking.row_buffer import RowBuffer

STEP = st.tuples(st.sampled_from(['add', 'add', 'first', 'last', 'late']), st.integers(0, 300))


@settings(derandomize=True, max_examples=40, deadline=None)
@given(steps=st.lists(STEP, max_size=60))
def test_rows_are_those_of_a_list(steps):
    buffer, rows, number = RowBuffer(), [], 0
    like = torch.zeros(0)
    for kind, count in steps:
        if kind in ('add', 'late'):
            new = [float(number + i) for i in range(count)]
            number += count
            room = buffer.stage(count, 2, like)
            assert len(room) == len(rows) + count
            room[len(rows) :] = torch.tensor(new)[:, None]
            if kind == 'late':  # rows may be dropped between the two steps
                dropped = len(rows) // 3
                buffer.drop_last(dropped)
                rows = rows[: len(rows) - dropped]
            buffer.commit()
            rows += new
        else:
            count = min(count, len(rows))
            (buffer.drop_first if kind == 'first' else buffer.drop_last)(count)
            rows = rows[count:] if kind == 'first' else rows[: len(rows) - count]
        assert len(buffer) == len(rows)
        if number:
            assert buffer.stage(0, 2, like)[:, 1].tolist() == rows


@pytest.mark.parametrize(('window', 'most'), [(200, 456), (8000, 9000)])
def test_a_window_slides_by_no_more_than_its_slack(window, most):
    buffer = RowBuffer()
    for i in range(400):
        buffer.stage(100, 1, torch.zeros(0))[-100:] = i
        buffer.commit()
        if len(buffer) > window - 100:
            buffer.drop_first(100)
        assert buffer.end <= most
    assert buffer.stage(0, 1, torch.zeros(0))[-1].item() == 399


def test_staged_rows_are_discarded_by_the_next():
    buffer = RowBuffer()
    buffer.stage(3, 1, torch.zeros(0))[:] = 1
    buffer.stage(2, 1, torch.zeros(0))[:] = 2
    buffer.commit()
    buffer.stage(4, 1, torch.zeros(0))
    buffer.stage_none()
    buffer.commit()
    assert buffer.stage(0, 1, torch.zeros(0)).ravel().tolist() == [2, 2]


def test_a_cleared_buffer_has_no_rows_and_no_memory():
    buffer = RowBuffer()
    assert buffer.capacity == 0
    buffer.stage(3, 1, torch.zeros(0))
    buffer.commit()
    assert buffer.capacity >= 3
    buffer.clear()
    assert (len(buffer), buffer.capacity, buffer.end) == (0, 0, 0)
    buffer.stage(2, 5, torch.zeros(0))  # another width
    buffer.commit()
    assert len(buffer) == 2


def test_rows_of_another_width_are_refused():
    buffer = RowBuffer()
    buffer.stage(3, 4, torch.zeros(0))
    with pytest.raises(ValueError, match='rows have length 5, the previous ones 4'):
        buffer.stage(3, 5, torch.zeros(0))
