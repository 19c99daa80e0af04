# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images to boxes, scores and features, and features to association. No ROS."""
