# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gtr evaluate` on rendered people: as a sequence, and as curves."""

from __future__ import annotations

import csv
import subprocess
import sys

import numpy as np
from opengl import needs_opengl
from paths import REPOSITORY
import pytest
import torch

pytest.importorskip('trackeval', reason='needs the evaluation extra')

from gtr_ros.cli import main
from gtr_ros.data.people import generate
from gtr_ros.data.people import People
from gtr_ros.data.people import PeopleScene
from gtr_ros.data.people.avatars import INCLUDED
from gtr_ros.data.sequence import images_of
from gtr_ros.evaluation.curve_scenes import Made
from gtr_ros.evaluation.curve_scenes import RenderedScenes
from gtr_ros.evaluation.curves import curves
from gtr_ros.evaluation.kept_images import KeptImages
from gtr_ros.evaluation.kept_images import with_kept_images
from gtr_ros.evaluation.run import PreparedSequence
from gtr_ros.evaluation.trackers import parse_tracker
from gtr_ros.model.association import CosineAssociation
from gtr_ros.structures import Detections

pytestmark = needs_opengl

SMALL = 'objects=5,duration=2,rate=4,size=192x256'


def table(file) -> list[dict]:
    with open(file, newline='') as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def drawn(monkeypatch) -> list[int]:
    """Return a list of the frames whose pictures are drawn from now on."""
    frames: list[int] = []
    draw = People.image

    def noting(self, t):
        frames.append(t)
        return draw(self, t)

    monkeypatch.setattr(People, 'image', noting)
    return frames


def test_rendered_people_are_a_sequence_like_any_other(tmp_path, drawn, capfd, monkeypatch):
    monkeypatch.setattr('gtr_ros.evaluation.report.SWITCHES', 0)  # the report draws pictures, too
    arguments = ['evaluate', f'people:{SMALL},avatars={INCLUDED}', '--strides', '1', '2']
    arguments += ['--trackers', 'oracle', 'gtr', 'iou', '--cache', str(tmp_path / 'cache')]
    arguments += ['--save-tracks']
    assert main([*arguments, '--out', str(tmp_path / 'first')]) == 0
    assert f'avatars={INCLUDED.name}' in capfd.readouterr().out.replace('\n', '')
    rows = table(tmp_path / 'first' / 'table.csv')
    assert [(r['stride'], r['tracker']) for r in rows] == [
        (s, n) for s in '12' for n in ('oracle', 'gtr', 'iou')
    ]
    # The default detector finds some of the people.
    assert float(rows[0]['DetA']) > 0.1
    report = (tmp_path / 'first' / 'report.html').read_text()
    assert str(INCLUDED) not in report
    (tracks,) = (tmp_path / 'first' / 'tracks' / 'gtr_stride1').iterdir()
    assert tracks.name.startswith('people_')
    # For boxes and camera motion together, each picture is drawn once.
    assert drawn == list(range(8))
    # Boxes, features and camera motion are cached.
    drawn.clear()
    assert main([*arguments, '--out', str(tmp_path / 'again')]) == 0
    assert not drawn
    first, again = ((tmp_path / n / 'table.csv').read_text() for n in ('first', 'again'))
    assert first == again


def test_the_name_of_a_sequence_with_many_parameters_is_short_enough_for_a_file(tmp_path):
    scene = 'synthetic:duration=2,objects=2,size=240x320,missed=0.0512345678912345,'
    scene += 'false=0.0512345678912345,jitter=0.0312345678912345,similarity=0.312345678912345,'
    scene += 'occlusion=0.512345678912345,camera=12.3456789123456,rate=5.12345678912345'
    arguments = ['evaluate', scene, '--checkpoint', 'random', '--strides', '1', '--save-tracks']
    assert main([*arguments, '--trackers', 'iou', '--out', str(tmp_path)]) == 0
    (file,) = (tmp_path / 'tracks' / 'iou_stride1').iterdir()
    assert len(file.name) < 130


