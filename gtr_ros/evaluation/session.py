# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `gtr evaluate` does: sequences and trackers in, rows and points out."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

import torch

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.motchallenge import result_rows
from gtr_ros.data.opening import open_sequences
from gtr_ros.data.opening import Opened
from gtr_ros.data.stored_boxes import read_boxes
from gtr_ros.data.synthetic import Generated
from gtr_ros.evaluation.ablations import Ablation
from gtr_ros.evaluation.ablations import Variant
from gtr_ros.evaluation.curves import curves
from gtr_ros.evaluation.curves import FACTORS
from gtr_ros.evaluation.curves import Point
from gtr_ros.evaluation.prepare import Networks
from gtr_ros.evaluation.prepare import prepare
from gtr_ros.evaluation.prepare import Progress
from gtr_ros.evaluation.prepare import silent
from gtr_ros.evaluation.run import PreparedSequence
from gtr_ros.evaluation.run import Row
from gtr_ros.evaluation.run import run
from gtr_ros.evaluation.trackers import NAMES
from gtr_ros.evaluation.trackers import parse_tracker
from gtr_ros.evaluation.trackers import TrackerSpec


@dataclass(frozen=True)
class EvaluationOptions:
    """
    How trackers are compared.

    :param model: by its name
    :param checkpoint: of the model: a file, 'random', or None: the one in the user's cache
    :param device: where the model runs
    :param rule: what links by default, one of `RULES`
    :param window: T by default, frames
    :param threshold: score from which on a box is seen, and begins tracks
    :param strides: native frames from one that is seen to the next
    :param trackers: as `parse_tracker` reads them
    :param track_map: whether TAO's track mAP is computed
    :param boxes_topic: of bags that hold boxes; None: the only one of detections
    :param cache: folder for boxes and features that were computed; None: in the user's cache
    """

    model: str
    checkpoint: str | None
    device: torch.device
    rule: str
    window: int = 32
    threshold: float = 0.4
    strides: tuple[int, ...] = (1, 2, 4, 8)
    trackers: tuple[str, ...] = NAMES
    track_map: bool = False
    boxes_topic: str | None = None
    cache: Path | None = None


