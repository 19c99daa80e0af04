# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of every kind are read alike by everything that reads pictures, or refused by all."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
import struct
from types import SimpleNamespace
import zlib

import numpy as np
from PIL import Image
import pytest

from gtr_ros.data.formats.images import frame_folder
from gtr_ros.data.formats.images import read_image
from gtr_ros.data.stills.still import ImageObjects
from gtr_ros.media.image_files import ImageFilesReader
from gtr_ros.media.pixels import decompress
from gtr_ros.media.pixels import ImageError
from gtr_ros.media.pixels import read_picture

RAMP = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (48, 1))


def png16(path: Path, samples: np.ndarray, kind: int) -> None:
    """Write a PNG of 16 bits; samples are (H, W, channels) uint16, kind is its colour type."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        )

    height, width = samples.shape[:2]
    rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in samples)
    header = struct.pack('>IIBBBBB', width, height, 16, kind, 0, 0, 0)
    data = chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + data)


def tiff16(path: Path, samples: np.ndarray, order: str) -> None:
    """Write an uncompressed TIFF of 16-bit RGB; samples are (H, W, 3) uint16."""
    height, width = samples.shape[:2]
    data = samples.astype(f'{order}u2').tobytes()
    after = 8 + 2 + 12 * 9 + 4  # where the bits of the three channels are
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, after),
        (259, 4, 1, 1),
        (262, 4, 1, 2),
        (273, 4, 1, after + 6),
        (277, 4, 1, 3),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
    ]
    fields = b''.join(struct.pack(f'{order}HHII', *entry) for entry in entries)
    head = (b'II' if order == '<' else b'MM') + struct.pack(f'{order}HIH', 42, 8, len(entries))
    bits = struct.pack(f'{order}I3H', 0, 16, 16, 16)
    path.write_bytes(head + fields + bits + data)


def colour(depth: type = np.uint8) -> np.ndarray:
    ramp = np.stack([RAMP, RAMP[:, ::-1], RAMP // 2], axis=2)
    return ramp if depth is np.uint16 else (ramp >> 8).astype(np.uint8)


def alpha() -> np.ndarray:
    return np.where(np.arange(64) < 32, 0, 65535).astype(np.uint16) * np.ones((48, 1), np.uint16)


def write(path: Path, kind: str) -> np.ndarray:
    """Write a picture; return what it shows, (48, 64, 3) uint8."""
    picture, grey = Image.fromarray(colour()), Image.fromarray((RAMP >> 8).astype(np.uint8))
    expected = colour()
    if kind == 'rgb':
        picture.save(path)
    elif kind == 'rgb of 16 bits':
        png16(path, colour(np.uint16), 2)
    elif kind == 'rgba of 16 bits':
        png16(path, np.dstack([colour(np.uint16), alpha()]), 6)
    elif kind == 'rgba':
        Image.fromarray(np.dstack([colour(), (alpha() >> 8).astype(np.uint8)])).save(path)
    elif kind in ('tiff of 16 bits, <', 'tiff of 16 bits, >'):
        tiff16(path, colour(np.uint16), kind[-1])
    elif kind == 'grey':
        grey.save(path)
        expected = np.array(grey.convert('RGB'))
    elif kind == 'palette':
        grey.quantize(256).save(path)
        expected = np.array(grey.convert('RGB'))
    elif kind == '1 bit':
        grey.point(lambda level: 255 * (level > 127)).convert('1').save(path)
        expected = np.repeat(np.where(RAMP >> 8 > 127, 255, 0)[:, :, None], 3, axis=2)
    elif kind == 'cmyk':
        picture.convert('CMYK').save(path, 'JPEG', quality=95, subsampling=0)
    elif kind == 'grey of 16 bits':
        png16(path, RAMP[:, :, None], 0)
    elif kind == 'grey tiff of 16 bits':
        Image.fromarray(RAMP).save(path)
    elif kind == 'float tiff':
        Image.fromarray((RAMP / 65535).astype(np.float32)).save(path)
    elif kind == 'whole tiff of 32 bits':
        Image.fromarray(RAMP.astype(np.int32)).save(path)
    else:
        picture.convert('LAB').save(path)
    return expected


READERS = {
    'labelled images': lambda path: ImageObjects().still(path, (48, 64)).image(),
    'labelled videos': read_image,
    'folders of frames': lambda path: next(iter(frame_folder(path.parent).images())),
    'gtr track': lambda path: next(iter(ImageFilesReader([path], 10))).image,
    'messages': lambda path: decompress(SimpleNamespace(data=path.read_bytes(), format='')),
}
SUFFIXES = {'cmyk': '.jpg', 'rgb': '.png', 'lab': '.tif'}


def suffix_of(kind: str) -> str:
    return SUFFIXES.get(kind, '.tif' if 'tiff' in kind else '.png')


@pytest.mark.parametrize('reader', READERS)
@pytest.mark.parametrize(
    'kind',
    [
        'rgb',
        'rgb of 16 bits',
        'rgba of 16 bits',
        'tiff of 16 bits, <',
        'tiff of 16 bits, >',
        'rgba',
        'grey',
        'palette',
        '1 bit',
        'cmyk',
    ],
)
def test_a_picture_of_any_kind_is_what_it_shows(tmp_path, kind, reader):
    path = tmp_path / f'1{suffix_of(kind)}'
    expected = write(path, kind)
    found = READERS[reader](path)
    assert (found.dtype, found.shape) == (np.uint8, (48, 64, 3))
    assert np.abs(found.astype(int) - expected).max() <= (12 if kind == 'cmyk' else 1)


@pytest.mark.parametrize('reader', READERS)
@pytest.mark.parametrize(
    'kind',
    ['grey of 16 bits', 'grey tiff of 16 bits', 'float tiff', 'whole tiff of 32 bits', 'lab'],
)
def test_a_picture_whose_range_is_not_known_is_refused_by_every_reader(tmp_path, kind, reader):
    path = tmp_path / f'1{suffix_of(kind)}'
    write(path, kind)
    with pytest.raises(ValueError, match='expected 8 bits per channel'):
        READERS[reader](path)


@pytest.mark.parametrize('data', [b'P6 {} 12 255\n', b'P6 ' + b'9' * 60 + b' 1 255\n', b'P6'])
def test_whatever_pillow_raises_is_an_image_error(data):
    with pytest.raises(ImageError):
        read_picture(BytesIO(data))
