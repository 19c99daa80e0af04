# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The models, by name: the one place that knows their sizes."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial
from importlib import resources
import json
import os
from pathlib import Path
import re

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
from gtr_ros.model.checkpoint import default_checkpoint
from gtr_ros.model.checkpoint import fit
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.checkpoint import load_official
from gtr_ros.model.coco import CLASS_NAMES
from gtr_ros.model.fpn import FPN
from gtr_ros.model.gtr import GTR
from gtr_ros.model.lvis import class_names
from gtr_ros.model.mobile_centernet import MobileCenterNet
from gtr_ros.model.res2net import Res2Net101
from gtr_ros.model.resize import ShortestEdge
from gtr_ros.model.resize import SquareFit
from gtr_ros.model.roi import BoxHead
from gtr_ros.model.roi import Embedding
from gtr_ros.model.roi import Whitening

#: arguments of each model's `AssociationTransformer`
TRANSFORMERS = {
    'mobile': {'features': 256, 'hidden': 512, 'scale': 12.0, 'level': 0.45, 'causal': True},
    'mot': {'features': 1024},
    'tao': {'features': 1024, 'projection_layers': 2},
}

#: what may link the objects of `gtr_mobile`
MOBILE_ASSOCIATIONS = ('cosine', 'transformer')

#: principal components of the mobile detector's features over objects of COCO images
APPEARANCE = resources.files('gtr_ros.weights') / 'mobile_appearance.safetensors'


def make_transformer(model: str, **changes: object) -> AssociationTransformer:
    """
    Make a model's association, untrained.

    :param model: 'mobile', 'mot' or 'tao'
    :param changes: arguments of `AssociationTransformer` in place of the model's own, of the
        paper's ablations
    """
    transformer = AssociationTransformer(**{**TRANSFORMERS[model], **changes})
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
    :param association: 'transformer' for the paper's (D = 256), which links as 'cosine' does until
        it is trained; 'cosine' for similarity of the detector's own features; None: what the
        checkpoint was made for, 'cosine' without one. Of a checkpoint made for the other only the
        detector is taken. Or another transformer, of the paper's ablations; D = 256. Its encoder
        is causal, but for checkpoints that were trained with the full one
    :param class_names: of the detector; None: the checkpoint's, COCO's without one. Of those that
        the checkpoint does not have the detector knows nothing yet
    :return: the model, in evaluation mode, on the CPU
    :raises CheckpointError: if the file cannot be read or does not fit
    :raises ValueError: if the association is none of these
    """
    state, metadata = load_checkpoint(Path(checkpoint)) if checkpoint else ({}, {})
    variant = association if isinstance(association, AssociationTransformer) else None
    if variant is not None:
        association = 'transformer'
    association = association or metadata.get('association', 'cosine')
    if association not in MOBILE_ASSOCIATIONS:
        raise ValueError(f'association {association!r}; expected one of {MOBILE_ASSOCIATIONS}')
    held = tuple(json.loads(metadata.get('class_names', 'null')) or CLASS_NAMES)
    detector, pool_size = MobileCenterNet(tuple(class_names or held)), 4
    features = TRANSFORMERS['mobile']['features']
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
    # Weights without an association are the imported detector's.
    prefix = 'detector.' if 'association' in metadata else ''
    if detector.class_names != held:
        detector.adopt_classes(state, held, prefix)
    if checkpoint and metadata.get('association') == association:
        fit(model, state, checkpoint)
        model.association.calibration = _calibration(metadata, checkpoint)
    elif checkpoint:
        own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        fit(detector, own, checkpoint)
    # The layout in which a CPU computes depthwise convolutions fastest, and a GPU no slower.
    return model.eval().to(memory_format=torch.channels_last)


def gtr_mot(
    checkpoint: str | os.PathLike | None = None,
    association: AssociationTransformer | None = None,
) -> GTR:
    """
    Build the paper's MOT model: CenterNet on DLA-34 and three BiFPN layers, for pedestrians.

    :param checkpoint: safetensors file, or a published `.pth`; None: untrained weights
    :param association: another than the published one, of the paper's ablations; D = 1024
    :return: the model, in evaluation mode, on the CPU
    :raises CheckpointError: if the file cannot be read or does not fit
    """
    import timm  # which the other models do without

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
    link = association or make_transformer('mot')
    model = GTR(detector, head, link, pool_size, clip=False, score_threshold=0.55)
    return _load(model, 'gtr_mot', checkpoint).eval()


def gtr_tao(
    checkpoint: str | os.PathLike | None = None,
    association: AssociationTransformer | None = None,
) -> GTR:
    """
    Build the paper's TAO model: CenterNet2 on Res2Net-101, for the 1203 classes of LVIS v1.

    :param checkpoint: safetensors file, or a published `.pth`; None: untrained weights
    :param association: another than the published one, of the paper's ablations; D = 1024
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
    link = association or make_transformer('tao')
    model = GTR(detector, head, link, pool_size, clip=True, score_threshold=0.4)
    return _load(model, 'gtr_tao', checkpoint).eval()


