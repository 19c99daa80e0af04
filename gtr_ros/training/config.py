# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The configuration of a training run: a YAML file, validated strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import AliasChoices
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Discriminator
from pydantic import Field
from pydantic import field_validator
from pydantic import model_validator
from pydantic import Tag
from pydantic import ValidationError

from gtr_ros.model.registry import model_spec
from gtr_ros.parsing import parse_yaml
from gtr_ros.training.augmentation import Augmentation
from gtr_ros.training.optimisation import Schedule

_strict = ConfigDict(extra='forbid', frozen=True, protected_namespaces=())


class _Part(BaseModel):
    model_config = _strict


def _renamed(old: str, new: str) -> AliasChoices:
    """Return a validation alias that also accepts the former name of a key."""
    return AliasChoices(new, old)


class CropOptions(_Part):
    """
    The square crop of an image that a clip shows.

    :param size: side of the square, pixels of the network's input
    :param scale: range of the factor by which an image is larger than the square
    :param flip: probability that a clip is mirrored
    """

    size: int = Field(512, ge=64, multiple_of=32)
    scale: tuple[float, float] = (0.8, 1.2)
    flip: float = Field(0.0, ge=0, le=1)


class Stills(_Part):
    """
    Clips made from stills.

    :param stills: format of the annotations: COCO JSON, CrowdHuman odgt, or LVIS JSON
    :param annotations: file
    :param images: folder; None (only for COCO): the folder with the name of the annotation file
    :param coco: for LVIS: COCO annotations of the same images, whose boxes are added
    :param weight: how often clips are drawn from this entry, relative to the others
    :param frames: T; 1 for a detector
    :param crop: the crop that moves over the image
    :param amodal: whether boxes may reach beyond the image
    :param drawn_from_start: draw the last crop as the public code does, see `draw_crops`
    :param pasted_objects: mean number of objects cut out of other images that move through a clip
    :param pasted_classes: names of their classes; None: any
    :param augmentation: of the clips
    """

    stills: Literal['coco', 'crowdhuman', 'lvis']
    annotations: Path
    images: Path | None = None
    coco: Path | None = None
    weight: float = Field(1.0, gt=0)
    frames: int = Field(8, ge=1, le=64)
    crop: CropOptions = Field(CropOptions(), validation_alias=_renamed('window', 'crop'))
    amodal: bool = False
    drawn_from_start: bool = False
    pasted_objects: float = Field(
        0.0, ge=0, validation_alias=_renamed('walkers', 'pasted_objects')
    )
    pasted_classes: list[str] | None = Field(
        None, validation_alias=_renamed('walker_classes', 'pasted_classes')
    )
    augmentation: Augmentation = Augmentation()


class Videos(_Part):
    """
    Clips cut from labelled videos.

    :param videos: sequences in any format of `gtr evaluate`, or synthetic scenes
    :param half: of MOTChallenge sequences: 'train' or 'val'; None: all
    :param images: folder of the images, for annotations in JSON
    :param weight: how often clips are drawn from this entry, relative to the others
    :param frames: T, if frames fill the crop
    :param most_frames: maximum of T, for small frames
    :param strides: one of these is drawn for each clip, which then has every stride-th frame
    :param crop: the crop of all frames of a clip
    :param amodal: whether boxes may reach beyond the image
    :param detector: whether the detector learns from these clips
    :param augmentation: of the clips
    """

    videos: list[str] = Field(min_length=1)
    half: Literal['train', 'val'] | None = None
    images: Path | None = None
    weight: float = Field(1.0, gt=0)
    frames: int = Field(8, ge=2, le=64)
    most_frames: int = Field(16, ge=2, le=64)
    strides: list[int] = [1]
    crop: CropOptions = Field(
        CropOptions(size=1280, scale=(0.1, 2.0), flip=0.5),
        validation_alias=_renamed('window', 'crop'),
    )
    amodal: bool = True
    detector: bool = True
    augmentation: Augmentation = Augmentation()


