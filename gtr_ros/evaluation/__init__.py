# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How good detections and tracks are, in the field's own metrics."""
