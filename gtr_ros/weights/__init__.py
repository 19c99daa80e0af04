# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers that ship with the package; their provenance stands in each file."""
