# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Global Tracking Transformer for ROS 2: detections in, persistent track ids out."""

from pkgutil import extend_path

# The generated messages (gtr_ros.msg) may be installed in another folder than these sources.
__path__ = extend_path(__path__, __name__)

__version__ = '0.1.0'
