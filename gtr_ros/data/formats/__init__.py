# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The field's formats of labelled videos and of results, read and written."""
