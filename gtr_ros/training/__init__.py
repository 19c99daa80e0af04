# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training: clips from stills and videos, losses of every model, the loop and its checkpoints."""
