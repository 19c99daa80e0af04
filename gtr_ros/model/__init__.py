# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The networks: images to detections with features, and features to associations. No ROS."""
