# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracker node: subscribes to cameras, publishes detections with track ids."""
