# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The names that the published checkpoints give to our modules' parameters."""

from __future__ import annotations

import re

#: (published, ours), tried in order on the part of a key after `roi_heads.`
_ASSOCIATION = tuple(
    (re.compile(published), ours)
    for published, ours in (
        (r'transformer\.encoder\.layers\.(\d+)\.self_attn\.', r'encoder.\1.attention.attention.'),
        (r'transformer\.encoder\.layers\.(\d+)\.norm1\.', r'encoder.\1.attention.norm.'),
        (r'transformer\.encoder\.layers\.(\d+)\.norm2\.', r'encoder.\1.feed_forward.norm.'),
        (r'transformer\.encoder\.layers\.(\d+)\.(linear\d)\.', r'encoder.\1.feed_forward.\2.'),
        (
            r'transformer\.decoder\.layers\.(\d+)\.self_attn\.',
            r'decoder.\1.self_attention.attention.',
        ),
        (
            r'transformer\.decoder\.layers\.(\d+)\.multihead_attn\.',
            r'decoder.\1.attention.attention.',
        ),
        (r'transformer\.decoder\.layers\.(\d+)\.norm1\.', r'decoder.\1.self_attention.norm.'),
        (r'transformer\.decoder\.layers\.(\d+)\.norm2\.', r'decoder.\1.attention.norm.'),
        (r'transformer\.decoder\.layers\.(\d+)\.norm3\.', r'decoder.\1.feed_forward.norm.'),
        (r'transformer\.decoder\.layers\.(\d+)\.(linear\d)\.', r'decoder.\1.feed_forward.\2.'),
        (r'transformer\.decoder\.norm\.', r'decoder_norm.'),
        (r'pos_emb\.', r'embedding.box.'),
        (r'temp_emb\.', r'embedding.time.'),
    )
)
_PROJECTION = re.compile(r'asso_predictor\.([qk])_proj\.layers\.(\d+)\.')


def association_key(key: str) -> str | None:
    """
    Name a published parameter of the association as `AssociationTransformer` does.

    :param key: as in the checkpoint, beginning with `roi_heads.`
    :return: our name; None: the key belongs to no association
    """
    key = key.removeprefix('roi_heads.')
    for published, ours in _ASSOCIATION:
        if published.match(key):
            return published.sub(ours, key)
    if match := _PROJECTION.match(key):
        side = {'q': 'query', 'k': 'key'}[match[1]]
        # A ReLU and a dropout stand between two layers.
        return f'{side}_projection.{3 * int(match[2])}.{key[match.end() :]}'
    return None
