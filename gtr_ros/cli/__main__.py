# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m gtr_ros.cli` is `gtr`."""

import sys

from gtr_ros.cli.program import main

if __name__ == '__main__':
    sys.exit(main())
