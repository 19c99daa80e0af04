# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Association probabilities P_A between the objects of a frame and those of a window."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Protocol

import torch
from torch import nn
from torch import Tensor

from gtr_ros.model.calibration import Calibration
from gtr_ros.model.transformer import BoxEmbedding
from gtr_ros.model.transformer import DecoderLayer
from gtr_ros.model.transformer import EncoderLayer


def frame_indices(counts: Sequence[int], device: torch.device) -> Tensor:
    """
    Return the frame index of each object in a window.

    :param counts: N_t, objects of each of the T frames, sum N
    :return: (N,) int64, 0 to T - 1
    """
    repeats = torch.tensor(counts, dtype=torch.long, device=device)
    return torch.arange(len(counts), device=device).repeat_interleave(repeats)


def frame_softmax(logits: Tensor, counts: Sequence[int]) -> Tensor:
    """
    Turn association logits into probabilities, frame by frame: the paper's Eq. 1.

    In each frame a query is one of the N_t boxes or none of them; the logit of "none" is 0.

    :param logits: (M, N) float, G; columns in the order of the frames
    :param counts: N_t, boxes of each of the T frames, sum N
    :return: (M, N), P_A; the columns of one frame sum to at most 1
    """
    return softmax_by_frame(logits, frame_indices(counts, logits.device), len(counts))


def softmax_by_frame(logits: Tensor, frames: Tensor, count: int) -> Tensor:
    """
    Compute `frame_softmax`, given the frame of each column.

    :param frames: (N,) int64, from 0 to `count` - 1
    """
    frames = frames.expand(len(logits), -1)  # MxN
    largest = logits.new_zeros(len(logits), count).scatter_reduce(1, frames, logits, 'amax')
    values = (logits - largest.gather(1, frames)).exp()
    sums = (-largest).exp().scatter_add(1, frames, values)
    return values / sums.gather(1, frames)


class AssociationStep(Protocol):
    """Computes what `StreamingAssociation` computes for a new frame, but faster, if it can."""

    def __call__(
        self, rows: Tensor, counts: Sequence[int], features: Tensor, boxes: Tensor
    ) -> Tensor | None:
        """
        Associate the objects of a new frame with those in the window.

        :param rows: (P + M, W), of the window's objects and of the M new ones, to be filled
        :param counts: of objects in each frame of the window, sum P
        :param features: (M, D) float, M > 0
        :param boxes: (M, 4) float, xyxy, relative to the image's width and height
        :return: (M, P), P_A; None: nothing was computed
        """


class Association(nn.Module):
    """Interface between the tracker and an association; implementations are below."""

    #: one line for users: the kind of association
    description: str
    #: how cosines and logits of this network become evidence
    calibration = Calibration()
    #: instead of the steps of a streaming association; set by the runtime
    step: AssociationStep | None = None

    def forward(
        self, features: Tensor, counts: Sequence[int], query_frame: int, boxes: Tensor
    ) -> Tensor:
        """
        Associate the objects of one frame with those of all frames in the window.

        :param features: (N, D) float, of the objects in the window, oldest frame first
        :param counts: N_t, objects of each of the T frames, sum N; may be 0
        :param query_frame: the frame whose M objects are the queries, 0 <= query_frame < T
        :param boxes: (N, 4) float, xyxy, relative to the image's width and height
        :return: (M, N) float in [0, 1], P_A
        """
        raise NotImplementedError


class CosineAssociation(Association):
    """
    Association without training: the cosine of two features, clamped to [0, 1].

    It is not a distribution over the boxes of a frame: two similar boxes are both likely.
    """

    description = 'cosine similarity of untrained features'

    def forward(
        self, features: Tensor, counts: Sequence[int], query_frame: int, boxes: Tensor
    ) -> Tensor:
        """Return max(0, cos), (M, N); features must have unit length."""
        start = sum(counts[:query_frame])
        queries = features[start : start + counts[query_frame]]
        return (queries @ features.T).clamp(0, 1)