@dataclass
class Session:
    """
    One evaluation; networks are loaded once, and what is slow says how far it is.

    :param settings: how trackers are compared
    :param progress: see `prepare`
    :param ablation: the table that is made; None: none of the paper's
    :param networks: None: those of the settings, or of the table's first row
    :raises ValueError: if the weights of a row of the table are not there
    """

    settings: EvaluationOptions
    progress: Progress = silent
    ablation: Ablation | None = None
    networks: Networks | None = None

    def __post_init__(self) -> None:
        if self.ablation:  # all of them, before the first is run
            for variant in self.ablation.variants:
                self.ablation.checkpoint(variant, self.settings.checkpoint)
        if self.networks is None:
            first = self.ablation.variants[-1] if self.ablation else None
            self.networks = self._networks(first)

    def _networks(self, variant: Variant | None) -> Networks:
        """Load the networks of a table's row, or of the settings."""
        s = self.settings
        if variant is None:
            return Networks(s.model, s.checkpoint, s.device)
        checkpoint = self.ablation.checkpoint(variant, s.checkpoint)
        return Networks(s.model, checkpoint, s.device, variant.association)

    def specs(self, texts: Iterable[str] | None = None) -> list[TrackerSpec]:
        """Make the trackers of what users write; None: those of the settings."""
        s = self.settings
        link = self.networks.evaluated.association
        texts = s.trackers if texts is None else texts
        return [parse_tracker(text, link, s.rule, s.window, s.threshold) for text in texts]

    def compare(self, opened: SequenceOf[Opened], boxes: SequenceOf[str] = ()) -> list[Row]:
        """
        Let every tracker run at every stride.

        :param boxes: files of stored boxes, one for each sequence; empty: the model finds them,
            but for synthetic scenes, which bring their own
        """
        given = self._read_all(opened, boxes)
        specs = self.specs()
        prepared = [self._prepare(o.sequence, b, specs) for o, b in zip(opened, given)]
        return self._rows(prepared, specs)

    def ablate(self, opened: SequenceOf[Opened], boxes: SequenceOf[str] = ()) -> list[Row]:
        """Make the paper's table, a row for each of its variants, at every stride."""
        rows = []
        given = self._read_all(opened, boxes)
        for variant in self.ablation.variants:
            own = self
            if variant.association is not None:
                own = replace(self, networks=self._networks(variant))
            specs = own.specs([variant.tracker])
            prepared = [own._prepare(o.sequence, b, specs) for o, b in zip(opened, given)]
            rows += [replace(r, tracker=variant.name) for r in own._rows(prepared, specs)]
        return sorted(rows, key=lambda row: row.stride)

    def curves(self, factors: SequenceOf[str], seeds: int) -> list[Point]:
        """Measure identities kept in synthetic scenes that get harder."""
        specs = self.specs()
        values = sum(len(FACTORS.get(f, ())) for f in factors)
        step = self.progress('synthetic scenes', values * seeds)
        quiet = replace(self, progress=silent)

        def ready(made: Generated) -> PreparedSequence:
            return quiet._prepare(made.sequence, made.detections, specs)

        return curves(factors, seeds, specs, ready, self.settings.threshold, step=step)

    def _read_all(self, opened: SequenceOf[Opened], boxes: SequenceOf[str]) -> list:
        """Return the boxes of each sequence: from its file, its own, or None."""
        if not boxes:
            return [o.boxes for o in opened]
        if len(boxes) != len(opened):
            raise FormatError(
                boxes[0],
                f'{len(boxes)} files of boxes for {len(opened)} sequences; expected one for each',
            )
        topic = self.settings.boxes_topic
        return [read_boxes(file, o.sequence, topic) for file, o in zip(boxes, opened)]

    def _prepare(self, sequence, boxes, specs: SequenceOf[TrackerSpec]) -> PreparedSequence:
        s = self.settings
        features = [e.features for e in specs if e.features]
        camera = any(e.camera for e in specs)
        weak = [e.least_score for e in specs if e.features and e.least_score is not None]
        least = min([s.threshold, *weak])
        return prepare(
            sequence, boxes, features, self.networks, least, self.progress, s.cache, camera
        )

    def _rows(
        self, prepared: SequenceOf[PreparedSequence], specs: SequenceOf[TrackerSpec]
    ) -> list[Row]:
        s = self.settings
        frames = sum(len(c.sequence) for c in prepared)
        step = self.progress('tracking', frames * len(specs) * len(s.strides))
        return [
            run(prepared, spec, stride, s.threshold, s.track_map, step)
            for stride in s.strides
            for spec in specs
        ]


def open_all(
    places: Iterable[str],
    half: str | None = None,
    images: str | None = None,
    topics: tuple[str | None, str | None] = (None, None),
    class_names: tuple[str, ...] = ('person',),
) -> list[Opened]:
    """
    Open everything that a user names.

    :raises FormatError: if something cannot be read
    :raises ValueError: if two sequences have one name
    """
    opened = [
        o for place in places for o in open_sequences(place, half, images, topics, class_names)
    ]
    names = [o.sequence.name for o in opened]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice:
        raise ValueError(f'two sequences have the name {twice!r}; each must have its own')
    return opened


def save_tracks(folder: str | Path, rows: SequenceOf[Row]) -> int:
    """
    Write every tracker's results as MOTChallenge text.

    :param folder: gets a folder for each tracker and stride, in it a file for each sequence
    :return: files written
    """
    written = 0
    for row in rows:
        place = Path(folder) / f'{_file_name(row.tracker)}_stride{row.stride}'
        place.mkdir(parents=True, exist_ok=True)
        for sequence, results in zip(row.sequences, row.results):
            lines: list[str] = []
            for t, r in enumerate(results):
                lines += result_rows(t + 1, r.ids, r.boxes, r.scores)
            (place / f'{_file_name(sequence.name)}.txt').write_text(''.join(lines))
            written += 1
    return written


def _file_name(text: str) -> str:
    """Return a name without what a file's name may not have."""
    return ''.join(c if c.isalnum() or c in '-_.+@' else '_' for c in text)
