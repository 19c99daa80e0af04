# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The association of one camera, computed incrementally from frame to frame.

Every class returns the likelihoods that `Association.forward` returns for the whole window; they
differ in what they recompute for each frame:

- `RecomputingAssociation`: everything, for any association;
- `CachingAssociation`: everything except the projections of past features; for the published
  encoder, in which new objects change the encoding of past ones;
- `StreamingAssociation`: only the new objects; for encoders in which past objects do not change.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

import torch
from torch import Tensor

from gtr_ros.model.association import Association
from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.association import frame_softmax
from gtr_ros.tracking.row_buffer import RowBuffer

#: number of rows that pass through the encoder together on a CPU, so that intermediate results
#: stay in the cache; a GPU processes all rows at once
_CHUNK_ROWS = 256


class OnlineAssociation:
    """
    The state of an association for one camera's window.

    Call `associate` with a new frame, then `add` it; frames can be dropped at both ends.

    :param association: in evaluation mode; its weights must not change afterwards
    """

    def __init__(self, association: Association) -> None:
        self.association = association
        #: number of objects in each frame of the window, oldest first
        self.counts: list[int] = []
        #: one row for each object in the window
        self.rows = RowBuffer()
        self._staged = 0  # number of objects in the frame that was associated last

    @torch.inference_mode()
    def associate(self, features: Tensor, boxes: Tensor) -> Tensor:
        """
        Associate the objects of a new frame with those in the window.

        :param features: (M, D) float
        :param boxes: (M, 4) float, xyxy, relative to the image's width and height
        :return: (M, P) float in [0, 1], P_A with the window's P objects, oldest frame first
        :raises ValueError: if the length of the features differs from those in the window
        """
        past, count = len(self.rows), len(features)
        self._staged = count
        if not count:  # without objects, the length of the features is arbitrary
            self.rows.stage_none()
            return features.new_zeros(0, past)
        rows = self.rows.stage(count, self.row_width(features.shape[1]), features)
        return self._likelihoods(rows, features, boxes)

    @torch.inference_mode()
    def add(self) -> None:
        """Add the frame that was associated last to the window."""
        self.rows.commit()
        self.counts.append(self._staged)

    def drop_oldest(self) -> None:
        """Drop the oldest frame of the window."""
        self.rows.drop_first(self.counts.pop(0))

    def drop_newest(self) -> None:
        """Drop the newest frame of the window; a frame that was not yet added stays."""
        self.rows.drop_last(self.counts.pop())

    def clear(self) -> None:
        """Drop all frames."""
        self.counts.clear()
        self.rows.clear()

    def row_width(self, features: int) -> int:
        """Return the length of an object's row, given the length of a feature."""
        raise NotImplementedError

    def _likelihoods(self, rows: Tensor, features: Tensor, boxes: Tensor) -> Tensor:
        """
        Fill the rows of the new objects, and return P_A.

        :param rows: (P + M, W), of the window's objects and of the M new ones, to be filled
        """
        raise NotImplementedError


class RecomputingAssociation(OnlineAssociation):
    """Keeps features and boxes, and recomputes everything: the reference, for any association."""

    def row_width(self, features: int) -> int:
        return features + 4

    def _likelihoods(self, rows: Tensor, features: Tensor, boxes: Tensor) -> Tensor:
        count, length = features.shape
        rows[-count:, :length] = features
        rows[-count:, length:] = boxes
        counts = [*self.counts, count]
        likelihoods = self.association(rows[:, :length], counts, len(counts) - 1, rows[:, length:])
        return likelihoods[:, :-count]


class _OnlineTransformer(OnlineAssociation):
    """Base of the classes for `AssociationTransformer`: decoder and logits."""

    association: AssociationTransformer

    def _decode(
        self,
        query: Tensor,
        keys: Tensor,
        attend: Callable[[int, Tensor], Tensor],
        mask: Tensor | None = None,
    ) -> Tensor:
        """
        Decode the queries.

        :param query: (M, D), features of the new objects
        :param keys: (P, D), keys of the window's objects for the final dot product
        :param attend: (layer, M x D) -> M x D, the cross-attention of a decoder layer
        :param mask: (M, M) bool, True where a query must not attend to another
        :return: (M, P), G
        """
        transformer = self.association
        for i, layer in enumerate(transformer.decoder):
            if layer.self_attention is not None:
                query = layer.self_attention(query, query, query, query, mask)
            query = layer.feed_forward(attend(i, query))
        logits = transformer.query_projection(transformer.decoder_norm(query)) @ keys.T
        if transformer.log_scale is not None:
            logits = transformer.log_scale.exp() * logits + transformer.bias
        return logits

    def _position(self, boxes: Tensor) -> Tensor | None:
        embedding = self.association.embedding
        return None if embedding is None else embedding(boxes, boxes.new_zeros(len(boxes)))


