# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads skinned meshes from GLB files (binary glTF 2.0 without extensions)."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
import json
from pathlib import Path
import struct
from typing import NamedTuple

import numpy as np
from PIL import Image

from gtr_ros.data.formats.errors import FormatError

_HEADER = struct.Struct('<4sII')
_CHUNK = struct.Struct('<I4s')
#: component types of glTF
_TYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_WIDTHS = {'SCALAR': 1, 'VEC2': 2, 'VEC3': 3, 'VEC4': 4, 'MAT4': 16}


class Mesh(NamedTuple):
    """
    A skinned mesh of V vertices and F triangles.

    :param positions: (V, 3) float32, metres
    :param normals: (V, 3) float32
    :param uv: (V, 2) float32 in 0..1, v down
    :param joints: (V, 4) uint8
    :param weights: (V, 4) float32
    :param triangles: (F, 3) int64
    """

    positions: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    joints: np.ndarray
    weights: np.ndarray
    triangles: np.ndarray


class Glb:
    """
    A GLB file with one skin.

    :raises FormatError: if it is not one
    :raises OSError: if it cannot be read
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        data = file.read_bytes()
        try:
            magic, version, length = _HEADER.unpack_from(data)
            if magic != b'glTF' or version != 2 or length > len(data):
                raise FormatError(file, 'expected a complete GLB file (binary glTF 2.0)')
            text, after = self._chunk(data, _HEADER.size, b'JSON')
            self._data, _ = self._chunk(data, after, b'BIN\0')
            self._json = json.loads(text)
        except (struct.error, ValueError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(file, f'expected a GLB file (binary glTF 2.0): {error}') from error

    def _chunk(self, data: bytes, start: int, expected: bytes) -> tuple[bytes, int]:
        """Return a chunk's content, and where the next one starts."""
        size, kind = _CHUNK.unpack_from(data, start)
        if kind != expected:
            raise FormatError(self.file, f'has a chunk {kind!r} where {expected!r} is expected')
        start += _CHUNK.size
        return data[start : start + size], start + size

    def joint_names(self) -> tuple[str, ...]:
        """Return the names of the skin's joints, in the order of their indices."""
        try:
            nodes = self._json['nodes']
            return tuple(
                nodes[index].get('name', '') for index in self._json['skins'][0]['joints']
            )
        except (KeyError, IndexError, TypeError) as error:
            raise FormatError(self.file, 'expected a skin with joints') from error

    def inverse_bind(self) -> np.ndarray:
        """Return the skin's inverse bind matrices, (J, 4, 4) float32."""
        stored = self._array(self._json['skins'][0].get('inverseBindMatrices'))
        return stored.reshape(-1, 4, 4).transpose(0, 2, 1).astype(np.float32)  # columns first

    def meshes(self) -> Iterator[tuple[str, Mesh]]:
        """Yield name and content of each mesh."""
        for mesh in self._json.get('meshes', ()):
            for part in mesh['primitives']:
                attributes = part['attributes']
                yield (
                    mesh['name'],
                    Mesh(
                        positions=self._array(attributes.get('POSITION')),
                        normals=self._array(attributes.get('NORMAL')),
                        uv=self._array(attributes.get('TEXCOORD_0')),
                        joints=self._array(attributes.get('JOINTS_0')),
                        weights=self._array(attributes.get('WEIGHTS_0')),
                        triangles=self._array(part.get('indices')).astype(np.int64).reshape(-1, 3),
                    ),
                )

    def texture(self, material: str, size: int) -> np.ndarray:
        """
        Return the colours of a material, (size, size, 3) uint8 RGB.

        :raises FormatError: if there is no such material, or its texture has another size
        """
        for entry in self._json.get('materials', ()):
            if entry.get('name') == material:
                texture = entry['pbrMetallicRoughness']['baseColorTexture']['index']
                image = self._json['images'][self._json['textures'][texture]['source']]
                with Image.open(BytesIO(self._view(image['bufferView']))) as opened:
                    pixels = np.asarray(opened.convert('RGB'))
                if pixels.shape[:2] != (size, size):
                    raise FormatError(
                        self.file,
                        f'the texture of {material} has {pixels.shape[1]} x {pixels.shape[0]} '
                        f'pixels; expected {size} x {size}',
                    )
                return pixels
        raise FormatError(self.file, f'has no material {material!r}')

    def _view(self, index: int) -> bytes:
        view = self._json['bufferViews'][index]
        start = view.get('byteOffset', 0)
        return self._data[start : start + view['byteLength']]

    def _array(self, index: int | None) -> np.ndarray:
        """Return the content of an accessor, (count, width)."""
        try:
            accessor = self._json['accessors'][index]
            kind, width = _TYPES[accessor['componentType']], _WIDTHS[accessor['type']]
            view = self._json['bufferViews'][accessor['bufferView']]
        except (KeyError, IndexError, TypeError) as error:
            raise FormatError(self.file, f'has no readable accessor {index}: {error}') from error
        row = np.dtype(kind).itemsize * width
        if view.get('byteStride', row) != row:
            raise FormatError(self.file, 'has interleaved attributes; expected separate ones')
        start = view.get('byteOffset', 0) + accessor.get('byteOffset', 0)
        stop = start + row * accessor['count']
        if stop > len(self._data):
            raise FormatError(self.file, 'ends before its data; the file is cut short')
        return np.frombuffer(self._data, kind, accessor['count'] * width, start).reshape(-1, width)
