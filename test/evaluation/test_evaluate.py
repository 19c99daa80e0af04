# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gtr evaluate`: every tracker on identical boxes, with reproducible numbers."""

from __future__ import annotations

import csv
import json
import re
import sys

import numpy as np
import pytest
import torch

pytest.importorskip('trackeval', reason='needs the evaluation extra')

from writers import write_boxes
from writers import write_motchallenge

from gtr_ros.cli import main
from gtr_ros.data.labels import label_map
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.data.synthetic import generate
from gtr_ros.data.synthetic import Scene
from gtr_ros.evaluation.ablations import ABLATIONS
from gtr_ros.evaluation.curve_scenes import scenes_of
from gtr_ros.evaluation.curves import curves
from gtr_ros.evaluation.metrics import Result
from gtr_ros.evaluation.names import FACTORS
from gtr_ros.evaluation.prepare import Networks
from gtr_ros.evaluation.prepare import prepare
from gtr_ros.evaluation.run import PreparedSequence
from gtr_ros.evaluation.run import run
from gtr_ros.evaluation.timeline import LOST
from gtr_ros.evaluation.timeline import make_timeline
from gtr_ros.evaluation.trackers import NAMES
from gtr_ros.evaluation.trackers import parse_tracker
from gtr_ros.model.association import CosineAssociation
from gtr_ros.model.options import ModelOptions
from gtr_ros.structures import Detections

SCENE = 'synthetic:duration=5,objects=5,size=240x320'
COSINE = CosineAssociation()


@pytest.fixture(scope='module')
def prepared() -> PreparedSequence:
    made = generate(Scene.parse(SCENE))
    return PreparedSequence(made.sequence, made.detections, {})


def spec(text):
    return parse_tracker(text, COSINE)


def skip_without_package(name):
    if name.partition('+')[0] in ('sort', 'bytetrack', 'ocsort', 'botsort', 'cbiou'):
        pytest.importorskip('trackers', reason='needs the package trackers')


@pytest.mark.parametrize(
    'name', [n for n in NAMES if n not in ('gtr', 'cosine', 'reid', 'iou+reid')]
)
@pytest.mark.parametrize('stride', [1, 2])
def test_a_tracker_gives_the_same_numbers_each_time(prepared, name, stride):
    skip_without_package(name)
    first, again = (run([prepared], spec(name), stride, 0.4) for _ in range(2))
    assert first.evaluation.overall.values == again.evaluation.overall.values
    assert 0.2 < first.evaluation.overall['HOTA'] <= 1


def test_no_tracker_is_better_than_the_oracle(prepared):
    oracle = run([prepared], spec('oracle'), 1, 0.4).evaluation.overall
    for name in ('motion', 'iou'):
        other = run([prepared], spec(name), 1, 0.4).evaluation.overall
        assert other['AssA'] <= oracle['AssA']
        # Not IDF1: a tracker that withholds short tracks has fewer false boxes than the oracle.
        assert other['IDR'] <= oracle['IDR']
    assert oracle['IDSW'] == 0


def test_all_frames_count_at_every_stride(prepared):
    rows = [run([prepared], spec('oracle'), stride, 0.4) for stride in (1, 2, 3)]
    assert len({(r.evaluation.overall['FP'], r.evaluation.overall['FN']) for r in rows}) == 1
    assert [len(r.sequences) for r in rows] == [1, 2, 3]
    assert all(sum(map(len, r.sequences)) == len(prepared.sequence) for r in rows)


def test_only_trackers_that_take_weak_boxes_get_them():
    pytest.importorskip('trackers', reason='needs the package trackers')
    made = generate(Scene.parse(SCENE))
    for frame in made.detections:
        frame.scores[:] = 0.2
    weak = PreparedSequence(made.sequence, made.detections, {})
    assert run([weak], spec('motion'), 1, 0.4).evaluation.overall['Dets'] == 0
    # Weak boxes alone begin no track.
    assert run([weak], spec('bytetrack+weak'), 1, 0.4).evaluation.overall['Dets'] == 0
    bold = parse_tracker('bytetrack+weak', COSINE, threshold=0.1)
    assert run([weak], bold, 1, 0.1).evaluation.overall['Dets'] > 0


