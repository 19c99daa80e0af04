# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights and tables included in the package, and the import of published weights."""
