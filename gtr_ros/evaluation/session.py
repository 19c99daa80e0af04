# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation: from opened sequences and named trackers to table rows and curves."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
import re

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.motchallenge import result_rows
from gtr_ros.data.opening import open_sequences
from gtr_ros.data.opening import OpenedSequence
from gtr_ros.data.sequence import check_images
from gtr_ros.data.stored_boxes import read_boxes
from gtr_ros.evaluation.ablations import Ablation
from gtr_ros.evaluation.ablations import Variant
from gtr_ros.evaluation.curve_scenes import Made
from gtr_ros.evaluation.curve_scenes import scenes_of
from gtr_ros.evaluation.curves import CurvePoint
from gtr_ros.evaluation.curves import curves
from gtr_ros.evaluation.names import NAMES
from gtr_ros.evaluation.names import parse_factors
from gtr_ros.evaluation.names import split_scenes
from gtr_ros.evaluation.prepare import Networks
from gtr_ros.evaluation.prepare import prepare
from gtr_ros.evaluation.progress import no_progress
from gtr_ros.evaluation.progress import Percent
from gtr_ros.evaluation.progress import StartTask
from gtr_ros.evaluation.run import delays_classes
from gtr_ros.evaluation.run import have_class_scores
from gtr_ros.evaluation.run import PreparedSequence
from gtr_ros.evaluation.run import run
from gtr_ros.evaluation.run import TableRow
from gtr_ros.evaluation.trackers import parse_tracker
from gtr_ros.evaluation.trackers import split_tracker
from gtr_ros.evaluation.trackers import TrackerSpec
from gtr_ros.model.options import ModelOptions
from gtr_ros.options import check_range
from gtr_ros.structures import Detections

_LONGEST_NAME = 120  # characters of a file's name without its extension


@dataclass(frozen=True)
class EvaluationOptions(ModelOptions):
    """
    How trackers are compared.

    :param rule: default linking rule, one of `RULES`
    :param window: default T, frames
    :param threshold: minimum score of the boxes that trackers get, and of boxes that start a track
    :param strides: a tracker gets every stride-th native frame
    :param trackers: in the form that `parse_tracker` reads
    :param track_map: whether TAO's track mAP is computed
    :param boxes_topic: of bags with boxes; None: the only topic of detections
    :param cache: folder for computed boxes and features; None: in the user's cache
    :raises ConfigurationError: if a number is out of its range
    """

    rule: str = 'evidence'
    window: int = 32
    threshold: float = 0.4
    strides: tuple[int, ...] = (1, 2, 4, 8)
    trackers: tuple[str, ...] = NAMES
    track_map: bool = False
    boxes_topic: str | None = None
    cache: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range('window', self.window)
        check_range('score_threshold', self.threshold)