def test_an_object_that_left_gets_its_id_back_only_from_the_gallery():
    features = torch.nn.functional.one_hot(torch.tensor([3, 7]), 16).float()

    def ids(name):
        tracker, seen = spec(name).make(1), []
        for frame in (*range(20), *range(300, 340)):  # at 10 Hz: away for 28 s
            boxes = np.array([[10, 10, 30, 60], [100, 10, 120, 60]], np.float32)
            scores, labels = np.full(2, 0.9, np.float32), np.zeros(2, np.int64)
            stamp = frame * 10**8
            tracks = tracker.update(
                Detections(boxes, scores, labels, features, (120, 160), stamp=stamp)
            )
            seen.append(tracks.ids[np.argsort(tracks.boxes[:, 0])].tolist())
        assert len(seen[19]) == 2
        return seen[19], seen[-1]

    before, after = ids('gtr')
    assert before == after
    before, after = ids('gtr:gallery=off')
    assert not set(before) & set(after)


def test_memory_is_counted_in_native_frames():
    assert spec('iou').make(1).rebirth == 30
    assert spec('iou').make(8).rebirth == 4
    assert spec('iou:memory=16').make(8).rebirth == 2


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('deepsort', "tracker 'deepsort'; expected one of oracle, gtr"),
        ('gtr:size=3', "no option 'size'; it has window"),
        ('gtr:window=many', "window of tracker 'gtr' is 'many'"),
        ('gtr:window=1', 'window is 1; expected a number from 2 to 256'),
        ('gtr:rule=mine', "rule of tracker 'gtr' is 'mine'; expected one of evidence"),
        ('motion:location=off', "no option 'location'"),
        ('gtr:encoder=full', "the model's association has no encoder"),
        ('gtr:gallery=maybe', "gallery of tracker 'gtr' is 'maybe'; expected on or off"),
        ('motion:gallery=off', "no option 'gallery'"),
        ('gtr:encoder=half', "encoder of tracker 'gtr' is 'half'; expected causal or full"),
    ],
)
def test_an_unknown_tracker_is_an_error(text, said):
    with pytest.raises(ValueError) as caught:
        spec(text)
    assert said in str(caught.value)


def test_labels_are_matched_by_name():
    assert label_map(('person', 'Car', 'dog'), ('car', 'pedestrian')).tolist() == [1, 0, -1]


def test_the_timeline_has_as_many_switches_as_clear_counts(prepared):
    row = run([prepared], spec('iou'), 2, 0.4)
    timelines = [make_timeline(s, r) for s, r in zip(row.sequences, row.results)]
    assert sum(len(t.switches) for t in timelines) == row.evaluation.overall['IDSW'] > 0


def test_the_timeline_has_the_ids_of_an_object_and_its_switches():
    at = [[0, 0, 10, 20]]
    truth = tuple(Truth.of([1], at) for _ in range(5))
    sequence = Sequence('s', ('person',), (48, 64), 10.0, truth, regular_stamps(5, 10))
    nothing = Result(np.zeros(0, int), np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))

    def tracked_as(identity):
        return Result(np.array([identity]), np.array(at), np.zeros(1, int), np.ones(1))

    timeline = make_timeline(
        sequence, [tracked_as(7), tracked_as(7), nothing, tracked_as(9), tracked_as(9)]
    )
    assert [tuple(s) for s in timeline.spans[0, 1]] == [(0, 2, 7), (2, 3, LOST), (3, 5, 9)]
    (switch,) = timeline.switches
    assert (switch.before, switch.frame, switch.old_id, switch.new_id) == (1, 3, 7, 9)


