# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics: published numbers, TrackEval's own data set classes, and cases counted by hand."""

from __future__ import annotations

from contextlib import redirect_stdout
from dataclasses import replace
from importlib.util import find_spec
import io
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('trackeval', reason='needs the evaluation extra')
from trackeval.datasets import Kitti2DBox
from trackeval.datasets import MotChallenge2DBox
from trackeval.datasets import TAO
from trackeval.metrics import CLEAR
from trackeval.metrics import HOTA
from trackeval.metrics import Identity
from writers import write_kitti
from writers import write_motchallenge

from gtr_ros.data.coco.video_writer import write_coco_results
from gtr_ros.data.coco.video_writer import write_coco_video
from gtr_ros.data.formats.motchallenge import read_rows
from gtr_ros.data.formats.motchallenge import result_rows
from gtr_ros.data.sequence import Federated
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Role
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.evaluation.metrics import evaluate
from gtr_ros.evaluation.metrics import perfect_identities
from gtr_ros.evaluation.metrics import Result
from gtr_ros.evaluation.metrics import track_precision


def sequence_of(truth, name='one', classes=('person',), **more) -> Sequence:
    return Sequence(
        name, classes, (480, 640), 10.0, tuple(truth), regular_stamps(len(truth), 10), **more
    )


def result_of(ids, boxes, labels=None, scores=None) -> Result:
    count = len(ids)
    return Result(
        np.asarray(ids, np.int64),
        np.asarray(boxes, np.float64).reshape(-1, 4),
        np.zeros(count, np.int64) if labels is None else np.asarray(labels, np.int64),
        np.ones(count) if scores is None else np.asarray(scores, float),
    )


def box(x, y=0, size=50):
    return [x, y, x + size, y + size]


def quarters(boxes):
    """Round to quarters, which text files keep exactly."""
    return np.round(boxes * 4) / 4


def random_case(seed, classes=('person',), roles=(Role.COUNTED,), frames=30, name='one'):
    """Generate moving objects, and results with errors and id switches."""
    rng = np.random.default_rng(seed)
    n = 8
    start, speed = rng.uniform(50, 400, (n, 2)), rng.normal(0, 4, (n, 2))
    size = rng.uniform(15, 80, (n, 1)) * [1, 2]
    label, role = rng.integers(0, len(classes), n), rng.choice(roles, n)
    truth, results = [], []
    for t in range(frames):
        there = np.flatnonzero(rng.random(n) < 0.9)
        corner = start + speed * t
        boxes = np.concatenate([corner, corner + size], axis=1)[there]
        region = rng.uniform(0, 400, (2, 2))
        regions = (
            np.concatenate([region, region + 150], axis=1) if Role.DISTRACTOR in roles else []
        )
        truth.append(Truth.of(there + 1, quarters(boxes), label[there], role[there], regions))
        found = rng.random(len(there)) < 0.85
        wrong = rng.uniform(0, 400, (2, 2))
        shaken = boxes[found] + rng.normal(0, 4, (found.sum(), 4))
        all_boxes = np.concatenate([shaken, np.hstack([wrong, wrong + np.array([20, 40])])])
        mixed_up = (there[found] % 3 == 0) * (t // 10) * 20
        ids = np.append(there[found] + mixed_up + 1, [91, 92])
        labels = np.concatenate([label[there[found]], rng.integers(0, len(classes), 2)])
        results.append(result_of(ids, quarters(all_boxes), labels, rng.uniform(0.3, 1, len(ids))))
    return sequence_of(truth, name, classes), results


def reference(dataset, tracker, sequence, cls) -> dict:
    data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data(tracker, sequence), cls)
    with redirect_stdout(io.StringIO()):
        parts = [metric().eval_sequence(data) for metric in (HOTA, CLEAR, Identity)]
    return parts[0] | parts[1] | parts[2]


def assert_equal(scores, expected):
    for ours, theirs in (
        ('HOTA', 'HOTA'),
        ('DetA', 'DetA'),
        ('AssA', 'AssA'),
        ('MOTA', 'MOTA'),
        ('IDF1', 'IDF1'),
        ('IDSW', 'IDSW'),
        ('FP', 'CLR_FP'),
        ('FN', 'CLR_FN'),
        ('Frag', 'Frag'),
    ):
        assert scores[ours] == pytest.approx(np.mean(expected[theirs]), abs=1e-9), ours


