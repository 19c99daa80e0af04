# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelled sequences and images: read from files in several formats, or generated here."""
