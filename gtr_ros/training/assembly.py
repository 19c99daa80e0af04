# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a training's configuration to its model, its clips and its losses."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from gtr_ros.data.coco.lvis import read_lvis
from gtr_ros.data.coco.stills import read_coco
from gtr_ros.data.opening import open_sequences
from gtr_ros.data.stills.crowdhuman import read_crowdhuman
from gtr_ros.data.stills.still import StillSet
from gtr_ros.model.build import make_transformer
from gtr_ros.model.build import MODELS
from gtr_ros.model.build import RANDOM
from gtr_ros.model.checkpoint import cached_checkpoint
from gtr_ros.model.checkpoint import CheckpointError
from gtr_ros.model.checkpoint import default_checkpoint
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.gtr import GTR
from gtr_ros.training import association_loss
from gtr_ros.training.clip import ClipSource
from gtr_ros.training.config import Config
from gtr_ros.training.config import ConfigError
from gtr_ros.training.config import Stills
from gtr_ros.training.config import Videos
from gtr_ros.training.mobile import MobileObjective
from gtr_ros.training.objective import Objective
from gtr_ros.training.published import MOTObjective
from gtr_ros.training.published import TAOObjective
from gtr_ros.training.sources import Augmented
from gtr_ros.training.sources import Mixture
from gtr_ros.training.sources import StillClips
from gtr_ros.training.video_clips import VideoClips
from gtr_ros.training.views import Views


def make_model(config: Config, data: Path) -> GTR:
    """
    Build the model that a training begins with.

    :param data: folder that the configuration's paths are relative to
    :raises CheckpointError: if its weights cannot be read
    """
    options = {}
    if config.transformer is not None:
        options['association'] = make_transformer(config.model, **config.transformer)
    if config.model == 'mobile':
        options.setdefault('association', 'transformer')
        options['class_names'] = class_names(config, data)
    elif config.classes is not None:
        raise ConfigError(f'classes are those of gtr_{config.model} itself; leave them out')
    if config.start == RANDOM:
        model = MODELS[config.model](**options)
        if config.backbone is not None:
            _load_backbone(model, data / config.backbone)
        return model
    if config.backbone is not None:
        raise ConfigError("backbone is for models that begin with start: 'random'")
    places = {'': cached_checkpoint, 'default': default_checkpoint}
    make = places.get(config.start)
    file = make(config.model) if make else data / config.start
    if not file.is_file():
        raise CheckpointError(
            f'there are no weights to begin with at {file}; give others as start, '
            f"or '{RANDOM}' to begin with none"
        )
    return MODELS[config.model](file, **options)


def _load_backbone(model: GTR, file: Path) -> None:
    """Load weights of the backbone by their names; a classifier's own layers are left out."""
    own = model.detector.backbone.state_dict()
    state, _ = load_checkpoint(file)
    missing = sorted(
        key
        for key, value in own.items()
        if 'num_batches' not in key and (key not in state or state[key].shape != value.shape)
    )
    if missing:
        raise CheckpointError(
            f'{file} is not of the backbone of this model: of its {len(own)} tensors '
            f'{len(missing)} are missing or of another shape, {missing[0]} among them'
        )
    model.detector.backbone.load_state_dict({k: state.get(k, v) for k, v in own.items()})


def class_names(config: Config, data: Path) -> tuple[str, ...] | None:
    """Return the classes that a configuration names; None: the model's own."""
    if config.classes == 'data':
        first = config.clips[0]
        if not isinstance(first, Stills):
            raise ConfigError("classes: 'data' takes those of the first clips' stills; name them")
        return read_stills(first, data, None).class_names
    return tuple(config.classes) if config.classes is not None else None


def read_stills(clips: Stills, data: Path, names: tuple[str, ...] | None) -> StillSet:
    """Read the labelled images of a configuration."""
    annotations = data / clips.annotations
    images = data / clips.images if clips.images is not None else None
    if clips.stills == 'coco':
        return read_coco(annotations, images, names)
    if images is None:
        raise ConfigError(f'clips of {clips.stills} need images, the folder where they are')
    if clips.stills == 'crowdhuman':
        return read_crowdhuman(annotations, images, names or ('person',))
    found = read_lvis(annotations, images, data / clips.coco if clips.coco else None)
    if names is not None and names != found.class_names:
        raise ConfigError(
            f'{annotations} has the classes of LVIS, which are those of gtr_tao only'
        )
    return found


def make_source(config: Config, model: GTR, data: Path) -> ClipSource:
    """
    Make the source of a training's clips.

    :raises FormatError: if data cannot be read
    """
    make = partial(_make_part, data=data, names=model.class_names)
    return Mixture([make(clips) for clips in config.clips], [c.weight for c in config.clips])


def _make_part(clips: Stills | Videos, data: Path, names: tuple[str, ...]) -> ClipSource:
    if isinstance(clips, Stills):
        views = Views(
            frames=clips.frames,
            size=clips.window.size,
            scale=clips.window.scale,
            flip=clips.window.flip,
            drawn_from_start=clips.drawn_from_start,
            clip_boxes=not clips.amodal,
        )
        stills = read_stills(clips, data, names).stills
        walkers = clips.walker_classes
        unknown = sorted(set(walkers or ()) - set(names))
        if unknown:
            raise ConfigError(
                f'walker_classes names {unknown[0]!r}, which is no class of the model'
            )
        labels = None if walkers is None else [names.index(name) for name in walkers]
        return StillClips(stills, views, clips.augmentation, clips.walkers, labels)
    sequences = [
        opened.sequence
        for place in clips.videos
        for opened in open_sequences(
            place if place.startswith('synthetic') else str(data / place),
            clips.half,
            data / clips.images if clips.images else None,
        )
    ]
    source = VideoClips(
        sequences,
        names,
        frames=clips.frames,
        most_frames=clips.most_frames,
        size=clips.window.size,
        scale=clips.window.scale,
        flip=clips.window.flip,
        strides=tuple(clips.strides),
        clip_boxes=not clips.amodal,
    )
    return Augmented(source, clips.augmentation, clips.detector)


def make_objective(config: Config, model: GTR) -> Objective:
    """
    Make what a training minimises.

    :raises ConfigError: if the model has no such choice
    """
    losses = config.losses
    kinds = {'mobile': MobileObjective, 'mot': MOTObjective, 'tao': TAOObjective}
    options = {}
    if losses.rule == 'paper':
        name = 'rule' if config.model == 'mobile' else 'association_rule'
        options[name] = association_loss.PAPER
    if config.model == 'mobile':
        options['detector_weight'] = losses.detector
    elif losses.detector != 1:
        raise ConfigError(f'losses.detector is for mobile; gtr_{config.model} learns it whole')
    return kinds[config.model](model, association_weight=losses.association, **options)
