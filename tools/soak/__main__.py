# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Run the node for a long time, and check that nothing grows and nothing is lost.

Two cameras send drawn people and animals who come and go to a node in a process of its own;
parameters change, viewers come and go, drivers are killed, tracks are reset. With --state the
measurements are added to a file, and the verdict is over all parts in it: a soak of a day can be
interrupted with Ctrl-C and resumed.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import sys

from verdict import append
from verdict import judge
from verdict import load

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog='soak', description=__doc__)
    parser.add_argument(
        '--minutes', type=float, default=30, help='0: only the verdict (default: %(default)s)'
    )
    parser.add_argument(
        '--rate', type=float, default=30, help='images per second and camera (default: 30)'
    )
    parser.add_argument('--state', type=Path, help='file to which this part is added')
    parser.add_argument(
        '--node',
        nargs='*',
        default=[],
        metavar='WORD',
        help='arguments of the node: -p NAME:=VALUE',
    )
    options = parser.parse_args()
    profile = str(REPOSITORY / 'config/fastdds_large_images.xml')
    for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        os.environ.setdefault(name, profile)
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    parts = load(options.state) if options.state else []
    if options.minutes > 0:
        from session import Session

        session = Session(options.rate, options.node)
        try:
            parts.append(session.run(options.minutes))
        finally:
            session.close()
        if options.state:
            append(options.state, parts[-1])
    return 0 if judge(parts) else 1


if __name__ == '__main__':
    sys.exit(main())
