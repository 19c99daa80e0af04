# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mutations of files and values: what damage, other programs and attackers do to them."""

from __future__ import annotations

from collections.abc import Sequence
import copy
import json
import math
import re
import struct
from typing import Any

import numpy as np

_TOKENS = (
    b'nan', b'NaN', b'inf', b'-inf', b'Infinity', b'1e400', b'-1e400', b'1e-400', b'-0', b'-0.0',
    b'0', b'-1', b'1', b'1.5', b'2147483648', b'9223372036854775808', b'9' * 30, b'9' * 5000,
    b'1e308', b'0x10', b'1_000', b'null', b'true', b'{}', b'[]', b'""', b'\0', b'\xff', b'\xc3',
    b'\xef\xbb\xbf', b'\xff\xfe', '\u2028'.encode(), '\u0661'.encode(), '\U0001f600'.encode(),
    b'\\ud800', b',', b';', b'\t', b' ', b'"', b"'", b'\n', b'\r', b'\r\n', b'#', b'%', b'%(a)s',
    b'[', b']', b'{', b'}', b':', b'=', b'&a', b'*a', b'!!python/name:os.system', b'<<', b'- ',
    b'../', b'/', b'a' * 1000,
)  # fmt: skip
_NESTED = (b'[', b'{"a":', b'(', b'- ', b'[[[[', b'"')
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 7, 255, 65536, 2**31, 2**53 + 1, 2**63, -(2**63), 2**64,
    10**25, 10**400, 0.0, -0.0, 0.5, 1.5, -1e-9, 1e-320, 1e16, 1e30, 1e308, math.nan, math.inf,
    -math.inf, '', ' ', '0', '1', '-1', '7', '07', '7.0', '1.5', 'nan', 'inf', '1e400', '1_0',
    'person', 'true', '\0', '\ud800', '\u0661', 'a' * 500, '../x', [], [1], [[]], [None], {},
    {'id': 1}, {'': None}, [1, 2, 3, 4], [0, 0, 1e30, 1], ['1', '2', '3', '4'],
)  # fmt: skip
_NUMBER = re.compile(rb'-?\d+(?:\.\d+)?')
_DEPTH = 3000  # of nested brackets


def mutate_bytes(samples: Sequence[bytes], chance: np.random.Generator) -> bytes:
    """Change one of the samples, in one to four places."""
    data = samples[int(chance.integers(len(samples)))]
    for _ in range(1 + int(chance.geometric(0.6)) % 4):
        data = _MUTATIONS[int(chance.integers(len(_MUTATIONS)))](data, samples, chance)
    return data


def mutate_tree(value: Any, chance: np.random.Generator) -> Any:
    """Change one to three places of a value of lists and dictionaries, such as JSON."""
    value = copy.deepcopy(value)
    for _ in range(1 + int(chance.geometric(0.6)) % 3):
        value = _change_place(value, chance)
    return value


def mutate_json(sample: bytes, chance: np.random.Generator) -> bytes:
    """Change a JSON text by its structure; numbers may be what JSON does not have."""
    return json.dumps(mutate_tree(json.loads(sample), chance)).encode()


def mutate_arrays(arrays: dict[str, np.ndarray], chance: np.random.Generator) -> dict:
    """Change a value, the type, the shape or the name of one of several arrays."""
    arrays = {name: array.copy() for name, array in arrays.items()}
    name = list(arrays)[int(chance.integers(len(arrays)))]
    array = arrays[name]
    kind = int(chance.integers(6))
    if kind <= 2 and array.size and array.dtype.kind in 'iuf':
        values = (np.nan, np.inf, -np.inf, -1, 0, 0.5, 1e30, -1e30, 2**53, 1e308)
        wanted = values[int(chance.integers(len(values)))]
        if kind == 0:
            array = array.astype(np.float64)
        with np.errstate(all='ignore'):
            array.flat[int(chance.integers(array.size))] = _fit(wanted, array.dtype)
    elif kind == 3:
        types = ('f2', 'f4', 'f8', 'i1', 'u8', 'c8', '?', 'U3', 'S2', 'M8[s]', 'V4')
        try:
            with np.errstate(all='ignore'):
                array = array.astype(types[int(chance.integers(len(types)))])
        except (ValueError, TypeError, OverflowError):
            array = np.zeros(array.shape, 'V4')
    elif kind == 4:
        shapes = (array[:-1], array[None], array.ravel(), array[:0], array.T, array[0])
        array = shapes[int(chance.integers(len(shapes)))]
    elif chance.random() < 0.5:
        arrays['other'] = arrays.pop(name)
        return arrays
    else:
        array = array[chance.permutation(len(array))] if array.ndim else array
    return arrays | {name: array}


def special_value(kind: type, chance: np.random.Generator, limits: tuple[int, int]) -> Any:
    """Return a special number, text or flag of a type; whole numbers are within the limits."""
    if kind is bool:
        return bool(chance.integers(2))
    fitting = [value for value in _VALUES if type(value) is kind]
    if kind is int:
        fitting = [value for value in fitting if limits[0] <= value <= limits[1]] + [*limits]
    if kind is str:  # a message cannot hold half of a pair of surrogates
        fitting = [value for value in fitting if value.isascii() or value == '\u0661']
    return fitting[int(chance.integers(len(fitting)))]


