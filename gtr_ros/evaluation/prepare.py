# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The trackers' input in an evaluation: boxes, features and camera motion, cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtr_ros.data.labels import label_map
from gtr_ros.data.sequence import images_of
from gtr_ros.data.sequence import Sequence
from gtr_ros.evaluation.appearance import describe_all
from gtr_ros.evaluation.appearance import OnnxAppearance
from gtr_ros.evaluation.cache import cache_key
from gtr_ros.evaluation.cache import load_arrays
from gtr_ros.evaluation.cache import network_key
from gtr_ros.evaluation.cache import save_arrays
from gtr_ros.evaluation.found_boxes import find_boxes_cached
from gtr_ros.evaluation.kept_images import with_kept_images
from gtr_ros.evaluation.progress import ignore
from gtr_ros.evaluation.progress import no_progress
from gtr_ros.evaluation.progress import StartTask
from gtr_ros.evaluation.run import PreparedSequence
from gtr_ros.evaluation.trackers import MODEL
from gtr_ros.evaluation.trackers import UNTRAINED
from gtr_ros.files import cache_directory
from gtr_ros.model.association import CosineAssociation
from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.build import make_transformer
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.registry import cached_checkpoint
from gtr_ros.model.registry import default_checkpoint
from gtr_ros.model.registry import RANDOM
from gtr_ros.runtime.detector_file.detector import detector_key
from gtr_ros.runtime.loading import load_model
from gtr_ros.runtime.loading import taken_runtime
from gtr_ros.structures import Detections
from gtr_ros.tracking.camera_motion import CameraMotion


@dataclass
class Networks:
    """
    The networks of an evaluation, each loaded when it is first needed.

    :param options: of the evaluated model
    :param association: arguments for a variant of the model's `AssociationTransformer`; None: its
        own
    """

    options: ModelOptions
    association: dict | None = None

    def __post_init__(self) -> None:
        self._others: dict[str, tuple[Callable, str | None]] = {}
        link = None
        if self.association is not None:
            link = make_transformer(self.options.model, **self.association)
        self.evaluated: GTR = load_model(self.options, association=link)

    @property
    def key(self) -> str | None:
        """Cache key of the model's results; None: untrained weights, nothing is cached."""
        o = self.options
        if o.checkpoint == RANDOM:
            return None
        file = o.checkpoint or default_checkpoint(o.model)
        runtime = taken_runtime(o, self.evaluated)
        key = f'{o.model} {network_key(file)} {runtime} {o.precision} {o.input_size}'
        return f'{key} {detector_key(o.detector)}' if o.detector else key

    def get(self, name: str) -> tuple[Callable, str | None]:
        """
        Return what computes features of boxes, and the cache key of the features.

        :param name: `MODEL`, `UNTRAINED`, or the path of an ONNX network
        :raises ValueError: if the network is not available
        """
        plain = isinstance(self.evaluated.association, CosineAssociation)
        if name == MODEL or (name == UNTRAINED and plain):
            return self.evaluated.describe, self.key
        if name not in self._others:
            self._others[name] = self._load(name)
        return self._others[name]

    def _load(self, name: str) -> tuple[Callable, str | None]:
        """Load a network for `get`."""
        if name == UNTRAINED:
            if self.options.model == 'mobile' and self.options.checkpoint == RANDOM:
                return gtr_mobile(association='cosine').to(self.evaluated.device).describe, None
            file = cached_checkpoint('mobile')
            if not Path(file).is_file():
                raise ValueError(
                    f'the untrained features come from the mobile detector, but {file} does not '
                    "exist; get it with `gtr weights import`, or leave 'cosine' out"
                )
            model = gtr_mobile(file, association='cosine').to(self.evaluated.device)
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
    start_task: StartTask = no_progress,
    cache: Path | None = None,
    camera: bool = False,
) -> PreparedSequence:
    """
    Find a sequence's boxes, if none are given, and their features from each network.

    :param boxes: of each frame; None: the model finds them
    :param features: names of networks, see `Networks.get`
    :param threshold: minimum score of a box that gets features
    :param cache: folder for the results; None: in the user's cache
    :param camera: whether camera motion is estimated, if there are images
    """
    cache = cache or cache_directory() / 'evaluation'
    original, sequence = sequence, with_kept_images(sequence)
    found, class_labels = boxes is None, None
    if boxes is None:
        boxes = find_boxes_cached(networks.evaluated, networks.key, sequence, cache, start_task)
        class_labels = label_map(networks.evaluated.class_names, sequence.class_names)
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
        title = f'{sequence.name}: features ({Path(name).stem})'
        cached = file is not None and file.is_file()
        advance = ignore if cached else start_task(title, len(sequence))
        described[name] = describe_all(describe, sequence, strong, file, advance)
    motion = None
    if camera and sequence.images is not None:
        motion = _camera_motion(sequence, strong, cache, start_task)
    return PreparedSequence(original, boxes, described, motion, class_labels)


def _camera_motion(
    sequence: Sequence, detections: SequenceOf[Detections], cache: Path, start_task: StartTask
) -> np.ndarray:
    """Return the motion of the background from frame to frame, (T, 2, 3); NaN if unknown."""
    file, estimator = None, CameraMotion()
    if sequence.image_key:
        constants = sorted((k, v) for k, v in vars(estimator).items() if isinstance(v, float))
        file = cache / f'{cache_key(f"camera {constants}", sequence, detections)}.npz'
    cached = (load_arrays(file) or {}).get('camera') if file else None
    if cached is not None and cached.shape == (len(sequence), 2, 3):
        return cached
    advance = start_task(f'{sequence.name}: camera motion', len(sequence))
    motions = np.full((len(sequence), 2, 3), np.nan)
    for t, (image, found) in enumerate(zip(images_of(sequence), detections)):
        motion = estimator.update(image, found.boxes)
        if motion is not None:
            motions[t] = motion
        advance()
    if file:
        save_arrays(file, {'camera': motions})
    return motions
