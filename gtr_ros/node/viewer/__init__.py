# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A web page that shows a camera's images and tracks."""
