# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 node: the only room that knows rclpy."""
