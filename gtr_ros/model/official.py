# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The names of our parameters in the published checkpoints."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import re

from gtr_ros.model.bifpn import NODES

#: Published name -> ours. Braces stand for numbers, except `{rest}`, which stands for any suffix.
KeyMap = tuple[tuple[str, str], ...]

_ENCODER = 'roi_heads.transformer.encoder.layers.{i}'
_DECODER = 'roi_heads.transformer.decoder.layers.{i}'
_QUERY, _KEY = (f'roi_heads.asso_predictor.{side}_proj.layers' for side in 'qk')

ASSOCIATION: KeyMap = (
    (f'{_ENCODER}.self_attn.{{rest}}', 'association.encoder.{i}.attention.attention.{rest}'),
    (f'{_ENCODER}.norm1.{{rest}}', 'association.encoder.{i}.attention.norm.{rest}'),
    (f'{_ENCODER}.norm2.{{rest}}', 'association.encoder.{i}.feed_forward.norm.{rest}'),
    (f'{_ENCODER}.linear{{k}}.{{rest}}', 'association.encoder.{i}.feed_forward.linear{k}.{rest}'),
    (f'{_DECODER}.self_attn.{{rest}}', 'association.decoder.{i}.self_attention.attention.{rest}'),
    (f'{_DECODER}.multihead_attn.{{rest}}', 'association.decoder.{i}.attention.attention.{rest}'),
    (f'{_DECODER}.norm1.{{rest}}', 'association.decoder.{i}.self_attention.norm.{rest}'),
    (f'{_DECODER}.norm2.{{rest}}', 'association.decoder.{i}.attention.norm.{rest}'),
    (f'{_DECODER}.norm3.{{rest}}', 'association.decoder.{i}.feed_forward.norm.{rest}'),
    (f'{_DECODER}.linear{{k}}.{{rest}}', 'association.decoder.{i}.feed_forward.linear{k}.{rest}'),
    ('roi_heads.transformer.decoder.norm.{rest}', 'association.decoder_norm.{rest}'),
    # A ReLU and a dropout separate the two layers.
    (f'{_QUERY}.0.{{rest}}', 'association.query_projection.0.{rest}'),
    (f'{_QUERY}.1.{{rest}}', 'association.query_projection.3.{rest}'),
    (f'{_KEY}.0.{{rest}}', 'association.key_projection.0.{rest}'),
    (f'{_KEY}.1.{{rest}}', 'association.key_projection.3.{rest}'),
    ('roi_heads.pos_emb.{rest}', 'association.embedding.box.{rest}'),
    ('roi_heads.temp_emb.{rest}', 'association.embedding.time.{rest}'),
)

_HEAD = 'proposal_generator.centernet_head'

CENTERNET: KeyMap = (
    (f'{_HEAD}.bbox_tower.{{rest}}', 'detector.head.tower.{rest}'),
    (f'{_HEAD}.bbox_pred.{{rest}}', 'detector.head.sides.{rest}'),
    (f'{_HEAD}.agn_hm.{{rest}}', 'detector.head.heatmap.{rest}'),
    (f'{_HEAD}.scales.{{i}}.scale', 'detector.head.scales.{i}'),
    ('roi_heads.asso_head.{rest}', 'head.{rest}'),
)

_NODE, _OUR_NODE = 'backbone.cell.{i}.fnode.{k}', 'detector.pyramid.layers.{i}.nodes.{k}'
_FIRST, _OUR_FIRST = 'backbone.cell.0.fnode', 'detector.pyramid.layers.0.nodes'

MOT: KeyMap = (
    ('backbone.bottom_up.base_layer.{rest}', 'detector.backbone.base_layer.{rest}'),
    ('backbone.bottom_up.level{i}.{rest}', 'detector.backbone.level{i}.{rest}'),
    ('backbone.resample.3.conv.conv.{rest}', 'detector.pyramid.top.0.{rest}'),
    ('backbone.resample.3.conv.bn.{rest}', 'detector.pyramid.top.1.{rest}'),
    (f'{_NODE}.combine.edge_weights', f'{_OUR_NODE}.weights'),
    (f'{_NODE}.after_combine.conv.conv.{{rest}}', f'{_OUR_NODE}.conv.{{rest}}'),
    (f'{_NODE}.after_combine.conv.bn.{{rest}}', f'{_OUR_NODE}.norm.{{rest}}'),
    # Only the first input of a node can be one of the three maps of the backbone, which need a
    # convolution to the BiFPN's width.
    *(
        rule
        for k, (_, (first, *_)) in enumerate(NODES)
        if first < 3
        for rule in (
            (
                f'{_FIRST}.{k}.combine.resample.{first}.conv.conv.{{rest}}',
                f'{_OUR_FIRST}.{k}.narrow.0.0.{{rest}}',
            ),
            (
                f'{_FIRST}.{k}.combine.resample.{first}.conv.bn.{{rest}}',
                f'{_OUR_FIRST}.{k}.narrow.0.1.{{rest}}',
            ),
        )
    ),
)

_UP, _OUR_UP = 'backbone.bottom_up', 'detector.backbone'
_BLOCK, _OUR_BLOCK = f'{_UP}.res{{s}}.{{b}}', f'{_OUR_UP}.res{{s}}.{{b}}'