@dataclass
class Session:
    """
    One evaluation; its networks are loaded once.

    :param options: how trackers are compared
    :param start_task: reports the progress of slow parts
    :param ablation: table of the paper to reproduce; None: none
    :param networks: None: they are loaded according to the options, or for the last row of the
        table
    :raises ValueError: if the weights of a row of the table are missing, or the rule does not use
        what its rows differ in
    """

    options: EvaluationOptions
    start_task: StartTask = no_progress
    ablation: Ablation | None = None
    networks: Networks | None = None

    def __post_init__(self) -> None:
        if self.ablation:  # missing weights raise an error before the first row is run
            for variant in self.ablation.variants:
                self.ablation.checkpoint(variant, self.options.checkpoint)
        if self.networks is None:
            variant = self.ablation.variants[-1] if self.ablation else None
            self.networks = self._networks(variant)
        variants = self.ablation.variants if self.ablation else ()
        for variant, spec in zip(variants, self.specs([v.tracker for v in variants]), strict=True):
            if variant.association is not None and not spec.likelihoods:
                raise ValueError(
                    f'the rows of this table differ in P_A, by which the rule {self.options.rule} '
                    'does not link with these weights; choose another --rule'
                )

    def _networks(self, variant: Variant | None) -> Networks:
        """Load the networks of a table's row; None: those of the options."""
        o = self.options
        if variant is None:
            return Networks(o)
        checkpoint = self.ablation.checkpoint(variant, o.checkpoint)
        return Networks(replace(o, checkpoint=checkpoint or ''), variant.association)

    def specs(self, texts: Iterable[str] | None = None) -> list[TrackerSpec]:
        """Parse trackers as users write them; None: those of the options."""
        o = self.options
        link = self.networks.evaluated.association
        texts = o.trackers if texts is None else texts
        return [parse_tracker(text, link, o.rule, o.window, o.threshold) for text in texts]

    def uses_window(self) -> bool:
        """Return whether any ids depend on the default T, and not only on one of a tracker."""
        texts = (
            [v.tracker for v in self.ablation.variants] if self.ablation else self.options.trackers
        )
        return any(
            spec.likelihoods and 'window' not in split_tracker(text)[1]
            for text, spec in zip(texts, self.specs(texts), strict=True)
        )

    def compare(
        self, opened: SequenceOf[OpenedSequence], boxes: SequenceOf[str] = ()
    ) -> list[TableRow]:
        """
        Run every tracker at every stride.

        :param boxes: files of stored boxes, one for each sequence; empty: the model finds them,
            except in synthetic scenes, which have their own
        :raises ValueError: if something that is needed is missing, before anything is detected
        """
        given = self._read_all(opened, boxes)
        specs = self.specs()
        self._check(opened, given, specs)
        prepared = [self._prepare(o.sequence, b, specs) for o, b in zip(opened, given)]
        return self._rows(prepared, specs)

    def ablate(
        self, opened: SequenceOf[OpenedSequence], boxes: SequenceOf[str] = ()
    ) -> list[TableRow]:
        """Reproduce a table of the paper, with a row for each variant and stride."""
        rows = []
        given = self._read_all(opened, boxes)
        self._check(opened, given, self.specs([v.tracker for v in self.ablation.variants]))
        for variant in self.ablation.variants:
            own = self
            if variant.association is not None:
                own = replace(self, networks=self._networks(variant))
            specs = own.specs([variant.tracker])
            prepared = [own._prepare(o.sequence, b, specs) for o, b in zip(opened, given)]
            rows += [replace(r, tracker=variant.name) for r in own._rows(prepared, specs)]
        return sorted(rows, key=lambda row: row.stride)

    def curves(
        self, factors: SequenceOf[str], seeds: int, scenes: str = 'drawn'
    ) -> list[CurvePoint]:
        """
        Measure the identities kept in scenes of increasing difficulty.

        :param factors: as `parse_factors` reads them
        :param seeds: scenes for each value
        :param scenes: as `scenes_of` reads them
        :raises ValueError: if the scenes lack a factor, or something is not valid
        :raises DrawingError: if people are to be rendered, and OpenGL is not available
        """
        values = parse_factors(factors, split_scenes(scenes)[0])
        kind, specs = scenes_of(scenes), self.specs()
        for name in dict.fromkeys(spec.features for spec in specs if spec.features):
            self.networks.get(name)  # raises here if it is missing, before anything is drawn
        parts = sum(map(len, values.values())) * seeds
        progress = Percent(self.start_task(f'{parts} scenes, percent of each', 100 * parts))
        quiet = replace(self, start_task=progress.start_task)

        def prepared(made: Made) -> PreparedSequence:
            self._check_detector(made.sequence.name, made.boxes)
            return quiet._prepare(made.sequence, made.boxes, specs)

        threshold, advance = self.options.threshold, progress.finish_part
        return curves(kind, values, seeds, specs, prepared, threshold, advance)

    def _read_all(self, opened: SequenceOf[OpenedSequence], boxes: SequenceOf[str]) -> list:
        """Return the boxes of each sequence: from its file, from the scene, or None."""
        if not boxes:
            return [o.boxes for o in opened]
        if len(boxes) != len(opened):
            raise FormatError(
                boxes[0],
                f'{len(boxes)} files of boxes for {len(opened)} sequences; expected one for each',
            )
        topic = self.options.boxes_topic
        return [read_boxes(file, o.sequence, topic) for file, o in zip(boxes, opened)]

    def _check(
        self,
        opened: SequenceOf[OpenedSequence],
        given: SequenceOf[SequenceOf[Detections] | None],
        specs: SequenceOf[TrackerSpec],
    ) -> None:
        """Raise ValueError if an image, a network, or class scores that are needed are missing."""
        for name in dict.fromkeys(spec.features for spec in specs if spec.features):
            self.networks.get(name)
        for each, boxes in zip(opened, given):
            self._check_detector(each.sequence.name, boxes)
            needs = [f'tracker {spec.name!r}' for spec in specs if spec.features]
            if boxes is None:
                needs = [f'the model {self.options.model}']
            if needs and each.sequence.images is None:
                raise ValueError(
                    f'{each.sequence.name} has no images, which {needs[0]} needs; add them, or '
                    + ('give stored boxes (--boxes)' if boxes is None else 'leave it out')
                )
            if needs or any(spec.camera for spec in specs):
                check_images(each.sequence)
        if all(boxes is not None for boxes in given):
            scored = have_class_scores(given)
            for spec in specs:
                delays_classes(spec, scored)

    def _check_detector(self, name: str, boxes: SequenceOf[Detections] | None) -> None:
        """Raise ValueError if a sequence has boxes, and a detector is to find others."""
        if self.options.detector and boxes is not None:
            raise ValueError(
                f'{name} has boxes, stored ones or those of its scene, which are used instead of '
                f'the detector {self.options.detector}; leave out --detector, or --boxes'
            )

    def _prepare(self, sequence, boxes, specs: SequenceOf[TrackerSpec]) -> PreparedSequence:
        o = self.options
        features = [spec.features for spec in specs if spec.features]
        camera = any(spec.camera for spec in specs)
        weak = [x.least_score for x in specs if x.features and x.least_score is not None]
        least = min([o.threshold, *weak])
        return prepare(
            sequence, boxes, features, self.networks, least, self.start_task, o.cache, camera
        )

    def _rows(
        self, prepared: SequenceOf[PreparedSequence], specs: SequenceOf[TrackerSpec]
    ) -> list[TableRow]:
        o = self.options
        frames = sum(len(c.sequence) for c in prepared)
        advance = self.start_task('tracking', frames * len(specs) * len(o.strides))
        return [
            run(prepared, spec, stride, o.threshold, o.track_map, advance)
            for stride in o.strides
            for spec in specs
        ]


