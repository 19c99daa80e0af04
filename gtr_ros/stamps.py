# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stamps are integers: nanoseconds of the clock that stamped the image."""

#: nanoseconds per second
NANOSECONDS = 1_000_000_000

#: nanoseconds: a stamp that goes back by more than this means that the clock was reset; a smaller
#: step back is jitter
CLOCK_JUMP = NANOSECONDS