def _load(model: GTR, name: str, checkpoint: str | os.PathLike | None) -> GTR:
    """Fit weights of ours or the authors'; raise CheckpointError if they are of another model."""
    if checkpoint:
        path = Path(checkpoint)
        state, metadata = load_official(path) if path.suffix == '.pth' else load_checkpoint(path)
        held = metadata.get('model', name)
        if held != name:
            raise CheckpointError(f'{path} holds the weights of {held}, not of {name}')
        fit(model, state, path)
        model.association.calibration = _calibration(metadata, path)
    return model


def _calibration(metadata: Mapping[str, str], file: str | os.PathLike) -> Calibration:
    """Read what the metadata say of a network's numbers; raise CheckpointError if they cannot."""
    try:
        return Calibration.read(metadata)
    except ValueError as error:
        raise CheckpointError(
            f'{file}: {error}; without this key it runs, uncalibrated'
        ) from error


#: in place of a checkpoint: untrained weights, for tests of everything else
RANDOM = 'random'

#: the models by the names that users give
MODELS = {'mobile': gtr_mobile, 'mot': gtr_mot, 'tao': gtr_tao}

_PUBLISHED = (
    'convert the file that the authors publish (see README) with `gtr weights convert FILE`, or '
    f"give its path as checkpoint; '{RANDOM}' runs untrained weights"
)

_WAYS_OUT = {
    'mobile': 'they come with the package; install it again, or give a file as checkpoint',
    'mot': _PUBLISHED,
    'tao': _PUBLISHED,
}


def build(
    model: str,
    checkpoint: str | os.PathLike | None = None,
    association: AssociationTransformer | None = None,
) -> GTR:
    """
    Build a model by its name.

    :param model: one of `MODELS`
    :param checkpoint: file of its weights, ours or the authors'; `RANDOM`: untrained ones;
        None or '': the default ones
    :param association: another than the model's own, of the paper's ablations
    :raises CheckpointError: if there is no such file, or it does not fit; says how to get one
    :raises ValueError: if there is no such model
    """
    if model not in MODELS:
        raise ValueError(f'model {model!r}; expected one of {", ".join(MODELS)}')
    make = MODELS[model]
    if association is not None:
        make = partial(make, association=association)
    if checkpoint == RANDOM:
        return make()
    path = Path(checkpoint).expanduser() if checkpoint else default_checkpoint(model)
    if not path.is_file():
        raise CheckpointError(f'there are no weights at {path}; {_WAYS_OUT[model]}')
    return make(path)


def choose_device(name: str) -> torch.device:
    """
    Return the device that a user means.

    :param name: 'auto' (the GPU where there is one), 'cpu', 'cuda' or 'cuda:N'
    :raises ValueError: if it is none of these, or this machine has no such device
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    if not re.fullmatch(r'cpu|cuda(:\d+)?', name):
        raise ValueError(f'device is {name!r}; expected one of auto, cpu, cuda, cuda:N (N from 0)')
    device = torch.device(name)
    count = torch.cuda.device_count()
    if device.type == 'cuda' and (device.index or 0) >= count:
        raise ValueError(
            f'device is {name!r}, but torch {torch.__version__} sees {count} CUDA devices here; '
            "set device to 'auto' or 'cpu', or install a driver and a torch that fit each other"
        )
    return device
