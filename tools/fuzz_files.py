# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parsers of files and texts, each with small valid samples, as subjects of `tools/fuzz.py`."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
import json
from pathlib import Path
import shutil
from typing import Any
from typing import NamedTuple

from fuzz_mutations import mutate_arrays
from fuzz_mutations import mutate_bytes
from fuzz_mutations import mutate_json
import numpy as np
from PIL import Image

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.sequence import Sequence


class Subject(NamedTuple):
    """
    A parser under test.

    :param mutate: returns a changed input
    :param read: reads an input; raises AssertionError if it accepts what it must not
    :param errors: what `read` may raise, as documented
    :param valid: inputs that are accepted
    """

    mutate: Callable[[np.random.Generator], Any]
    read: Callable[[Any], Any]
    errors: tuple[type[Exception], ...] = (FormatError,)
    valid: tuple[Any, ...] = ()


_PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
_ROWS = ''.join(f'{t},{i},{9 * i + t},{2 + t},{12.5},{20},1,1,0.8\n' for t in (1, 2, 3)
                for i in (1, 2)).encode()  # fmt: skip
_BOXES = b''.join(b'%d,-1,%d,5,12,15.5,0.%d,-1,-1,-1\n' % (t, 4 + t, t) for t in range(1, 5))
_INFO = (
    b'[Sequence]\nname=made\nimDir=img1\nframeRate=10\nseqLength=4\nimWidth=64\nimHeight=48\n'
    b'imExt=.jpg\n'
)
_KITTI = (
    b'0 1 Car 0 0 -1.5 100 120 200 180 1.5 1.6 3.7 2.1 1.4 8.4 0.1\n'
    b'0 2 Pedestrian 0 1 0.2 300 150 340 240 1.7 0.6 0.8 5.1 1.3 9.9 -1.2\n'
    b'1 -1 DontCare -1 -1 -10 500 160 560 180 -1 -1 -1 -1000 -1000 -1000 -10\n'
    b'1 1 Van 0 3 -1.5 104 121 204 182 1.5 1.6 3.7 2.2 1.4 8.2 0.1\n'
)
_IMAGES = [
    {'id': i, 'file_name': f'{i}.png', 'height': 24, 'width': 32, 'video_id': 1, 'frame_index': i}
    for i in range(3)
]
_ANNOTATIONS = [
    {'id': 1 + i, 'image_id': i, 'category_id': 1 + i % 2, 'bbox': [2.0, 3, 9 + i, 12.5],
     'iscrowd': 0, 'track_id': 7, 'video_id': 1, 'area': 100.0}
    for i in range(3)
]  # fmt: skip
_COCO = {
    'images': _IMAGES,
    'annotations': _ANNOTATIONS,
    'categories': [{'id': 1, 'name': 'person'}, {'id': 2, 'name': 'dog'}],
}
_TAO = {
    **_COCO,
    'videos': [{'id': 1, 'name': 'a', 'neg_category_ids': [2], 'fps': 30,
                'not_exhaustive_category_ids': []}],
    'tracks': [{'id': 7, 'category_id': 1, 'video_id': 1}],
    'categories': [{'id': 1, 'name': 'person', 'merged': [{'id': 2}]}, {'id': 2, 'name': 'dog'}],
}  # fmt: skip
_LVIS = {
    **_COCO,
    'images': [{**image, 'neg_category_ids': [2], 'not_exhaustive_category_ids': [],
                'coco_url': f'http://x/train2017/{image["file_name"]}'} for image in _IMAGES],
    'annotations': [{**each, 'category_id': 1} for each in _ANNOTATIONS],
    'categories': [{'id': 1, 'name': 'person'}, {'id': 2, 'name': 'dog'}],
}  # fmt: skip
_CROWD = b'\n'.join(
    json.dumps(
        {'ID': str(i), 'gtboxes': [
            {'tag': 'person', 'fbox': [1, 2, 10, 20], 'extra': {'ignore': 0}},
            {'tag': 'mask', 'fbox': [4, 2, 10, 20], 'extra': {'ignore': 1}},
        ]}
    ).encode() for i in range(3)
)  # fmt: skip


