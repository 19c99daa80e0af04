# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracking of recordings (videos and bags) without ROS: one, many, or many on a cluster."""
