# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracking of recordings (videos, bags) without ROS: one, many, and many on a cluster."""
