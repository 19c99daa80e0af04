# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The package's manifest, build files and licence headers are consistent with its sources."""

from __future__ import annotations

import json
from pathlib import Path
import re
import subprocess
import sys
from xml.etree import ElementTree

from paths import REPOSITORY
import pytest

import gtr_ros

SOURCES = sorted(
    path
    for folder in ('benchmarks', 'examples', 'gtr_ros', 'launch', 'scripts', 'test', 'tools')
    for path in (REPOSITORY / folder).rglob('*')
    if path.is_file() and (path.suffix == '.py' or path.parent.name == 'scripts')
)
#: what the node may import of ROS 2 beside interfaces
ROS_PACKAGES = (
    'ament_index_python',
    'cv_bridge',
    'launch',
    'launch_ros',
    'rclpy',
    'rosidl_runtime_py',
)


def test_the_version_is_the_same_everywhere():
    manifest = ElementTree.parse(REPOSITORY / 'package.xml').getroot()
    assert manifest.findtext('version') == gtr_ros.__version__


def test_the_manifest_is_valid():
    package = pytest.importorskip('catkin_pkg.package', reason='needs catkin_pkg')
    manifest = package.parse_package(str(REPOSITORY))
    assert manifest.name == 'gtr_ros'
    assert manifest.get_build_type() == 'ament_cmake'
    assert manifest.licenses == ['Apache-2.0', 'MIT']  # MIT: the avatars
    assert all((REPOSITORY / each.file).is_file() for each in manifest.licenses)


def test_cmake_lists_every_message_and_program():
    cmake = (REPOSITORY / 'CMakeLists.txt').read_text()
    listed = set(re.findall(r'\b(?:msg|srv|scripts)/\w+(?:\.msg|\.srv)?', cmake))
    existing = {
        f'{folder}/{path.name}'
        for folder in ('msg', 'srv', 'scripts')
        for path in (REPOSITORY / folder).iterdir()
        if path.is_file()
    }
    assert listed == existing


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_source_file_has_a_licence_header(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith('#!')]
    assert lines[:2] == [
        '# Copyright 2026 The gtr_ros authors',
        '# SPDX-License-Identifier: Apache-2.0',
    ]


@pytest.mark.parametrize(
    ('package', 'message', 'expected'),
    [
        (
            'vision_msgs',
            'Detection2DArray',
            'RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968',
        ),
        (
            'tf2_msgs',
            'TFMessage',
            'RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087',
        ),
    ],
)
def test_interfaces_have_the_type_hash_of_upstream(package, message, expected):
    """Nodes built with another hash could not communicate."""
    resources = pytest.importorskip('ament_index_python.packages', reason='needs ROS 2')
    share = Path(resources.get_package_share_directory(package))
    types = json.loads((share / 'msg' / f'{message}.json').read_text())['type_hashes']
    hashes = {entry['type_name']: entry['hash_string'] for entry in types}
    assert hashes[f'{package}/msg/{message}'] == expected


def test_the_manifest_names_every_ros_package_that_the_node_imports():
    """Python packages have other names in rosdep: they are in the pip line of README."""
    manifest = ElementTree.parse(REPOSITORY / 'package.xml').getroot()
    declared = {
        element.text for kind in ('depend', 'exec_depend') for element in manifest.findall(kind)
    }
    imported = set()
    for path in SOURCES:
        if path.relative_to(REPOSITORY).parts[0] in ('gtr_ros', 'launch', 'scripts'):
            text = path.read_text()
            imported |= set(re.findall(r'^ *(?:from|import) (\w+)', text, re.MULTILINE))
    of_ros = {
        name
        for name in imported
        if name.endswith(('_msgs', '_interfaces', '_srvs')) or name in ROS_PACKAGES
    }
    assert {'rclpy', 'sensor_msgs', 'launch_ros'} <= of_ros
    assert of_ros <= declared


def test_readme_names_every_python_package_that_rosdep_does_not_install():
    manifest = ElementTree.parse(REPOSITORY / 'package.xml').getroot()
    keys = {element.text for element in manifest.findall('exec_depend')}
    setup = (REPOSITORY / 'setup.py').read_text()
    required = re.findall(
        r"'([\w-]+)>=", re.search(r'install_requires=\[(.*?)\]', setup, re.DOTALL)[1]
    )
    names = {'pillow': 'python3-pil'}
    missing = {name for name in required if names.get(name, f'python3-{name}') not in keys}
    line = re.search(r'^pip install (torch .*)$', (REPOSITORY / 'README.md').read_text(), re.M)
    assert missing <= set(line[1].split())


def test_pip_installs_data_and_types_but_no_node(tmp_path):
    command = [sys.executable, 'setup.py', '--quiet', 'build', '--build-base', tmp_path]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    package = tmp_path / 'lib' / 'gtr_ros'
    for name in ('py.typed', 'weights/gtr_mobile.safetensors', 'weights/lvis_v1_classes.tsv'):
        assert (package / name).is_file()
    assert (package / 'cli').is_dir()
    assert not (package / 'node').exists()


def test_colcon_runs_every_test_file():
    """`CMakeLists.txt` collects test/test_*.py and test/*/test_*.py: no test may be deeper."""
    tests = REPOSITORY / 'test'
    files = [path.relative_to(tests) for path in tests.rglob('test_*.py')]
    deeper = [path for path in files if len(path.parts) > 2]
    assert not deeper
    assert 'test/*/test_*.py' in (REPOSITORY / 'CMakeLists.txt').read_text()
