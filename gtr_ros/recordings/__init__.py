# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings tracked without ROS: one, many, and many by the machines of a cluster."""
