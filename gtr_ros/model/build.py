# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Builders of the models: the one place that knows their sizes. The registry names them."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from importlib import resources
import os
from pathlib import Path

import torch

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.association import CosineAssociation
from gtr_ros.model.bifpn import BiFPN
from gtr_ros.model.calibration import Calibration
from gtr_ros.model.cascade import Cascade
from gtr_ros.model.centernet import CenterNet
from gtr_ros.model.centernet import CenterNetHead
from gtr_ros.model.centernet2 import CenterNet2
from gtr_ros.model.checkpoint import CheckpointError
from gtr_ros.model.checkpoint import fit
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.checkpoint import load_official
from gtr_ros.model.coco import CLASS_NAMES
from gtr_ros.model.fpn import FPN
from gtr_ros.model.gtr import GTR
from gtr_ros.model.lvis import class_names
from gtr_ros.model.mobile_centernet import MobileCenterNet
from gtr_ros.model.registry import default_checkpoint
from gtr_ros.model.registry import missing_weights
from gtr_ros.model.registry import model_builder
from gtr_ros.model.registry import model_spec
from gtr_ros.model.registry import RANDOM
from gtr_ros.model.res2net import Res2Net101
from gtr_ros.model.resize import ShortestEdge
from gtr_ros.model.resize import SquareFit
from gtr_ros.model.roi import BoxHead
from gtr_ros.model.roi import Embedding
from gtr_ros.model.roi import Whitening
from gtr_ros.parsing import parse_json
from gtr_ros.parsing import ParseError

#: association variants of `gtr_mobile`
MOBILE_ASSOCIATIONS = ('cosine', 'transformer')

#: principal components of the mobile detector's features, over objects of COCO images
APPEARANCE = resources.files('gtr_ros.weights') / 'mobile_appearance.safetensors'


def make_transformer(model: str, **changes: object) -> AssociationTransformer:
    """
    Make a model's association transformer, untrained.

    :param model: its name in the registry
    :param changes: arguments of `AssociationTransformer` that replace the model's own, for the
        paper's ablations
    """
    transformer = AssociationTransformer(**{**model_spec(model).transformer, **changes})
    if transformer.can_start_as_dot_product and transformer.log_scale is not None:
        transformer.start_as_dot_product()
    return transformer


def gtr_mobile(
    checkpoint: str | os.PathLike | None = None,
    association: str | AssociationTransformer | None = None,
    class_names: Sequence[str] | None = None,
) -> GTR:
    """
    Build the default model: CenterNet on MobileNetV3-large x0.75, 80 COCO classes.

    :param checkpoint: safetensors file; None: untrained weights
    :param association: 'transformer': the paper's transformer (D = 256), which produces the same
        links as 'cosine' until it is trained; its encoder is causal, unless the checkpoint was
        trained with a full one. 'cosine': cosine similarity of the detector's own features. None:
        what the checkpoint was trained with, 'cosine' without a checkpoint. If the checkpoint was
        trained with the other one, only its detector is loaded. Or an `AssociationTransformer`
        with D = 256, for the paper's ablations
    :param class_names: of the detector; None: those of the checkpoint, or of COCO without one.
        Classes that the checkpoint does not have start untrained
    :return: the model, in evaluation mode, on the CPU
    :raises CheckpointError: if the file cannot be read or does not fit
    :raises ValueError: if the association is not one of these
    """
    state, metadata = load_checkpoint(Path(checkpoint)) if checkpoint else ({}, {})
    variant = association if isinstance(association, AssociationTransformer) else None
    if variant is not None:
        association = 'transformer'
    association = association or metadata.get('association', 'cosine')
    if association not in MOBILE_ASSOCIATIONS:
        raise ValueError(f'association {association!r}; expected one of {MOBILE_ASSOCIATIONS}')
    held = _class_names(metadata, checkpoint) or CLASS_NAMES
    detector, pool_size = MobileCenterNet(tuple(class_names or held)), 4
    features = model_spec('mobile').transformer['features']
    shape = (sum(detector.channels), pool_size, features)
    whitening = Whitening(*shape)
    with resources.as_file(APPEARANCE) as file:
        fit(whitening, load_checkpoint(file)[0], file)
    if association == 'transformer':
        head = Embedding(*shape)
        head.start_as(whitening)
        trained = metadata.get('association') == 'transformer'
        own = {'causal': metadata.get('encoder') == 'causal'} if trained else {}
        link = variant or make_transformer('mobile', **own)
    else:
        head, link = whitening, CosineAssociation()
    model = GTR(detector, head, link, pool_size, clip=True, score_threshold=0.4)
    # A checkpoint without an association is that of the imported detector.
    prefix = 'detector.' if 'association' in metadata else ''
    if detector.class_names != held:
        detector.adopt_classes(state, held, prefix)
    if checkpoint and metadata.get('association') == association:
        fit(model, state, checkpoint)
        model.association.calibration = _calibration(metadata, checkpoint)
    elif checkpoint:
        own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        fit(detector, own, checkpoint)
    # The fastest layout for depthwise convolutions on a CPU, and not slower on a GPU.
    return model.eval().to(memory_format=torch.channels_last)


