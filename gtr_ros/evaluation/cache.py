# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays cached in files whose names are digests of everything that they depend on."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as SequenceOf
from hashlib import sha256
from pathlib import Path
import zipfile

import numpy as np

from gtr_ros.data.sequence import Sequence
from gtr_ros.files import atomic_write
from gtr_ros.structures import Detections


def cache_key(network: str, sequence: Sequence, detections: SequenceOf[Detections]) -> str:
    """Return a digest of a network, the images of a sequence, and their boxes."""
    digest = sha256(f'{network} {sequence.image_key} {len(sequence)}'.encode())
    for frame in detections:
        digest.update(len(frame).to_bytes(4, 'little'))
        digest.update(np.ascontiguousarray(frame.boxes, np.float32).tobytes())
    return digest.hexdigest()[:32]


def network_key(path: str | Path) -> str:
    """Return a digest of a network's file."""
    return sha256(Path(path).read_bytes()).hexdigest()


def load_arrays(file: Path) -> dict[str, np.ndarray] | None:
    """Return the arrays of a file by name; None if it is missing or cannot be read."""
    try:
        with np.load(file, allow_pickle=False) as data:
            return {key: data[key] for key in data.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None  # the caller computes them again


def save_arrays(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to a file that appears only when complete; the folder is created."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as part, part.open('wb') as stream:
        np.savez(stream, **arrays)
