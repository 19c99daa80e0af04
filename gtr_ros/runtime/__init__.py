# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model on a device: torch (compiled, CUDA graphs), ONNX Runtime and its export."""
