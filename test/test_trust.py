# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each fault in the tables of docs/trust.md has a test."""

from __future__ import annotations

import ast
import re

from paths import REPOSITORY

LEAST = 40


def rows() -> list[list[str]]:
    """Return the cells of the tables of faults."""
    page = (REPOSITORY / 'docs' / 'trust.md').read_text()
    faults = page.partition('\n## Faults\n')[2].partition('\n## ')[0]
    lines = [line.strip('|').split(' | ') for line in faults.splitlines() if line.startswith('| ')]
    return [[cell.strip() for cell in cells] for cells in lines if cells[0].strip() != 'fault']


def test_the_tables_have_at_least_forty_different_faults():
    faults = [row[0] for row in rows()]
    assert len(set(faults)) == len(faults) >= LEAST
    assert all(len(row) == 4 and all(row) for row in rows())


def test_every_row_names_a_test_that_exists():
    functions: dict[str, set[str]] = {}
    for row in rows():
        path, name = re.fullmatch(r'`(test/\S+\.py)::(test_\w+)`', row[3]).groups()
        if path not in functions:
            tree = ast.parse((REPOSITORY / path).read_text())
            functions[path] = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
        assert name in functions[path], row[3]


def test_every_test_of_faults_is_in_a_table():
    named = {row[3].strip('`') for row in rows()}
    for path in sorted((REPOSITORY / 'test' / 'node').glob('test_faults_*.py')):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith('test_'):
                assert f'test/node/{path.name}::{node.name}' in named
