# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trackers to compare with: FairMOT's, and those of the package trackers."""
