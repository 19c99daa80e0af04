# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A batch that fails is repeated in halves; errors of memory say what to do."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gtr_ros.media.pixels import ImageError
from gtr_ros.node.tracker.batching import detect_separately
from gtr_ros.node.tracker.batching import is_out_of_memory


def frames(count: int) -> list[SimpleNamespace]:
    image = np.zeros((6, 8, 3), np.uint8)
    return [SimpleNamespace(name=i, image=image) for i in range(count)]


def detect(batch, most: int, bad: tuple[int, ...], error: Exception) -> list[str]:
    """Fail for more frames than these, and for bad ones."""
    if len(batch) > most or any(frame.name in bad for frame in batch):
        raise error
    return [f'boxes of {frame.name}' for frame in batch]


def run(count: int, most: int = 99, bad: tuple[int, ...] = (), error=None):
    """Return the results, the number of splits, the batches tried and the sizes reported."""
    tried, reported, error = [], [], error or RuntimeError('it fails')

    def attempt(batch):
        tried.append([frame.name for frame in batch])
        return detect(batch, most, bad, error)

    found, splits = detect_separately(
        attempt, frames(count), lambda size, why: reported.append((size, why))
    )
    assert all(why is error for _, why in reported)
    return found, splits, tried, [size for size, _ in reported]


def test_a_batch_that_works_is_one_batch():
    found, splits, tried, reported = run(3)
    assert found == ['boxes of 0', 'boxes of 1', 'boxes of 2']
    assert (splits, tried, reported) == (0, [[0, 1, 2]], [])


@pytest.mark.parametrize(
    ('bad', 'tried', 'sizes'),
    [
        (3, [[0, 1, 2, 3, 4], [0, 1], [2, 3, 4], [2], [3, 4], [3], [4]], [5, 3, 2]),
        (0, [[0, 1, 2, 3, 4], [0, 1], [0], [1], [2, 3, 4]], [5, 2]),
    ],
)
def test_a_bad_frame_takes_no_other_with_it(bad, tried, sizes):
    found, splits, batches, reported = run(5, bad=(bad,))
    assert isinstance(found[bad], RuntimeError)
    expected = [f'boxes of {i}' for i in range(5)]
    expected[bad] = 'it fails'
    assert [str(each) for each in found] == expected
    assert (batches, reported) == (tried, sizes)
    assert splits == len(sizes)


def test_a_device_without_memory_for_a_batch_gets_smaller_ones():
    found, splits, tried, reported = run(4, most=2, error=RuntimeError('CUDA out of memory.'))
    assert found == [f'boxes of {i}' for i in range(4)]
    assert tried == [[0, 1, 2, 3], [0, 1], [2, 3]]
    assert (splits, reported) == (1, [4])


@pytest.mark.parametrize(
    ('error', 'reason'),
    [
        (RuntimeError('CUDA out of memory.\nTried to allocate 2 GiB'), 'CUDA out of memory.'),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "can't allocate memory"),
        (RuntimeError('std::bad_alloc'), 'bad_alloc'),
        (RuntimeError('Bad Alloc'), 'Bad Alloc'),
        (MemoryError(), 'MemoryError'),
    ],
)
def test_an_image_that_does_not_fit_is_told_with_its_size_and_a_remedy(error, reason):
    [found], splits, _, reported = run(1, most=0, error=error)
    assert is_out_of_memory(error)
    assert isinstance(found, ImageError)
    text = str(found)
    assert 'image of 8 x 6 pixels does not fit' in text
    assert reason in text
    assert 'Publish smaller images' in text
    assert '\n' not in text
    assert (splits, reported) == (0, [])


def test_a_failed_batch_keeps_no_memory_of_its_own():
    """The frames of a traceback keep what is in them alive, which smaller batches need."""
    kept = []

    class Big:
        def __del__(self) -> None:
            kept.append(len(freed))

    freed = []

    def attempt(batch):
        if len(batch) > 1:
            big = Big()  # noqa: F841 - held by the frame of the traceback
            raise MemoryError
        freed.append(batch)
        return ['boxes']

    detect_separately(attempt, frames(2), lambda size, why: None)
    assert kept == [0], 'before the first half was tried'


def test_other_errors_are_not_of_memory():
    assert not is_out_of_memory(ValueError('the memory of an elephant'))
