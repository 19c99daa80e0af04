# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COCO's JSON and what extends it: images, videos (TAO), LVIS."""
