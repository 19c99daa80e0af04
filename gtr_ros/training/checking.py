# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Checks of a training run's data: every image is decoded once, before the first step.

A damaged image would otherwise stop a training when it is first drawn, perhaps after hours.
Threads decode on all cores. Images that were decoded before, and have not changed since, are not
decoded again: a file in the user's cache has their digests. So only the first start with a data
set waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from concurrent.futures import as_completed
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
import os
from pathlib import Path

from PIL import Image

from gtr_ros.data.coco.stills import read_coco
from gtr_ros.data.opening import open_sequences
from gtr_ros.data.opening import resolve_source
from gtr_ros.data.sequence import check_images
from gtr_ros.data.stills.still import Still
from gtr_ros.files import cache_directory
from gtr_ros.training.clip import ClipSource
from gtr_ros.training.config import Config
from gtr_ros.training.optimisation import TrainingError
from gtr_ros.training.sources import Augmented
from gtr_ros.training.sources import Mixture
from gtr_ros.training.sources import StillClips
from gtr_ros.training.video_clips import VideoClips

#: called with the number of images checked, and of all
OnCheck = Callable[[int, int], None]

_NAMED = 5  # broken images named in a message
_PART = 64  # images that a thread checks before the next report


def stills_of(source: ClipSource) -> list[Still]:
    """Return the stills of a source of clips, each image once."""
    if isinstance(source, Mixture):
        found = [still for part in source.sources for still in stills_of(part)]
        return list({(still.file, still.size): still for still in found}.values())
    return list(source.stills) if isinstance(source, StillClips) else []


def check_sequences(source: ClipSource) -> int:
    """
    Look for the image files of a source's videos; return the number of videos.

    :raises FormatError: if a file is missing
    """
    if isinstance(source, Mixture):
        return sum(map(check_sequences, source.sources))
    if isinstance(source, Augmented):
        return check_sequences(source.source)
    if not isinstance(source, VideoClips):
        return 0
    for sequence in source.sequences:
        check_images(sequence)
    return len(source.sequences)


def validation_stills(config: Config, data: Path, names: Sequence[str]) -> list[Still]:
    """
    Return the labelled images of the validation, and open its sequences.

    :param names: classes of the model
    :raises FormatError: if something cannot be read
    """
    wanted = config.validation
    for place in wanted.sequences:
        for opened in open_sequences(resolve_source(place, data), wanted.half):
            if opened.boxes is None:
                check_images(opened.sequence)
    if wanted.detection is None:
        return []
    return list(read_coco(data / wanted.detection, None, tuple(names)).stills)


def decode_all(
    stills: Sequence[Still],
    on_check: OnCheck = lambda done, total: None,
    again: bool = False,
) -> Counter[str]:
    """
    Decode every image, and compare its size with the annotations.

    :param again: decode also images that were decoded before
    :return: number of the images decoded now, by their mode: 'RGB', 'L' (grey), 'CMYK', ...
    :raises TrainingError: names the images that cannot be used, and what is wrong
    """
    file = cache_directory() / 'checked_images.txt'
    known = set() if again else _read_known(file)
    waiting = [(key, still) for key, still in _keys(stills) if key not in known]
    modes: Counter[str] = Counter()
    broken: list[str] = []
    done = len(stills) - len(waiting)
    parts = [waiting[i : i + _PART] for i in range(0, len(waiting), _PART)]
    if parts:
        on_check(done, len(stills))
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for result in as_completed([pool.submit(_decode_part, part) for part in parts]):
            good, found, errors = result.result()
            _append_known(file, good)
            modes += found
            broken += errors
            done += len(good) + len(errors)
            on_check(done, len(stills))
    finally:
        pool.shutdown(cancel_futures=True)
    if broken:
        more = len(broken) - _NAMED
        raise TrainingError(
            f'{len(broken)} of {len(stills)} images cannot be used: '
            f'{"; ".join(sorted(broken)[:_NAMED])}{f"; and {more} more" if more > 0 else ""}. '
            'Replace them, or remove them from their annotations'
        )
    return modes


def _decode_part(
    part: Sequence[tuple[str, Still]],
) -> tuple[list[str], Counter[str], list[str]]:
    """Return the keys of images that can be used, the modes of these, and what is wrong."""
    good, modes, errors = [], Counter(), []
    for key, still in part:
        try:
            still.image()
            with Image.open(still.file) as image:
                modes[image.mode] += 1
            good.append(key)
        except (ValueError, OSError) as error:
            errors.append(str(error))
    return good, modes, errors


def _keys(stills: Iterable[Still]) -> Iterable[tuple[str, Still]]:
    """Yield each image with a digest of its file and its size in the annotations."""
    for still in stills:
        try:
            state = still.file.stat()
            described = f'{state.st_size} {state.st_mtime_ns}'
        except OSError:
            described = 'missing'
        text = f'{os.path.abspath(still.file)} {described} {still.size}'
        yield sha256(text.encode()).hexdigest()[:24], still


def _read_known(file: Path) -> set[str]:
    try:
        return set(file.read_text().split())
    except (OSError, UnicodeDecodeError):
        return set()


def _append_known(file: Path, keys: Sequence[str]) -> None:
    """Add digests to the file; where the cache cannot be written, images are decoded again."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open('a') as stream:
            stream.write(''.join(f'{key}\n' for key in keys))
    except OSError:
        pass
