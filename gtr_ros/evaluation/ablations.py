# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's ablations, Table 1 and Table 4a to d, as rows of trackers."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import NamedTuple

from gtr_ros.model.registry import RANDOM


class Variant(NamedTuple):
    """
    A row of a table.

    :param name: as in the paper
    :param tracker: in the form that `parse_tracker` reads
    :param association: arguments of `AssociationTransformer`; None: the model's own, as trained
    :param file: name of its weights in the folder with the table's weights; '': the model's own
    """

    name: str
    tracker: str
    association: dict | None = None
    file: str = ''


@dataclass(frozen=True)
class Ablation:
    """
    One of the paper's tables.

    :param title: what the table compares
    :param variants: its rows
    """

    title: str
    variants: tuple[Variant, ...] = field(default_factory=tuple)

    def checkpoint(self, variant: Variant, given: str | None) -> str | None:
        """
        Return the weights of a row.

        :param given: by the user: a file, or 'random'; for separately trained rows, a folder of
            files
        :raises ValueError: if they are missing; names the expected files
        """
        if variant.association is None or given == RANDOM:
            return given
        if not given or not Path(given).is_dir():
            files = ', '.join(f'{v.file}.safetensors' for v in self.variants)
            raise ValueError(
                'each row of this table is a separately trained network: set the checkpoint to a '
                f"folder with {files}; or to 'random' to try the command with untrained weights"
            )
        file = Path(given) / f'{variant.file}.safetensors'
        if not file.is_file():
            raise ValueError(
                f'there are no weights at {file}; expected an AssociationTransformer with '
                f'{variant.association or "its defaults"}'
            )
        return str(file)


def _layers(encoder: int, decoder: int) -> Variant:
    options = {'encoder_layers': encoder, 'decoder_layers': decoder}
    return Variant(
        f'{encoder} encoder, {decoder} decoder', 'gtr', options, f'enc{encoder}_dec{decoder}'
    )


#: the tables, by their numbers in the paper
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
