# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder with the results of many recordings, and its manifest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
import fcntl
from itertools import chain
from itertools import count
import json
import os
from pathlib import Path
import shutil
import tempfile
from typing import Any

from gtr_ros.files import atomic_write
from gtr_ros.files import partial_path
from gtr_ros.model.gtr import GTR
from gtr_ros.parsing import parse_json
from gtr_ros.recordings.options import TrackingOptions
from gtr_ros.recordings.recording import IncompleteError
from gtr_ros.recordings.recording import InterruptedTracking
from gtr_ros.recordings.recording import ProgressCallback
from gtr_ros.recordings.recording import Summary
from gtr_ros.recordings.recording import track_recording
from gtr_ros.recordings.sources import files_of
from gtr_ros.recordings.sources import opens_as_bag
from gtr_ros.recordings.sources import recording_name

MANIFEST = 'manifest.json'
WAITING, DONE, FAILED = 'waiting', 'done', 'failed'

_FORMAT = 2
# The options that affect results; those for device and runtime do not.
_RESULT_OPTIONS = (
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
    'classes',
    'rate',
    'node_name',
)
# Added since format 2: older manifests have the results of their defaults.
_LATER_OPTIONS = ('classes', 'rate', 'node_name')


@dataclass(frozen=True)
class Job:
    """
    One recording to be tracked.

    :param name: unique in the results folder
    :param source: absolute path, or glob of images
    :param out: absolute path: `NAME.txt` for a video or images, the folder `NAME` for a bag
    """

    name: str
    source: str
    out: str

    def run(
        self, model: GTR, settings: TrackingOptions, partial: Path, on_progress: ProgressCallback
    ) -> JobResult:
        """
        Track the recording, and move the complete result to `out`.

        Errors are returned instead of raised, so that the other recordings are tracked. An
        incomplete result is also moved: one of a damaged recording to `out`, one after Ctrl-C or
        a failure to `partial_path` of it.

        :param partial: existing folder for incomplete results, on the same disk as `out`
        """
        folder = Path(tempfile.mkdtemp(dir=partial, prefix=f'{self.name}.'))
        out = Path(self.out)
        part = folder / out.name
        summary = error = None
        try:
            summary = track_recording(model, self.source, part, settings, on_progress)
        except IncompleteError as problem:
            summary, error = problem.summary, str(problem).replace(f'{folder}{os.sep}', '')
        except InterruptedTracking as problem:
            _move(partial_path(part), partial_path(out))
            text = str(problem).replace(str(folder), str(out.parent))
            raise InterruptedTracking(text) from problem
        except (ValueError, OSError) as problem:
            error = str(problem).replace(f'{folder}{os.sep}', '')
        except Exception as problem:  # must not stop the other recordings
            error = f'{self.source}: {type(problem).__name__}: {problem}'
        try:
            _move(partial_path(part), partial_path(out))
            if _move(part, out):
                _remove(partial_path(out))  # of an earlier try
        except OSError as problem:
            summary, error = None, f'{out} cannot be written: {problem}'
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return JobResult(self.name, summary, error)


@dataclass(frozen=True)
class JobResult:
    """
    The result of a job.

    :param name: of the recording
    :param summary: None if it failed; of an incomplete result, there is an error, too
    :param error: names the file and what is wrong; None if it succeeded
    """

    name: str
    summary: Summary | None
    error: str | None = None


