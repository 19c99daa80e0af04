# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The halves of a MOTChallenge sequence; in a file of its own, which needs no other package."""

#: as the paper splits MOT17 for its validation
HALVES = ('train', 'val')
