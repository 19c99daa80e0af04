#!/usr/bin/env bash
# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Healthy: the tracker node answers that it is active. NODE is its name, with its namespace.
set -eo pipefail
state=$(/opt/gtr_ros/bin/entrypoint.sh timeout 15 ros2 lifecycle get "${NODE:-/tracker}" --no-daemon)
[[ $state == active* ]]
