# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation of detections and tracks with the field's standard metrics."""