def test_features_are_computed_once(tmp_path, monkeypatch):
    made = generate(Scene.parse('synthetic:duration=2,objects=2,size=240x320'))
    networks = Networks(ModelOptions(checkpoint='random', device='cpu'))
    monkeypatch.setattr(Networks, 'key', 'a key')
    given = (made.sequence, made.detections, ['model'], networks, 0.4)
    first = prepare(*given, cache=tmp_path).described['model']

    def fail(*_):
        raise AssertionError('computed again')

    monkeypatch.setattr(networks.evaluated, 'describe', fail)
    again = prepare(*given, cache=tmp_path).described['model']
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a.features, b.features)
    with pytest.raises(AssertionError, match='computed again'):
        prepare(*given[:-1], 0.9, cache=tmp_path)  # other boxes


def test_boxes_that_the_model_finds_are_cached_too(tmp_path, monkeypatch):
    made = generate(Scene.parse('synthetic:duration=2,objects=2,size=240x320'))
    networks = Networks(ModelOptions(checkpoint='random', device='cpu'))
    monkeypatch.setattr(Networks, 'key', 'a key')
    first = prepare(made.sequence, None, ['model'], networks, 0.0, cache=tmp_path)
    monkeypatch.setattr(networks.evaluated, 'detect', None)
    again = prepare(made.sequence, None, ['model'], networks, 0.0, cache=tmp_path)
    for a, b in zip(first.boxes, again.boxes, strict=True):
        assert a.boxes.tolist() == b.boxes.tolist()
        assert torch.equal(a.features, b.features)


