# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a detector's file expects and returns, and the YAML in which a user says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtr_ros.model.coco import CLASS_NAMES
from gtr_ros.parsing import parse_yaml
from gtr_ros.parsing import ParseError
from gtr_ros.runtime.detector_file.contents import DetectorFileError

#: what the outputs contain; `gtr_ros.runtime.detector_file.layouts` decodes them
LAYOUTS = ('yolox', 'yolox-raw', 'detections', 'logits')

#: bounds of a side of the input, pixels
SIDES = (32, 4096)

_MOST_BYTES = 1 << 20  # of a YAML
# Ids of the categories of COCO that no object has, of 0 to 90.
_UNUSED = (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)


@dataclass(frozen=True)
class Format:
    """
    How to feed a detector, and what its outputs mean: the keys of the YAML.

    :param family: key of `FAMILIES`
    :param layout: of the outputs, one of `LAYOUTS`
    :param width: of the input, pixels
    :param height: of the input, pixels
    :param names: of the class of each index in the outputs; None: not an object
    :param boxes: unit of the boxes, 'pixels' of the input or 'fractions' of it
    :param resize: 'stretch' or 'letterbox', which keeps the aspect ratio and pads
    :param pad: place of the image in a letterbox: 'corner' (top left) or 'centre'
    :param padding_value: grey level of the padding, 0..255
    :param channels: their order, 'rgb' or 'bgr'
    :param scale: 255 or 1: the values of the input are 0..scale, before mean and std
    :param mean: is subtracted from each channel of the input
    :param std: by which each channel is divided then
    :param score_threshold: boxes with a lower score are left out
    :param nms_threshold: IoU above which the worse of two boxes of a class is left out; 1: none
    """

    family: str
    layout: str
    width: int
    height: int
    names: tuple[str | None, ...]
    boxes: str
    resize: str = 'stretch'
    pad: str = 'corner'
    padding_value: float = 114.0
    channels: str = 'rgb'
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    score_threshold: float = 0.0
    nms_threshold: float = 1.0

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes that are objects, in the order of their labels."""
        return tuple(name for name in self.names if name is not None)

    def describe(self) -> str:
        """Return family, input and classes, for a log."""
        resized = f'letterbox {self.pad}' if self.resize == 'letterbox' else 'stretched'
        normal = self.mean != Format.mean or self.std != Format.std
        classes = self.class_names
        known = 'COCO' if classes == CLASS_NAMES else ', '.join(classes[:3])
        more = ', ...' if known != 'COCO' and len(classes) > 3 else ''
        return (
            f'{self.family} ({self.layout}), input {self.width} x {self.height} {resized}, '
            f'{self.channels.upper()} 0..{self.scale:g}{", mean and std" if normal else ""}, '
            f'{len(classes)} classes ({known}{more})'
        )


#: what the exporters of each family write, unless the YAML says otherwise
FAMILIES: dict[str, dict[str, Any]] = {
    'yolox': {
        'boxes': 'pixels',
        'resize': 'letterbox',
        'channels': 'bgr',
        'scale': 255.0,
        'nms_threshold': 0.45,
    },
    # also D-FINE and DEIM, which kept its exporter
    'rt-detr': {},
    'rf-detr': {'mean': (0.485, 0.456, 0.406), 'std': (0.229, 0.224, 0.225)},
}


def coco_names(classes: int) -> tuple[str | None, ...] | None:
    """Return the names of COCO for 80 classes, or for its 91 ids; None for another number."""
    if classes == len(CLASS_NAMES):
        return CLASS_NAMES
    if classes != len(CLASS_NAMES) + len(_UNUSED):
        return None
    names = iter(CLASS_NAMES)
    return tuple(None if i in _UNUSED else next(names) for i in range(classes))


def find_files(path: Path) -> tuple[Path, Path, dict[str, Any]]:
    """
    Return a detector's ONNX file, the YAML that describes it, and what that says.

    :param path: FILE.onnx, or FILE.yaml, which may name another ONNX file as `file`
    :return: the YAML may not exist; then nothing is said
    :raises DetectorFileError: if a file is missing or not readable, or a key or value is unknown
    """
    path = path.expanduser()
    if path.suffix == '.onnx':
        yaml = path.with_suffix('.yaml')
        told = read_settings(yaml) if yaml.is_file() else {}
        if told.pop('file', path.name) != path.name:
            raise DetectorFileError(
                f'{yaml} is about another file than {path.name}; give {yaml} as the detector'
            )
        return path, yaml, told
    if not path.is_file():
        raise DetectorFileError(f'there is no detector at {path}')
    told = read_settings(path)
    return path.parent / told.pop('file', f'{path.stem}.onnx'), path, told


def read_settings(path: Path) -> dict[str, Any]:
    """
    Read a YAML with some of the fields of `Format`, and `file`.

    :raises DetectorFileError: names the key, the value and what was expected
    """
    try:
        data = path.read_bytes()
        if len(data) > _MOST_BYTES:
            raise DetectorFileError(f'{path} has {len(data)} bytes; expected a few lines of YAML')
        told = parse_yaml(data.decode(errors='replace'))
    except OSError as error:
        raise DetectorFileError(f'cannot read {path}: {error}') from error
    except ParseError as error:
        raise DetectorFileError(f'{path} is {" ".join(str(error).split())}') from None
    told = {} if told is None else told
    if not isinstance(told, dict):
        raise DetectorFileError(f'{path} is not a list of keys and values, such as names: coco')
    return {key: _checked(path, key, value) for key, value in told.items()}


def _checked(path: Path, key: Any, value: Any) -> Any:
    """Return a value in the form that `Format` has."""
    if key not in _RULES:
        raise DetectorFileError(f'{path} has {key!r}; expected some of {", ".join(_RULES)}')
    convert, expected = _RULES[key]
    try:
        return convert(value)
    except (ValueError, TypeError):
        raise DetectorFileError(f'{path}: {key} is {value!r}; expected {expected}') from None


def _number(least: float, most: float, kind: type = float) -> Callable[[Any], float]:
    def convert(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError
        if not least <= value <= most or kind(value) != value:
            raise ValueError
        return kind(value)

    return convert


def _one_of(*known: Any) -> tuple[Callable[[Any], Any], str]:
    def convert(value: Any) -> Any:
        if isinstance(value, bool) or value not in known:
            raise ValueError
        return value

    return convert, ' or '.join(map(str, known))


def _three(positive: bool) -> Callable[[Any], tuple[float, ...]]:
    def convert(value: Any) -> tuple[float, ...]:
        numbers = tuple(map(_number(-1e6, 1e6), value))
        if len(numbers) != 3 or (positive and min(numbers) <= 0):
            raise ValueError
        return numbers

    return convert


def _names(value: Any) -> str | tuple[str | None, ...]:
    if value == 'coco':
        return value
    if not isinstance(value, list) or not all(n is None or isinstance(n, str) for n in value):
        raise TypeError
    names = [name for name in value if name is not None]
    if not names or not all(name.strip() for name in names) or len(set(names)) < len(names):
        raise ValueError
    return tuple(value)


def _file(value: Any) -> str:
    if not isinstance(value, str) or not value.endswith('.onnx'):
        raise ValueError
    return value


_RULES: dict[str, tuple[Callable[[Any], Any], str]] = {
    'file': (_file, 'the path of an ONNX file, from the folder of this file'),
    'family': _one_of(*FAMILIES),
    'layout': _one_of(*LAYOUTS),
    'width': (_number(*SIDES, int), f'whole pixels from {SIDES[0]} to {SIDES[1]}'),
    'height': (_number(*SIDES, int), f'whole pixels from {SIDES[0]} to {SIDES[1]}'),
    'names': (
        _names,
        'coco, or a list with a different name for each class; null for one that is no object',
    ),
    'boxes': _one_of('pixels', 'fractions'),
    'resize': _one_of('stretch', 'letterbox'),
    'pad': _one_of('corner', 'centre'),
    'padding_value': (_number(0, 255), 'a number from 0 to 255'),
    'channels': _one_of('rgb', 'bgr'),
    'scale': _one_of(255, 1),
    'mean': (_three(False), 'three numbers'),
    'std': (_three(True), 'three numbers above 0'),
    'score_threshold': (_number(0, 1), 'a number from 0 to 1'),
    'nms_threshold': (_number(0, 1), 'a number from 0 to 1'),
}
