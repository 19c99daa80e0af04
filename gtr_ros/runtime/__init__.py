# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models in other runtimes than torch: their export, and how they run there."""
