# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the metadata.yaml of a bag, apart from its storage files."""

from __future__ import annotations

from pathlib import Path
from pathlib import PurePath
from typing import Any

from ruamel.yaml import YAML

from gtr_ros.data.formats.bag_paths import is_storage
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.input_warning import first_of

_NEWEST = 9  # version of metadata.yaml, of Jazzy to Lyrical
_ROOT = 'rosbag2_bagfile_information'


class MetadataError(FormatError):
    """
    A metadata.yaml that does not describe the storage files beside it, which may be whole.

    :param path: of metadata.yaml
    :param fault: what is wrong with it
    :param way_out: what a user can do
    """

    def __init__(self, path: Path, fault: str, way_out: str) -> None:
        super().__init__(path, f'{fault}; {way_out}')
        self.fault = fault


def check_metadata(folder: Path) -> None:
    """
    Check that the metadata.yaml of a bag can be read, and names the storage files that are there.

    :raises MetadataError: names the fault and the way out
    """
    file = folder / 'metadata.yaml'
    held = sorted(f for f in folder.iterdir() if is_storage(f))
    way_out = f'give the storage file instead, such as {held[0]}' if held else 'record it again'
    try:
        # The loader that rosbags reads it with: without objects.
        content = YAML(typ='safe').load(file.read_text(encoding='utf-8-sig'))
    except Exception as error:  # besides its own errors, those of the conversions of values
        line = ' '.join(str(error).split()) or type(error).__name__
        raise MetadataError(file, f'cannot be read as YAML ({line})', way_out) from error
    information = content.get(_ROOT) if isinstance(content, dict) else None
    if not isinstance(information, dict):
        raise MetadataError(file, f'not that of a bag: it has no {_ROOT}', way_out)
    version = information.get('version')
    if not isinstance(version, int) or version > _NEWEST:
        raise MetadataError(
            file, f'version is {version!r}, and up to {_NEWEST} are known', way_out
        )
    _check_files(file, information, [f.name for f in held], way_out)
    storage = information.get('storage_identifier')
    if storage not in ('mcap', 'sqlite3'):
        raise MetadataError(
            file, f'storage_identifier is {storage!r}; expected mcap or sqlite3', way_out
        )


def _check_files(file: Path, information: dict[str, Any], held: list[str], way_out: str) -> None:
    """Raise MetadataError if storage files were renamed: none is lost, but the names differ."""
    stated = information.get('relative_file_paths')
    if not isinstance(information.get('files') or [], list):
        raise MetadataError(file, 'files is no list', way_out)
    if not isinstance(stated, list) or not all(isinstance(name, str) for name in stated):
        raise MetadataError(file, 'relative_file_paths is no list of names', way_out)
    names = [PurePath(name).name for name in stated]
    missing = [name for name in names if not (file.parent / name).exists()]
    if not missing:
        return
    others = [name for name in held if name not in names]
    if not others:
        raise FormatError(file, f'{first_of(missing)} is not in the folder; copy it there')
    if len(others) >= len(missing):
        raise MetadataError(
            file,
            f'names {first_of(missing)}, which is not in the folder, but {first_of(others)} is',
            f'give the file its name back, or {way_out}',
        )