def check_sequence(sequence: Sequence) -> None:
    """Raise AssertionError if an accepted sequence is not what its class says."""
    assert len(sequence.truth) == len(sequence.stamps)
    assert min(sequence.image_size) > 0
    assert 0 < sequence.frame_rate < np.inf
    for truth in sequence.truth:
        assert np.isfinite(truth.boxes).all()
        assert (truth.boxes[:, 2:] > truth.boxes[:, :2]).all()
        assert len(truth.ids) == len(truth.boxes) == len(truth.labels)
        assert (truth.labels >= 0).all()
        assert (truth.labels < len(sequence.class_names)).all()


def of_text(path: Path, samples: tuple[bytes, ...], read: Callable[[Path], Any]) -> Subject:
    """Return the subject of a function that reads a file."""

    def read_file(data: bytes) -> Any:
        path.write_bytes(data)
        return read(path)

    return Subject(lambda chance: mutate_bytes(samples, chance), read_file, valid=samples)


def of_json(path: Path, content: Any, read: Callable[[Path], Any]) -> Subject:
    """Return the subject of a function that reads JSON: changed by bytes or by its structure."""
    sample = json.dumps(content).encode()

    def mutate(chance: np.random.Generator) -> bytes:
        if chance.random() < 0.3:
            return mutate_bytes((sample,), chance)
        return mutate_json(sample, chance)

    return of_text(path, (sample,), read)._replace(mutate=mutate)


def motchallenge_rows(folder: Path) -> Subject:
    from gtr_ros.data.formats.motchallenge import read_rows

    def read(path: Path) -> None:
        for ids in (True, False):
            try:
                rows = read_rows(path, 50, ids)
            except FormatError:
                continue
            assert all(1 <= row.frame <= 50 and np.isfinite(row.box).all() for row in rows)

    return of_text(folder / 'gt.txt', (_ROWS, _BOXES), read)


def motchallenge_folder(folder: Path) -> Subject:
    from gtr_ros.data.formats.motchallenge import read_motchallenge

    (folder / 'seqinfo.ini').write_bytes(_INFO)
    return of_text(
        folder / 'gt.txt', (_ROWS,), lambda path: check_sequence(read_motchallenge(folder))
    )


def seqinfo(folder: Path) -> Subject:
    from gtr_ros.data.formats.motchallenge import read_motchallenge

    (folder / 'gt.txt').write_bytes(_ROWS)
    return of_text(
        folder / 'seqinfo.ini', (_INFO,), lambda path: check_sequence(read_motchallenge(folder))
    )


def kitti(folder: Path) -> Subject:
    from gtr_ros.data.formats.kitti import read_kitti

    return of_text(folder / '0000.txt', (_KITTI,), lambda path: check_sequence(read_kitti(path)))


def coco_video(folder: Path) -> Subject:
    from gtr_ros.data.coco.videos import read_coco_video

    def read(path: Path) -> None:
        for sequence in read_coco_video(path):
            check_sequence(sequence)

    return of_json(folder / 'video.json', _TAO, read)


def coco_stills(folder: Path) -> Subject:
    from gtr_ros.data.coco.stills import read_coco

    return of_json(_with_images(folder) / 'a.json', _COCO, lambda path: _check_stills(
        read_coco(path, folder)
    ))  # fmt: skip


def lvis(folder: Path) -> Subject:
    from gtr_ros.data.coco.lvis import read_lvis

    return of_json(_with_images(folder) / 'a.json', _LVIS, lambda path: _check_stills(
        read_lvis(path, folder)
    ))  # fmt: skip


def crowdhuman(folder: Path) -> Subject:
    from gtr_ros.data.stills.crowdhuman import read_crowdhuman

    return of_text(_with_images(folder) / 'a.odgt', (_CROWD,), lambda path: _check_stills(
        read_crowdhuman(path, folder)
    ))  # fmt: skip


