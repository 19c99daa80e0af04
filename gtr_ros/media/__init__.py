# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures in and out: video files, cameras, and tracks drawn onto images. No ROS."""
