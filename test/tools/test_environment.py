# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The set-up reports in one line what failed, and at which step."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from paths import REPOSITORY
import pytest


@pytest.fixture
def checkout(tmp_path):
    """Copy the files that the set-up reads."""
    for name in ('tools', 'gtr_ros', 'msg', 'scripts', 'launch', 'config'):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    for name in ('CMakeLists.txt', 'package.xml'):
        shutil.copy(REPOSITORY / name, tmp_path)
    shutil.copytree(REPOSITORY / 'test' / 'interfaces', tmp_path / 'test' / 'interfaces')
    return tmp_path


def set_up(checkout, *distribution: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [checkout / 'tools' / 'environment.sh', *distribution],
        env={**os.environ, 'PYTHON': sys.executable, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_an_interpreter_without_wheels_is_refused(checkout):
    run = set_up(checkout, PYTHON='/bin/false')
    assert run.returncode == 1
    assert 'error: no Python 3.11 or 3.12 found (tried /bin/false)' in run.stderr
    assert not (checkout / '.venv').exists()


def test_a_failure_without_network_names_its_step_and_resumes_there(checkout):
    offline = {'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': str(checkout), 'PIP_CONFIG_FILE': os.devnull}
    first, second = set_up(checkout, **offline), set_up(checkout, **offline)
    for run in (first, second):
        assert run.returncode == 1
        assert '== 2/5 ROS 2 Jazzy (wheels)' in run.stdout
        assert 'No matching distribution found' in run.stderr
        assert 'Run this again to resume' in run.stderr
    assert '1/5 virtual environment: done' in first.stdout
    assert '1/5' not in second.stdout


def test_a_distribution_without_wheels_is_refused(checkout):
    run = set_up(checkout, 'humble')
    assert run.returncode == 1
    assert "'humble' has no wheels; expected jazzy or kilted" in run.stderr


def test_kilted_gets_its_own_environment_ignored_by_git(checkout):
    subprocess.run(['git', 'init', '-q', checkout], check=True)
    offline = {'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': str(checkout), 'PIP_CONFIG_FILE': os.devnull}
    run = set_up(checkout, 'kilted', **offline)
    assert '== 2/5 ROS 2 Kilted (wheels)' in run.stdout
    assert (checkout / '.venv-kilted' / 'bin' / 'python').exists()
    assert not (checkout / '.venv').exists()
    status = ['git', '-C', checkout, 'status', '--porcelain']
    seen = subprocess.run(status, capture_output=True, text=True, check=True).stdout
    assert 'tools/' in seen
    assert '.venv-kilted' not in seen


def test_too_little_disk_space_is_refused_before_anything_is_written(checkout):
    folder = checkout / 'bin'
    folder.mkdir()
    (folder / 'df').write_text('#!/bin/sh\necho header\necho "disk 9 9 2000000 9% /"\n')
    (folder / 'df').chmod(0o755)
    run = set_up(checkout, PATH=f'{folder}:{os.environ["PATH"]}')
    assert run.returncode == 1
    assert 'has 1 GB of disk space left; the environment needs about 8 GB' in run.stderr
    assert not (checkout / '.venv').exists()
