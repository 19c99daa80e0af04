# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COCO JSON and its extensions: images, videos (TAO), LVIS."""
