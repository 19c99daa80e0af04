# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A growing and sliding buffer of rows that stay contiguous in memory."""

from __future__ import annotations

from torch import Tensor

#: number of rows by which a window may slide before it is moved back to the start of the buffer;
#: an eighth of its length, if that is more
_SLACK = 256

#: minimum capacity of a buffer on a CPU, rows, and its growth factor. Both are large because the
#: old and the new buffer coexist while it grows, and memory that was never written to is not used
_LEAST_CPU_ROWS = 4096
_CPU_GROWTH = 4


class RowBuffer:
    """
    The rows of a window, one for each object, contiguous in memory; adding a frame copies none.

    Rows are appended in two steps: `stage` returns room for them, to be filled, and `commit` makes
    them part of the window. Rows can be dropped at either end.
    """

    def __init__(self) -> None:
        self._buffer: Tensor | None = None
        self._start = self._end = self._staged = self._staged_at = 0

    def __len__(self) -> int:
        """Return the number of rows, without the staged ones."""
        return self._end - self._start

    @property
    def end(self) -> int:
        """Number of rows up to the end of the window; rows beyond it use no memory yet."""
        return self._end

    @property
    def capacity(self) -> int:
        """Number of allocated rows."""
        return 0 if self._buffer is None else len(self._buffer)

    def stage(self, count: int, width: int, like: Tensor) -> Tensor:
        """
        Make room for new rows; rows staged before are discarded.

        :param width: W, the same in every call
        :param like: tensor with the data type and device of the rows
        :return: (N + count, W), a view: the new rows are its last ones, to be filled
        :raises ValueError: if W differs from the previous rows
        """
        if self._buffer is None:
            self._buffer = like.new_empty(0, width)
        if width != self._buffer.shape[1]:
            raise ValueError(
                f'rows have length {width}, the previous ones {self._buffer.shape[1]}; all '
                'features of one window must come from one network'
            )
        self._make_room(count)
        self._staged, self._staged_at = count, self._end
        return self._buffer[self._start : self._end + count]

    def stage_none(self) -> None:
        """Stage no rows; rows staged before are discarded."""
        self._staged, self._staged_at = 0, self._end

    def commit(self) -> None:
        """Make the staged rows part of the window, even if rows were dropped since then."""
        if self._staged_at != self._end:
            staged = self._buffer[self._staged_at : self._staged_at + self._staged].clone()
            self._buffer[self._end : self._end + self._staged] = staged
        self._end += self._staged
        self._staged, self._staged_at = 0, self._end

    def drop_first(self, count: int) -> None:
        """Drop the first rows; staged rows stay."""
        self._start += count

    def drop_last(self, count: int) -> None:
        """Drop the last rows; staged rows stay."""
        self._end -= count

    def clear(self) -> None:
        """Drop all rows, including staged ones, and free their memory."""
        self._buffer = None
        self._start = self._end = self._staged = self._staged_at = 0

    def _make_room(self, count: int) -> None:
        length, width = len(self), self._buffer.shape[1]
        # A window that slides through the whole buffer would write to all of its memory.
        needed = max((length + count) * 9 // 8, length + count + _SLACK)
        if self._end + count <= min(needed, len(self._buffer)):
            return
        if needed <= len(self._buffer):
            # Copied in pieces that do not overlap, so that nothing is allocated.
            for i in range(0, length, self._start):
                piece = min(self._start, length - i)
                begin = self._start + i
                self._buffer[i : i + piece] = self._buffer[begin : begin + piece]
        else:
            if self._buffer.device.type == 'cpu':
                needed = max(_LEAST_CPU_ROWS, needed * _CPU_GROWTH)
            buffer = self._buffer.new_empty(needed, width)
            buffer[:length] = self._buffer[self._start : self._end]
            self._buffer = buffer
        self._start, self._end = 0, length
