# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images and video: files, cameras, image encodings, and drawing of tracks. Needs no ROS."""