def test_images_are_read_once_while_they_fit_into_memory(monkeypatch):
    class Numbered:
        def __init__(self):
            self.read = []

        def __call__(self):
            return map(self.at, range(4))

        def at(self, t):
            self.read.append(t)
            return np.full((2, 2, 3), [0, 1, 2, 3][t], np.uint8)

    images = Numbered()
    kept = KeptImages(images, 4)
    for _ in range(2):
        assert [int(image.max()) for image in kept()] == [0, 1, 2, 3]
    assert images.read == [0, 1, 2, 3]
    monkeypatch.setattr('gtr_ros.evaluation.kept_images.MOST_BYTES', 24)
    images.read.clear()
    kept = KeptImages(images, 4)
    for _ in range(2):
        assert [int(image.max()) for image in kept()] == [0, 1, 2, 3]
    assert images.read == [0, 1, 2, 3, 2, 3]


def test_missing_images_are_an_error_as_before():
    made = generate(PeopleScene.parse('people:objects=1,duration=1,rate=2,size=96x128')).sequence

    class Shorter:
        def __call__(self):
            return iter([self.at(0)])

        def at(self, t):
            return [np.zeros((96, 128, 3), np.uint8)][t]

    sequence = with_kept_images(made.__class__(**{**vars(made), 'images': Shorter()}))
    with pytest.raises(ValueError, match='has 2 frames, but only 1 images'):
        list(images_of(sequence))


def perfect(made: Made) -> PreparedSequence:
    """Detect everybody who can be found."""
    boxes = []
    for truth, stamp in zip(made.sequence.truth, made.sequence.stamps):
        found = truth.boxes[truth.counted].astype(np.float32)
        boxes.append(
            Detections(
                boxes=found,
                scores=np.full(len(found), 0.9, np.float32),
                labels=np.zeros(len(found), np.int64),
                features=torch.zeros(len(found), 1),
                image_size=made.sequence.image_size,
                stamp=int(stamp),
            )
        )
    return PreparedSequence(made.sequence, boxes, {})


def test_curves_of_rendered_people():
    made: list[PeopleScene] = []

    class Counting(RenderedScenes):
        def make(self, scene):
            made.append(scene)
            return super().make(scene)

    scenes = Counting(PeopleScene.parse('people:objects=8,duration=8,rate=5,size=192x256'))
    factors = {
        'absence': (0.0, 20.0),
        'rate': (5.0, 1.0),
        'camera': ('stand', 'wall'),
        'occlusion': (0.5, 1.0),
    }
    specs = [parse_tracker(text, CosineAssociation()) for text in ('oracle', 'iou')]
    points = curves(scenes, factors, 1, specs, perfect, 0.4)
    assert [(p.factor, p.value) for p in points[::2]] == [
        (f, v) for f in factors for v in factors[f]
    ]
    # The scene without an absence is also that of the rates and of one camera.
    assert len(made) == len(set(made)) == 4
    oracle = {(p.factor, p.value): p for p in points if p.tracker == 'oracle'}
    for point in oracle.values():
        assert point.kept == point.gaps > 0, point
        assert point.joins == 0 < point.ids
    iou = {(p.factor, p.value): p for p in points if p.tracker == 'iou'}
    assert iou['absence', 20.0].kept == 0  # it keeps tracks for 30 frames
    assert iou['rate', 1.0].idf1 < iou['rate', 5.0].idf1


def test_the_command_draws_the_curves_of_rendered_people(tmp_path, capfd):
    arguments = ['evaluate', '--curves', 'camera=stand,wall', '--scenes', f'people:{SMALL}']
    arguments += ['--trackers', 'oracle', 'motion', '--seeds', '1', '--checkpoint', 'random']
    assert main([*arguments, '--out', str(tmp_path)]) == 0
    printed = capfd.readouterr().out
    assert all(text in printed for text in ('kind of camera', 'identities kept', 'false joins'))
    rows = table(tmp_path / 'curves.csv')
    assert [(r['value'], r['tracker']) for r in rows] == [
        (v, t) for v in ('stand', 'wall') for t in ('oracle', 'motion')
    ]
    assert set(rows[0]) >= {'kept', 'gaps', 'joins', 'ids', 'HOTA', 'IDF1'}
    report = (tmp_path / 'report.html').read_text()
    assert report.count('<svg') == 2
    assert f'people:{SMALL} scenes, 1 for each value' in report
    assert 'found by mobile' in report


def test_without_opengl_the_error_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['moderngl'] = None; from gtr_ros.cli import main; "
        f"sys.exit(main(['evaluate', 'people:{SMALL}', '--checkpoint', 'random', "
        f"'--out', {str(tmp_path)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=REPOSITORY, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1
    assert 'gtr_ros[people]' in done.stderr.replace('\n', '')
    assert 'Traceback' not in done.stderr
