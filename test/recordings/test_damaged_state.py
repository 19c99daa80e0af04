# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Manifests of `gtr track` and SQLite files that are damaged, or were made to do harm."""

from __future__ import annotations

import json
from pathlib import Path
import sqlite3

import pytest

pytest.importorskip('rosbags', reason='needs the evaluation extra')

from gtr_ros.recordings.cut_storage import CutSqlite
from gtr_ros.recordings.folder import MANIFEST
from gtr_ros.recordings.folder import ResultsFolder
from gtr_ros.recordings.options import TrackingOptions

ENTRY = {'source': '/videos/a.mp4', 'state': 'done', 'seen': [1, 2]}


def reopen(folder: Path, **changes: object) -> None:
    source = folder / 'a.mp4'
    source.write_bytes(b'video')
    results = folder / 'results'
    with ResultsFolder(results, [str(source)], TrackingOptions(), 'weights'):
        pass
    path = results / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with ResultsFolder(results, [str(source)], TrackingOptions(), 'weights'):
        pass


def test_an_intact_manifest_is_accepted(tmp_path):
    reopen(tmp_path)
    reopen(tmp_path, recordings={'a': ENTRY})


@pytest.mark.parametrize('name', ['../a', '/etc/passwd', '..', '', 'b/../../a', 'a\0'])
def test_a_recording_whose_name_leaves_the_folder_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match='is not the name of a file'):
        reopen(tmp_path, recordings={name: ENTRY})


@pytest.mark.parametrize(
    'changes',
    [
        {'settings': 5},
        {'settings': None},
        {'recordings': [ENTRY]},
        {'recordings': {'a': 7}},
        {'recordings': {'a': {**ENTRY, 'source': ['x']}}},
        {'recordings': {'a': {**ENTRY, 'state': None}}},
        {'recordings': {'a': {'source': 'x', 'state': 'done'}}},
    ],
)
def test_values_of_other_types_are_refused(tmp_path, changes):
    with pytest.raises(ValueError, match='is not a manifest of `gtr track`'):
        reopen(tmp_path, **changes)


def test_rows_of_a_database_that_come_again_end_it(tmp_path):
    # Pages that refer to each other in a circle give the same rows for ever.
    path = tmp_path / 'a.db3'
    with sqlite3.connect(path) as database:
        database.execute(
            'CREATE TABLE topics(id, name, type, serialization_format, offered_qos_profiles)'
        )
        database.executemany(
            'INSERT INTO topics VALUES (?, ?, ?, ?, ?)',
            [(1, '/a', 'std_msgs/msg/String', 'cdr', '')] * 2,
        )
    with pytest.raises(sqlite3.DatabaseError, match='id 1 follows 1: its pages are damaged'):
        CutSqlite(path)
