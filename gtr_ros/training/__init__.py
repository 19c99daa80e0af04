# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What training needs beyond the model: targets and losses."""