def _fit(value: float, kind: np.dtype) -> Any:
    if kind.kind == 'f':
        return value
    limits = np.iinfo(kind)
    value = 0 if math.isnan(value) else value
    return int(min(max(value, int(limits.min)), int(limits.max)))


def _change_place(value: Any, chance: np.random.Generator) -> Any:
    places = _places(value)
    if not places:
        return _VALUES[int(chance.integers(len(_VALUES)))]
    owner, key = places[int(chance.integers(len(places)))]
    kind = int(chance.integers(6))
    if kind == 0:
        del owner[key]
    elif kind == 1 and isinstance(owner, list):
        owner.append(copy.deepcopy(owner[key]))
    elif kind == 1:
        owner[str(special_value(str, chance, (0, 0)))] = owner.pop(key)
    elif kind == 2:
        other, its_key = places[int(chance.integers(len(places)))]
        owner[key] = copy.deepcopy(other[its_key])
    else:
        owner[key] = copy.deepcopy(_VALUES[int(chance.integers(len(_VALUES)))])
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every place in lists and dictionaries: the owner and the key."""
    found: list[tuple[Any, Any]] = []
    todo = [value]
    while todo:
        each = todo.pop()
        if isinstance(each, dict | list):
            keys = each if isinstance(each, dict) else range(len(each))
            found += [(each, key) for key in keys]
            todo += each.values() if isinstance(each, dict) else each
    return found


def _flip(data: bytes, samples: Sequence[bytes], chance: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(chance.integers(1, 5))):
        if changed:
            changed[int(chance.integers(len(changed)))] ^= 1 << int(chance.integers(8))
    return bytes(changed)


def _cut(data: bytes, samples: Sequence[bytes], chance: np.random.Generator) -> bytes:
    return data[: int(chance.integers(len(data) + 1))]


def _remove(data: bytes, samples: Sequence[bytes], chance: np.random.Generator) -> bytes:
    begin, end = _span(data, chance)
    return data[:begin] + data[end:]


def _repeat(data: bytes, samples: Sequence[bytes], chance: np.random.Generator) -> bytes:
    begin, end = _span(data, chance)
    return data[:end] + data[begin:end] * int(chance.integers(1, 4)) + data[end:]


def _insert(data: bytes, samples: Sequence[bytes], chance: np.random.Generator) -> bytes:
    place, token = int(chance.integers(len(data) + 1)), _token(chance)
    return data[:place] + token + data[place:]


def _number(data: bytes, samples: Sequence[bytes], chance: np.random.Generator) -> bytes:
    found = list(_NUMBER.finditer(data[:4000]))
    if not found:
        return _insert(data, samples, chance)
    one = found[int(chance.integers(len(found)))]
    return data[: one.start()] + _token(chance) + data[one.end() :]


def _lines(data: bytes, samples: Sequence[bytes], chance: np.random.Generator) -> bytes:
    lines = data.split(b'\n')
    one, other = (int(i) for i in chance.integers(len(lines), size=2))
    if chance.random() < 0.5:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines.insert(one, lines[other])
    return b'\n'.join(lines)


def _words(data: bytes, samples: Sequence[bytes], chance: np.random.Generator) -> bytes:
    """Overwrite four or eight bytes, as damaged lengths and offsets."""
    width, form = ((4, '<I'), (8, '<Q'), (4, '>I'))[int(chance.integers(3))]
    if len(data) < width:
        return data
    place = int(chance.integers(len(data) - width + 1))
    most = 2 ** (8 * width) - 1
    values = (0, 1, 0xFFFF, most // 2, most // 2 + 1, most, len(data))
    value = values[int(chance.integers(len(values)))]
    return data[:place] + struct.pack(form, value) + data[place + width :]


def _splice(data: bytes, samples: Sequence[bytes], chance: np.random.Generator) -> bytes:
    other = samples[int(chance.integers(len(samples)))]
    begin = int(chance.integers(len(other) + 1))
    return data[: int(chance.integers(len(data) + 1))] + other[begin:]


def _nest(data: bytes, samples: Sequence[bytes], chance: np.random.Generator) -> bytes:
    if chance.random() < 0.9:  # these are slow to read
        return _insert(data, samples, chance)
    place, token = int(chance.integers(len(data) + 1)), _NESTED[int(chance.integers(len(_NESTED)))]
    return data[:place] + token * _DEPTH + data[place:]


def _token(chance: np.random.Generator) -> bytes:
    return _TOKENS[int(chance.integers(len(_TOKENS)))]


def _span(data: bytes, chance: np.random.Generator) -> tuple[int, int]:
    begin = int(chance.integers(len(data) + 1))
    return begin, min(len(data), begin + int(chance.geometric(0.05)))


_MUTATIONS = (_flip, _cut, _remove, _repeat, _insert, _number, _number, _lines, _words, _splice,
              _nest)  # fmt: skip
