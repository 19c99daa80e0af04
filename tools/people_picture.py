# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw scenes of rendered people, with the avatars of the package, and write docs/people.jpg."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from gtr_ros.data.people import generate
from gtr_ros.data.people import PeopleScene

OUT = Path(__file__).resolve().parent.parent / 'docs' / 'people.jpg'

#: the scenes, row by row
SCENES = (
    PeopleScene(camera='wall', light='indoor', objects=14, seed=3),
    PeopleScene(camera='stand', light='day', objects=12, seed=5),
    PeopleScene(camera='drive', light='day', objects=16, seed=8),
    PeopleScene(camera='stand', light='dusk', objects=12, seed=12),
    PeopleScene(camera='shake', light='indoor', objects=12, seed=7),
    PeopleScene(camera='pan', light='day', objects=14, seed=21),
)
_COLUMNS = 3
_FRAME = 40  # of each scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=OUT, help='(default: docs/people.jpg)')
    options = parser.parse_args()
    images = [generate(scene).frame(_FRAME).image for scene in SCENES]
    rows = [
        np.concatenate(images[i : i + _COLUMNS], axis=1) for i in range(0, len(images), _COLUMNS)
    ]
    sheet = Image.fromarray(np.concatenate(rows)).reduce(2)
    sheet.save(options.out, quality=85)
    print(options.out)


if __name__ == '__main__':
    main()
