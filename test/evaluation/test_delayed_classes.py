# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a model scores every class, the classes of tracks are decided after a sequence."""

from __future__ import annotations

import csv
from dataclasses import replace
import json

import numpy as np
from PIL import Image
import pytest
import torch

pytest.importorskip('trackeval', reason='needs the evaluation extra')

from gtr_ros.cli import main
from gtr_ros.data.coco.video_writer import write_coco_video
from gtr_ros.data.opening import OpenedSequence
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.evaluation import prepare as preparing
from gtr_ros.evaluation.found_boxes import find_boxes
from gtr_ros.evaluation.found_boxes import find_boxes_cached
from gtr_ros.evaluation.run import PreparedSequence
from gtr_ros.evaluation.run import run
from gtr_ros.evaluation.session import EvaluationOptions
from gtr_ros.evaluation.session import Session
from gtr_ros.evaluation.trackers import MODEL
from gtr_ros.evaluation.trackers import parse_tracker
from gtr_ros.model.association import CosineAssociation
from gtr_ros.structures import Detections

CLASSES = ('cat', 'dog')
FRAMES = 12
SIZE = (96, 128)
CAT, DOG = 0, 1


def box_at(t: int, left: float = 10) -> list[float]:
    return [left + t, 20, left + 30 + t, 60]


def detections(t: int, *objects: tuple[list[float], int, list[float]]) -> Detections:
    """Return detections of (box, feature's axis, class scores) each; the label is the best's."""
    boxes, axes, scores = zip(*objects) if objects else ((), (), ())
    scores = np.array(scores, np.float32).reshape(len(boxes), -1)
    if not objects:
        scores = np.zeros((0, 3), np.float32)
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=scores.max(axis=1, initial=0),
        labels=scores.argmax(axis=1),
        features=torch.eye(4)[list(axes)],
        image_size=SIZE,
        stamp=int(regular_stamps(FRAMES, 10)[t]),
        class_scores=scores,
    )


def cat_scores(t: int) -> list[float]:
    """Return the scores of a cat that looks like a dog in every third frame."""
    return [0.6, 0.7] if t % 3 == 2 else [0.9, 0.3]


@pytest.fixture
def sequence() -> Sequence:
    truth = tuple(Truth.of([1], [box_at(t)], [CAT]) for t in range(FRAMES))
    return Sequence(
        'cat',
        CLASSES,
        SIZE,
        10.0,
        truth,
        regular_stamps(FRAMES, 10),
        images=lambda: iter(np.full((FRAMES, *SIZE, 3), 90, np.uint8)),
        image_key='grey',
    )


@pytest.fixture
def prepared(sequence) -> PreparedSequence:
    """Return a flickering cat, and a dog in 3 frames only."""
    frames = []
    for t in range(FRAMES):
        objects = [(box_at(t), 0, cat_scores(t))]
        if 4 <= t < 7:
            objects.insert(0, (box_at(t, 70), 1, [0.1, 0.8]))
        frames.append(detections(t, *objects))
    return PreparedSequence(sequence, frames, {MODEL: frames})


def spec(text: str = 'gtr'):
    return parse_tracker(text, CosineAssociation(), 'tao')


def test_a_track_that_flickers_between_classes_gets_its_mean_class_scores(prepared):
    row = run([prepared], spec(), 1, 0.4, with_track_map=True)
    (results,) = row.results
    assert row.delayed_classes
    for result in results:
        assert result.labels.tolist() == [CAT, DOG]  # best first
        # 4 of the 12 frames are those of a dog.
        np.testing.assert_allclose(result.scores, [0.8, 0.3 + 0.4 / 3], atol=1e-6)
    assert len({int(r.ids[0]) for r in results}) == 1
    assert row.evaluation.classes['cat']['HOTA'] == pytest.approx(1)
    assert row.track_precision['cat'] == pytest.approx(1)


def test_tracks_of_fewer_than_five_boxes_are_removed(prepared):
    (results,) = run([prepared], spec(), 1, 0.4).results
    assert all((r.boxes[:, 0] < 60).all() for r in results)
    (online,) = run([prepared], spec('gtr:classes=online'), 1, 0.4).results
    assert [len(r) for r in online] == [1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1]


def test_online_classes_are_those_of_each_frame(prepared):
    row = run([prepared], spec('gtr:classes=online'), 1, 0.4)
    (results,) = row.results
    assert not row.delayed_classes
    cats = [r.labels[r.boxes[:, 0] < 60].tolist() for r in results]
    assert cats == [[CAT], [CAT], [DOG]] * 4
    delayed = run([prepared], spec(), 1, 0.4)
    assert row.evaluation.classes['cat']['FN'] == 4
    assert delayed.evaluation.classes['cat']['FN'] == 0


def test_a_run_at_a_stride_decides_by_its_own_frames(prepared):
    row = run([prepared], spec(), 2, 0.4)
    own = [np.mean([cat_scores(t) for t in range(phase, FRAMES, 2)], axis=0) for phase in (0, 1)]
    for results, scores in zip(row.results, own, strict=True):
        for result in results:
            np.testing.assert_allclose(result.scores, scores, atol=1e-6)
    # At stride 3 each run has 4 frames.
    assert not any(len(r) for results in run([prepared], spec(), 3, 0.4).results for r in results)


