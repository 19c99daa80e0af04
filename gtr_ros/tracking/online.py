# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The association online: what it keeps of a camera's window from one frame to the next.

Every kind gives the likelihoods that `Association.forward` gives for the whole window; they differ
in what they compute anew for each frame:

- `Recomputed`: everything, for any association;
- `CachedEncoder`: all but the projections of past features; for the published encoder, in which a
  new object changes what the past ones are;
- `Streaming`: only what is new; for encoders in which it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

import torch
from torch import Tensor

from gtr_ros.model.association import Association
from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.association import frame_softmax

#: rows that go through an encoder together on a CPU, so that what is between two of its steps
#: stays in the cache; a GPU takes all
_ROWS_AT_ONCE = 256

#: rows that a window may move on before it is moved back, if an eighth of it is not more
_SLACK = 256

#: rows that a buffer has room for on a CPU, and how many times more than are needed when it grows:
#: while it grows both are there, and memory that nobody has written to does not exist yet
_ROOM_ON_CPU = 4096
_GROWTH_ON_CPU = 4


class RowBuffer:
    """
    The rows of a window, one for each object, contiguous in memory: no frame copies the others.

    Rows are added at the end, in two steps: `stage` makes room, in which they are written, and
    `commit` makes them part of the window. They are dropped at either end.
    """

    def __init__(self) -> None:
        self._buffer: Tensor | None = None
        self._start = self._end = self._staged = self._staged_at = 0

    def __len__(self) -> int:
        """Count the rows without the staged ones."""
        return self._end - self._start

    def stage(self, count: int, width: int, like: Tensor) -> Tensor:
        """
        Make room for rows after the others, instead of those staged before.

        :param width: W, the same every time
        :param like: tensor of the type and on the device that rows are to have
        :return: (N + count, W), a view: what is written in its last rows is staged
        :raises ValueError: if W is not what it was
        """
        if self._buffer is None:
            self._buffer = like.new_empty(0, width)
        if width != self._buffer.shape[1]:
            raise ValueError(
                f'rows are {width} numbers wide, those before {self._buffer.shape[1]}: features '
                'of one window must be of one network'
            )
        self._make_room(count)
        self._staged, self._staged_at = count, self._end
        return self._buffer[self._start : self._end + count]

    def stage_none(self) -> None:
        """Stage no row, instead of those staged before."""
        self._staged, self._staged_at = 0, self._end

    def commit(self) -> None:
        """Make the staged rows part of the window; where others have left they move up."""
        if self._staged_at != self._end:
            staged = self._buffer[self._staged_at : self._staged_at + self._staged].clone()
            self._buffer[self._end : self._end + self._staged] = staged
        self._end += self._staged
        self._staged, self._staged_at = 0, self._end

    def drop_first(self, count: int) -> None:
        """Drop rows at the beginning; staged ones stay."""
        self._start += count

    def drop_last(self, count: int) -> None:
        """Drop rows at the end; staged ones stay."""
        self._end -= count

    def clear(self) -> None:
        """Drop all rows, staged ones too, and give their memory back."""
        self._buffer = None
        self._start = self._end = self._staged = self._staged_at = 0

    def _make_room(self, count: int) -> None:
        length, width = len(self), self._buffer.shape[1]
        # A window that slides through more of the buffer than it needs would make it all real.
        needed = max((length + count) * 9 // 8, length + count + _SLACK)
        if self._end + count <= min(needed, len(self._buffer)):
            return
        if needed <= len(self._buffer):
            # In steps that do not overlap, so that nothing more is allocated.
            for i in range(0, length, self._start):
                step = min(self._start, length - i)
                begin = self._start + i
                self._buffer[i : i + step] = self._buffer[begin : begin + step]
        else:
            if self._buffer.device.type == 'cpu':
                needed = max(_ROOM_ON_CPU, needed * _GROWTH_ON_CPU)
            buffer = self._buffer.new_empty(needed, width)
            buffer[:length] = self._buffer[self._start : self._end]
            self._buffer = buffer
        self._start, self._end = 0, length


class OnlineAssociation:
    """
    What an association keeps of one camera's window.

    A frame is asked about, and then added; frames leave at both ends.

    :param association: in evaluation mode; its weights must not change any more
    """

    def __init__(self, association: Association) -> None:
        self.association = association
        self._counts: list[int] = []  # objects of each frame, oldest first
        self._rows = RowBuffer()
        self._asked = 0

    @torch.inference_mode()
    def ask(self, features: Tensor, boxes: Tensor) -> Tensor:
        """
        Associate the objects of a new frame with those of the window.

        :param features: (M, D) float
        :param boxes: (M, 4) float, xyxy, relative to the image's width and height
        :return: (M, P) float in [0, 1], P_A with the window's P objects, oldest frame first
        :raises ValueError: if features are of another length than those of the window
        """
        past, count = len(self._rows), len(features)
        self._asked = count
        if not count:  # of a frame without objects nobody knows how long a feature is
            self._rows.stage_none()
            return features.new_zeros(0, past)
        rows = self._rows.stage(count, self.row_width(features.shape[1]), features)
        return self._likelihoods(rows, features, boxes)

    @torch.inference_mode()
    def add(self) -> None:
        """Let the frame that was asked about be the window's newest."""
        self._rows.commit()
        self._counts.append(self._asked)

    def drop_oldest(self) -> None:
        """Let the window's oldest frame go."""
        self._rows.drop_first(self._counts.pop(0))

    def drop_newest(self) -> None:
        """Let the window's newest frame go; one that was asked about and not yet added stays."""
        self._rows.drop_last(self._counts.pop())

    def clear(self) -> None:
        """Let everything go."""
        self._counts.clear()
        self._rows.clear()

    def row_width(self, features: int) -> int:
        """Return how many numbers are kept of an object."""
        raise NotImplementedError

    def _likelihoods(self, rows: Tensor, features: Tensor, boxes: Tensor) -> Tensor:
        """
        Fill the new objects' rows, and answer.

        :param rows: (P + M, W) of the window's objects and the M new ones, which are not filled
        """
        raise NotImplementedError


class Recomputed(OnlineAssociation):
    """Keeps features and boxes, and computes everything anew: the plain path, for any kind."""

    def row_width(self, features: int) -> int:
        return features + 4

    def _likelihoods(self, rows: Tensor, features: Tensor, boxes: Tensor) -> Tensor:
        count, length = features.shape
        rows[-count:, :length] = features
        rows[-count:, length:] = boxes
        counts = [*self._counts, count]
        likelihoods = self.association(rows[:, :length], counts, len(counts) - 1, rows[:, length:])
        return likelihoods[:, :-count]


class _OnlineTransformer(OnlineAssociation):
    """What the two kinds for `AssociationTransformer` share: queries, decoder, logits."""

    association: AssociationTransformer

    def _answer(
        self,
        query: Tensor,
        keys: Tensor,
        look: Callable[[int, Tensor], Tensor],
    ) -> Tensor:
        """
        Decode the queries.

        :param query: (M, D), the new objects' features
        :param keys: (P, D), what the window's objects are compared by
        :param look: (layer, M x D) -> M x D, the cross-attention of a decoder layer
        :return: (M, P), G
        """
        own = self.association
        for i, layer in enumerate(own.decoder):
            if layer.self_attention is not None:
                query = layer.self_attention(query, query, query, query)
            query = layer.feed_forward(look(i, query))
        logits = own.query_projection(own.decoder_norm(query)) @ keys.T
        if own.log_scale is not None:
            logits = own.log_scale.exp() * logits + own.bias
        return logits

    def _position(self, boxes: Tensor) -> Tensor | None:
        embedding = self.association.embedding
        return None if embedding is None else embedding(boxes, boxes.new_zeros(len(boxes)))


class Streaming(_OnlineTransformer):
    """
    Encodes an object once, when it comes: a frame costs O(M N), not O(N^2).

    Kept of each object are keys and values of every encoder and decoder layer, and its own key of
    the dot product. An object goes on knowing of those that it saw when it came, though they have
    left the window since.
    """

    def row_width(self, features: int) -> int:
        own = self.association
        attending = sum(layer.attention is not None for layer in own.encoder)
        return (2 * attending + 2 * len(own.decoder) + 1) * features

    def _likelihoods(self, rows: Tensor, features: Tensor, boxes: Tensor) -> Tensor:
        count = len(features)
        columns = iter(rows.split(features.shape[1], dim=1))

        def keep(*new: Tensor) -> list[Tensor]:
            kept = [next(columns) for _ in new]
            for column, values in zip(kept, new):
                column[-count:] = values
            return kept

        return frame_softmax(self.step(features, boxes, keep), self._counts)

    def step(self, features: Tensor, boxes: Tensor, keep: Callable[..., list[Tensor]]) -> Tensor:
        """
        Compute the logits of a new frame.

        :param features: (M, D) float
        :param boxes: (M, 4) float, xyxy, relative to the image's width and height
        :param keep: given (M, D) columns of the new objects' rows, in turn, keeps them and returns
            the same columns of all objects, (P + M, D) each
        :return: (M, P), G
        """
        own, count = self.association, features.shape[0]
        position = self._position(boxes)
        memory = features
        for layer in own.encoder:
            if layer.attention is not None:
                placed = memory if position is None else memory + position
                queries, *objects = layer.attention.project(placed, placed, memory)
                memory = layer.attention.look(memory, queries, *keep(*objects))
            memory = layer.feed_forward(memory)
        placed = memory if position is None else memory + position
        kept = [keep(*layer.attention.project_objects(placed, memory)) for layer in own.decoder]
        [keys] = keep(own.key_projection(memory))

        def look(i: int, query: Tensor) -> Tensor:
            attention = own.decoder[i].attention
            return attention.look(query, attention.project_queries(query), *kept[i])

        return self._answer(features, keys[:-count], look)


class CachedEncoder(_OnlineTransformer):
    """
    Keeps the first encoder layer's projections; in it the new objects change all the past ones.

    The encoder goes over the window in pieces and attention weights are never all in memory. The
    decoder does not project the window's objects: their projection moves over to the queries, of
    which there are fewer.
    """

    def row_width(self, features: int) -> int:
        # Features, queries, keys, values; what is embedded, if it is.
        return (4 + (self.association.embedding is not None)) * features

    def _likelihoods(self, rows: Tensor, features: Tensor, boxes: Tensor) -> Tensor:
        own, count = self.association, len(features)
        x, queries, keys, values, *embedded = rows.split(features.shape[1], dim=1)
        first, *others = own.encoder
        new, position = self._position(boxes), None
        x[-count:] = features
        placed = features if new is None else features + new
        projected = first.attention.project(placed, placed, features)
        for column, part in zip((queries, keys, values), projected):
            column[-count:] = part
        if embedded:
            [position] = embedded
            position[-count:] = new
        memory = x.new_empty(x.shape)
        step = _ROWS_AT_ONCE if x.device.type == 'cpu' else len(x)
        for i in range(0, len(x), step):
            part = slice(i, i + step)
            found = first.attention.look(x[part], queries[part], keys, values)
            memory[part] = first.feed_forward(found)
        for layer in others:
            memory = layer(memory, position)
        placed = memory if position is None else memory + position

        def look(i: int, query: Tensor) -> Tensor:
            return own.decoder[i].attention.look_from_afar(query, placed, memory)

        logits = self._answer(features, own.key_projection(memory[:-count]), look)
        return frame_softmax(logits, self._counts)


@singledispatch
def online(association: Association) -> OnlineAssociation:
    """Return what computes an association frame by frame with the least work: one a camera."""
    return Recomputed(association)


@online.register
def _(association: AssociationTransformer) -> OnlineAssociation:
    embedding = association.embedding
    if embedding is not None and embedding.time is not None:
        return Recomputed(association)  # every frame's place in the window changes
    attends = any(layer.attention is not None for layer in association.encoder)
    if association.causal or not attends:
        return Streaming(association)
    if association.encoder[0].attention is None:
        return Recomputed(association)
    return CachedEncoder(association)
