# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Paths of ROS 2 bags; does not import the package rosbags."""

from __future__ import annotations

from pathlib import Path

#: suffixes of storage files
STORAGE_SUFFIXES = ('.mcap', '.db3')


def is_bag(path: Path) -> bool:
    """Return whether a path is a rosbag2: a storage file, or a folder with metadata.yaml."""
    return path.suffix in STORAGE_SUFFIXES or (path / 'metadata.yaml').is_file()


def is_storage(path: Path) -> bool:
    """Return whether a path has the name of a storage file, also one that was compressed."""
    return path.name.removesuffix('.zstd').endswith(STORAGE_SUFFIXES)
