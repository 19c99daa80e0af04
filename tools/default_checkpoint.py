# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Train the default checkpoint: three stages, detector interpolation, float16, calibration.

After an interruption, run it again: finished stages are skipped, and an unfinished one is resumed.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import subprocess
import sys
from tempfile import TemporaryDirectory

import torch

from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.calibration import Calibration
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.checkpoint import save_checkpoint
from gtr_ros.model.registry import cached_checkpoint
from gtr_ros.training.assembly import make_source
from gtr_ros.training.calibration import calibrate
from gtr_ros.training.calibration import draw_clips
from gtr_ros.training.config import read_config

REPOSITORY = Path(__file__).resolve().parent.parent
CONFIGS = REPOSITORY / 'config' / 'training'
SHIPPED = REPOSITORY / 'gtr_ros' / 'weights' / 'gtr_mobile.safetensors'

#: fraction of the second stage's change to the detector that is kept: with the whole change, the
#: detector forgets more than it learns from 288 images
KEPT = 0.25

#: settings of the C library: keep the memory of large tensors instead of returning it to the
#: system
MALLOC = {'MALLOC_MMAP_THRESHOLD_': '33554432000', 'MALLOC_TRIM_THRESHOLD_': '33554432000'}


def train(stage: str, runs: Path, data: Path, start: Path, *changes: str) -> Path:
    """
    Run a stage to its end, resuming it if necessary; return the file of its weights.

    :param start: initial weights
    :param changes: of the configuration, `key=value`
    """
    folder = runs / stage
    command = [sys.executable, '-m', 'gtr_ros.cli', 'train']
    command += [str(CONFIGS / f'{stage}.yaml')]
    command += [
        '--data',
        str(data),
        '--out',
        str(folder),
        '--set',
        f'start={start.resolve()}',
        *changes,
    ]
    if (folder / 'last.pt').is_file():
        command.append('--resume')
    subprocess.run(command, check=True, env={**os.environ, **MALLOC})
    return folder / 'model.safetensors'


def blend(first: dict, second: dict) -> dict:
    """Return the second stage's weights, with the detector interpolated between both stages."""
    return {
        key: torch.lerp(first[key], value, KEPT) if key.startswith('detector.') else value
        for key, value in second.items()
    }


def halve(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights as float16."""
    half = {key: value.half() for key, value in state.items()}
    error = max(float((half[key].float() - value).abs().max()) for key, value in state.items())
    if not error < 0.1:
        raise ValueError(f'some weights cannot be stored as float16 (error {error:g})')
    return half


def train_detector(runs: Path, data: Path) -> Path:
    """Run the first two stages; return the file of their weights, with a blended detector."""
    imported = cached_checkpoint('mobile')
    if not imported.is_file():
        raise SystemExit(f'{imported} does not exist: run `gtr weights import` first')
    first = train('mobile_association', runs, data, imported)
    second = train('mobile_joint', runs, data, first)
    state, metadata = load_checkpoint(second)
    blended = runs / 'blended.safetensors'
    save_checkpoint(blended, blend(load_checkpoint(first)[0], state), metadata)
    return blended


def link_backgrounds(annotations: Path, folder: Path) -> Path:
    """
    Fill a folder with links to the images that show no person, the backgrounds of rendered people.

    :param annotations: COCO JSON, whose images are in the folder of the same name
    """
    content = json.loads(annotations.read_text())
    person = {c['id'] for c in content['categories'] if c['name'] == 'person'}
    peopled = {a['image_id'] for a in content['annotations'] if a['category_id'] in person}
    folder.mkdir(parents=True, exist_ok=True)
    for image in content['images']:
        link = folder / image['file_name']
        if image['id'] not in peopled and not link.exists():
            link.symlink_to((annotations.with_suffix('') / image['file_name']).resolve())
    return folder


def train_on_people(runs: Path, data: Path, start: Path) -> Path:
    """Run the third stage, with a frozen detector; return the file of its weights."""
    return train('mobile_people', runs, data, start, with_backgrounds(runs, data))


def with_backgrounds(runs: Path, data: Path) -> str:
    """Make the folder of backgrounds; return the change of the configuration that names it."""
    folder = link_backgrounds(data / 'coco_mini' / 'train.json', runs / 'backgrounds')
    return f'clips.0.people.backgrounds={folder.resolve()}'


def write(trained: Path, runs: Path, data: Path, out: Path) -> None:
    """Write the default checkpoint from the weights of the last stage."""
    state, metadata = load_checkpoint(trained)
    metadata |= {
        'source': 'make default-checkpoint',
        'begun_from': 'MobileNetV3 CenterNet of the npm package that `gtr weights import` names',
        'card': 'gtr_ros/weights/README.md',
    }
    write_calibrated(halve(state), metadata, runs, data, out)


def write_calibrated(
    state: dict[str, torch.Tensor], metadata: dict[str, str], runs: Path, data: Path, out: Path
) -> None:
    """Write weights with their calibration."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / out.name
        save_checkpoint(file, state, metadata)
        calibration = measure(file, runs, data)
    save_checkpoint(out, state, metadata | calibration.write())
    out.chmod(0o644)
    print(f'{out}: {calibration}')


def measure(file: Path, runs: Path, data: Path) -> Calibration:
    """
    Calibrate a checkpoint on clips like those used in the last stage.

    Without the longest absences: after these, tracks are compared by the gallery's own statistics.
    """
    changes = (with_backgrounds(runs, data), 'clips.0.people.returns=0')
    config, model = read_config(CONFIGS / 'mobile_people.yaml', changes), gtr_mobile(file)
    return calibrate(model, draw_clips(make_source(config, model, data), config.seed))


def recalibrate(file: Path, runs: Path, data: Path) -> None:
    """Replace the calibration of an existing file, without changing its weights."""
    state, metadata = load_checkpoint(file)
    write_calibrated(state, metadata, runs, data, file)
    now, _ = load_checkpoint(file)
    if now.keys() != state.keys() or not all(_identical(state[k], now[k]) for k in state):
        raise SystemExit(f'{file}: its weights have changed; restore the file from git')


def _identical(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return a.numpy().tobytes() == b.numpy().tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--data',
        type=Path,
        required=True,
        help='folder with coco_mini/train.json, coco_mini/train/ and avatars/',
    )
    parser.add_argument('--runs', type=Path, default=REPOSITORY / 'runs')
    parser.add_argument('--out', type=Path, default=SHIPPED)
    parser.add_argument(
        '--calibrate-only',
        action='store_true',
        help='only calibrate the existing weights at --out, without training',
    )
    parser.add_argument(
        '--keep-detector',
        action='store_true',
        help='only train head and transformer of the existing weights at --out: the last stage',
    )
    options = parser.parse_args()
    data = options.data.resolve()
    if options.calibrate_only:
        recalibrate(options.out, options.runs, data)
        return
    start = options.out if options.keep_detector else train_detector(options.runs, data)
    write(train_on_people(options.runs, data, start), options.runs, data, options.out)
    print(f'{options.out}: {options.out.stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None  # already reported by the stage
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from None  # already reported