class StreamingAssociation(_OnlineTransformer):
    """
    Encodes an object once, when it arrives: a frame costs O(M N), not O(N^2).

    The row of an object holds its keys and values for every encoder and decoder layer, and its key
    for the dot product. Its encoding depends on the objects in the window when it arrived, even
    after they have left the window.
    """

    def row_width(self, features: int) -> int:
        transformer = self.association
        attending = sum(layer.attention is not None for layer in transformer.encoder)
        return (2 * attending + 2 * len(transformer.decoder) + 1) * features

    def _likelihoods(self, rows: Tensor, features: Tensor, boxes: Tensor) -> Tensor:
        step = self.association.step
        likelihoods = None if step is None else step(rows, self.counts, features, boxes)
        if likelihoods is not None:
            return likelihoods
        count = len(features)
        columns = iter(rows.split(features.shape[1], dim=1))

        def extend(*new: Tensor) -> list[Tensor]:
            extended = [next(columns) for _ in new]
            for column, values in zip(extended, new):
                column[-count:] = values
            return extended

        return frame_softmax(self.logits(features, boxes, extend), self.counts)

    def logits(
        self,
        features: Tensor,
        boxes: Tensor,
        extend: Callable[..., list[Tensor]],
        padding: Tensor | None = None,
    ) -> Tensor:
        """
        Compute the logits of a new frame.

        :param features: (M, D) float
        :param boxes: (M, 4) float, xyxy, relative to the image's width and height
        :param extend: called with the next columns of the new objects' rows, (M, D) each; stores
            them and returns the same columns of all objects, (P + M, D) each
        :param padding: (P + M,) bool, True for objects that are none; None: there are none
        :return: (M, P), G
        """
        transformer, count = self.association, features.shape[0]
        position = self._position(boxes)
        memory = features
        for layer in transformer.encoder:
            if layer.attention is not None:
                placed = memory if position is None else memory + position
                queries, *objects = layer.attention.project(placed, placed, memory)
                memory = layer.attention.attend(memory, queries, *extend(*objects), padding)
            memory = layer.feed_forward(memory)
        placed = memory if position is None else memory + position
        projected = [
            extend(*layer.attention.project_objects(placed, memory))
            for layer in transformer.decoder
        ]
        [keys] = extend(transformer.key_projection(memory))

        def attend(i: int, query: Tensor) -> Tensor:
            attention = transformer.decoder[i].attention
            queries = attention.project_queries(query)
            return attention.attend(query, queries, *projected[i], padding)

        mask = None if padding is None else padding[-count:].expand(count, -1)
        return self._decode(features, keys[:-count], attend, mask)


class CachingAssociation(_OnlineTransformer):
    """
    Caches the projections of the first encoder layer; new objects change all past encodings.

    The encoder processes the window in chunks, and never holds all attention weights in memory.
    The decoder does not project the window's objects: the projection is applied to the queries
    instead, of which there are fewer.
    """

    def row_width(self, features: int) -> int:
        # Features, queries, keys, values, and the position embedding, if any.
        return (4 + (self.association.embedding is not None)) * features

    def _likelihoods(self, rows: Tensor, features: Tensor, boxes: Tensor) -> Tensor:
        transformer, count = self.association, len(features)
        x, queries, keys, values, *embedded = rows.split(features.shape[1], dim=1)
        first, *others = transformer.encoder
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
        chunk = _CHUNK_ROWS if x.device.type == 'cpu' else len(x)
        for i in range(0, len(x), chunk):
            part = slice(i, i + chunk)
            attended = first.attention.attend(x[part], queries[part], keys, values)
            memory[part] = first.feed_forward(attended)
        for layer in others:
            memory = layer(memory, position)
        placed = memory if position is None else memory + position

        def attend(i: int, query: Tensor) -> Tensor:
            return transformer.decoder[i].attention.attend_unprojected(query, placed, memory)

        logits = self._decode(features, transformer.key_projection(memory[:-count]), attend)
        return frame_softmax(logits, self.counts)


@singledispatch
def make_online(association: Association) -> OnlineAssociation:
    """Return the online association for one camera that repeats the least work."""
    return RecomputingAssociation(association)


@make_online.register
def _(association: AssociationTransformer) -> OnlineAssociation:
    embedding = association.embedding
    if embedding is not None and embedding.time is not None:
        return RecomputingAssociation(association)  # time embeddings change with every frame
    attends = any(layer.attention is not None for layer in association.encoder)
    if association.causal or not attends:
        return StreamingAssociation(association)
    if association.encoder[0].attention is None:
        return RecomputingAssociation(association)
    return CachingAssociation(association)
