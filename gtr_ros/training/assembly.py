# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Builds the model, the clips and the losses of a training run from its configuration."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from gtr_ros.data.coco.lvis import read_lvis
from gtr_ros.data.coco.stills import read_coco
from gtr_ros.data.opening import open_sequences
from gtr_ros.data.opening import resolve_source
from gtr_ros.data.people import PeopleScene
from gtr_ros.data.stills.crowdhuman import read_crowdhuman
from gtr_ros.data.stills.still import StillSet
from gtr_ros.model.build import make_transformer
from gtr_ros.model.checkpoint import CheckpointError
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.gtr import GTR
from gtr_ros.model.registry import cached_checkpoint
from gtr_ros.model.registry import default_checkpoint
from gtr_ros.model.registry import model_builder
from gtr_ros.model.registry import model_spec
from gtr_ros.model.registry import RANDOM
from gtr_ros.model.registry import resolve
from gtr_ros.training.association_loss import PAPER
from gtr_ros.training.clip import ClipSource
from gtr_ros.training.config import Config
from gtr_ros.training.config import ConfigError
from gtr_ros.training.config import People
from gtr_ros.training.config import Stills
from gtr_ros.training.config import Videos
from gtr_ros.training.crops import MovingCrop
from gtr_ros.training.objective import Objective
from gtr_ros.training.people_clips import PeopleClips
from gtr_ros.training.sources import Augmented
from gtr_ros.training.sources import Mixture
from gtr_ros.training.sources import StillClips
from gtr_ros.training.video_clips import VideoClips


def make_model(config: Config, data: Path) -> GTR:
    """
    Build the model for a training run, with its initial weights.

    :param data: folder that the configuration's paths are relative to
    :raises CheckpointError: if the weights cannot be read
    :raises ConfigError: if an option does not fit the model
    """
    spec, make = model_spec(config.model), model_builder(config.model)
    options: dict[str, Any] = {'association': 'transformer'}
    if config.transformer is not None:
        options['association'] = make_transformer(config.model, **config.transformer)
    if spec.custom_classes:
        options['class_names'] = class_names(config, data)
    elif config.classes is not None:
        raise ConfigError(f'the classes of gtr_{config.model} are fixed; leave out classes')
    if config.start == RANDOM:
        model = make(**options)
        if config.backbone is not None:
            _load_backbone(model, data / config.backbone)
        return model
    if config.backbone is not None:
        raise ConfigError("backbone needs start: 'random'")
    places = {'': cached_checkpoint, 'default': default_checkpoint}
    place = places.get(config.start)
    file = place(config.model) if place else data / config.start
    if not file.is_file():
        raise CheckpointError(
            f"no initial weights at {file}; set start to another file, or '{RANDOM}'"
        )
    return make(file, **options)


def _load_backbone(model: GTR, file: Path) -> None:
    """Load weights into the backbone by name; other weights in the file are ignored."""
    needed = model.detector.backbone.state_dict()
    state, _ = load_checkpoint(file)
    missing = sorted(
        key
        for key, value in needed.items()
        if 'num_batches' not in key and (key not in state or state[key].shape != value.shape)
    )
    if missing:
        raise CheckpointError(
            f'{file} does not fit the backbone of this model: {len(missing)} of its {len(needed)} '
            f'tensors are missing or have another shape, such as {missing[0]}'
        )
    model.detector.backbone.load_state_dict({k: state.get(k, v) for k, v in needed.items()})


def class_names(config: Config, data: Path) -> tuple[str, ...] | None:
    """Return the class names in a configuration; None: the model's own."""
    if config.classes == 'data':
        first = config.clips[0]
        if not isinstance(first, Stills):
            raise ConfigError(
                "classes: 'data' needs stills as the first entry of clips; list the names instead"
            )
        return read_stills(first, data, None).class_names
    return tuple(config.classes) if config.classes is not None else None


