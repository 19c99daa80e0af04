# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No command writes over what it reads. Imports neither torch nor rosbags."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import os
from pathlib import Path

from gtr_ros.data.formats.bag_paths import is_bag
from gtr_ros.data.formats.bag_paths import STORAGE_SUFFIXES
from gtr_ros.files import is_special
from gtr_ros.files import partial_path
from gtr_ros.recordings.sources import image_files

#: arguments that name what a command reads, by their names in the namespace, and what that is
INPUTS = {
    'sources': 'the recording, which is not overwritten',
    'sequences': 'a sequence to evaluate',
    'boxes': 'stored boxes to evaluate',
    'images': 'the images of a sequence',
    'recording': 'the recording',
    'config': 'the configuration',
    'checkpoint': 'the checkpoint to start from',
    'exported': 'the exported model',
    'detector': 'the detector',
    'file': 'the checkpoint to convert',
    'source': 'the weights to import',
}
#: arguments that name what a command writes
OUTPUTS = {'out': '--out', 'annotated': '--video', 'cache': '--cache'}
# Files of fixed names that commands write into a folder.
_WRITTEN = ('manifest.json', 'table.json', 'table.csv', 'curves.csv', 'report.html')


def check_outputs(options: argparse.Namespace) -> None:
    """
    Check that no output of a command is one of its inputs, or another of its outputs.

    Links and relative names are followed. Files may be added to a folder of images, but not to a
    bag.

    :param options: of any command, see `INPUTS` and `OUTPUTS`
    :raises ValueError: names the argument, the file and the way out
    """
    given = vars(options)
    outputs = {flag: Path(given[name]) for name, flag in OUTPUTS.items() if given.get(name)}
    _check_different(outputs)
    inputs = [(text, what) for name, what in INPUTS.items() for text in _texts(given.get(name))]
    written = {}
    for flag, out in outputs.items():
        for path in _places(out):
            identity = _identity(path)
            if identity is not None and not is_special(path):
                written[identity] = flag, out
    folders = {_identity(out.absolute().parent): (flag, out) for flag, out in outputs.items()}
    folders.pop(None, None)
    for text, what in inputs:
        if _is_bag_folder(Path(text)) and _identity(Path(text)) in folders:
            flag, out = folders[_identity(Path(text))]
            raise ValueError(
                f'{flag} is {out}, inside the bag {text}; choose a name in another folder'
            )
        for path in _read(text) if written else ():
            flag, out = written.get(_identity(path), ('', None))
            if flag:
                raise ValueError(
                    f'{flag} is {out}, which would write over {path}, {what}; choose another name'
                )


def _check_different(outputs: Mapping[str, Path]) -> None:
    seen: dict[str, str] = {}
    for flag, out in outputs.items():
        if is_special(out):
            continue
        other = seen.setdefault(os.path.realpath(out), flag)
        if other != flag:
            raise ValueError(f'{other} and {flag} are both {out}; choose two names')


def _places(out: Path) -> Iterator[Path]:
    """Yield what is written for an output."""
    yield out
    yield partial_path(out)
    for name in _WRITTEN if out.is_dir() else ():
        yield out / name


def _read(text: str) -> Iterator[Path]:
    """Yield what is read for an input."""
    path = Path(text)
    yield path
    if _is_bag_folder(path):
        yield from path.iterdir()
        return
    try:
        yield from image_files(text) or ()
    except (ValueError, OSError):
        return  # the command says what is wrong


def _is_bag_folder(path: Path) -> bool:
    """Return whether a path is the folder of a bag, also of one without metadata.yaml."""
    if not path.is_dir():
        return False
    return is_bag(path) or any(file.suffix in STORAGE_SUFFIXES for file in path.iterdir())


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what is the same for all names of a file; None: there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _texts(value: object) -> Iterable[str]:
    if value is None or value == '':
        return ()
    return map(str, value) if isinstance(value, (list, tuple)) else (str(value),)