class PeopleOptions(_Part):
    """
    The scenes of rendered people, see `gtr_ros.data.people.PeopleScene`.

    :param split: whose avatars: 'train', 'validation', 'test' or 'all'
    :param pool: number of identities
    :param avatars: folder of avatars; None: those included in the package, all of the split 'test'
    :param backgrounds: folder of photos, best without people; None: painted backgrounds
    :param size: (height, width) of the frames, pixels of the network's input
    :param objects: range of the number of people in a scene
    :param likeness: maximum share of the people of a scene who look like another one
    :param gaps: range of the seconds from one frame of a clip to the next
    :param returns: probability that the camera is away for `away` seconds within a clip
    :param away: seconds
    """

    split: Literal['train', 'validation', 'test', 'all'] = 'train'
    pool: int = Field(10000, ge=1)
    avatars: Path | None = None
    backgrounds: Path | None = None
    size: tuple[int, int] = (448, 576)
    objects: tuple[int, int] = (6, 16)
    likeness: float = Field(0.5, ge=0, le=1)
    gaps: tuple[float, float] = (0.05, 4.0)
    returns: float = Field(0.3, ge=0, le=1)
    away: float = Field(20.0, gt=0)

    @field_validator('objects', 'gaps')
    @classmethod
    def _is_range(cls, values: tuple[float, float]) -> tuple[float, float]:
        """Raise ValueError if the bounds are not positive, or not in ascending order."""
        low, high = values
        if not 0 < low <= high:
            raise ValueError(f'[{low}, {high}]; expected two positive numbers in ascending order')
        return values


class People(_Part):
    """
    Clips of rendered people.

    :param people: options of the scenes
    :param weight: how often clips are drawn from this entry, relative to the others
    :param frames: T
    :param augmentation: of the clips
    """

    people: PeopleOptions = PeopleOptions()
    weight: float = Field(1.0, gt=0)
    frames: int = Field(8, ge=2, le=64)
    augmentation: Augmentation = Augmentation()


class Losses(_Part):
    """
    The losses of a training run.

    :param association: weight of the association loss; 0: only the detector is trained
    :param embedding: weight of the embedding loss: features of one object are similar, those of
        others are not; 0: it is not computed
    :param detector: weight of the detector's losses, for `mobile`; 0: they are not computed
    :param association_variant: the association loss of the model's published code, or of the paper
    """

    association: float = Field(1.0, ge=0)
    embedding: float = Field(0.0, ge=0)
    detector: float = Field(1.0, ge=0)
    association_variant: Literal['published', 'paper'] = Field(
        'published', validation_alias=_renamed('rule', 'association_variant')
    )

    @property
    def links(self) -> bool:
        """Whether head and transformer are trained."""
        return self.association > 0 or self.embedding > 0


class Stored(_Part):
    """
    Clips that are pooled by the frozen detector once and stored, to train head and transformer.

    :param clips: number of clips
    :param folder: of the files; None: `stored` in the run's folder. Runs with the same clips,
        seed and initial weights can share it
    """

    clips: int = Field(ge=1)
    folder: Path | None = None


class Validation(_Part):
    """
    Validation, during training, of the weights that are saved.

    :param every: number of iterations between two validations
    :param detection: COCO JSON, for the detector; its images are in the folder of the same name
    :param sequences: sequences in any format of `gtr evaluate`, for the tracker
    :param half: of MOTChallenge sequences: 'train' or 'val'; None: all
    :param window: T of the tracker, frames
    """

    every: int = Field(1000, ge=1)
    detection: Path | None = None
    sequences: list[str] = []
    half: Literal['train', 'val'] | None = None
    window: int = Field(16, ge=2)


def _kind(value: Any) -> str:
    if isinstance(value, _Part):
        return type(value).__name__.lower()
    known = ('videos', 'people')
    return next((name for name in known if isinstance(value, dict) and name in value), 'stills')


