# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a model on a device with torch (compiled, CUDA graphs) or ONNX Runtime, and exports it."""
