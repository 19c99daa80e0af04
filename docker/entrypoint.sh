#!/usr/bin/env bash
# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Run a command with ROS 2 and this package.
set -eo pipefail
# shellcheck disable=SC1091
source "/opt/ros/$ROS_DISTRO/setup.bash"
export PATH=/opt/gtr_ros/venv/bin:/opt/gtr_ros/install/bin:$PATH
export AMENT_PREFIX_PATH=/opt/gtr_ros/install:$AMENT_PREFIX_PATH
export LD_LIBRARY_PATH=/opt/gtr_ros/install/lib:${LD_LIBRARY_PATH:-}
site=$(compgen -G '/opt/gtr_ros/install/lib/python3*/site-packages' | head -n 1)
export PYTHONPATH=$site:${PYTHONPATH:-}
exec "$@"
