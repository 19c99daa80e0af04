# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A user's own detector, exported to ONNX: what it is, how to feed it, what its outputs mean."""
