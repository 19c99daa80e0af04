# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""File formats of labelled videos, detections and results."""
