# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelled data: what videos and images hold, read from files of every format, or drawn here."""
