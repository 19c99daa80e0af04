# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that the results of many recordings go to, and what it remembers of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
import fcntl
import json
import os
from pathlib import Path
import shutil
import tempfile
from typing import Any

from gtr_ros.model.gtr import GTR
from gtr_ros.recordings.recording import is_bag
from gtr_ros.recordings.recording import Step
from gtr_ros.recordings.recording import Summary
from gtr_ros.recordings.recording import track_recording
from gtr_ros.recordings.recording import TrackingOptions

MANIFEST = 'manifest.json'
WAITING, DONE, FAILED = 'waiting', 'done', 'failed'

_FORMAT = 2
# What decides the results. Where and on what a model runs does not.
_DECIDING = (
    'model',
    'precision',
    'window',
    'rule_name',
    'score_threshold',
    'weak_score_threshold',
    'min_hits',
    'camera_motion',
    'gallery',
    'image_topics',
    'storage',
)


@dataclass(frozen=True)
class Job:
    """
    One recording to be tracked into the folder.

    :param name: of the recording among the others
    :param source: absolute path
    :param out: absolute path, `NAME.txt` of a video, the folder `NAME` of a bag
    """

    name: str
    source: str
    out: str

    def run(self, model: GTR, settings: TrackingOptions, partial: Path, step: Step) -> Outcome:
        """
        Track it, and put what was written, whole, in its place.

        Whatever is wrong with it is in what is returned, so that others can go on. Of a damaged
        bag what came before the damage is put there, too.

        :param partial: existing folder, on the same disk as `out`, for what is not whole yet
        """
        place = Path(tempfile.mkdtemp(dir=partial, prefix=f'{self.name}.'))
        out = Path(self.out)
        part = place / out.name
        summary = error = None
        try:
            summary = track_recording(model, self.source, part, settings, step)
        except (ValueError, OSError) as problem:
            error = str(problem).replace(f'{place}{os.sep}', '')
        except Exception as problem:  # no recording may end the others
            error = f'{self.source}: {type(problem).__name__}: {problem}'
        try:
            if part.exists():
                _remove(out)
                part.replace(out)
        except OSError as problem:
            summary, error = None, f'{out} cannot be written: {problem}'
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return Outcome(self.name, summary, error)


@dataclass(frozen=True)
class Outcome:
    """
    How a recording ended.

    :param summary: None if it failed
    :param error: names the file and what is wrong; None if it is tracked
    """

    name: str
    summary: Summary | None
    error: str | None = None


class ResultsFolder:
    """
    A folder with the results of many recordings; a context manager, one at a time.

    Its `manifest.json` says of each recording what it is, and whether it is done. Who opens it
    again with more or the same recordings gets those as `waiting` that are not done, or have
    changed since.

    :param path: made if it is not there
    :param sources: videos and bags; one that is named twice counts once
    :param settings: must be those of the results that are in the folder
    :param weights: fingerprint of the model, likewise
    :raises ValueError: if the folder is in use, holds other results, or files of others under the
        names that are needed
    """

    def __init__(
        self, path: str | Path, sources: Sequence[str], settings: TrackingOptions, weights: str
    ) -> None:
        self.path = Path(path).absolute()
        self._sources = list(dict.fromkeys(str(Path(s).absolute()) for s in sources))
        deciding = {name: getattr(settings, name) for name in _DECIDING}
        # As it is read again: without tuples.
        self._settings = json.loads(json.dumps({**deciding, 'weights': weights}))
        #: fingerprint of the model
        self.weights = weights
        self._recordings: dict[str, dict[str, Any]] = {}
        self._lock = -1
        #: to be tracked now, in the order in which they were named
        self.waiting: list[Job] = []
        #: how many of those named were done before
        self.done_before = 0

    @property
    def partial(self) -> Path:
        """The folder for what is not whole yet."""
        return self.path / '.partial'

    def __len__(self) -> int:
        """Return how many recordings were named."""
        return len(self._sources)

    def __enter__(self) -> ResultsFolder:
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise ValueError(f'{self.path} is in use by another `gtr track`') from error
        try:
            self._read()
            self._plan()
            shutil.rmtree(self.partial, ignore_errors=True)  # of one that was killed
            self.partial.mkdir()
            self._write()
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(self, *_) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)
        os.close(self._lock)

    def record(self, outcome: Outcome) -> None:
        """Remember how a recording ended."""
        entry = self._recordings[outcome.name]
        entry.update(
            state=FAILED if outcome.error else DONE,
            error=outcome.error,
            summary=asdict(outcome.summary) if outcome.summary else None,
        )
        self._write()

    def _read(self) -> None:
        path = self.path / MANIFEST
        if not path.exists():
            return
        try:
            manifest = json.loads(path.read_text())
            form, settings = manifest['format'], manifest['settings']
            recordings = manifest['recordings']
            # What a hand may have spoiled is found here, not between two recordings.
            [(entry['source'], entry['state'], entry['seen']) for entry in recordings.values()]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'{path} is no manifest of `gtr track`: {error!r}') from error
        if form != _FORMAT:
            raise ValueError(
                f'{path} has format {form}, of another version of gtr_ros; expected {_FORMAT}. '
                'Name another folder, or remove it'
            )
        for name, value in self._settings.items():
            before = settings.get(name)
            if before != value:
                raise ValueError(
                    f'{self.path} holds results with {name.removesuffix("_name")} {before}, not '
                    f'{value}; name another folder, or remove it'
                )
        self._recordings = recordings

    def _plan(self) -> None:
        """Give each recording a name, and find those that are not done."""
        known = {entry['source']: name for name, entry in self._recordings.items()}
        names = _names([s for s in self._sources if s not in known], set(self._recordings))
        for source in self._sources:
            seen = _seen(Path(source))
            name = known.get(source) or names[source]
            out = self.path / (name if is_bag(source) else f'{name}.txt')
            entry = self._recordings.get(name)
            if entry is None and out.exists():
                raise ValueError(f'{out} exists, and is not of `gtr track`; name another folder')
            if entry and entry['state'] == DONE and entry['seen'] == seen and out.exists():
                self.done_before += 1
                continue
            self._recordings[name] = {'source': source, 'seen': seen, 'state': WAITING}
            self.waiting.append(Job(name, source, str(out)))

    def _write(self) -> None:
        part = self.path / f'.{MANIFEST}.part'
        content = {'format': _FORMAT, 'settings': self._settings, 'recordings': self._recordings}
        part.write_text(f'{json.dumps(content, indent=1)}\n')
        part.replace(self.path / MANIFEST)


def _names(sources: Sequence[str], taken: set[str]) -> dict[str, str]:
    """Name recordings after their files, and with the folders above where those are not enough."""
    names = {source: Path(source).stem for source in sources}
    for above in range(64):
        count = Counter([*names.values(), *taken])
        again = [source for source, name in names.items() if count[name] > 1]
        if not again:
            break
        for source in again:
            folders = [part.strip(os.sep) for part in Path(source).parent.parts[::-1]]
            folder = folders[above] if above < len(folders) else ''
            names[source] = f'{folder or above}_{names[source]}'
    return names


def _seen(source: Path) -> list[int]:
    """Return what changes when a recording does: bytes, and the time of the last change, ns."""
    files = [source, *source.rglob('*')] if source.is_dir() else [source]
    states = [file.stat() for file in files if file.exists()]
    return [sum(s.st_size for s in states), max((s.st_mtime_ns for s in states), default=0)]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
