# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The encoder and decoder of the tracking transformer, over the objects of a whole window."""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F


class FeedForward(nn.Module):
    """Two linear layers with a residual connection, and a norm after it where asked for."""

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


class Attention(nn.Module):
    """Multi-head attention of queries to keys, residual, and a norm after it where asked for."""

    def __init__(self, features: int, heads: int, dropout: float, norm: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(features, heads, dropout)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(features) if norm else nn.Identity()

    def forward(self, x: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """
        Add to x (N, D) what its queries (N, D) find among the keys and values, both (K, D).

        Nothing is masked: an object sees every object of every frame, its own frame's too.
        """
        found, _ = self.attention(query, key, value, need_weights=False)
        return self.norm(x + self.dropout(found))


class EncoderLayer(nn.Module):
    """Self-attention over all N objects of the window, then the feed-forward layers."""

    def __init__(
        self, features: int, heads: int, hidden: int, dropout: float, norm: bool, attend: bool
    ) -> None:
        super().__init__()
        self.attention = Attention(features, heads, dropout, norm) if attend else None
        self.feed_forward = FeedForward(features, hidden, dropout, norm)

    def forward(self, x: Tensor, position: Tensor | None) -> Tensor:
        """NxD -> NxD; the embedding of positions (N, D) joins queries and keys, not values."""
        if self.attention is not None:
            placed = x if position is None else x + position
            x = self.attention(x, placed, placed, x)
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
        """MxD, NxD -> MxD; the embedding of positions (N, D) joins the keys only."""
        if self.self_attention is not None:
            queries = self.self_attention(queries, queries, queries, queries)
        keys = memory if position is None else memory + position
        return self.feed_forward(self.attention(queries, queries, keys, memory))


class BoxEmbedding(nn.Module):
    """
    Learned embedding of where a box is in its image, and of when, where asked for.

    Each of (cx, cy, w, h) relative to the image looks up its own table, linearly interpolated; the
    four vectors are concatenated. Of the paper's ablation (Table 4); its models do without.

    :param features: D, a multiple of 4
    :param time: whether an embedding of the frame's place in the window is averaged in
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
        :param times: (N,) float in [0, 1), the frame's place in the window, t / T
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
