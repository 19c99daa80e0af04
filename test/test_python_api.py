# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Python programs: names of the package are lazy, and a pipeline tracks frames as `gtr track`."""

from __future__ import annotations

import ast
from dataclasses import fields
from dataclasses import replace
import inspect
from pathlib import Path
import subprocess
import sys

import numpy as np
from paths import REPOSITORY
import pytest
import torch
import walking
import yaml

import gtr_ros
from gtr_ros import confirmed_only
from gtr_ros import Detections
from gtr_ros import load_model
from gtr_ros import ModelOptions
from gtr_ros import to_supervision
from gtr_ros import Tracker
from gtr_ros import TrackingPipeline
from gtr_ros import VideoReader
from gtr_ros.cli import main
from gtr_ros.cli import tracking
from gtr_ros.data.formats.motchallenge import result_rows
from gtr_ros.media.video import VideoFrame
from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.registry import default_checkpoint
from gtr_ros.model.registry import MODELS
from gtr_ros.model.registry import tracking_defaults
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.options import ConfigurationError
from gtr_ros.tracking.camera_motion import CameraMotion
from gtr_ros.tracking.evidence_linker import EvidenceLinker
from gtr_ros.tracking.rules import find_rule
from gtr_ros.tracking.rules import make_linker

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(scope='module')
def model():
    return load_model(ModelOptions(device='cpu'))


@pytest.fixture(scope='module')
def frames() -> list[np.ndarray]:
    return walking.images()


@pytest.fixture
def pipeline(model) -> TrackingPipeline:
    return TrackingPipeline(model, colour='rgb')


def track(pipeline: TrackingPipeline, images, **options) -> list:
    return [pipeline(image, t * 10**8, **options) for t, image in enumerate(images)]


def same(a, b) -> bool:
    names = ('ids', 'boxes', 'scores', 'labels', 'confirmed')
    return all(
        np.array_equal(getattr(x, name), getattr(y, name))
        for x, y in zip(a, b, strict=True)
        for name in names
    )


# --- the names of the package ---


def test_importing_the_package_imports_neither_torch_nor_ros():
    heavy = ['torch', 'numpy', 'rclpy', 'av', 'PIL', 'scipy', 'supervision']
    code = f'import sys, gtr_ros; sys.exit(str([n for n in {heavy} if n in sys.modules] or ""))'
    run = subprocess.run([sys.executable, '-c', code], cwd=REPOSITORY, capture_output=True)
    assert run.stderr.strip() == b''


def test_options_can_be_imported_without_torch():
    code = 'import sys; from gtr_ros import ModelOptions; sys.exit("torch" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], cwd=REPOSITORY).returncode == 0


