# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The house: what it is made of is there, and no import goes up."""

from __future__ import annotations

import ast
import json
from pathlib import Path
import re
import subprocess
import sys
from xml.etree import ElementTree

from paths import REPOSITORY
import pytest

import gtr_ros

PACKAGE = REPOSITORY / 'gtr_ros'
SOURCES = sorted(
    path
    for folder in ('gtr_ros', 'launch', 'scripts', 'test', 'tools')
    for path in (REPOSITORY / folder).rglob('*')
    if path.is_file() and (path.suffix == '.py' or path.parent.name == 'scripts')
)

#: what the modules of each room may import, beside their own room
ROOMS = {
    'structures': set(),
    'profiling': set(),
    'media': {'structures'},
    'model': {'structures'},
    'tracking': {'structures', 'model'},
    'runtime': {'model'},
    'weights': {'model'},
    'evaluation': {'structures', 'model', 'tracking', 'media'},
    'recordings': {'structures', 'model', 'runtime', 'tracking', 'media', 'evaluation'},
    'training': {'structures', 'model', 'tracking', 'evaluation'},
    'node': {'structures', 'profiling', 'model', 'runtime', 'tracking', 'media', 'msg', 'srv'},
    'cli': {
        'structures',
        'model',
        'runtime',
        'tracking',
        'media',
        'weights',
        'evaluation',
        'recordings',
        'training',
    },
}
ROS = ('rclpy', 'sensor_msgs', 'std_msgs', 'vision_msgs', 'diagnostic_msgs', 'rcl_interfaces')


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix('.py')


def imports_of(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return names


MODULES = [path for path in SOURCES if PACKAGE in path.parents and room_of(path) != '__init__']


@pytest.mark.parametrize('path', MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_import_goes_up_or_sideways(path):
    room = room_of(path)
    for name in imports_of(path):
        parts = name.split('.')
        if parts[0] == 'gtr_ros' and len(parts) > 1:
            assert parts[1] == room or parts[1] in ROOMS[room], f'{room} imports {name}'
        if room != 'node':
            assert parts[0] not in ROS, f'{room} imports {name}'


@pytest.mark.parametrize('room', ['model', 'model.build', 'tracking', 'media.video', 'cli'])
def test_a_room_can_be_imported_where_ros_is_absent(room):
    hide = f'import sys; sys.modules.update(dict.fromkeys({ROS!r}))'
    command = [sys.executable, '-c', f'{hide}; import gtr_ros.{room}']
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_version_is_the_same_everywhere():
    manifest = ElementTree.parse(REPOSITORY / 'package.xml').getroot()
    assert manifest.findtext('version') == gtr_ros.__version__


def test_the_manifest_is_valid():
    package = pytest.importorskip('catkin_pkg.package', reason='needs catkin_pkg')
    manifest = package.parse_package(str(REPOSITORY))
    assert manifest.name == 'gtr_ros'
    assert manifest.get_build_type() == 'ament_cmake'
    assert manifest.licenses == ['Apache-2.0']


def test_cmake_names_every_message_and_program():
    cmake = (REPOSITORY / 'CMakeLists.txt').read_text()
    named = set(re.findall(r'\b(?:msg|srv|scripts)/\w+(?:\.msg|\.srv)?', cmake))
    there = {
        f'{folder}/{path.name}'
        for folder in ('msg', 'srv', 'scripts')
        for path in (REPOSITORY / folder).iterdir()
        if path.is_file()
    }
    assert named == there


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_source_names_its_licence(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith('#!')]
    assert lines[:2] == [
        '# Copyright 2026 The gtr_ros authors',
        '# SPDX-License-Identifier: Apache-2.0',
    ]


def test_vision_msgs_is_upstreams_on_the_wire():
    """The hash is that of vision_msgs 4.1.1; a stand-in with another could not be talked to."""
    resources = pytest.importorskip('ament_index_python.packages', reason='needs ROS 2')
    share = Path(resources.get_package_share_directory('vision_msgs'))
    types = json.loads((share / 'msg' / 'Detection2DArray.json').read_text())['type_hashes']
    hashes = {entry['type_name']: entry['hash_string'] for entry in types}
    assert hashes['vision_msgs/msg/Detection2DArray'] == (
        'RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968'
    )