class AssociationTransformer(Association):
    """
    The Global Tracking Transformer: trajectory queries against all objects in a window.

    An encoder applies self-attention to all N objects of T frames; a decoder applies
    cross-attention from M queries, the features of one frame's objects, to them. The dot product
    of the two outputs is the logit G. The defaults are those of the published MOT model; the
    options include those of the paper's Table 4.

    :param features: D, length of an object's feature
    :param heads: heads of every attention
    :param hidden: width of the feed-forward layers; None: D
    :param encoder_layers: 0: the features of the objects are not encoded
    :param decoder_layers: 0: the features of the queries are not decoded
    :param encoder_self_attention: False: the encoder has only feed-forward layers
    :param decoder_self_attention: whether queries attend to each other first
    :param projection_layers: linear layers, with ReLU between, on each side before the dot product
    :param norm: layer norm after each residual connection, and after the decoder
    :param position_embedding: whether box positions are added to keys and encoder queries
    :param time_embedding: whether the frame index is included; needs `position_embedding`
    :param dropout: rate in training, for attention, hidden layers and residual branches
    :param scale: initial s of G = s q k + b, with learnt s and b; None: G = q k, as published
    :param level: the dot product q k at which G is 0 initially, b = -s level
    :param causal: whether objects in the encoder attend only to their own and earlier frames, so
        that an object is encoded once, when it arrives; False: also to later frames, as published
    """

    def __init__(
        self,
        features: int = 1024,
        heads: int = 8,
        hidden: int | None = None,
        encoder_layers: int = 1,
        decoder_layers: int = 1,
        encoder_self_attention: bool = True,
        decoder_self_attention: bool = False,
        projection_layers: int = 0,
        norm: bool = False,
        position_embedding: bool = False,
        time_embedding: bool = False,
        dropout: float = 0.1,
        scale: float | None = None,
        level: float = 0.5,
        causal: bool = False,
    ) -> None:
        super().__init__()
        if time_embedding and not position_embedding:
            raise ValueError('time_embedding is averaged with the position embedding: set both')
        self.features = features
        self.causal = causal
        sizes = (features, heads, hidden or features, dropout, norm)
        self.encoder = nn.ModuleList(
            EncoderLayer(*sizes, attend=encoder_self_attention) for _ in range(encoder_layers)
        )
        self.decoder = nn.ModuleList(
            DecoderLayer(*sizes, attend=decoder_self_attention) for _ in range(decoder_layers)
        )
        self.decoder_norm = nn.LayerNorm(features) if norm and decoder_layers else nn.Identity()
        self.query_projection = _projection(features, projection_layers, dropout)
        self.key_projection = _projection(features, projection_layers, dropout)
        self.embedding = BoxEmbedding(features, time_embedding) if position_embedding else None
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        self.log_scale = self.bias = None
        if scale is not None:
            self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
            self.bias = nn.Parameter(torch.tensor(-scale * level))

    @property
    def description(self) -> str:
        """One line for users: the kind of association."""
        return f'GTR association transformer{", causal" if self.causal else ""}'

    @property
    def can_start_as_dot_product(self) -> bool:
        """Whether G is a dot product of features if the residual branches are zero."""
        norms = any(isinstance(module, nn.LayerNorm) for module in self.modules())
        return not norms and not len(self.query_projection)

    @torch.no_grad()
    def start_as_dot_product(self) -> None:
        """Set every residual branch to zero, so that training starts from feature similarity."""
        for module in self.modules():
            last = getattr(module, 'linear2', None) or getattr(module, 'out_proj', None)
            if last is not None:
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)

    def logits(
        self, features: Tensor, counts: Sequence[int], queries: slice, boxes: Tensor | None = None
    ) -> list[Tensor]:
        """
        Compute G for each decoder layer (the last one is the result; training uses all).

        :param features: (N, D)
        :param counts: N_t of the T frames
        :param queries: which M of the N objects are the queries
        :param boxes: (N, 4), xyxy, relative to the image; only with a position embedding
        :return: (M, N) for each layer
        """
        frames = frame_indices(counts, features.device)
        position = mask = None
        if self.embedding is not None:
            position = self.embedding(boxes, frames / len(counts))
        if self.causal:
            mask = frames > frames[:, None]
        memory = features
        for layer in self.encoder:
            memory = layer(memory, position, mask)
        query = features[queries]
        outputs = [] if self.decoder else [query]
        for layer in self.decoder:
            query = layer(query, memory, position)
            outputs.append(self.decoder_norm(query))
        keys = self.key_projection(memory)
        logits = [self.query_projection(output) @ keys.T for output in outputs]
        if self.log_scale is None:
            return logits
        return [self.log_scale.exp() * g + self.bias for g in logits]

    def forward(
        self, features: Tensor, counts: Sequence[int], query_frame: int, boxes: Tensor
    ) -> Tensor:
        """Return P_A of the query frame's objects, (M, N); see `Association.forward`."""
        start = sum(counts[:query_frame])
        queries = slice(start, start + counts[query_frame])
        return frame_softmax(self.logits(features, counts, queries, boxes)[-1], counts)


def _projection(features: int, layers: int, dropout: float) -> nn.Sequential:
    """Return linear layers with ReLU and dropout between them; 0 layers: the identity."""
    modules: list[nn.Module] = []
    for i in range(layers):
        modules += [nn.ReLU(), nn.Dropout(dropout)] if i else []
        modules.append(nn.Linear(features, features))
    return nn.Sequential(*modules)
