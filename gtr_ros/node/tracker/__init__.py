# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node that tracks: images of cameras in, detections with ids out."""
