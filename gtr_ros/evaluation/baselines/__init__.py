# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Baselines: FairMOT's tracker, and those of the package `trackers`."""