class ResultsFolder:
    """
    A folder with the results of many recordings; a context manager that locks the folder.

    `manifest.json` lists the recordings and their states. When the folder is reopened, with the
    same or more recordings, `waiting` contains those that are not done or have changed since then.

    :param path: created if necessary
    :param sources: videos, images and bags; duplicates are ignored
    :param settings: must agree with those of the results in the folder
    :param weights: fingerprint of the model; must also agree
    :raises ValueError: if the folder is in use, has results with other settings, or has unrelated
        files under the names of results
    """

    def __init__(
        self, path: str | Path, sources: Sequence[str], settings: TrackingOptions, weights: str
    ) -> None:
        self.path = Path(path).absolute()
        self._sources = list(dict.fromkeys(str(Path(s).absolute()) for s in sources))
        options = {name: getattr(settings, name) for name in _RESULT_OPTIONS}
        # Converted through JSON, like the manifest: tuples become lists.
        self._settings = json.loads(json.dumps({**options, 'weights': weights}))
        #: fingerprint of the model
        self.weights = weights
        self._recordings: dict[str, dict[str, Any]] = {}
        self._lock = -1
        #: recordings to track, in the order of `sources`
        self.waiting: list[Job] = []
        #: number of `sources` that were done before
        self.done_before = 0

    @property
    def partial(self) -> Path:
        """The folder for incomplete results."""
        return self.path / '.partial'

    def __len__(self) -> int:
        """Return the number of recordings."""
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
            shutil.rmtree(self.partial, ignore_errors=True)  # left by a killed process
            self.partial.mkdir()
            self._write()
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(self, *_) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)
        os.close(self._lock)

    def record(self, result: JobResult) -> None:
        """Write the result of a job to the manifest."""
        entry = self._recordings[result.name]
        entry.update(
            state=FAILED if result.error else DONE,
            error=result.error,
            summary=asdict(result.summary) if result.summary else None,
        )
        self._write()

    def _read(self) -> None:
        path = self.path / MANIFEST
        if not path.exists():
            return
        try:
            manifest = parse_json(path.read_text())
            version, settings = manifest['format'], manifest['settings']
            recordings = manifest['recordings']
            # Detect damage to the manifest now, not between two recordings.
            if not isinstance(settings, dict):
                raise TypeError('settings is not an object')
            for name, entry in recordings.items():
                _check_entry(name, entry)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'{path} is not a manifest of `gtr track`: {error!r}') from error
        if version != _FORMAT:
            raise ValueError(
                f'{path} has format {version}, from another version of gtr_ros; expected '
                f'{_FORMAT}. Choose another folder, or remove it'
            )
        defaults = json.loads(json.dumps({n: getattr(TrackingOptions, n) for n in _LATER_OPTIONS}))
        for name, value in self._settings.items():
            before = settings.get(name, defaults.get(name))
            if before != value:
                raise ValueError(
                    f'{self.path} has results with {name.removesuffix("_name")} {before}, not '
                    f'{value}; choose another folder, or remove it'
                )
        self._recordings = recordings

    def _plan(self) -> None:
        """Name the recordings, and find those that are not done."""
        known = {entry['source']: name for name, entry in self._recordings.items()}
        names = _unique_names([s for s in self._sources if s not in known], set(self._recordings))
        for source in self._sources:
            state = _file_state(source)
            name = known.get(source) or names[source]
            out = self.path / (name if opens_as_bag(source) else f'{name}.txt')
            entry = self._recordings.get(name)
            if entry is None and out.exists():
                raise ValueError(
                    f'{out} exists and is not a result of `gtr track`; choose another folder'
                )
            if entry and entry['state'] == DONE and entry['seen'] == state and out.exists():
                self.done_before += 1
                continue
            self._recordings[name] = {'source': source, 'seen': state, 'state': WAITING}
            self.waiting.append(Job(name, source, str(out)))

    def _write(self) -> None:
        content = {'format': _FORMAT, 'settings': self._settings, 'recordings': self._recordings}
        with atomic_write(self.path / MANIFEST) as part:
            part.write_text(f'{json.dumps(content, indent=1)}\n')


def _check_entry(name: str, entry: dict[str, Any]) -> None:
    """
    Check an entry of the manifest.

    :raises ValueError: if the name is not that of a file in the folder, or a value is not a text
    :raises KeyError: if a key is missing
    """
    # A name such as ../x would let a manifest that was received write outside its folder.
    if name in ('', '.', '..') or Path(name).name != name or '\0' in name:
        raise ValueError(f'the recording {name!r} is not the name of a file')
    for key in ('source', 'state'):
        if not isinstance(entry[key], str):
            raise ValueError(f'{key} of {name} is {entry[key]!r}; expected a text')
    entry['seen']


def _unique_names(sources: Sequence[str], taken: set[str]) -> dict[str, str]:
    """Name recordings by their files, with parent folders or numbers added until they differ."""
    names = {source: recording_name(source) for source in sources}
    folders = {source: Path(source).parent.parts[:0:-1] for source in sources}
    for above in range(max(map(len, folders.values()), default=0)):
        parents = defaultdict(set)
        for source, name in names.items():
            parents[name].add(Path(source).parent)
        for source, name in names.items():
            if (len(parents[name]) > 1 or name in taken) and above < len(folders[source]):
                names[source] = f'{folders[source][above]}_{name}'
    used = set(taken)
    for source, name in names.items():
        # Sources of one folder can have the same name: cam.mp4 and cam.avi.
        names[source] = next(n for n in chain([name], _numbered(name)) if n not in used)
        used.add(names[source])
    return names


def _numbered(name: str) -> Iterator[str]:
    return (f'{name}_{i}' for i in count(2))


def _file_state(source: str) -> list[int]:
    """Return size in bytes and modification time in ns, to detect that a recording has changed."""
    states = [file.stat() for file in files_of(source) if file.exists()]
    return [sum(s.st_size for s in states), max((s.st_mtime_ns for s in states), default=0)]


def _move(part: Path, out: Path) -> bool:
    """Replace a file or folder if there is another one; return whether there is."""
    if not part.exists():
        return False
    _remove(out)
    part.replace(out)
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