def boxes_text(folder: Path) -> Subject:
    from gtr_ros.data.stored_boxes import read_boxes

    sequence = _sequence(folder)
    return of_text(
        folder / 'det.txt', (_BOXES,), lambda path: _check_boxes(read_boxes(path, sequence))
    )


def boxes_npz(folder: Path) -> Subject:
    from gtr_ros.data.stored_boxes import read_boxes

    sequence, path = _sequence(folder), folder / 'boxes.npz'
    arrays = {
        'det': np.array([[1, 2, 3, 20, 30, 0.5], [2, 2, 3, 21, 30, 0.9], [2, 9, 9, 30, 40, 1]]),
        'label': np.array([0, 0, 1]),
        'class_names': np.array(['person', 'dog']),
    }
    plain, packed = BytesIO(), BytesIO()
    np.savez(plain, **arrays)
    np.savez_compressed(packed, **arrays)
    samples = plain.getvalue(), packed.getvalue()

    def mutate(chance: np.random.Generator) -> bytes:
        if chance.random() < 0.6:
            return mutate_bytes(samples, chance)
        stream = BytesIO()
        np.savez(stream, **mutate_arrays(arrays, chance))
        return stream.getvalue()

    return of_text(path, samples, lambda path: _check_boxes(read_boxes(path, sequence)))._replace(
        mutate=mutate
    )


def picture(folder: Path) -> Subject:
    from gtr_ros.media.pixels import ImageError
    from gtr_ros.media.pixels import read_picture

    samples = []
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind, mode in (('JPEG', 'RGB'), ('PNG', 'RGB'), ('PNG', 'P'), ('PNG', 'I;16'),
                       ('BMP', 'RGB'), ('TIFF', 'RGB'), ('GIF', 'P'), ('WEBP', 'RGB'),
                       ('PPM', 'RGB')):  # fmt: skip
        stream, image = BytesIO(), Image.fromarray(_PIXELS)
        image = image.convert('L').convert(mode) if mode == 'I;16' else image.convert(mode)
        image.save(stream, kind, **({'exif': exif} if kind in ('JPEG', 'PNG', 'WEBP') else {}))
        samples.append(stream.getvalue())

    def read(data: bytes) -> None:
        pixels = read_picture(BytesIO(data))
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3

    return Subject(lambda chance: mutate_bytes(samples, chance), read, (ImageError,))


def video(folder: Path) -> Subject:
    from gtr_ros.media.video import VideoError
    from gtr_ros.media.video import VideoReader
    from gtr_ros.media.video import VideoWriter

    path = folder / 'a.mp4'
    with VideoWriter(path, 10.0, (64, 48)) as writer:
        for t in range(4):
            writer.write(np.roll(np.repeat(np.repeat(_PIXELS, 2, 0), 2, 1), t, 1))
    sample = path.read_bytes()

    def read(path: Path) -> None:
        with VideoReader(path) as reader:
            for frame in reader:
                assert frame.image.ndim == 3

    return of_text(path, (sample,), read)._replace(errors=(VideoError,))


def _with_images(folder: Path) -> Path:
    for i in range(3):
        Image.fromarray(_PIXELS).save(folder / f'{i}.png')
        shutil.copyfile(folder / f'{i}.png', folder / f'{i}.jpg')
    return folder


def _sequence(folder: Path) -> Sequence:
    from gtr_ros.data.formats.motchallenge import read_motchallenge

    (folder / 'sequence').mkdir()
    (folder / 'sequence' / 'seqinfo.ini').write_bytes(_INFO)
    (folder / 'sequence' / 'gt.txt').write_bytes(_ROWS)
    return read_motchallenge(folder / 'sequence')


def _check_boxes(frames: list) -> None:
    for found in frames:
        assert np.isfinite(found.boxes).all()
        assert ((found.scores >= 0) & (found.scores <= 1)).all()
        assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()


def _check_stills(found: Any) -> None:
    for still in found.stills:
        boxes = np.concatenate([still.boxes, still.crowds])
        assert np.isfinite(boxes).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
