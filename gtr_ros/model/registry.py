# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The models by name: one entry holds everything that is specific to a model. Needs no torch.

To add a model, write its builder and, if it can be trained, its objective, and add an entry here.
The command line, the node, the launch file, training and evaluation read this table.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from importlib import import_module
from importlib import resources
from pathlib import Path
from typing import Any

from gtr_ros.file_kinds import address_scheme
from gtr_ros.file_kinds import suggest_path
from gtr_ros.files import cache_directory
from gtr_ros.options import RULES

#: instead of a checkpoint: untrained weights, to test everything else
RANDOM = 'random'

_WEIGHTS = ('.safetensors', '.pth')

#: 'module:name' of a function or class, which is imported when it is needed; or the object itself
Reference = str | Callable[..., Any]


@dataclass(frozen=True)
class ModelSpec:
    """
    What is specific to one model.

    :param description: in a few words, for the node's yaml file
    :param build: `build(checkpoint=None, association=None) -> GTR`; see `gtr_ros.model.build`
    :param rule: its default linking rule, one of `gtr_ros.options.RULES`
    :param weights: where its weights come from, for the error if there are none
    :param transformer: arguments of its `AssociationTransformer`
    :param objective: class of its training losses, a `gtr_ros.training.objective.Objective`; None:
        it cannot be trained
    :param custom_classes: whether `build` also takes `class_names`, to detect a user's classes
    :param published_prefix: of the entries that only this model has in a published checkpoint; '':
        none was published
    :param parameters: of the node that differ from the defaults for this model, in its yaml file;
        `window` and `min_hits` among them are also the defaults of `gtr track` and Python programs
    :param on_cluster: whether worker processes of a Ray cluster can build it by its name; False
        for a model that is only registered in this process
    """

    description: str
    build: Reference
    rule: str
    weights: str
    transformer: Mapping[str, Any] = field(default_factory=dict)
    objective: Reference | None = None
    custom_classes: bool = False
    published_prefix: str = ''
    parameters: Mapping[str, Any] = field(default_factory=dict)
    on_cluster: bool = True


# Of the models whose entry has no others; the node's dataclass has the same.
_TRACKING_DEFAULTS = {'window': 32, 'min_hits': 0}

_PUBLISHED = (
    'convert the file that the authors publish (see README) with `gtr weights convert FILE`, or '
    f"set checkpoint to its path; '{RANDOM}' runs untrained weights"
)

MODELS: dict[str, ModelSpec] = {
    'mobile': ModelSpec(
        description='the small model: CenterNet on MobileNetV3, 80 COCO classes',
        build='gtr_ros.model.build:gtr_mobile',
        rule='evidence',
        weights='they are included in the package; reinstall it, or set checkpoint to a file',
        transformer={
            'features': 256,
            'hidden': 512,
            'scale': 12.0,
            'level': 0.45,
            'causal': True,
        },
        objective='gtr_ros.training.mobile:MobileObjective',
        custom_classes=True,
    ),
    'mot': ModelSpec(
        description="the paper's MOT model as published: CenterNet on DLA-34, pedestrians",
        build='gtr_ros.model.build:gtr_mot',
        rule='mot',
        weights=_PUBLISHED,
        transformer={'features': 1024},
        objective='gtr_ros.training.published:MOTObjective',
        published_prefix='backbone.cell.',
        # The paper leaves out tracks of fewer than 5 boxes (MIN_TRACK_LEN).
        parameters={'score_threshold': 0.55, 'min_hits': 5},
    ),
    'tao': ModelSpec(
        description=(
            "the paper's TAO model as published: CenterNet2 on Res2Net-101, 1203 classes of LVIS"
        ),
        build='gtr_ros.model.build:gtr_tao',
        rule='tao',
        weights=_PUBLISHED,
        transformer={'features': 1024, 'projection_layers': 2},
        objective='gtr_ros.training.published:TAOObjective',
        published_prefix='roi_heads.box_predictor.',
        parameters={'score_threshold': 0.4, 'window': 16, 'min_hits': 5},
    ),
}


def model_names() -> tuple[str, ...]:
    """Return the names of all models."""
    return tuple(MODELS)


def model_spec(name: str) -> ModelSpec:
    """
    Return a model's entry.

    :raises ValueError: if there is no such model; lists the known models
    """
    if name not in MODELS:
        raise ValueError(f'model {name!r}; expected one of {", ".join(MODELS)}')
    return MODELS[name]


def resolve(reference: Reference) -> Callable[..., Any]:
    """Return what a reference refers to; imports its module."""
    if not isinstance(reference, str):
        return reference
    module, _, name = reference.partition(':')
    return getattr(import_module(module), name)


def tracking_defaults(name: str) -> dict[str, int]:
    """
    Return the `window` and the `min_hits` with which a model's detections are tracked by default.

    :param name: of the model; '' for one that was not built by its name
    """
    own = own_parameters(name)
    return {key: own.get(key, default) for key, default in _TRACKING_DEFAULTS.items()}


def rule_name(name: str | None, model: str, own_detector: bool = True) -> str:
    """
    Resolve the name of a linking rule from a user.

    :param name: one of `RULES`, or 'mobile', an old name of 'evidence'; '' or None: the model's
        default
    :param own_detector: whether the boxes come from the model's own detector; those of another
        detector are linked by evidence by default
    :raises ValueError: if there is no such rule
    """
    if not name:
        return model_spec(model).rule if own_detector else 'evidence'
    name = 'evidence' if name == 'mobile' else name
    if name not in RULES:
        raise ValueError(f'rule {name!r}; expected one of {", ".join(RULES)}')
    return name


def own_parameters(name: str) -> Mapping[str, Any]:
    """Return the parameters of the node that differ for a model; none if it is not known."""
    return MODELS[name].parameters if name in MODELS else {}


def model_builder(name: str) -> Callable[..., Any]:
    """
    Return the function that builds a model.

    :raises ValueError: if there is no such model
    """
    return resolve(model_spec(name).build)


def cached_checkpoint(name: str) -> Path:
    """Return the path of a model's weights in the user's cache; the file may not exist."""
    return cache_directory() / f'gtr_{name}.safetensors'


def default_checkpoint(name: str) -> Path:
    """Return the path of a model's default weights: included in the package, or in the cache."""
    included = Path(str(resources.files('gtr_ros.weights'))) / f'gtr_{name}.safetensors'
    return included if included.is_file() else cached_checkpoint(name)


def missing_weights(path: Path, model: str, given: str) -> str:
    """
    Return what is wrong where there are no weights, and the way out.

    :param path: where they should be
    :param given: the checkpoint that the user asked for; '': none, so the default one is missing
    """
    if not given:
        return f'there are no weights at {path}; {model_spec(model).weights}'
    if address_scheme(given):
        return f'checkpoint is {given}, an address; download the file, and give its path'
    if path.is_dir():
        files = sorted(f.name for f in path.iterdir() if f.suffix in _WEIGHTS)
        held = f'; it has {", ".join(files)}' if files else ''
        return f'checkpoint is {path}, a folder; expected a file of weights{held}'
    return (
        f'there are no weights at {path}{suggest_path(path, (RANDOM,))}; expected a '
        '.safetensors or .pth file, or nothing for the default weights'
    )
