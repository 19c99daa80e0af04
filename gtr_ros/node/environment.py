# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Environment variables that a node needs, to be set before rclpy is imported."""

from __future__ import annotations

from collections.abc import Mapping
import os
from pathlib import Path
import sys

#: 'false' in this variable: leave the profile of Fast DDS as it is
SWITCH = 'GTR_ROS_DDS_PROFILE'
#: name of the profile in the folder config
PROFILE = 'fastdds_large_images.xml'
# Fast DDS 2 (Humble, Jazzy) and 3 (Kilted and later) read different names.
_PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
# Who sets one of these has chosen the transports, and a profile would override them.
_CHOSEN_BY_USER = (*_PROFILE_VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS')
# Fast DDS reads these from the current folder.
_PROFILES_HERE = ('DEFAULT_FASTRTPS_PROFILES.xml', 'DEFAULT_FASTDDS_PROFILES.xml')


def prepare_environment() -> None:
    """
    Set the variables of this process that its user has left unset.

    ROS 2 from wheels leaves AMENT_PREFIX_PATH unset; a sourced ROS 2 sets it. The profile lets
    large images arrive: see `dds_variables`.
    """
    if 'AMENT_PREFIX_PATH' not in os.environ and Path(sys.prefix, 'share/ament_index').is_dir():
        os.environ['AMENT_PREFIX_PATH'] = sys.prefix
    os.environ.update(dds_variables(os.environ))


def dds_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """
    Return the variables that let large images arrive with Fast DDS.

    The defaults of Fast DDS lose large best-effort messages between processes.

    :param environment: of the process that will use them
    :return: empty if another RMW is used, if the user has chosen a profile or transports, or has
        switched this off
    """
    uses_fast_dds = environment.get('RMW_IMPLEMENTATION', '') or 'rmw_fastrtps_cpp'
    if not uses_fast_dds.startswith('rmw_fastrtps') or environment.get(SWITCH) == 'false':
        return {}
    if any(name in environment for name in _CHOSEN_BY_USER):
        return {}
    if any(Path(name).exists() for name in _PROFILES_HERE):
        return {}
    profile = profile_path()
    return dict.fromkeys(_PROFILE_VARIABLES, str(profile)) if profile.is_file() else {}


def profile_path() -> Path:
    """Return the path of the profile in the installed package; a relative one if it is not."""
    from ament_index_python.packages import get_package_share_directory
    from ament_index_python.packages import PackageNotFoundError

    try:
        share = get_package_share_directory('gtr_ros')
    except PackageNotFoundError:
        share = '.'
    return Path(share, 'config', PROFILE)
