# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags whose metadata.yaml does not fit: tracked without it, and not blamed on damage."""

from __future__ import annotations

from pathlib import Path
import re
import warnings

import numpy as np
import pytest

pytest.importorskip('rosbags', reason='needs the evaluation extra')

from rosbags.rosbag2 import Reader
from writers import write_bag

from gtr_ros.data.formats.bag_metadata import MetadataError
from gtr_ros.data.formats.bag_reader import open_bag
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.input_warning import InputWarning
from gtr_ros.recordings.salvage import open_recorded

SUFFIXES = {'mcap': '.mcap', 'sqlite3': '.db3'}
IMAGE = np.zeros((16, 24, 3), np.uint8)


def replaced(pattern: str, by: str):
    """Return a change of metadata.yaml."""

    def change(bag: Path, storage: Path) -> None:
        file = bag / 'metadata.yaml'
        text = file.read_text()
        file.write_text(re.sub(pattern, by, text))
        assert file.read_text() != text

    return change


def written(content: bytes):
    return lambda bag, storage: (bag / 'metadata.yaml').write_bytes(content)


CHANGES = {
    'the storage was renamed': (
        lambda bag, storage: storage.rename(bag / f'other{storage.suffix}'),
        r'names bag\S+, which is not in the folder, but other\S+ is',
    ),
    'a newer version': (replaced(r'version: \d+', 'version: 10'), 'version is 10, and up to 9'),
    'a much newer version': (replaced(r'version: \d+', 'version: 99'), 'version is 99'),
    'a version in words': (replaced(r'version: \d+', 'version: nine'), "version is 'nine'"),
    'another storage': (
        replaced(r'storage_identifier: \w+', 'storage_identifier: rosbag_v3'),
        "storage_identifier is 'rosbag_v3'",
    ),
    'no list of files': (
        replaced(r'relative_file_paths:\n *- .*', 'relative_file_paths: 7'),
        'relative_file_paths is no list',
    ),
    'a tab': (written(b'a:\n\t- 1\n'), 'cannot be read as YAML'),
    'not closed': (written(b'a: [1'), 'cannot be read as YAML'),
    'not UTF-8': (written(b'a: \xff\xfe\xfa'), 'cannot be read as YAML'),
    'a key twice': (written(b'a: 1\na: 2\n'), 'cannot be read as YAML'),
    'empty': (written(b''), 'not that of a bag'),
    'a list': (written(b'- 1\n'), 'not that of a bag'),
    'of something else': (written(b'name: x\n'), 'not that of a bag'),
}


@pytest.mark.parametrize('storage', SUFFIXES)
@pytest.mark.parametrize('name', CHANGES)
def test_metadata_that_does_not_fit_is_named_and_the_storage_is_read(tmp_path, name, storage):
    change, said = CHANGES[name]
    bag = tmp_path / 'bag'
    write_bag(bag, storage, images=[(t, IMAGE) for t in (1, 2, 3)])
    change(bag, bag / f'bag{SUFFIXES[storage]}')
    with pytest.raises(MetadataError, match=f'metadata.yaml: .*{said}.*; give the') as refusal:
        open_bag(bag)
    text = str(refusal.value)
    assert 'damaged' not in text and 'cut off' not in text and '\n' not in text
    # The way out that the message names works.
    with Reader(Path(re.search(r'such as (\S+)', text)[1])) as reader:
        assert reader.message_count == 3
    with pytest.warns(InputWarning, match=said) as warned:
        found = open_recorded(bag)
    assert len(warned) == 1
    assert found.message_count == 3 and found.damage is None
    assert len(list(found.messages())) == 3
    found.close()


def test_a_part_of_a_bag_that_is_missing_is_no_renamed_one(tmp_path):
    bag = tmp_path / 'bag'
    write_bag(bag, images=[(1, IMAGE)])
    replaced(r'( *- )bag.mcap', r'\1bag.mcap\n\1bag_1.mcap')(bag, bag)
    with pytest.raises(FormatError, match=r'bag_1\.mcap is not in the folder; copy it there'):
        open_bag(bag)
    assert 'bag_1.mcap' in open_recorded(bag).damage


def test_metadata_that_fits_needs_no_warning(tmp_path):
    bag = tmp_path / 'bag'
    write_bag(bag, images=[(1, IMAGE)])
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        reader = open_recorded(bag)
    assert reader.message_count == 1
    reader.close()


def test_a_folder_of_older_bags_names_them(tmp_path):
    (tmp_path / 'old.bag').write_bytes(b'#ROSBAG V2.0\n')
    with pytest.raises(FormatError, match=r'old\.bag is a ROS 1 bag: convert it'):
        open_bag(tmp_path)


@pytest.mark.parametrize(
    ('storage', 'suffix', 'said'),
    [('mcap', '.db3', r'its name must end in \.mcap'), ('sqlite3', '.mcap', r'must end in \.db3')],
)
def test_a_storage_file_of_the_wrong_name_is_named(tmp_path, storage, suffix, said):
    bag = tmp_path / 'bag'
    write_bag(bag, storage, images=[(1, IMAGE)])
    file = (bag / f'bag{SUFFIXES[storage]}').rename(tmp_path / f'x{suffix}')
    with pytest.raises(FormatError, match=f'not a bag but .*{said}'):
        open_bag(file)