@pytest.mark.parametrize('name', gtr_ros.__all__)
def test_each_name_is_there(name):
    assert name in dir(gtr_ros)
    assert getattr(gtr_ros, name).__name__ == name


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(gtr_ros.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    assert block.test.id == 'TYPE_CHECKING'
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == gtr_ros._MODULES
    assert sorted(seen) == sorted(gtr_ros.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'gtr_ros' has no attribute 'Trakcer'"):
        gtr_ros.Trakcer  # noqa: B018
    with pytest.raises(ImportError):
        from gtr_ros import Trakcer  # noqa: F401


# --- the pipeline ---


def test_the_defaults_are_those_of_the_node():
    node = {spec.name: spec.default for spec in fields(NodeParameters)}
    own = inspect.signature(TrackingPipeline).parameters
    shared = {name: own[name].default for name in own.keys() & node.keys() - {'model'}}
    assert len(shared) == 9
    # None: that of the model.
    for name in ('score_threshold', 'window', 'min_hits'):
        assert shared.pop(name) is None
    assert tracking_defaults('') == {name: node[name] for name in ('window', 'min_hits')}
    assert shared == {name: node[name] for name in shared}


def test_the_default_score_threshold_is_that_of_the_node(model):
    assert model.score_threshold == NodeParameters().score_threshold


@pytest.mark.parametrize('name', MODELS)
def test_a_model_is_tracked_alike_by_the_node_the_command_and_python(
    model, name, monkeypatch, tmp_path
):
    file = REPOSITORY / 'config' / f'{name}.yaml'
    node = yaml.safe_load(file.read_text())['/**']['ros__parameters']
    expected = node['window'], node['min_hits']

    given = []
    monkeypatch.setattr(tracking, 'track_one', lambda *arguments: given.append(arguments[-1]))
    (video := tmp_path / 'video.mp4').touch()
    assert main(['track', str(video), '--model', name]) == 0
    [settings] = given
    assert (settings.window, settings.min_hits) == expected

    monkeypatch.setattr(model, 'name', name)  # to build mot and tao would take seconds
    tracker = TrackingPipeline(model)._tracker
    assert (tracker.window, tracker.min_hits or 0) == expected
    linker = make_linker(find_rule('', name), model.association.calibration)
    assert type(tracker.linker) is type(linker)
    assert tracker.linker.needs_likelihoods == linker.needs_likelihoods


def test_options_override_those_of_the_model(model, monkeypatch):
    monkeypatch.setattr(model, 'name', 'mot')
    tracker = TrackingPipeline(model, rule='evidence', window=9, min_hits=0)._tracker
    assert (tracker.window, tracker.min_hits) == (9, None)
    assert isinstance(tracker.linker, EvidenceLinker)


def test_a_video_has_the_results_of_the_command(tmp_path):
    video, out = walking.write_video(tmp_path / 'video.mp4'), tmp_path / 'tracks.txt'
    assert main(['track', str(video), '--out', str(out), '--cores', '1', '--device', 'cpu']) == 0
    pipeline = TrackingPipeline(ModelOptions(device='cpu'))
    rows = []
    with VideoReader(video) as reader:
        for frame in reader:
            tracks = pipeline(frame)
            rows += result_rows(frame.index + 1, tracks.ids, tracks.boxes, tracks.scores)
    assert len(rows) > 15
    assert ''.join(rows) == out.read_text()


@pytest.mark.parametrize('camera_motion', [True, False])
def test_the_parts_give_the_results_of_the_pipeline(model, frames, camera_motion):
    tracker, motion, expected = Tracker(model.association, begin_score=0.5), CameraMotion(), []
    for t, image in enumerate(frames):
        [detections] = model.detect([image], [t * 10**8], 0.3)
        if camera_motion:
            camera = motion.update(image, detections.boxes)
            detections = replace(detections, camera=camera)
        expected.append(tracker.update(detections))
    pipeline = TrackingPipeline(
        model,
        score_threshold=0.5,
        weak_score_threshold=0.3,
        camera_motion=camera_motion,
        tentative=True,
    )
    found = track(pipeline, frames, colour='rgb')
    assert any(len(tracks) for tracks in found)
    assert same(found, expected)


def test_frames_that_are_detected_together_have_the_same_tracks(model, frames, monkeypatch):
    stamped = [VideoFrame(image, 100_000_000 * t, t) for t, image in enumerate(frames)]
    pipeline = TrackingPipeline(model)
    expected = [(frame.index, pipeline(frame)) for frame in stamped]
    monkeypatch.setattr(type(model), 'batches', True)
    sizes, detect = [], model.detect

    def counted(images, *arguments):
        sizes.append(len(images))
        return detect(images, *arguments)

    monkeypatch.setattr(model, 'detect', counted)
    found = list(TrackingPipeline(model).track_all(iter(stamped)))
    assert sizes[0] == 8 and sum(sizes) == len(frames)
    for (index, one), (frame, together) in zip(expected, found, strict=True):
        assert frame.index == index
        assert together.ids.tolist() == one.ids.tolist()
        np.testing.assert_allclose(together.boxes, one.boxes, atol=0.05)


def test_stamps_that_repeat_or_begin_again_are_counted(model, frames):
    pipeline = TrackingPipeline(model, colour='rgb')
    second = 1_000_000_000
    for stamp in (10 * second, 11 * second, 11 * second, 2 * second, 3 * second):
        pipeline(frames[0], stamp)
    assert pipeline.repaired_stamps == 1
    assert pipeline.resets == 1


def test_people_keep_their_ids(pipeline, frames):
    ids = [set(tracks.ids.tolist()) for tracks in track(pipeline, frames)]
    assert len(set.union(*ids)) <= 4
    assert ids[3] & ids[-1]


def test_only_confirmed_tracks_are_returned_unless_tentative_ones_are_wanted(model, frames):
    def results(tentative: bool) -> list:
        pipeline = TrackingPipeline(model, min_hits=3, colour='rgb', tentative=tentative)
        return track(pipeline, frames)

    every, confirmed = results(True), results(False)
    assert not every[0].confirmed.any()
    assert len(every[0]) > 0 == len(confirmed[0])
    assert all(tracks.confirmed.all() for tracks in confirmed)
    assert same(map(confirmed_only, every), confirmed)
    mixed = [tracks for tracks in every if 0 < tracks.confirmed.sum() < len(tracks)]
    chosen = confirmed_only(mixed[0])
    assert [t.id for t in chosen.trajectories] == chosen.ids.tolist()
    assert [t.id for t in chosen.trajectories[-1:]] == chosen.ids[-1:].tolist()
    for trajectory, box in zip(chosen.trajectories, chosen.boxes):
        np.testing.assert_array_equal(trajectory.boxes[-1], box)
    expected = mixed[0].features[np.flatnonzero(mixed[0].confirmed)]
    np.testing.assert_array_equal(chosen.features.cpu(), expected.cpu())
    assert len(chosen.returned) == len(chosen)


def test_images_of_opencv_have_the_results_of_rgb_images(model, pipeline, frames):
    expected = track(pipeline, frames)
    bgr = [np.ascontiguousarray(image[..., ::-1]) for image in frames]
    other = TrackingPipeline(model, colour='bgr')
    assert same(track(other, bgr), expected)
    other = TrackingPipeline(model)
    assert same(track(other, bgr, colour='bgr'), expected)
    other = TrackingPipeline(model)
    assert not same(track(other, bgr, colour='rgb'), expected)


def test_a_frame_is_rgb_whatever_the_colour_of_arrays(tmp_path, model):
    video = walking.write_video(tmp_path / 'video.mp4')
    results = []
    for colour in ('bgr', None):
        pipeline = TrackingPipeline(model, colour=colour)
        with VideoReader(video) as reader:
            results.append([pipeline(frame) for frame in reader])
    assert same(*results)


def test_classes_can_be_selected(model, frames):
    options = {'min_hits': 1, 'colour': 'rgb'}
    people = TrackingPipeline(model, class_names=['person', 'dog'], **options)
    dogs = TrackingPipeline(model, class_names=['dog'], **options)
    found = np.concatenate([tracks.labels for tracks in track(people, frames)])
    assert len(found)
    assert {people.class_names[label] for label in found} == {'person'}
    assert not any(len(tracks) for tracks in track(dogs, frames))


def test_a_reset_ends_all_tracks_and_no_id_is_used_again(pipeline, frames):
    before = {i for tracks in track(pipeline, frames) for i in tracks.ids.tolist()}
    pipeline.reset()
    after = {i for tracks in track(pipeline, frames) for i in tracks.ids.tolist()}
    assert before
    assert after
    assert min(after) > max(before)


def test_pipelines_that_share_a_model_do_not_share_ids(model, frames):
    left, right = (TrackingPipeline(model, colour='rgb') for _ in range(2))
    expected = track(TrackingPipeline(model, colour='rgb'), frames)
    results = [(left(i, t * 10**8), right(i, t * 10**8)) for t, i in enumerate(frames)]
    assert same([a for a, _ in results], expected)
    assert same([b for _, b in results], expected)


def test_boxes_of_another_detector_are_tracked(model, frames):
    pipeline = TrackingPipeline(model, score_threshold=0.5, colour='rgb')
    [found] = model.detect([frames[0]], [0], 0.0)
    best = found.select(np.arange(len(found)) < 2)
    for t, image in enumerate(frames[:4]):
        boxes = replace(
            best,
            scores=np.array([0.9, 0.3], np.float32),
            features=best.features[:, :0],
            stamp=t * 10**8,
        )
        tracks = pipeline.track(image, model.describe(image, boxes))
    assert tracks.ids.tolist() == [1]  # the other has a score below the threshold
    np.testing.assert_array_equal(tracks.boxes[0], best.boxes[0])


@pytest.mark.parametrize(
    ('frame', 'arguments', 'error', 'message'),
    [
        (np.zeros((4, 4, 3), np.uint8), {}, ValueError, "give colour='bgr' for OpenCV's"),
        (np.zeros((4, 4, 3)), {'colour': 'bgr'}, ValueError, 'is float64 of shape'),
        (np.zeros((4, 4), np.uint8), {'colour': 'bgr'}, ValueError, 'cv2.cvtColor converts grey'),
        (np.zeros((0, 4, 3), np.uint8), {'colour': 'bgr'}, ValueError, 'not empty'),
        (np.zeros((4, 4, 3), np.uint8), {'colour': 'BGR'}, ValueError, "colour is 'BGR'"),
        (None, {'colour': 'bgr'}, TypeError, 'the frame is None, which OpenCV returns'),
        ('a.jpg', {'colour': 'bgr'}, TypeError, 'the frame is a str; expected a NumPy array'),
        (
            np.zeros((4, 4, 3), np.uint8),
            {'colour': 'bgr', 'stamp': 0.1},
            TypeError,
            'stamp is 0.1; expected nanoseconds',
        ),
    ],
)
def test_a_wrong_frame_is_refused(model, frame, arguments, error, message):
    pipeline = TrackingPipeline(model)
    with pytest.raises(error, match=message):
        pipeline(frame, **arguments)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'rule': 'evidnce'}, "rule 'evidnce'; expected one of"),
        ({'class_names': ['persn']}, "'persn', which this model does not know; .* of person"),
        ({'class_names': 'person'}, r"class_names is 'person'; expected a list: \['person'\]"),
        ({'score_threshold': 40}, 'score_threshold is 40; expected a number from 0.0 to 1.0'),
        ({'weak_score_threshold': 0.5}, 'weak_score_threshold is 0.5, above score_threshold 0.4'),
        ({'min_hits': -1}, 'min_hits is -1; expected a number from 0 to 64'),
        ({'window': 1000}, 'window is 1000; expected a number from 2 to 256'),
        ({'gallery_seconds': float('nan')}, 'gallery_seconds is nan; expected a number from 0'),
        ({'score_threshold': float('nan')}, 'score_threshold is nan; expected a number from 0'),
        ({'gallery_size': -1}, 'gallery_size is -1'),
        ({'gallery_size': 7, 'rule': 'mot'}, 'gallery_size is 7, which has no effect without'),
        ({'gallery_seconds': 60.0, 'rule': 'paper'}, 'gallery_seconds is 60.0, which has no eff'),
        ({'window': 1}, 'window is 1; expected a number from 2 to 256'),
        ({'colour': 'hsv'}, "colour is 'hsv'; expected one of bgr, rgb"),
    ],
)
def test_a_wrong_option_is_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        TrackingPipeline(model, **options)


