# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encoder and decoder layers of the association transformer."""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from gtr_ros.model.packed import Packable
from gtr_ros.model.packed import PackedLinear


class FeedForward(nn.Module):
    """Two linear layers with a residual connection, and optionally a norm after it."""

    def __init__(self, features: int, hidden: int, dropout: float, norm: bool) -> None:
        super().__init__()
        self.linear1 = nn.Linear(features, hidden)
        self.linear2 = nn.Linear(hidden, features)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(features) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """NxD -> NxD."""
        hidden = self.dropout(F.relu(self.linear1(x)))
        return self.norm(x + self.dropout(self.linear2(hidden)))


class Attention(Packable):
    """Multi-head attention with a residual connection, and optionally a norm after it."""

    def __init__(self, features: int, heads: int, dropout: float, norm: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(features, heads, dropout)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(features) if norm else nn.Identity()
        #: packed layers of `_project`, by the range of their weights
        self._parts: dict[tuple[int, int], PackedLinear] = {}

    def forward(
        self, x: Tensor, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """
        Add to x (N, D) the attention of its queries (N, D) to keys and values, both (K, D).

        :param mask: (N, K) bool, True where a query must not attend; None: every query attends to
            all objects of all frames, including its own frame
        """
        attended, _ = self.attention(query, key, value, need_weights=False, attn_mask=mask)
        return self.norm(x + self.dropout(attended))

    # The same computation in parts, without dropout, so that some of them can be cached.

    def project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """NxD each -> NxD each; for identical tensors in a single product, which is faster."""
        if query is key is value:
            return self._project(value, 0, 3).chunk(3, dim=1)
        return self.project_queries(query), *self.project_objects(key, value)

    def project_queries(self, x: Tensor) -> Tensor:
        """Project queries: NxD -> NxD."""
        return self._project(x, 0, 1)

    def project_objects(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Project keys and values: KxD and KxD -> KxD and KxD."""
        if keys is values:
            return self._project(values, 1, 3).chunk(2, dim=1)
        return self._project(keys, 1, 2), self._project(values, 2, 3)

    def _project(self, x: Tensor, first: int, last: int) -> Tensor:
        """Apply the projections `first` to `last` - 1 of queries (0), keys (1) and values (2)."""
        attention = self.attention
        if (first, last) not in self._parts:
            rows = slice(first * attention.embed_dim, last * attention.embed_dim)
            weights = attention.in_proj_weight[rows], attention.in_proj_bias[rows]
            if not self.packed:
                return F.linear(x, *weights)
            self._parts[first, last] = PackedLinear(*(w.detach() for w in weights))
        return self._parts[first, last](x)

    def attend(
        self,
        x: Tensor,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        padding: Tensor | None = None,
    ) -> Tensor:
        """
        Add to x (N, D) the attention of its projected queries to projected keys and values.

        :param padding: (K,) bool, True for keys that no query attends to; None: there are none
        """
        # 1 x heads x N x D / heads; the attention weights are never all in memory.
        queries, keys, values = (
            t.unflatten(1, (self.attention.num_heads, -1)).transpose(0, 1)[None]
            for t in (queries, keys, values)
        )
        mask = None if padding is None else ~padding.expand(len(x), -1)
        attended = F.scaled_dot_product_attention(queries, keys, values, mask)
        return self.norm(x + self.attention.out_proj(attended[0].transpose(0, 1).flatten(1)))

    def attend_unprojected(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """
        Add to x (M, D) its attention to K objects whose keys and values are not projected.

        This is cheaper for few queries: with H heads and d = D / H, (W_q x)^T (W_k k) =
        (W_k^T W_q x)^T k, and the weighted mean of projected values is the projected mean; if
        H M < D, this takes fewer products than projecting K objects.

        :param keys: (K, D)
        :param values: (K, D)
        """
        heads, count = self.attention.num_heads, len(x)
        queries = self.project_queries(x)
        if heads * count >= x.shape[1]:
            return self.attend(x, queries, *self.project_objects(keys, values))
        _, to_keys, to_values = (
            w.unflatten(0, (heads, -1)) for w in self.attention.in_proj_weight.chunk(3)
        )  # H x d x D
        moved = queries.unflatten(1, (heads, -1)).transpose(0, 1) @ to_keys  # H x M x D
        # The bias of the keys adds a constant to all logits of a query: softmax cancels it.
        weights = moved.flatten(0, 1) @ keys.T * to_keys.shape[1] ** -0.5
        mean = (weights.softmax(dim=1) @ values).unflatten(0, (heads, count))
        attended = (mean @ to_values.transpose(1, 2)).transpose(0, 1).flatten(1)
        attended = attended + self.attention.in_proj_bias.chunk(3)[2]
        return self.norm(x + self.attention.out_proj(attended))


class EncoderLayer(nn.Module):
    """Self-attention over all N objects in the window, then the feed-forward layers."""

    def __init__(
        self, features: int, heads: int, hidden: int, dropout: float, norm: bool, attend: bool
    ) -> None:
        super().__init__()
        self.attention = Attention(features, heads, dropout, norm) if attend else None
        self.feed_forward = FeedForward(features, hidden, dropout, norm)

    def forward(self, x: Tensor, position: Tensor | None, mask: Tensor | None = None) -> Tensor:
        """
        NxD -> NxD; the position embedding (N, D) is added to queries and keys, but not to values.

        :param mask: (N, N) bool, True where an object must not attend to another; None: no mask
        """
        if self.attention is not None:
            placed = x if position is None else x + position
            x = self.attention(x, placed, placed, x, mask)
        return self.feed_forward(x)


class DecoderLayer(nn.Module):
    """Cross-attention of M queries to the encoder's N objects, then the feed-forward layers."""

    def __init__(
        self, features: int, heads: int, hidden: int, dropout: float, norm: bool, attend: bool
    ) -> None:
        super().__init__()
        self.self_attention = Attention(features, heads, dropout, norm) if attend else None
        self.attention = Attention(features, heads, dropout, norm)
        self.feed_forward = FeedForward(features, hidden, dropout, norm)

    def forward(self, queries: Tensor, memory: Tensor, position: Tensor | None) -> Tensor:
        """MxD, NxD -> MxD; the position embedding (N, D) is added to the keys only."""
        if self.self_attention is not None:
            queries = self.self_attention(queries, queries, queries, queries)
        keys = memory if position is None else memory + position
        return self.feed_forward(self.attention(queries, queries, keys, memory))


class BoxEmbedding(nn.Module):
    """
    Learnt embedding of a box's position in its image, and optionally of its frame.

    Each of (cx, cy, w, h), relative to the image, looks up its own table with linear
    interpolation; the four vectors are concatenated. Only for the paper's ablation (Table 4).

    :param features: D, a multiple of 4
    :param time: whether to average it with an embedding of the frame's position in the window
    :param steps: rows of each table
    """

    def __init__(self, features: int, time: bool, steps: int = 16) -> None:
        super().__init__()
        self.steps = steps
        self.box = nn.Embedding(4 * steps, features // 4)
        self.time = nn.Embedding(steps, features) if time else None

    def forward(self, boxes: Tensor, times: Tensor) -> Tensor:
        """
        Embed N boxes.

        :param boxes: (N, 4) float, xyxy, relative to the image's width and height
        :param times: (N,) float in [0, 1), the frame's position in the window, t / T
        :return: (N, D)
        """
        centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        values = torch.cat((centre, size), dim=1)  # Nx4
        embedding = self._interpolate(self.box, values).flatten(1)
        if self.time is None:
            return embedding
        return (embedding + self._interpolate(self.time, times[:, None]).flatten(1)) / 2

    def _interpolate(self, table: nn.Embedding, values: Tensor) -> Tensor:
        """Look up values (N, K) in [0, 1), each in its own column of a table of steps x K rows."""
        columns = values.shape[1]
        column = torch.arange(columns, device=values.device)
        place = values * self.steps
        low = place.floor().clamp(0, self.steps - 1)
        weight = (place - low)[..., None]
        low = low.long()
        high = (low + 1).clamp(max=self.steps - 1)
        return (1 - weight) * table(low * columns + column) + weight * table(
            high * columns + column
        )