TAO: KeyMap = (
    (f'{_UP}.stem.conv1.0.weight', f'{_OUR_UP}.stem.0.0.weight'),
    (f'{_UP}.stem.conv1.1.{{rest}}', f'{_OUR_UP}.stem.0.1.{{rest}}'),
    (f'{_UP}.stem.conv1.3.weight', f'{_OUR_UP}.stem.2.0.weight'),
    (f'{_UP}.stem.conv1.4.{{rest}}', f'{_OUR_UP}.stem.2.1.{{rest}}'),
    (f'{_UP}.stem.conv1.6.weight', f'{_OUR_UP}.stem.4.0.weight'),
    (f'{_UP}.stem.bn1.{{rest}}', f'{_OUR_UP}.stem.4.1.{{rest}}'),
    *(
        (f'{_BLOCK}.{published}{conv_or_norm}.{{rest}}', f'{_OUR_BLOCK}.{ours}.{i}.{{rest}}')
        for published, ours in (
            ('conv1', 'reduce'),
            ('conv3', 'expand'),
            ('shortcut.1', 'shortcut.1'),
        )
        for i, conv_or_norm in ((1, '.norm'), (0, ''))
    ),
    (f'{_BLOCK}.bns.{{g}}.{{rest}}', f'{_OUR_BLOCK}.groups.{{g}}.1.{{rest}}'),
    (f'{_BLOCK}.conv2_offsets.{{g}}.{{rest}}', f'{_OUR_BLOCK}.groups.{{g}}.0.offset.{{rest}}'),
    # The last two stages have deformable convolutions: a module that contains a convolution.
    *(
        (
            f'{_UP}.res{stage}.{{b}}.convs.{{g}}.weight',
            f'{_OUR_UP}.res{stage}.{{b}}.groups.{{g}}.0.{conv}weight',
        )
        for stage, conv in ((2, ''), (3, ''), (4, 'conv.'), (5, 'conv.'))
    ),
    *(
        (f'backbone.fpn_{published}{i + 3}.{{rest}}', f'detector.pyramid.{ours}.{i}.0.{{rest}}')
        for published, ours in (('lateral', 'inner_blocks'), ('output', 'layer_blocks'))
        for i in range(3)
    ),
    ('backbone.top_block.{rest}', 'detector.pyramid.extra_blocks.{rest}'),
    ('roi_heads.box_head.{i}.{rest}', 'detector.cascade.stages.{i}.head.{rest}'),
    (
        'roi_heads.box_predictor.{i}.cls_score.{rest}',
        'detector.cascade.stages.{i}.classify.{rest}',
    ),
    (
        'roi_heads.box_predictor.{i}.bbox_pred.{rest}',
        'detector.cascade.stages.{i}.regress.{rest}',
    ),
)

KEY_MAP: KeyMap = ASSOCIATION + CENTERNET + MOT + TAO

#: Unused entries of the published files: 1x1 convolutions of DLA's nested trees, normalisation
#: constants of the input, and class weights for training.
IGNORED = (
    'backbone.bottom_up.level3.project.{rest}',
    'backbone.bottom_up.level4.project.{rest}',
    'pixel_mean',
    'pixel_std',
    'roi_heads.box_predictor.{i}.fed_loss_cls_weights',
    'roi_heads.box_predictor.{i}.freq_weight',
)


def _pattern(template: str) -> re.Pattern[str]:
    """Compile a name template: `{rest}` matches any suffix, other braces match a number."""
    escaped = re.escape(template).replace(r'\{rest\}', '(?P<rest>.+)')
    return re.compile(re.sub(r'\\{(\w+)\\}', r'(?P<\1>\\d+)', escaped))


def _rename(key: str, rules: Iterable[tuple[re.Pattern[str], str]]) -> str | None:
    for pattern, template in rules:
        if match := pattern.fullmatch(key):
            return template.format(**match.groupdict())
    return None


_IGNORED = tuple(map(_pattern, IGNORED))
_OURS = tuple((_pattern(published), ours) for published, ours in KEY_MAP)
_PUBLISHED = tuple((_pattern(ours), published) for published, ours in KEY_MAP)


def is_ignored(key: str) -> bool:
    """Return whether an entry of a published checkpoint is not needed by our models."""
    return any(pattern.fullmatch(key) for pattern in _IGNORED)


def our_key(key: str) -> str | None:
    """
    Return the name in `GTR.state_dict()` of a published checkpoint's entry.

    :return: None if the models here have no such parameter
    """
    return None if is_ignored(key) else _rename(key, _OURS)


def published_key(key: str) -> str | None:
    """Return the published name of an entry of `GTR.state_dict()`: the inverse mapping."""
    return _rename(key, _PUBLISHED)


def model_of(keys: Collection[str], prefixes: Mapping[str, str]) -> str | None:
    """
    Return the name of the model that a published checkpoint with these entries is for.

    :param prefixes: by model: prefix of the entries that only this model has; '': it was not
        published
    :return: None if it is for none of them
    """
    for name, prefix in prefixes.items():
        if prefix and any(key.startswith(prefix) for key in keys):
            return name
    return None