def test_a_model_that_was_not_built_by_its_name_needs_a_rule(frames):
    model = gtr_mobile(default_checkpoint('mobile'))
    with pytest.raises(ConfigurationError, match='give rule, one of evidence, mot'):
        TrackingPipeline(model, colour='rgb')
    pipeline = TrackingPipeline(model, rule='evidence', colour='rgb')
    assert any(len(tracks) for tracks in track(pipeline, frames))


def test_a_wrong_model_is_refused():
    with pytest.raises(ConfigurationError, match="model is 'yolo'; expected one of"):
        TrackingPipeline(ModelOptions(model='yolo'))


# --- conversion ---


def test_tracks_are_converted_to_supervision(pipeline, frames):
    supervision = pytest.importorskip('supervision', reason='needs supervision')
    tracks = track(pipeline, frames)[3]
    assert len(tracks)
    detections = to_supervision(tracks, pipeline.class_names)
    assert isinstance(detections, supervision.Detections)
    np.testing.assert_array_equal(detections.xyxy, tracks.boxes)
    assert detections.tracker_id.tolist() == tracks.ids.tolist()
    assert detections.class_id.tolist() == tracks.labels.tolist()
    assert detections.confidence.tolist() == tracks.scores.tolist()
    assert set(detections['class_name']) == {'person'}
    # Its own annotator takes them.
    drawn = supervision.BoxAnnotator().annotate(frames[3].copy(), detections)
    assert (drawn != frames[3]).any()