QUIET = {'PRINT_CONFIG': False}


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        # MOTA, IDF1, FP, FN, switches as py-motmetrics publishes them; HOTA, DetA, AssA as
        # TrackEval's authors' code gives them.
        ('TUD-Campus', (0.526, 0.558, 13, 150, 7, 0.3914, 0.4180, 0.3691)),
        ('TUD-Stadtmitte', (0.564, 0.645, 45, 452, 7, 0.3978, 0.3923, 0.4088)),
    ],
)
def test_the_published_numbers_of_tud(name, expected):
    spec = find_spec('motmetrics')
    if spec is None:
        pytest.skip('needs py-motmetrics, whose example this is')
    folder = Path(spec.origin).parent / 'data' / name
    rows = {kind: read_rows(folder / f'{kind}.txt') for kind in ('gt', 'test')}
    frames = range(1, 1 + max(row.frame for row in rows['gt']))
    per_frame = {
        kind: [[r for r in of if r.frame == t] for t in frames] for kind, of in rows.items()
    }
    truth = [Truth.of([r.id for r in f], [r.box for r in f]) for f in per_frame['gt']]
    results = [result_of([r.id for r in f], [r.box for r in f]) for f in per_frame['test']]
    scores = evaluate([sequence_of(truth)], [results]).overall
    mota, idf1, fp, fn, switches, *hota = expected
    assert (scores['FP'], scores['FN'], scores['IDSW']) == (fp, fn, switches)
    assert scores['MOTA'] == pytest.approx(mota, abs=5e-4)
    assert scores['IDF1'] == pytest.approx(idf1, abs=5e-4)
    assert [scores[k] for k in ('HOTA', 'DetA', 'AssA')] == pytest.approx(hota, abs=5e-5)


@pytest.mark.parametrize('seed', range(3))
def test_motchallenge_preprocessing_is_trackevals(tmp_path, seed):
    sequence, results = random_case(seed, roles=tuple(Role), name='MOT17-01')
    sequence = replace(
        sequence, truth=tuple(replace(t, regions=np.zeros((0, 4))) for t in sequence.truth)
    )
    write_motchallenge(tmp_path / 'gt' / 'MOT17-01', sequence)
    data = tmp_path / 'trackers' / 'us' / 'data'
    data.mkdir(parents=True)
    rows = [
        row for t, r in enumerate(results) for row in result_rows(t + 1, r.ids, r.boxes, r.scores)
    ]
    (data / 'MOT17-01.txt').write_text(''.join(rows))
    dataset = MotChallenge2DBox(
        QUIET
        | {
            'GT_FOLDER': str(tmp_path / 'gt'),
            'TRACKERS_FOLDER': str(tmp_path / 'trackers'),
            'SKIP_SPLIT_FOL': True,
            'SEQ_INFO': {'MOT17-01': None},
            'BENCHMARK': 'MOT17',
        }
    )
    assert_equal(
        evaluate([sequence], [results]).overall, reference(dataset, 'us', 'MOT17-01', 'pedestrian')
    )


@pytest.mark.parametrize('seed', range(3))
def test_kitti_preprocessing_is_trackevals(tmp_path, seed):
    sequence, results = random_case(
        seed, ('car', 'person'), (Role.COUNTED, Role.COUNTED, Role.DISTRACTOR), name='0000'
    )
    sequence = replace(sequence, min_height=25.0)
    write_kitti(tmp_path / 'gt' / 'label_02' / '0000.txt', sequence)
    (tmp_path / 'gt' / 'evaluate_tracking.seqmap.training').write_text(
        f'0000 empty 000000 {len(sequence):06d}\n'
    )
    data = tmp_path / 'trackers' / 'us' / 'data'
    data.mkdir(parents=True)
    (data / '0000.txt').write_text(
        ''.join(
            f'{t} {i} {("Car", "Pedestrian")[label]} -1 -1 -10 {" ".join(f"{x:.3f}" for x in b)} '
            f'-1 -1 -1 -1000 -1000 -1000 -10 {score:.4f}\n'
            for t, r in enumerate(results)
            for i, b, label, score in zip(r.ids, r.boxes, r.labels, r.scores)
        )
    )
    dataset = Kitti2DBox(
        QUIET | {'GT_FOLDER': str(tmp_path / 'gt'), 'TRACKERS_FOLDER': str(tmp_path / 'trackers')}
    )
    ours = evaluate([sequence], [results])
    for mine, theirs in (('car', 'car'), ('person', 'pedestrian')):
        assert_equal(ours.classes[mine], reference(dataset, 'us', '0000', theirs))