def test_a_weak_box_that_continues_no_track_shifts_no_class_scores(prepared):
    frames = []
    for t, frame in enumerate(prepared.boxes):
        weak = detections(t, (box_at(t, 90), 2, [0.2, 0.3]))
        frames.append(
            replace(
                frame,
                **{
                    name: np.concatenate([getattr(weak, name), getattr(frame, name)])
                    for name in ('boxes', 'scores', 'labels', 'class_scores')
                },
                features=torch.cat([weak.features, frame.features]),
            )
        )
    with_weak = replace(prepared, boxes=frames, described={MODEL: frames})
    (expected,) = run([prepared], spec(), 1, 0.4).results
    (results,) = run([with_weak], spec('gtr:weak=0.2'), 1, 0.4).results
    for result, other in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result.boxes, other.boxes)
        np.testing.assert_array_equal(result.scores, other.scores)


def test_without_class_scores_the_default_is_online(prepared):
    frames = [replace(d, class_scores=None) for d in prepared.boxes]
    plain = replace(prepared, boxes=frames, described={MODEL: frames})
    row = run([plain], spec('motion'), 1, 0.4)
    assert not row.delayed_classes
    for text in ('motion:classes=delayed', 'gtr'):
        with pytest.raises(ValueError, match='the scores of all classes, and these boxes have no'):
            run([plain], spec(text), 1, 0.4)


def test_the_option_is_checked():
    with pytest.raises(ValueError, match="classes of tracker 'gtr' is 'late'; expected online or"):
        spec('gtr:classes=late')
    with pytest.raises(ValueError, match="'oracle' has no option 'classes'"):
        spec('oracle:classes=delayed')


class ScoringModel:
    """
    A model that scores every class, among them one that the sequence does not have.

    It finds the cat as in `prepared`; from frame 6 on it takes the cat for a bird.
    """

    class_names = ('bird', 'dog', 'cat')
    device = torch.device('cpu')
    association = CosineAssociation()

    def detect(self, images, stamps=None, score_threshold=None):
        t = int(stamps[0]) // 100_000_000
        cat, dog = cat_scores(t)
        bird = 0.95 if t >= 6 else 0.0
        return [detections(t, (box_at(t), 0, [bird, dog, cat]))]

    def describe(self, image, boxes):
        return boxes


@pytest.fixture
def scoring(monkeypatch) -> ScoringModel:
    model = ScoringModel()
    monkeypatch.setattr(preparing, 'load_model', lambda options, **_: model)
    return model


def test_classes_that_the_sequence_lacks_are_tracked_but_not_published(sequence, scoring):
    found = find_boxes(scoring, sequence)
    assert [d.labels.tolist() for d in found[:3]] == [[CAT], [CAT], [DOG]]
    assert all(d.labels[0] >= len(CLASSES) for d in found[6:])
    options = EvaluationOptions(
        model='tao',
        checkpoint='random',
        rule='tao',
        strides=(1,),
        trackers=('gtr', 'gtr:classes=online', 'oracle'),
        track_map=True,
    )
    delayed, online, oracle = Session(options).compare([OpenedSequence(sequence)])
    for result in delayed.results[0]:
        assert result.labels.tolist() == [CAT, DOG]
    assert delayed.evaluation.classes['cat']['HOTA'] == pytest.approx(1)
    assert delayed.track_map == pytest.approx(1)
    for row in (online, oracle):
        assert [len(r) for r in row.results[0]] == [1] * 6 + [0] * 6


def test_class_scores_are_cached(sequence, scoring, tmp_path):
    first = find_boxes_cached(scoring, 'a key', sequence, tmp_path)
    again = find_boxes_cached(None, 'a key', sequence, tmp_path)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.class_scores, b.class_scores)
        np.testing.assert_array_equal(a.labels, b.labels)


@pytest.mark.usefixtures('scoring')
def test_the_command_delays_the_classes_of_tao(sequence, tmp_path):
    write_coco_video(tmp_path / 'truth.json', [sequence])
    (tmp_path / 'cat').mkdir()
    for t, image in enumerate(sequence.images()):
        Image.fromarray(image).save(tmp_path / 'cat' / f'{t:06d}.jpg')
    arguments = ['evaluate', str(tmp_path / 'truth.json'), '--model', 'tao', '--strides', '1']
    arguments += ['--checkpoint', 'random', '--trackers', 'gtr', 'gtr:classes=online']
    assert main([*arguments, '--track-map', '--save-tracks', '--out', str(tmp_path / 'out')]) == 0
    with open(tmp_path / 'out' / 'table.csv', newline='') as file:
        delayed, online = csv.DictReader(file)
    assert (float(delayed['track_mAP50']), float(online['track_mAP50'])) == (1, 0)
    data = json.loads((tmp_path / 'out' / 'table.json').read_text())
    hota = [row['classes']['cat']['HOTA'] for row in data['rows']]
    assert hota[1] < hota[0] == pytest.approx(1)
    assert [row['classes_delayed'] for row in data['rows']] == [True, False]
    assert 'decided by track' in (tmp_path / 'out' / 'report.html').read_text()