def read_stills(clips: Stills, data: Path, names: tuple[str, ...] | None) -> StillSet:
    """Read the labelled images named in a configuration."""
    annotations = data / clips.annotations
    images = data / clips.images if clips.images is not None else None
    if clips.stills == 'coco':
        return read_coco(annotations, images, names)
    if images is None:
        raise ConfigError(f'clips of {clips.stills} need images, the folder of the image files')
    if clips.stills == 'crowdhuman':
        return read_crowdhuman(annotations, images, names or ('person',))
    found = read_lvis(annotations, images, data / clips.coco if clips.coco else None)
    if names is not None and names != found.class_names:
        raise ConfigError(f'{annotations} has the classes of LVIS, which only gtr_tao detects')
    return found


def make_source(config: Config, model: GTR, data: Path) -> ClipSource:
    """
    Return the source of the clips for a training run.

    :raises FormatError: if data cannot be read
    """
    make = partial(_make_entry, data=data, names=model.class_names)
    return Mixture([make(clips) for clips in config.clips], [c.weight for c in config.clips])


def _make_people(clips: People, data: Path, names: tuple[str, ...]) -> ClipSource:
    if 'person' not in names:
        raise ConfigError("clips of people need a model that detects the class 'person'")
    options = clips.people
    scene = PeopleScene(
        split=options.split,
        pool=options.pool,
        avatars=str(data / options.avatars) if options.avatars else '',
        backgrounds=str(data / options.backgrounds) if options.backgrounds else '',
        size=options.size,
    )
    source = PeopleClips(
        scene,
        label=names.index('person'),
        frames=clips.frames,
        gaps=options.gaps,
        objects=options.objects,
        likeness=options.likeness,
        returns=options.returns,
        away=options.away,
    )
    return Augmented(source, clips.augmentation, detector=False)


def _make_entry(clips: Stills | Videos | People, data: Path, names: tuple[str, ...]) -> ClipSource:
    if isinstance(clips, People):
        return _make_people(clips, data, names)
    if isinstance(clips, Stills):
        moving_crop = MovingCrop(
            frames=clips.frames,
            size=clips.crop.size,
            scale=clips.crop.scale,
            flip=clips.crop.flip,
            drawn_from_start=clips.drawn_from_start,
            clip_boxes=not clips.amodal,
        )
        stills = read_stills(clips, data, names).stills
        classes = clips.pasted_classes
        unknown = sorted(set(classes or ()) - set(names))
        if unknown:
            raise ConfigError(
                f'pasted_classes names {unknown[0]!r}, which the model does not detect'
            )
        labels = None if classes is None else [names.index(name) for name in classes]
        return StillClips(stills, moving_crop, clips.augmentation, clips.pasted_objects, labels)
    sequences = [
        opened.sequence
        for place in clips.videos
        for opened in open_sequences(
            resolve_source(place, data),
            clips.half,
            data / clips.images if clips.images else None,
        )
    ]
    source = VideoClips(
        sequences,
        names,
        frames=clips.frames,
        most_frames=clips.most_frames,
        size=clips.crop.size,
        scale=clips.crop.scale,
        flip=clips.crop.flip,
        strides=tuple(clips.strides),
        clip_boxes=not clips.amodal,
    )
    return Augmented(source, clips.augmentation, clips.detector)


def make_objective(config: Config, model: GTR) -> Objective:
    """
    Return the objective of a training run.

    :raises ConfigError: if an option of the losses does not fit the model
    """
    objective = model_spec(config.model).objective
    if objective is None:
        raise ConfigError(f'model {config.model} cannot be trained: no objective is registered')
    kind, losses = resolve(objective), config.losses
    options: dict[str, Any] = {'embedding_weight': losses.embedding}
    if config.stored is not None and not kind.can_store:
        raise ConfigError(f'clips of gtr_{config.model} cannot be stored; leave out stored')
    if losses.association_variant == 'paper':
        options['association_options'] = PAPER
    if kind.has_detector_weight:
        options['detector_weight'] = losses.detector
    elif losses.detector != 1:
        raise ConfigError(
            f'losses.detector is {losses.detector}, but the detector losses of gtr_{config.model} '
            'have no adjustable weight; leave it out'
        )
    return kind(model, association_weight=losses.association, **options)