@pytest.mark.parametrize('seed', range(3))
def test_tao_preprocessing_is_trackevals(tmp_path, seed):
    sequence, results = random_case(seed, ('cat', 'dog', 'cow'))
    sequence = replace(sequence, federated=Federated(frozenset({0}), frozenset({1})))
    for folder in ('gt', 'trackers/us/data'):
        (tmp_path / folder).mkdir(parents=True)
    write_coco_video(tmp_path / 'gt' / 'gt.json', [sequence])
    write_coco_results(tmp_path / 'trackers' / 'us' / 'data' / 'r.json', [sequence], [results])
    with redirect_stdout(io.StringIO()):
        dataset = TAO(
            QUIET
            | {
                'GT_FOLDER': str(tmp_path / 'gt'),
                'TRACKERS_FOLDER': str(tmp_path / 'trackers'),
                'MAX_DETECTIONS': 0,
            }
        )
    ours = evaluate([sequence], [results])
    for name in ('cat', 'dog', 'cow'):
        assert_equal(ours.classes[name], reference(dataset, 'us', 'one', name))


def test_perfect_tracks_score_one():
    truth = [Truth.of([1, 2], [box(t), box(200 + t)]) for t in range(5)]
    results = [result_of([7, 9], t.boxes) for t in truth]
    scores = evaluate([sequence_of(truth)], [results]).overall
    assert all(scores[k] == pytest.approx(1) for k in ('HOTA', 'DetA', 'AssA', 'MOTA', 'IDF1'))
    assert (scores['IDSW'], scores['FP'], scores['FN'], scores['Dets'], scores['IDs']) == (
        0,
        0,
        0,
        10,
        2,
    )


def test_one_switch_is_counted_and_halves_idf1():
    truth = [Truth.of([1], [box(t)]) for t in range(4)]
    results = [result_of([1 if t < 2 else 2], [box(t)]) for t in range(4)]
    scores = evaluate([sequence_of(truth)], [results]).overall
    assert scores['IDSW'] == 1
    assert scores['IDF1'] == pytest.approx(0.5)
    assert scores['AssA'] == pytest.approx(0.5)
    assert scores['DetA'] == pytest.approx(1)
    assert scores['MOTA'] == pytest.approx(0.75)


def test_a_track_that_is_lost_and_found_is_a_fragmentation():
    truth = [Truth.of([1], [box(t)]) for t in range(5)]
    results = [result_of([1], [box(300 if t == 2 else t)]) for t in range(5)]
    scores = evaluate([sequence_of(truth)], [results]).overall
    assert (scores['Frag'], scores['FN'], scores['FP'], scores['IDSW']) == (1, 1, 1, 0)


def test_sequences_are_pooled_and_classes_averaged():
    classes = ('cat', 'dog')
    truth = [Truth.of([1, 2], [box(0), box(200)], [0, 1]) for _ in range(4)]
    right = [result_of([1], [box(0)], [0]) for _ in range(4)]
    ours = evaluate(
        [sequence_of(truth, 'a', classes), sequence_of(truth, 'b', classes)], [right, right]
    )
    assert set(ours.classes) == {'cat', 'dog'}
    assert ours.classes['cat']['HOTA'] == pytest.approx(1)
    assert ours.classes['dog']['HOTA'] == 0
    assert ours.average['HOTA'] == pytest.approx(0.5)
    assert ours.overall['DetA'] == pytest.approx(0.5)


def test_perfect_identities_are_those_of_the_truth_or_new():
    truth = [Truth.of([5], [box(t)]) for t in range(3)]
    results = [result_of([1, 2], [box(300), box(t + 2)]) for t in range(3)]
    perfect = perfect_identities(sequence_of(truth), results)
    assert [r.ids[1] for r in perfect] == [5, 5, 5]
    assert len({r.ids[0] for r in perfect} | {5}) == 4


def test_track_precision_of_a_small_case_computed_by_hand():
    """Of two tracks of class 0 one is found, of class 1 the only one."""
    classes = ('cat', 'dog')
    truth = [Truth.of([1, 2, 3], [box(0), box(200), box(400)], [0, 0, 1]) for _ in range(4)]
    results = [result_of([1, 2], [box(0), box(400)], [0, 1]) for _ in range(4)]
    by_class = track_precision([sequence_of(truth, 'a', classes)], [results])
    assert by_class == pytest.approx({'cat': 51 / 101, 'dog': 1.0})


def test_wrong_numbers_of_frames_and_repeated_ids_are_refused():
    sequence = sequence_of([Truth.of([1], [box(0)])] * 2)
    with pytest.raises(ValueError, match='one has 2 frames, but results for 1'):
        evaluate([sequence], [[result_of([1], [box(0)])]])
    twice = result_of([1, 1], [box(0), box(100)])
    with pytest.raises(ValueError, match='frame 1: an id occurs twice'):
        evaluate([sequence], [[twice, twice]])


def test_an_empty_sequence_without_results_is_valid():
    empty = sequence_of([Truth.of([], [])] * 3)
    scores = evaluate([empty], [[result_of([], [])] * 3]).overall
    assert (scores['FP'], scores['FN']) == (0, 0)
