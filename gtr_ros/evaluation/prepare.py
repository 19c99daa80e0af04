# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the trackers of an evaluation are given: boxes, and what they look like; kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from gtr_ros.data.sequence import Sequence
from gtr_ros.data.stored_boxes import find_boxes
from gtr_ros.data.stored_boxes import images_of
from gtr_ros.evaluation.appearance import describe_all
from gtr_ros.evaluation.appearance import OnnxAppearance
from gtr_ros.evaluation.cache import cache_key
from gtr_ros.evaluation.cache import load_arrays
from gtr_ros.evaluation.cache import network_key
from gtr_ros.evaluation.cache import save_arrays
from gtr_ros.evaluation.run import PreparedSequence
from gtr_ros.evaluation.trackers import MODEL
from gtr_ros.evaluation.trackers import UNTRAINED
from gtr_ros.model.association import CosineAssociation
from gtr_ros.model.build import build
from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.build import make_transformer
from gtr_ros.model.build import RANDOM
from gtr_ros.model.checkpoint import cache_directory
from gtr_ros.model.checkpoint import cached_checkpoint
from gtr_ros.model.checkpoint import default_checkpoint
from gtr_ros.model.gtr import GTR
from gtr_ros.structures import Detections
from gtr_ros.tracking.camera_motion import CameraMotion

#: says how many frames a slow part has, and returns what is called after each of them
Progress = Callable[[str, int], Callable[[], None]]


def silent(text: str, frames: int) -> Callable[[], None]:
    """Show no progress."""
    return lambda: None


@dataclass
class Networks:
    """
    The networks of an evaluation, each loaded when it is first asked for.

    :param model: by its name
    :param checkpoint: file, 'random', or None: the one in the user's cache
    :param device: where the model runs
    :param association: what a variant of the model's `AssociationTransformer` is made with
        instead; None: its own
    """

    model: str
    checkpoint: str | None
    device: torch.device
    association: dict | None = None

    def __post_init__(self) -> None:
        link = None
        if self.association is not None:
            link = make_transformer(self.model, **self.association)
        self.evaluated: GTR = build(self.model, self.checkpoint, link).to(self.device)

    @property
    def key(self) -> str | None:
        """What is kept of the model is kept under this; None: nothing is, it is untrained."""
        if self.checkpoint == RANDOM:
            return None
        file = self.checkpoint or default_checkpoint(self.model)
        return f'{self.model} {network_key(file)}'

    def get(self, name: str) -> tuple[Callable, str | None]:
        """
        Return what describes boxes, and the key that features are kept under.

        :param name: `MODEL`, `UNTRAINED`, or the path of an ONNX network
        :raises ValueError: if it cannot be had
        """
        plain = isinstance(self.evaluated.association, CosineAssociation)
        if name == MODEL or (name == UNTRAINED and plain):
            return self.evaluated.describe, self.key
        if name == UNTRAINED:
            if self.model == 'mobile' and self.checkpoint == RANDOM:
                return gtr_mobile(association='cosine').to(self.device).describe, None
            file = cached_checkpoint('mobile')
            if not Path(file).is_file():
                raise ValueError(
                    f'the untrained features are those of the mobile detector, and {file} is not '
                    "there; get it with `gtr weights import`, or leave 'cosine' out"
                )
            model = gtr_mobile(file, association='cosine').to(self.device)
            return model.describe, f'cosine {network_key(file)}'
        if not Path(name).is_file():
            raise ValueError(f'features {name!r}: there is no such file')
        return OnnxAppearance(name), f'onnx {network_key(name)}'


