# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a training is: a YAML file, read strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Discriminator
from pydantic import Field
from pydantic import Tag
from pydantic import ValidationError
import yaml

from gtr_ros.training.augmentation import Augmentation
from gtr_ros.training.loop import Schedule

_strict = ConfigDict(extra='forbid', frozen=True, protected_namespaces=())


class _Part(BaseModel):
    model_config = _strict


class Window(_Part):
    """
    The part of an image that is trained on.

    :param size: side of the square, pixels of the network's input
    :param scale: least and most that an image is scaled by, beyond fitting it into the square
    :param flip: probability of a mirrored clip
    """

    size: int = Field(512, ge=64, multiple_of=32)
    scale: tuple[float, float] = (0.8, 1.2)
    flip: float = Field(0.0, ge=0, le=1)


class Stills(_Part):
    """
    Clips of single images.

    :param stills: what the annotations are: COCO's JSON, CrowdHuman's odgt, LVIS' JSON
    :param annotations: file
    :param images: folder; COCO's without one: that of the file's name
    :param coco: of LVIS: COCO's boxes of the same images, which are added
    :param weight: how often, beside the other clips
    :param frames: T; 1 for a detector
    :param amodal: whether boxes go on beyond the image
    :param drawn_from_start: the public code's way to draw the last frame, see `draw_views`
    :param walkers: mean number of objects of other images that walk through a clip
    :param walker_classes: names of their classes; None: any
    """

    stills: Literal['coco', 'crowdhuman', 'lvis']
    annotations: Path
    images: Path | None = None
    coco: Path | None = None
    weight: float = Field(1.0, gt=0)
    frames: int = Field(8, ge=1, le=64)
    window: Window = Window()
    amodal: bool = False
    drawn_from_start: bool = False
    walkers: float = Field(0.0, ge=0)
    walker_classes: list[str] | None = None
    augmentation: Augmentation = Augmentation()


class Videos(_Part):
    """
    Clips of labelled videos.

    :param videos: as `gtr evaluate` opens them, scenes that are drawn here too
    :param half: of MOTChallenge sequences
    :param images: folder of a JSON's images
    :param weight: how often, beside the other clips
    :param frames: T of clips of full size
    :param most_frames: T at most, of clips of small images
    :param strides: frames from one of a clip to the next are about this many, drawn for each clip
    :param amodal: whether boxes go on beyond the image
    :param detector: whether the detector learns of them
    """

    videos: list[str] = Field(min_length=1)
    half: Literal['train', 'val'] | None = None
    images: Path | None = None
    weight: float = Field(1.0, gt=0)
    frames: int = Field(8, ge=2, le=64)
    most_frames: int = Field(16, ge=2, le=64)
    strides: list[int] = [1]
    window: Window = Window(size=1280, scale=(0.1, 2.0), flip=0.5)
    amodal: bool = True
    detector: bool = True
    augmentation: Augmentation = Augmentation()


class Losses(_Part):
    """
    What is learnt.

    :param association: weight of the association's loss; 0: the detector is trained alone
    :param detector: weight of the detector's losses, of `mobile`; 0: they are not computed
    :param rule: the association's loss as in the published code of the model, or as in the paper
    """

    association: float = Field(1.0, ge=0)
    detector: float = Field(1.0, ge=0)
    rule: Literal['published', 'paper'] = 'published'


class Validation(_Part):
    """
    What is measured on the way, of the weights to be used.

    :param every: iterations from one validation to the next
    :param detection: COCO JSON; its images lie in the folder of its name
    :param sequences: as `gtr evaluate` opens them
    :param half: of MOTChallenge sequences
    :param window: T of the tracker
    """

    every: int = Field(1000, ge=1)
    detection: Path | None = None
    sequences: list[str] = []
    half: Literal['train', 'val'] | None = None
    window: int = Field(16, ge=2)


def _kind(value: Any) -> str:
    videos = isinstance(value, Videos) or (isinstance(value, dict) and 'videos' in value)
    return 'videos' if videos else 'stills'


class Config(_Part):
    """
    A training. Paths are relative to the folder that the command is given as `--data`.

    :param model: which one
    :param start: weights to begin with: a file, '' for what `gtr weights` put into the user's
        cache, 'default' for those that come along, 'random'
    :param backbone: weights of the backbone alone, of ImageNet: safetensors
    :param classes: names; 'data': the categories of the first clips; None: the model's own
    :param transformer: what the model's `AssociationTransformer` is made with instead, of an
        ablation; None: as it is
    :param clips: what it is trained on
    :param losses: what is learnt
    :param schedule: how the weights are changed
    :param validation: what is measured on the way
    :param save_every: iterations from one checkpoint to the next
    :param seed: of everything random
    :param workers: processes that make clips, for each that trains
    """

    model: Literal['mobile', 'mot', 'tao']
    start: str = ''
    backbone: Path | None = None
    classes: list[str] | Literal['data'] | None = None
    transformer: dict[str, Any] | None = None
    clips: list[
        Annotated[
            Annotated[Stills, Tag('stills')] | Annotated[Videos, Tag('videos')],
            Discriminator(_kind),
        ]
    ] = Field(min_length=1)
    losses: Losses = Losses()
    schedule: Schedule
    validation: Validation = Validation()
    save_every: int = Field(500, ge=1)
    seed: int = Field(0, ge=0)
    workers: int = Field(2, ge=0)


class ConfigError(ValueError):
    """A training's file that cannot be followed; the message names file, key and rule."""


def read_config(path: Path, changes: tuple[str, ...] = ()) -> Config:
    """
    Read a training's YAML.

    :param changes: `key=value`, as `schedule.iterations=100` or `clips.0.weight=2`, value in YAML
    :raises ConfigError: if it cannot be read, or something in it is not as it must be
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f'{path} cannot be read: {error.strerror}') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f'{path} is no YAML: {error}') from error
    if not isinstance(content, dict):
        raise ConfigError(f'{path} holds no keys; expected model, clips, schedule and others')
    for change in changes:
        _change(content, change, path)
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        said = '; '.join(map(_complaint, error.errors()))
        raise ConfigError(f'{path}: {said}') from error


def _complaint(error: Any) -> str:
    """Say which key has which value, and what was expected."""
    places = [str(place) for place in error['loc']]
    if len(places) > 2 and places[0] == 'clips':
        del places[2]  # which kind of clips it was taken for
    value = '' if error['type'] == 'missing' else f', not {error["input"]!r}'
    return f'{".".join(places)}: {error["msg"]}{value}'


def _change(content: dict, change: str, path: Path) -> None:
    key, equals, value = change.partition('=')
    if not equals:
        raise ConfigError(f'--set {change!r}: expected KEY=VALUE')
    *parents, last = key.split('.')
    place: Any = content
    try:
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        place[int(last) if isinstance(place, list) else last] = yaml.safe_load(value)
    except (IndexError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ConfigError(f'--set {change!r} does not fit what is in {path}') from error
