# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The error of invalid files."""

from __future__ import annotations

from pathlib import Path


class FormatError(ValueError):
    """
    An invalid file; the message names the file, the line, and the broken rule.

    :param path: the file
    :param rule: what is wrong, and what is expected
    :param line: from 1, if the file has lines
    """

    def __init__(self, path: str | Path, rule: str, line: int | None = None) -> None:
        self.path = Path(path)
        self.line = line
        location = f'{path}' if line is None else f'{path}:{line}'
        super().__init__(f'{location}: {rule}')
