# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conversion between ROS messages and arrays."""
