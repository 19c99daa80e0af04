# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The models, by name: the one place that knows their sizes."""

from __future__ import annotations

from importlib import resources
import os
from pathlib import Path
import re

import torch

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.association import CosineAssociation
from gtr_ros.model.checkpoint import CheckpointError
from gtr_ros.model.checkpoint import default_checkpoint
from gtr_ros.model.checkpoint import fit
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.gtr import GTR
from gtr_ros.model.mobile_centernet import MobileCenterNet
from gtr_ros.model.roi import BoxHead
from gtr_ros.model.roi import Whitening

#: what may link the objects of `gtr_mobile`
MOBILE_ASSOCIATIONS = ('cosine', 'transformer')

#: principal components of the mobile detector's features over objects of COCO images
APPEARANCE = resources.files('gtr_ros.weights') / 'mobile_appearance.safetensors'


def gtr_mobile(checkpoint: str | os.PathLike | None = None, association: str | None = None) -> GTR:
    """
    Build the default model: CenterNet on MobileNetV3-large x0.75, 80 COCO classes.

    :param checkpoint: safetensors file; None: untrained weights
    :param association: 'transformer' for the paper's (D = 256), 'cosine' for similarity of the
        detector's own features; None: what the checkpoint was made for, 'cosine' without one
    :return: the model, in evaluation mode, on the CPU
    :raises CheckpointError: if the file cannot be read or does not fit
    :raises ValueError: if the association is none of these
    """
    state, metadata = load_checkpoint(Path(checkpoint)) if checkpoint else ({}, {})
    association = association or metadata.get('association', 'cosine')
    detector = MobileCenterNet()
    if association == 'transformer':
        pool_size = 7
        head = BoxHead(sum(detector.channels), pool_size, features=256)
        link = AssociationTransformer(features=256)
    elif association == 'cosine':
        pool_size = 4
        head = Whitening(sum(detector.channels), pool_size, features=256)
        with resources.as_file(APPEARANCE) as file:
            fit(head, load_checkpoint(file)[0], file)
        link = CosineAssociation()
    else:
        raise ValueError(f'association {association!r}; expected one of {MOBILE_ASSOCIATIONS}')
    model = GTR(detector, head, link, pool_size, clip=True)
    if checkpoint:
        # Weights without an association are the imported detector's.
        fit(model if 'association' in metadata else detector, state, checkpoint)
    # The layout in which a CPU computes depthwise convolutions fastest, and a GPU no slower.
    return model.eval().to(memory_format=torch.channels_last)


#: in place of a checkpoint: untrained weights, for tests of everything else
RANDOM = 'random'

#: the models by the names that users give
MODELS = {'mobile': gtr_mobile}


def build(model: str, checkpoint: str | os.PathLike | None = None) -> GTR:
    """
    Build a model by its name.

    :param model: one of `MODELS`
    :param checkpoint: file of its weights; `RANDOM`: untrained ones; None or '': the file in the
        user's cache
    :raises CheckpointError: if there is no such file, or it does not fit; says how to get one
    :raises ValueError: if there is no such model
    """
    if model not in MODELS:
        raise ValueError(f'model {model!r}; expected one of {", ".join(MODELS)}')
    if checkpoint == RANDOM:
        return MODELS[model]()
    path = Path(checkpoint).expanduser() if checkpoint else default_checkpoint(model)
    if not path.is_file():
        way_out = (
            'give the path of a safetensors file, or leave it empty for' if checkpoint else 'get'
        )
        raise CheckpointError(
            f'there are no weights at {path}; {way_out} those that `gtr weights import` brings'
        )
    return MODELS[model](path)


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