def prepare(
    sequence: Sequence,
    boxes: SequenceOf[Detections] | None,
    features: Iterable[str],
    networks: Networks,
    threshold: float,
    progress: Progress = silent,
    cache: Path | None = None,
    camera: bool = False,
) -> PreparedSequence:
    """
    Find the boxes of a sequence, if they are not given, and their features by each network.

    :param boxes: of each frame; None: the model finds them
    :param features: names of networks, see `Networks.get`
    :param threshold: score from which on a box gets features
    :param cache: folder for what was computed; None: in the user's cache
    :param camera: whether the camera's motion is estimated, if there are images
    """
    cache = cache or cache_directory() / 'evaluation'
    found = boxes is None
    if boxes is None:
        boxes = _found(sequence, networks, cache, progress)
    strong = [d.select(d.scores >= threshold) for d in boxes]
    described = {}
    for name in dict.fromkeys(features):
        if name == MODEL and found:
            described[name] = strong
            continue
        describe, key = networks.get(name)
        file = None
        if key and sequence.image_key:
            file = cache / f'{cache_key(key, sequence, strong)}.npz'
        known = file is not None and file.is_file()
        title = f'{sequence.name}: features ({Path(name).stem})'
        step = (lambda: None) if known else progress(title, len(sequence))
        described[name] = describe_all(describe, sequence, strong, file, step)
    moved = None
    if camera and sequence.images is not None:
        moved = _camera(sequence, strong, cache, progress)
    return PreparedSequence(sequence, boxes, described, moved)


def _camera(
    sequence: Sequence, detections: SequenceOf[Detections], cache: Path, progress: Progress
) -> np.ndarray:
    """Return how the background moved from frame to frame, (T, 2, 3); nan: it is not known."""
    file, estimate = None, CameraMotion()
    if sequence.image_key:
        constants = sorted((k, v) for k, v in vars(estimate).items() if isinstance(v, float))
        file = cache / f'{cache_key(f"camera {constants}", sequence, detections)}.npz'
    kept = (load_arrays(file) or {}).get('camera') if file else None
    if kept is not None and kept.shape == (len(sequence), 2, 3):
        return kept
    step = progress(f'{sequence.name}: camera motion', len(sequence))
    moved = np.full((len(sequence), 2, 3), np.nan)
    for t, (image, found) in enumerate(zip(images_of(sequence), detections)):
        own = estimate.update(image, found.boxes)
        moved[t] = np.nan if own is None else own
        step()
    if file:
        save_arrays(file, {'camera': moved})
    return moved


def _found(
    sequence: Sequence, networks: Networks, cache: Path, progress: Progress
) -> list[Detections]:
    """Return what the model finds in a sequence, from the cache if it did so before."""
    file = None
    if networks.key and sequence.image_key:
        what = f'boxes {networks.key} {sequence.class_names}'
        file = cache / f'{cache_key(what, sequence, [])}.npz'
    kept = _load(file, sequence) if file else None
    if kept is not None:
        return kept
    step = progress(f'{sequence.name}: boxes', len(sequence))
    boxes = [
        replace(d, features=d.features.float().cpu())
        for d in find_boxes(networks.evaluated, sequence, step)
    ]
    if file:
        _save(file, boxes)
    return boxes


def _save(file: Path, detections: SequenceOf[Detections]) -> None:
    arrays = {
        'counts': np.array([len(d) for d in detections]),
        'features': torch.cat([d.features for d in detections]).numpy(),
    }
    for name in ('boxes', 'scores', 'labels'):
        arrays[name] = np.concatenate([getattr(d, name) for d in detections])
    if all(d.class_scores is not None for d in detections):
        arrays['class_scores'] = np.concatenate([d.class_scores for d in detections])
    save_arrays(file, arrays)


def _load(file: Path, sequence: Sequence) -> list[Detections] | None:
    arrays = load_arrays(file)
    if arrays is None:
        return None
    try:
        ends = np.cumsum(arrays.pop('counts'))
        parts = {key: np.split(values, ends)[:-1] for key, values in arrays.items()}
        return [
            Detections(
                boxes=parts['boxes'][t],
                scores=parts['scores'][t],
                labels=parts['labels'][t],
                features=torch.from_numpy(parts['features'][t]),
                image_size=sequence.image_size,
                stamp=int(stamp),
                class_scores=parts['class_scores'][t] if 'class_scores' in parts else None,
            )
            for t, stamp in enumerate(sequence.stamps)
        ]
    except (ValueError, KeyError, IndexError):
        return None  # of another form; they are found again