def test_a_frame_without_tracks_is_converted_to_supervision(pipeline):
    pytest.importorskip('supervision', reason='needs supervision')
    tracks = pipeline(np.zeros((32, 32, 3), np.uint8))
    assert len(to_supervision(tracks, pipeline.class_names)) == 0


def test_without_supervision_the_error_names_the_command(pipeline, monkeypatch):
    monkeypatch.setitem(sys.modules, 'supervision', None)
    tracks = pipeline(np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(ImportError, match='pip install supervision'):
        to_supervision(tracks, pipeline.class_names)


@pytest.mark.parametrize(
    ('boxes', 'scores', 'said'),
    [
        ([[0.1, 0.2, 0.5, 0.9]], [0.5], 'fractions of the image'),
        ([[10, 20, 30, 40]], [50.0], 'divide per cent by 100'),
        ([[10, 20, 30, 40]], [-1.0], 'all are -1'),
        ([[10, 20, 30, 40]], [float('nan')], 'not all are finite'),
        ([[900, 20, 930, 40]] * 3, [0.5] * 3, 'have their centre outside the image'),
    ],
)
def test_boxes_of_another_scale_are_refused_in_python_too(boxes, scores, said):
    model = load_model(ModelOptions(checkpoint='random', runtime='torch', device='cpu'))
    count = len(boxes)
    detections = Detections(
        boxes=np.array(boxes, np.float32),
        scores=np.array(scores, np.float32),
        labels=np.zeros(count, np.int64),
        features=torch.zeros(count, 0),
        image_size=(96, 128),
    )
    image = np.zeros((96, 128, 3), np.uint8)
    with pytest.raises(ValueError, match=said):
        model.describe(image, detections)
    assert model.describe(image, detections, checked=True).features.shape == (count, 256)
