# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The networks: from images to detections with features to associations. Needs no ROS."""
