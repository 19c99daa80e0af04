# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's ablations: Table 1 and Table 4a to d, each as rows of trackers."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import NamedTuple

from gtr_ros.model.build import RANDOM


class Variant(NamedTuple):
    """
    A row of a table.

    :param name: as the paper has it
    :param tracker: as `parse_tracker` reads it
    :param association: arguments of `AssociationTransformer`; None: the model's own, as trained
    :param file: name of its weights in the folder that holds those of a table; '': the model's own
    """

    name: str
    tracker: str
    association: dict | None = None
    file: str = ''


@dataclass(frozen=True)
class Ablation:
    """
    One of the paper's tables.

    :param title: what it asks
    :param variants: its rows
    """

    title: str
    variants: tuple[Variant, ...] = field(default_factory=tuple)

    @property
    def trained_apart(self) -> bool:
        """Whether each row is a network of its own."""
        return any(v.association is not None for v in self.variants)

    def checkpoint(self, variant: Variant, given: str | None) -> str | None:
        """
        Return the weights of a row.

        :param given: by the user: a file; for rows trained apart a folder of theirs, or 'random'
        :raises ValueError: if they are not there; says which there should be
        """
        if variant.association is None or given == RANDOM:
            return given
        if given is None or not Path(given).is_dir():
            files = ', '.join(f'{v.file}.safetensors' for v in self.variants)
            raise ValueError(
                'each row of this table is a network trained by itself: give as checkpoint the '
                f"folder that holds {files}; or 'random' to try the command with untrained ones"
            )
        file = Path(given) / f'{variant.file}.safetensors'
        if not file.is_file():
            raise ValueError(
                f'there are no weights at {file}: those of AssociationTransformer with '
                f'{variant.association or "its defaults"}'
            )
        return str(file)


def _layers(encoder: int, decoder: int) -> Variant:
    options = {'encoder_layers': encoder, 'decoder_layers': decoder}
    return Variant(
        f'{encoder} encoder, {decoder} decoder', 'gtr', options, f'enc{encoder}_dec{decoder}'
    )


#: by the numbers that the paper gives its tables
ABLATIONS = {
    '1': Ablation(
        'global against local tracking, by the window T',
        (
            Variant('IoU', 'iou'),
            Variant('ReID', 'reid'),
            Variant('IoU+ReID', 'iou+reid'),
            *(Variant(f'GTR (T={t})', f'gtr:window={t}') for t in (2, 4, 8, 16, 32)),
        ),
    ),
    '4a': Ablation(
        'with and without attention',
        (
            Variant(
                'direct dot product',
                'gtr',
                {'encoder_layers': 0, 'decoder_layers': 0},
                'direct',
            ),
            Variant('encoder attention', 'gtr', {}, 'default'),
            Variant(
                'encoder and decoder attention',
                'gtr',
                {'decoder_self_attention': True},
                'decoder_attention',
            ),
        ),
    ),
    '4b': Ablation(
        'positional and temporal embedding',
        (
            Variant('no embedding', 'gtr', {}, 'default'),
            Variant('positional', 'gtr', {'position_embedding': True}, 'positional'),
            Variant(
                'positional and temporal',
                'gtr',
                {'position_embedding': True, 'time_embedding': True},
                'temporal',
            ),
        ),
    ),
    '4c': Ablation('number of layers', (_layers(1, 1), _layers(1, 2), _layers(2, 1))),
    '4d': Ablation(
        'with and without location in testing',
        (Variant('without location', 'gtr:location=off'), Variant('with location', 'gtr')),
    ),
}
