# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a file, said so that it can be mended."""

from __future__ import annotations

from pathlib import Path


class FormatError(ValueError):
    """
    A file that cannot be read; the message names it, the line, and the rule that it broke.

    :param path: the file
    :param rule: what is expected, and what is there instead
    :param line: from 1, where the file has lines
    """

    def __init__(self, path: str | Path, rule: str, line: int | None = None) -> None:
        self.path = Path(path)
        self.line = line
        place = f'{path}' if line is None else f'{path}:{line}'
        super().__init__(f'{place}: {rule}')
