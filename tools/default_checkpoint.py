# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Train the weights that come along: two stages, a blend, half precision, the file in its place.

What was done already is not done again, and a stage that was stopped goes on: run it once more.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import subprocess
import sys

import torch

from gtr_ros.model.checkpoint import cached_checkpoint
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.checkpoint import save_checkpoint

REPOSITORY = Path(__file__).resolve().parent.parent
SHIPPED = REPOSITORY / 'gtr_ros' / 'weights' / 'gtr_mobile.safetensors'

#: how far the detector goes towards what the second stage made of it: whole, it forgets more than
#: 288 images teach it
KEPT = 0.25

#: of the C library: large tensors are kept, not given back to the system and faulted in again
MEMORY = {'MALLOC_MMAP_THRESHOLD_': '33554432000', 'MALLOC_TRIM_THRESHOLD_': '33554432000'}


def train(stage: str, runs: Path, data: Path, start: Path) -> Path:
    """Run a stage to its end; return its weights."""
    folder = runs / stage
    command = [sys.executable, '-m', 'gtr_ros.cli', 'train']
    command += [str(REPOSITORY / 'config' / 'training' / f'{stage}.yaml')]
    command += ['--data', str(data), '--out', str(folder), '--set', f'start={start.resolve()}']
    if (folder / 'last.pt').is_file():
        command.append('--resume')
    subprocess.run(command, check=True, env={**os.environ, **MEMORY})
    return folder / 'model.safetensors'


def blend(first: dict, second: dict) -> dict:
    """Return the second stage's weights with the detector a part of the way from the first's."""
    return {
        key: torch.lerp(first[key], value, KEPT) if key.startswith('detector.') else value
        for key, value in second.items()
    }


def halve(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights in float16."""
    half = {key: value.half() for key, value in state.items()}
    lost = max(float((half[key].float() - value).abs().max()) for key, value in state.items())
    if not lost < 0.1:
        raise ValueError(f'some weights do not fit into float16 (off by {lost:g})')
    return half


def write(first: Path, second: Path, out: Path) -> None:
    """Write the file that comes along, of both stages' weights."""
    state, metadata = load_checkpoint(second)
    metadata |= {
        'source': 'make default-checkpoint',
        'begun_from': 'MobileNetV3 CenterNet of the npm package that `gtr weights import` names',
        'card': 'gtr_ros/weights/README.md',
    }
    save_checkpoint(out, halve(blend(load_checkpoint(first)[0], state)), metadata)
    out.chmod(0o644)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--data', type=Path, required=True, help='holds coco_mini/train.json and coco_mini/train/'
    )
    parser.add_argument('--runs', type=Path, default=REPOSITORY / 'runs')
    parser.add_argument('--out', type=Path, default=SHIPPED)
    options = parser.parse_args()
    imported = cached_checkpoint('mobile')
    if not imported.is_file():
        raise SystemExit(f'{imported} is not there: run `gtr weights import` first')
    data = options.data.resolve()
    first = train('mobile_association', options.runs, data, imported)
    second = train('mobile_joint', options.runs, data, first)
    write(first, second, options.out)
    print(f'{options.out}: {options.out.stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None  # the stage has said so
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from None  # likewise