def open_all(
    sources: Iterable[str],
    half: str | None = None,
    images: str | None = None,
    topics: tuple[str | None, str | None] = (None, None),
    class_names: tuple[str, ...] = ('person',),
) -> list[OpenedSequence]:
    """
    Open several sources; the arguments are those of `open_sequences`.

    :raises FormatError: if a source cannot be read
    :raises ValueError: if two sequences have the same name
    """
    opened = [
        o for source in sources for o in open_sequences(source, half, images, topics, class_names)
    ]
    names = [_shown(o.sequence.name) for o in opened]
    opened = [o._replace(sequence=replace(o.sequence, name=n)) for o, n in zip(opened, names)]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice:
        raise ValueError(f'two sequences have the name {twice!r}; names must be unique')
    return opened


def save_tracks(folder: str | Path, rows: SequenceOf[TableRow]) -> int:
    """
    Write every tracker's results as MOTChallenge text.

    :param folder: receives a folder for each tracker and stride, with a file for each sequence
    :return: number of files written
    """
    written = 0
    for row in rows:
        target = Path(folder) / f'{_file_name(row.tracker)}_stride{row.stride}'
        target.mkdir(parents=True, exist_ok=True)
        for sequence, results in zip(row.sequences, row.results):
            lines: list[str] = []
            for t, r in enumerate(results):
                lines += result_rows(t + 1, r.ids, r.boxes, r.scores)
            (target / f'{_file_name(sequence.name)}.txt').write_text(''.join(lines))
            written += 1
    return written


def _shown(name: str) -> str:
    """Return the name of a sequence without the folders of paths in the text form of a scene."""
    return re.sub(r'=[^,=]*/([^,=/]+)/*(?=,|$)', r'=\1', name)


def _file_name(text: str) -> str:
    """Replace the characters that a file name must not contain; the end of a long one, too."""
    name = ''.join(c if c.isalnum() or c in '-_.+@' else '_' for c in text)
    if len(name) <= _LONGEST_NAME:
        return name
    return f'{name[: _LONGEST_NAME - 9]}_{sha256(text.encode()).hexdigest()[:8]}'
