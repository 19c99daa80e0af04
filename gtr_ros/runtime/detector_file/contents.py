# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What an ONNX file contains and refers to, read before anything runs it.

The file may come from anybody. Only the structure is read, directly from the protocol buffer: the
package onnx is not needed, and weights are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
import mmap
from pathlib import Path
import re

#: bytes of the longest protocol buffer
MOST_BYTES = 2**31 - 1

# Numbers of the fields in onnx.proto.
_IR_VERSION, _GRAPH, _FUNCTIONS = 1, 7, 25  # ModelProto
_NODES, _INITIALIZERS, _SPARSE = 1, 5, 15  # GraphProto
_FUNCTION_NODES = 7  # FunctionProto
_OPERATOR, _ATTRIBUTES = 4, 5  # NodeProto
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS, _SPARSE_TENSOR, _SPARSE_TENSORS = 5, 6, 10, 11, 22, 23
_DIMENSIONS, _NAME, _EXTERNAL = 1, 8, 13  # TensorProto
_KEY, _VALUE = 1, 2  # StringStringEntryProto
_MOST_NUMBER = (1 << 29) - 1

#: operators that load what another file contains
_LOADERS = {'EPContext'}
_CLASS_BIAS = re.compile(r'(score_head|class_embed)(\.\d+)?\.bias$')


class DetectorFileError(ValueError):
    """A detector's file cannot be used; the message names what was found and a remedy."""


@dataclass
class Contents:
    """
    What matters here of an ONNX file.

    :param external: files of weights, as the file names them
    :param operators: names of all operators
    :param shapes: of the weights, by name
    """

    external: set[str] = field(default_factory=set)
    operators: set[str] = field(default_factory=set)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def classes(self) -> int | None:
        """The number of classes by the biases of the class scores; None if they do not tell."""
        counts = {
            shape[0]
            for name, shape in self.shapes.items()
            if len(shape) == 1 and _CLASS_BIAS.search(name)
        }
        return counts.pop() if len(counts) == 1 else None


def read_contents(path: Path) -> Contents:
    """
    Read what an ONNX file contains, and check that it stays within its folder.

    :raises DetectorFileError: if there is no such file, it is not ONNX or too long, or it refers
        to a file elsewhere
    """
    if not path.is_file():
        raise DetectorFileError(f'there is no detector at {path}')
    size = path.stat().st_size
    if not 0 < size <= MOST_BYTES:
        raise DetectorFileError(
            f'{path} has {size} bytes; expected an ONNX file of at most {MOST_BYTES}, with larger '
            'weights in a file beside it'
        )
    contents = Contents()
    try:
        with path.open('rb') as file:
            # Not closed here: what is raised while reading still refers to parts of it.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        _read_model(memoryview(data), contents)
    except (ValueError, IndexError, RecursionError) as error:
        raise DetectorFileError(
            f'{path} is not an ONNX file ({error}); export the detector to ONNX'
        ) from None
    except OSError as error:
        raise DetectorFileError(f'cannot read {path}: {error}') from error
    _check_external(path, contents)
    for operator in contents.operators & _LOADERS:
        raise DetectorFileError(
            f'{path} has the operator {operator}, which loads a program for one device; export '
            'the detector to plain ONNX'
        )
    return contents


def _check_external(path: Path, contents: Contents) -> None:
    folder = path.resolve().parent
    for name in sorted(contents.external):
        # ONNX Runtime takes names with a * for addresses in memory.
        plain = name and not set(name) & {'\0', '*'}
        if not plain or not (folder / name).resolve().is_relative_to(folder):
            raise DetectorFileError(
                f'{path} refers to weights in {name!r}, outside its folder; refused, because it '
                'may come from others: export it again with the weights beside it'
            )
        if not (folder / name).is_file():
            raise DetectorFileError(
                f'{path} refers to weights in {name!r}, and there is no {folder / name}; copy '
                'both files'
            )


def _read_model(data: memoryview, contents: Contents) -> None:
    fields = list(_fields(data))
    if not {_IR_VERSION, _GRAPH} <= {number for number, _ in fields}:
        raise ValueError('it has no graph')
    for number, part in fields:
        if number == _GRAPH:
            _read_graph(_message(part), contents)
        elif number == _FUNCTIONS:
            for inner, node in _fields(_message(part)):
                if inner == _FUNCTION_NODES:
                    _read_node(_message(node), contents)


def _read_graph(data: memoryview, contents: Contents) -> None:
    for number, part in _fields(data):
        if number == _NODES:
            _read_node(_message(part), contents)
        elif number == _INITIALIZERS:
            _read_tensor(_message(part), contents)
        elif number == _SPARSE:
            _read_sparse(_message(part), contents)


def _read_node(data: memoryview, contents: Contents) -> None:
    for number, part in _fields(data):
        if number == _OPERATOR:
            contents.operators.add(_text(part))
        elif number == _ATTRIBUTES:
            for kind, value in _fields(_message(part)):
                if kind in (_TENSOR, _TENSORS):
                    _read_tensor(_message(value), contents)
                elif kind in (_SUBGRAPH, _SUBGRAPHS):
                    _read_graph(_message(value), contents)
                elif kind in (_SPARSE_TENSOR, _SPARSE_TENSORS):
                    _read_sparse(_message(value), contents)


def _read_sparse(data: memoryview, contents: Contents) -> None:
    for number, part in _fields(data):
        if number in (1, 2):  # values, indices
            _read_tensor(_message(part), contents)


def _read_tensor(data: memoryview, contents: Contents) -> None:
    name, shape = '', []
    for number, part in _fields(data):
        if number == _DIMENSIONS:
            shape += [part] if isinstance(part, int) else _packed(part)
        elif number == _NAME:
            name = _text(part)
        elif number == _EXTERNAL:
            entry = {key: _text(value) for key, value in _fields(_message(part))}
            if entry.get(_KEY) == 'location':
                contents.external.add(entry.get(_VALUE, ''))
    contents.shapes[name] = tuple(shape)


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """
    Yield number and value of each field of a message.

    :raises ValueError: if it is not a message
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if not 0 < number <= _MOST_NUMBER:
            raise ValueError('it is damaged')
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == 2:
            length, at = _varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f'a field has the unknown type {kind}')
        if length > end - at:
            raise ValueError('it is damaged, or cut off')
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the number at a place, and the place after it."""
    value = 0
    for i in range(10):
        byte = data[at + i]
        value |= (byte & 127) << (7 * i)
        if byte < 128:
            return value, at + i + 1
    raise ValueError('it is damaged')


def _packed(data: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _message(part: int | memoryview) -> memoryview:
    if isinstance(part, int):
        raise ValueError('it is damaged')
    return part


def _text(part: int | memoryview) -> str:
    return bytes(_message(part)).decode(errors='replace')