def gtr_mot(
    checkpoint: str | os.PathLike | None = None,
    association: AssociationTransformer | str | None = None,
) -> GTR:
    """
    Build the paper's MOT model: CenterNet on DLA-34 and three BiFPN layers, for pedestrians.

    :param checkpoint: safetensors file, or a published `.pth`; None: untrained weights
    :param association: instead of the published one, for the paper's ablations; D = 1024.
        'transformer' or None: the published one
    :return: the model, in evaluation mode, on the CPU
    :raises CheckpointError: if the file cannot be read or does not fit
    """
    import timm  # not needed by the other models

    channels, features, pool_size = 160, 1024, 7
    dla = timm.create_model('dla34', pretrained=False, features_only=True, out_indices=(3, 4, 5))
    detector = CenterNet(
        dla,
        BiFPN(dla.feature_info.channels(), channels, layers=3),
        CenterNetHead(channels),
        SquareFit(),
        class_names=('person',),
        channels=channels,
    )
    head = BoxHead(channels, pool_size, features)
    link = _transformer('mot', association)
    model = GTR(detector, head, link, pool_size, clip=False, score_threshold=0.55)
    return _load(model, 'gtr_mot', checkpoint).eval()


def gtr_tao(
    checkpoint: str | os.PathLike | None = None,
    association: AssociationTransformer | str | None = None,
) -> GTR:
    """
    Build the paper's TAO model: CenterNet2 on Res2Net-101, for the 1203 classes of LVIS v1.

    :param checkpoint: safetensors file, or a published `.pth`; None: untrained weights
    :param association: instead of the published one, for the paper's ablations; D = 1024.
        'transformer' or None: the published one
    :return: the model, in evaluation mode, on the CPU
    :raises CheckpointError: if the file cannot be read or does not fit
    """
    channels, features, pool_size = 256, 1024, 7
    classes = class_names()
    detector = CenterNet2(
        Res2Net101(),
        FPN(Res2Net101.channels, channels),
        CenterNetHead(channels),
        Cascade(channels, len(classes), CenterNet2.strides),
        ShortestEdge(),
        class_names=classes,
        channels=channels,
    )
    head = BoxHead(channels, pool_size, features)
    link = _transformer('tao', association)
    model = GTR(detector, head, link, pool_size, clip=True, score_threshold=0.4)
    return _load(model, 'gtr_tao', checkpoint).eval()


def _transformer(
    model: str, association: AssociationTransformer | str | None
) -> AssociationTransformer:
    """Return the transformer passed by the caller, or the model's own."""
    return make_transformer(model) if association in (None, 'transformer') else association


def _load(model: GTR, name: str, checkpoint: str | os.PathLike | None) -> GTR:
    """Load our weights or published ones; raise CheckpointError if they are for another model."""
    if checkpoint:
        path = Path(checkpoint)
        state, metadata = load_official(path) if path.suffix == '.pth' else load_checkpoint(path)
        held = metadata.get('model', name)
        if held != name:
            raise CheckpointError(f'{path} contains the weights of {held}, not of {name}')
        fit(model, state, path)
        model.association.calibration = _calibration(metadata, path)
    return model


def _class_names(metadata: Mapping[str, str], source: object) -> tuple[str, ...]:
    """Return the classes of a checkpoint's detector; empty: it does not say."""
    try:
        names = parse_json(metadata.get('class_names', 'null')) or []
    except ParseError as error:
        raise CheckpointError(f'class_names in the metadata of {source}: {error}') from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CheckpointError(
            f'class_names in the metadata of {source} is {str(names)[:80]}; expected a list'
        )
    return tuple(names)


def _calibration(metadata: Mapping[str, str], file: str | os.PathLike) -> Calibration:
    """Read a network's calibration; raise CheckpointError if it is invalid."""
    try:
        return Calibration.read(metadata)
    except ValueError as error:
        raise CheckpointError(f'{file}: {error}; without this key it runs uncalibrated') from error


def build(
    model: str,
    checkpoint: str | os.PathLike | None = None,
    association: AssociationTransformer | str | None = None,
) -> GTR:
    """
    Build a model by its name.

    :param model: one of `gtr_ros.model.registry.MODELS`
    :param checkpoint: file of its weights, ours or the authors'; `RANDOM`: untrained ones;
        None or '': the default ones
    :param association: instead of the model's own, for the paper's ablations
    :raises CheckpointError: if there is no such file, or it does not fit; states how to get one
    :raises ValueError: if there is no such model
    """
    make = model_builder(model)
    options = {} if association is None else {'association': association}
    if checkpoint == RANDOM:
        built = make(**options)
    else:
        path = Path(checkpoint).expanduser() if checkpoint else default_checkpoint(model)
        if not path.is_file():
            given = str(checkpoint) if checkpoint else ''
            raise CheckpointError(missing_weights(path, model, given))
        built = make(path, **options)
    built.name = model
    return built
