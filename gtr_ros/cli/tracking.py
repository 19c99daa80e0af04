# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `gtr track` does: tracks one source, or many into a folder."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch

from gtr_ros.cli.console import console
from gtr_ros.cli.console import show_progress
from gtr_ros.cli.window import ImageWindow
from gtr_ros.model.build import build
from gtr_ros.model.gtr import GTR
from gtr_ros.model.registry import RANDOM
from gtr_ros.recordings.cluster import track_on_cluster
from gtr_ros.recordings.folder import JobResult
from gtr_ros.recordings.folder import MANIFEST
from gtr_ros.recordings.folder import ResultsFolder
from gtr_ros.recordings.options import TrackingOptions
from gtr_ros.recordings.recording import IncompleteError
from gtr_ros.recordings.recording import track_recording
from gtr_ros.recordings.sources import is_camera
from gtr_ros.recordings.sources import opens_as_bag
from gtr_ros.recordings.sources import recording_name
from gtr_ros.runtime.loading import describe_runtime
from gtr_ros.runtime.process import keep_freed_memory
from gtr_ros.tracking.evidence_rule import EvidenceRule
from gtr_ros.tracking.rules import links_by_likelihood

_MAX_LINES = 5
_CORES_PER_WORKER = 2


def _load(settings: TrackingOptions) -> GTR:
    model = settings.load(lambda line: console.print(line, markup=False))
    linking = settings.rule.describe(model.association)
    where = describe_runtime(settings, model)
    console.print(f'{settings.model} on {where}; linking by {linking}')
    if settings.checkpoint == RANDOM:
        console.print('the weights are random: the detections have no meaning', style='yellow')
    return model


def track_one(
    source: str, out: Path, options: argparse.Namespace, settings: TrackingOptions
) -> None:
    """
    Track a single video or bag, or the images of one camera.

    :param out: file to write; for a bag, a folder
    :param options: of `gtr track`
    :raises ValueError: names what is wrong, or what is missing in an incomplete result
    """
    _prepare(options, settings)
    bag = opens_as_bag(source)
    model = _load(settings)
    name = f'camera {source}' if is_camera(source) else recording_name(source)
    with ExitStack() as stack:
        show = None
        if options.show:
            show = stack.enter_context(ImageWindow(f'gtr track: {name}')).show
        progress = stack.enter_context(show_progress())
        task = progress.add_task(name, total=None)

        def on_progress(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        incomplete = None
        try:
            summary = track_recording(
                model, source, out, settings, on_progress, options.annotated, show
            )
        except IncompleteError as error:
            incomplete, summary = error, error.summary
    _print_skipped(summary.skipped)
    if incomplete is not None:
        console.print(str(summary), markup=False)
        raise incomplete
    where = f'on {", ".join(summary.topics)} of {out}' if bag else f'in {out}'
    console.print(f'{summary}, {where}', markup=False)


def track_many(
    sources: Sequence[str], out: Path, options: argparse.Namespace, settings: TrackingOptions
) -> None:
    """
    Track many sources into a folder, without those already done; errors stop only one.

    :param out: folder of the results
    :param options: of `gtr track`
    :raises ValueError: names what is wrong, at the end the sources that failed
    """
    _prepare(options, settings)
    if settings.checkpoint == RANDOM:
        raise ValueError('random weights differ in each process: use them for a single source')
    settings = settings.absolute()
    failed = []
    with ResultsFolder(out, sources, settings, settings.fingerprint()) as folder:
        if folder.done_before:
            console.print(f'{folder.done_before} of {len(folder)} were already done')
        for result in _results(options, settings, folder) if folder.waiting else ():
            folder.record(result)
            if result.error:
                if result.summary:
                    _print_skipped(result.summary.skipped)
                failed.append(result.name)
                console.print(f'failed: {result.error}', style='red', markup=False)
            else:
                _print_skipped(result.summary.skipped)
                console.print(f'{result.name}: {result.summary}', markup=False)
        manifest = folder.path / MANIFEST
    if failed:
        raise ValueError(
            f'{len(failed)} of {len(folder)} failed: {", ".join(failed)}; see the errors above or '
            f'in {manifest}. The same command retries them'
        )
    console.print(f'tracked {len(folder)} recordings; see {manifest}', markup=False)


def _prepare(options: argparse.Namespace, settings: TrackingOptions) -> None:
    keep_freed_memory()
    if options.cores:
        torch.set_num_threads(options.cores)
    if options.window is not None:
        _check_window(settings)


def _check_window(settings: TrackingOptions) -> None:
    """Raise ValueError if the rule does not link by P_A, so that the window changes nothing."""
    rule = settings.rule
    if isinstance(rule, EvidenceRule):  # the others do, with any weights
        association = build(settings.model, settings.checkpoint).association
        if not links_by_likelihood(rule, association):
            raise ValueError(
                '--window is for rules that link by P_A, and has no effect here: the rule '
                f'evidence links by {rule.describe(association)} with these weights; leave it out'
            )


def _results(
    options: argparse.Namespace, settings: TrackingOptions, folder: ResultsFolder
) -> Iterator[JobResult]:
    """Track the waiting recordings, in this process or on a cluster, and show their progress."""
    with show_progress() as progress:
        tasks = {
            job.name: progress.add_task(job.name, start=False, total=None, visible=False)
            for job in folder.waiting
        }

        def on_progress(name: str, done: int, total: int | None) -> None:
            if name in tasks:  # reports may arrive after the result
                progress.start_task(tasks[name])
                progress.update(tasks[name], completed=done, total=total, visible=True)

        def notify(message: str) -> None:
            console.print(message, markup=False)

        if options.ray:
            results = track_on_cluster(
                folder.waiting,
                settings,
                folder.weights,
                folder.partial,
                options.ray,
                options.cores or _CORES_PER_WORKER,
                options.retries,
                on_progress,
                notify,
            )
        else:
            model = _load(settings)
            results = (
                job.run(model, settings, folder.partial, partial(on_progress, job.name))
                for job in folder.waiting
            )
        for result in results:
            progress.remove_task(tasks.pop(result.name))
            yield result


def _print_skipped(lines: tuple[str, ...]) -> None:
    for line in lines[:_MAX_LINES]:
        console.print(f'skipped {line}', style='yellow', markup=False)
    if len(lines) > _MAX_LINES:
        console.print(f'and {len(lines) - _MAX_LINES} more', style='yellow')