def test_the_command_writes_tables_and_a_report(tmp_path, capsys):
    names = ['oracle', 'gtr', 'motion', 'iou+reid', 'cosine']
    crowd = 'synthetic:duration=6,objects=10,similarity=1,rate=5,size=240x320'
    arguments = ['evaluate', crowd, '--checkpoint', 'random', '--strides', '1', '2']
    arguments += ['--trackers', *names, '--track-map', '--save-tracks', '--out', str(tmp_path)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*names, 'HOTA', 'IDSW', 'track mAP50'))
    with open(tmp_path / 'table.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(r['stride'], r['tracker']) for r in rows] == [(s, n) for s in '12' for n in names]
    data = json.loads((tmp_path / 'table.json').read_text())
    assert data['rows'][0]['overall']['HOTA'] == pytest.approx(float(rows[0]['HOTA']), abs=1e-5)
    assert 0 < data['rows'][0]['track_mAP50'] == data['rows'][0]['track_AP50']['person'] <= 1
    report = (tmp_path / 'report.html').read_text()
    assert report.count('<svg') >= 2 + 3 + 2 * len(names)
    assert 'src="data:image/jpeg;base64,' in report
    assert not re.search(r'(src|href)="http', report)  # the report is a single file
    tracks = tmp_path / 'tracks' / 'gtr_stride1'
    assert len(list(tracks.glob('*.txt'))) == 1
    assert len(list((tmp_path / 'tracks' / 'gtr_stride2').glob('*.txt'))) == 2


@pytest.mark.parametrize('table', ABLATIONS)
def test_every_table_of_the_paper_is_one_command(tmp_path, capsys, table):
    scene = 'synthetic:duration=2,objects=2,size=240x320'
    arguments = ['evaluate', scene, '--table', table, '--checkpoint', 'random', '--strides', '1']
    assert main([*arguments, '--out', str(tmp_path)]) == 0
    with open(tmp_path / 'table.csv', newline='') as file:
        rows = [row['tracker'] for row in csv.DictReader(file)]
    assert rows == [v.name for v in ABLATIONS[table].variants]


def test_missing_weights_of_separately_trained_rows_are_named(tmp_path, capfd):
    arguments = ['evaluate', SCENE, '--table', '4a', '--checkpoint', str(tmp_path)]
    assert main([*arguments, '--out', str(tmp_path / 'out')]) == 1
    assert 'direct.safetensors' in capfd.readouterr().err


def test_curves_count_identities_kept():
    def prepare_scene(made):
        return PreparedSequence(made.sequence, made.boxes, {})

    specs = [spec('oracle'), spec('iou')]
    scenes = scenes_of('drawn:duration=6,objects=4,size=240x320')
    values = FACTORS['drawn']['occlusion']
    points = curves(scenes, {'occlusion': values}, 1, specs, prepare_scene, 0.4)
    assert [(p.value, p.tracker) for p in points] == [(v, s.name) for v in values for s in specs]
    oracle = [p for p in points if p.tracker == 'oracle']
    assert all(p.kept == p.gaps > 0 == p.joins < p.ids for p in oracle)
    assert all(p.kept == 0 for p in points if p.tracker == 'iou' and p.value >= 2)


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        ([], 'nothing to evaluate'),
        (['nowhere'], 'nowhere: there is no such file or folder'),
        (['synthetic:objects=-1'], 'objects'),
        ([SCENE, SCENE], 'two sequences have the name'),
        ([SCENE, '--boxes', 'a.npz', 'b.npz'], '2 files of boxes for 1 sequences'),
        ([SCENE, '--trackers', 'best'], "tracker 'best'; expected one of"),
        (['--curves', 'absence'], "factor 'absence': drawn scenes do not have it"),
        (['--curves', 'rate', '--scenes', 'filmed'], "scenes 'filmed'; expected drawn or people"),
        (['people:camera=crane'], "camera is 'crane'; expected one of wall, stand"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, capfd, arguments, said):
    command = ['evaluate', *arguments, '--checkpoint', 'random', '--out', str(tmp_path / 'out')]
    assert main(command) == 1
    error = capfd.readouterr().err
    assert said in error
    assert 'Traceback' not in error


def test_missing_packages_are_named_before_anything_runs(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, 'trackeval', None)
    assert main(['evaluate', SCENE, '--checkpoint', 'random', '--out', str(tmp_path)]) == 1
    assert 'need trackeval, which is not installed here' in capfd.readouterr().err


def test_without_external_trackers_and_images_others_are_compared(tmp_path, monkeypatch, capfd):
    made = generate(Scene.parse(SCENE))
    write_motchallenge(tmp_path / 'scene', made.sequence)
    write_boxes(tmp_path / 'boxes.npz', made.detections, ['person'])
    monkeypatch.setitem(sys.modules, 'trackers', None)
    arguments = ['evaluate', str(tmp_path / 'scene'), '--boxes', str(tmp_path / 'boxes.npz')]
    arguments += ['--checkpoint', 'random', '--strides', '1', '--out', str(tmp_path / 'out')]
    assert main(arguments) == 0
    with open(tmp_path / 'out' / 'table.csv', newline='') as file:
        assert [r['tracker'] for r in csv.DictReader(file)] == ['oracle', 'motion', 'iou']
    said = capfd.readouterr().err
    assert 'the package trackers is not installed' in said
    assert 'there are no images' in said


def test_real_boxes_of_a_real_video_give_the_same_numbers_twice(pets, tmp_path):
    """The oracle's DetA, FP and FN depend on the boxes alone, not on a tracker."""
    arguments = ['evaluate', str(pets), '--checkpoint', 'random', '--strides', '1', '8']
    arguments += ['--boxes', str(pets / 'detections_mb3_centernet.npz')]
    arguments += ['--trackers', 'oracle', 'motion', 'iou']
    for name in ('first', 'again'):
        assert main([*arguments, '--out', str(tmp_path / name)]) == 0
    first, again = ((tmp_path / n / 'table.csv').read_text() for n in ('first', 'again'))
    assert first == again
    rows = list(csv.DictReader(first.splitlines()))
    assert (rows[0]['FP'], rows[0]['FN'], rows[0]['IDSW']) == ('548', '680', '0')
    assert float(rows[0]['DetA']) == pytest.approx(0.569, abs=1e-3)
