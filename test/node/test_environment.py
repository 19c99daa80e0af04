# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The profile of Fast DDS is set where it helps, and where the user has not chosen otherwise."""

from pathlib import Path

import pytest

pytest.importorskip('ament_index_python', reason='needs ROS 2')

from gtr_ros.node.environment import dds_variables
from gtr_ros.node.environment import PROFILE
from gtr_ros.node.environment import profile_path


def test_the_profile_is_that_of_the_installed_package():
    path = profile_path()
    assert path.name == PROFILE
    assert path.read_text() == Path('config', PROFILE).read_text()


@pytest.mark.parametrize(
    'environment',
    [
        {},
        {'RMW_IMPLEMENTATION': ''},
        {'RMW_IMPLEMENTATION': 'rmw_fastrtps_cpp'},
        {'RMW_IMPLEMENTATION': 'rmw_fastrtps_dynamic_cpp'},
        {'GTR_ROS_DDS_PROFILE': 'true'},
    ],
)
def test_with_fast_dds_both_of_its_variables_are_set(environment):
    assert dds_variables(environment) == {
        'FASTRTPS_DEFAULT_PROFILES_FILE': str(profile_path()),
        'FASTDDS_DEFAULT_PROFILES_FILE': str(profile_path()),
    }


@pytest.mark.parametrize(
    'environment',
    [
        {'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'},
        {'RMW_IMPLEMENTATION': 'rmw_zenoh_cpp'},
        {'FASTRTPS_DEFAULT_PROFILES_FILE': '/mine.xml'},
        {'FASTDDS_DEFAULT_PROFILES_FILE': '/mine.xml'},
        {'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA'},
        {'GTR_ROS_DDS_PROFILE': 'false'},
    ],
)
def test_another_rmw_and_what_the_user_has_chosen_are_left_alone(environment):
    assert dds_variables(environment) == {}


@pytest.mark.parametrize('name', ['DEFAULT_FASTRTPS_PROFILES.xml', 'DEFAULT_FASTDDS_PROFILES.xml'])
def test_a_profile_that_fast_dds_finds_in_the_current_folder_is_left_alone(
    monkeypatch, tmp_path, name
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    assert dds_variables({}) == {}
