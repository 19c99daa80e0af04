# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Imports point one way, files stay short, and docs/architecture.md names files that exist."""

from __future__ import annotations

import ast
from graphlib import CycleError
from graphlib import TopologicalSorter
from pathlib import Path
import re
import subprocess
import sys

from paths import REPOSITORY
import pytest

PACKAGE = REPOSITORY / 'gtr_ros'
MOST_LINES = 400

#: rooms of the package by floor, from the ground up: imports only point down, or stay in a room
FLOORS = (
    {
        'parsing',
        'stamps',
        'boxes',
        'box_checks',
        'file_kinds',
        'input_warning',
        'files',
        'options',
        'structures',
        'profiling',
    },
    {'media'},
    {'model'},
    {'tracking'},
    {'runtime', 'weights'},
    {'data'},
    {'recordings', 'training', 'evaluation'},
    {'node', 'cli'},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
#: rooms that do not import each other, whatever their floors
APART = {'training', 'evaluation', 'node'}
#: generated from msg/ and srv/
INTERFACES = {'msg', 'srv'}
ROS = {
    'ament_index_python',
    'builtin_interfaces',
    'cv_bridge',
    'diagnostic_msgs',
    'geometry_msgs',
    'rcl_interfaces',
    'rclpy',
    'sensor_msgs',
    'std_msgs',
    'std_srvs',
    'tf2_msgs',
    'vision_msgs',
    'visualization_msgs',
}


def module_of(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


FILES = {module_of(path): path for path in sorted(PACKAGE.rglob('*.py'))}
MODULES = sorted(FILES.keys() - {'gtr_ros'})


def imports_of(module: str) -> set[str]:
    """Return what a module imports: at its top, in functions, and for type checking alike."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{module} has a relative import'
            for alias in node.names:
                name = f'{node.module}.{alias.name}'
                found.add(name if name in FILES else node.module)
    return found


def room_of(module: str) -> str:
    return module.split('.')[1] if '.' in module else ''


@pytest.mark.parametrize('module', MODULES)
def test_imports_point_down(module):
    room = room_of(module)
    for name in imports_of(module):
        other = room_of(name) if name.startswith('gtr_ros.') else room
        if room == 'node' and other in INTERFACES:
            continue
        assert other == room or FLOOR_OF[other] < FLOOR_OF[room], f'{module} imports {name}'
        assert other == room or not {other, room} <= APART, f'{module} imports {name}'


@pytest.mark.parametrize('module', [m for m in MODULES if room_of(m) != 'node'])
def test_only_the_node_imports_ros(module):
    assert not {name.partition('.')[0] for name in imports_of(module)} & ROS


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: imports_of(module) & FILES.keys() - {module} for module in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(' -> '.join(error.args[1]))


def test_a_circle_would_be_found():
    with pytest.raises(CycleError):
        TopologicalSorter({'a': {'b'}, 'b': {'c'}, 'c': {'a'}}).prepare()


@pytest.mark.parametrize('module', sorted(FILES))
def test_files_are_short(module):
    lines = len(FILES[module].read_text().splitlines())
    assert lines <= MOST_LINES, f'{module} has {lines} lines'


@pytest.mark.parametrize(
    'module', ['options', 'model.options', 'model.registry', 'runtime.process', 'media.drawing']
)
def test_what_starts_fast_does_not_import_torch(module):
    code = f'import sys, gtr_ros.{module}; sys.exit("torch" in sys.modules)'
    run = subprocess.run([sys.executable, '-c', code], cwd=REPOSITORY)
    assert run.returncode == 0


@pytest.mark.parametrize('room', ['model', 'model.build', 'tracking', 'media.video', 'cli'])
def test_a_room_can_be_imported_without_ros(room):
    hide = f'import sys; sys.modules.update(dict.fromkeys({ROS!r}))'
    command = [sys.executable, '-c', f'{hide}; import gtr_ros.{room}']
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_architecture_names_what_exists():
    text = (REPOSITORY / 'docs' / 'architecture.md').read_text()
    named = set(
        re.findall(
            r'`((?:gtr_ros|config|docs|launch|msg|srv|test|tools|benchmarks)/[^`* ]*)`', text
        )
    )
    assert len(named) > 40
    missing = sorted(name for name in named if not (REPOSITORY / name).exists())
    assert not missing


def test_the_architecture_has_every_room():
    text = (REPOSITORY / 'docs' / 'architecture.md').read_text()
    for room in FLOOR_OF:
        assert f'`{room}' in text or f'gtr_ros/{room}' in text, room