class Config(_Part):
    """
    A training run. Paths are relative to the folder given as `--data`.

    :param model: name of the model
    :param start: initial weights: a file, '' for those that `gtr weights` wrote to the user's
        cache, 'default' for those included in the package, 'random'
    :param backbone: initial weights of the backbone only, trained on ImageNet: safetensors
    :param classes: names; 'data': the categories in the first entry of `clips`; None: the model's
        own
    :param transformer: arguments of the model's `AssociationTransformer` to change for an
        ablation; None: none
    :param clips: sources of clips
    :param losses: weights and variant of the losses
    :param schedule: of the optimisation
    :param validation: during training
    :param stored: train on clips that were pooled once; the detector must be frozen (`rates:
        {detector: 0}`, `losses: {detector: 0}`). None: create new clips all the time
    :param save_every: iterations between two checkpoints
    :param seed: of all random numbers
    :param workers: number of processes that create clips, for each training process
    """

    model: str
    start: str = ''
    backbone: Path | None = None
    classes: list[str] | Literal['data'] | None = None
    transformer: dict[str, Any] | None = None
    clips: list[
        Annotated[
            Annotated[Stills, Tag('stills')]
            | Annotated[Videos, Tag('videos')]
            | Annotated[People, Tag('people')],
            Discriminator(_kind),
        ]
    ] = Field(min_length=1)
    losses: Losses = Losses()
    schedule: Schedule
    validation: Validation = Validation()
    stored: Stored | None = None
    save_every: int = Field(500, ge=1)
    seed: int = Field(0, ge=0)
    workers: int = Field(2, ge=0)

    @field_validator('model')
    @classmethod
    def _is_registered(cls, name: str) -> str:
        """Raise ValueError if the registry does not contain the model."""
        model_spec(name)
        return name

    @model_validator(mode='after')
    def _is_frozen(self) -> Config:
        """Raise ValueError if clips are stored although the detector is trained."""
        trained = self.losses.detector > 0 or self.schedule.rates.get('detector') != 0
        if self.stored is not None and trained:
            raise ValueError(
                'stored needs a frozen detector; set losses.detector to 0, and schedule.rates to '
                '{detector: 0}'
            )
        return self


class ConfigError(ValueError):
    """An invalid configuration; the message names the file, the key and what was expected."""


def read_config(path: Path, changes: tuple[str, ...] = ()) -> Config:
    """
    Read a configuration.

    :param path: YAML
    :param changes: `key=value`, such as `schedule.iterations=100` or `clips.0.weight=2`; values
        are YAML
    :raises ConfigError: if it cannot be read or is invalid
    """
    try:
        content = parse_yaml(path.read_text())
    except OSError as error:
        raise ConfigError(f'{path} cannot be read: {error.strerror}') from error
    except ValueError as error:
        raise ConfigError(f'{path} is not a configuration: {error}') from error
    if not isinstance(content, dict):
        raise ConfigError(f'{path} has no keys; expected model, clips, schedule and others')
    for change in changes:
        _change(content, change, path)
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        problems = '; '.join(map(_describe_error, error.errors()))
        raise ConfigError(f'{path}: {problems}') from error


def _describe_error(error: Any) -> str:
    """Return the key, what was expected, and the value found."""
    keys = [str(key) for key in error['loc']]
    if len(keys) > 2 and keys[0] == 'clips':
        del keys[2]  # a tag with the entry's type, which is not in the file
    if error['type'] == 'value_error':  # raised here, with the value in its message
        return f'{".".join(keys)}: {error["ctx"]["error"]}'
    value = '' if error['type'] == 'missing' else f', not {error["input"]!r}'
    return f'{".".join(keys)}: {error["msg"]}{value}'


def _change(content: dict, change: str, path: Path) -> None:
    key, equals, value = change.partition('=')
    if not equals:
        raise ConfigError(f'--set {change!r}: expected KEY=VALUE')
    *parents, last = key.split('.')
    node: Any = content
    try:
        for name in parents:
            node = node[int(name)] if isinstance(node, list) else node.setdefault(name, {})
        node[int(last) if isinstance(node, list) else last] = parse_yaml(value)
    except (IndexError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f'--set {change!r} does not fit the content of {path}') from error
