# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stamps are integers: nanoseconds of whatever clock stamped the image. Needs nothing."""

#: in a second
NANOSECONDS = 1_000_000_000

#: a stamp that is further back than this, in nanoseconds, means that the clock was reset; less is
#: jitter
CLOCK_JUMP = NANOSECONDS
