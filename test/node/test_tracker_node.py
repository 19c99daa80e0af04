# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node over real DDS: images in, detections with ids out, whatever the images are."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from paths import SHARED
from PIL import Image as Picture
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from node_processes import Camera
from node_processes import Process
from node_processes import ros_environment
from node_processes import STOP_SECONDS
from node_processes import tracker_node
from sensor_msgs.msg import Image
import torch
from vision_msgs.msg import Detection2DArray

from gtr_ros.boxes import box_iou
from gtr_ros.cli import main
from gtr_ros.model.build import build
from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.checkpoint import save_checkpoint

pytestmark = pytest.mark.ros

VIDEO = SHARED / 'data/pets09_s2l1/vtest.avi'
HEIGHT, WIDTH = 120, 161
# Odd, so that the rows of padded images are not aligned by chance.
PADDING = 13


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def eager_weights(tmp_path_factory) -> Path:
    """Return random weights, scaled so that some scores exceed the threshold in any image."""
    torch.manual_seed(1)
    detector = gtr_mobile().detector
    image = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)
    with torch.no_grad():
        logits, _, _ = detector(detector.prepare([image], torch.device('cpu')).pixels)
        detector.heatmap[1][0].weight /= logits.std(dim=(2, 3)).mean()
        detector.sides[1][0].bias.fill_(1.0)
    path = tmp_path_factory.mktemp('weights') / 'eager.safetensors'
    save_checkpoint(path, detector.state_dict(), {'model': 'mobile', 'source': 'this test'})
    return path


@pytest.fixture(scope='module')
def node(eager_weights: Path) -> Iterator[Process]:
    """Run a node that confirms every track at once."""
    with tracker_node(checkpoint=eager_weights, min_hits=1, device='cpu') as node:
        node.wait_for_output('tracking on /image')
        yield node


@pytest.fixture(scope='module')
def camera(node: Process) -> Iterator[Camera]:
    camera = Camera()
    camera.wait_for_tracker()
    yield camera
    camera.close()


@pytest.fixture(scope='module')
def picture() -> np.ndarray:
    """Draw coloured rectangles on noise, (H, W, 3) uint8 RGB."""
    random = np.random.default_rng(3)
    picture = random.integers(0, 60, (HEIGHT, WIDTH, 3), np.uint8)
    for _ in range(12):
        y, x = random.integers(0, HEIGHT - 30), random.integers(0, WIDTH - 30)
        picture[y : y + 30, x : x + 20] = random.integers(0, 256, 3)
    return picture


def boxes_and_scores(message: Detection2DArray) -> np.ndarray:
    """Return x1, y1, x2, y2 and score of each detection, (N, 5)."""
    rows = []
    for detection in message.detections:
        box, [result] = detection.bbox, detection.results
        x, y = box.center.position.x, box.center.position.y
        rows.append(
            [
                x - box.size_x / 2,
                y - box.size_y / 2,
                x + box.size_x / 2,
                y + box.size_y / 2,
                result.hypothesis.score,
            ]
        )
    return np.array(rows)


def same_boxes(found: np.ndarray, expected: np.ndarray) -> bool:
    """Return whether each row has an equal one among the others, in any order."""
    differences = np.abs(found[:, None] - expected[None]).max(axis=2)
    return (
        len(found) == len(expected)
        and max(differences.min(axis=0).max(), differences.min(axis=1).max()) < 0.01
    )


def ids_by_place(message: Detection2DArray) -> dict[tuple[float, float, str], str]:
    return {
        (
            round(d.bbox.center.position.x, 1),
            round(d.bbox.center.position.y, 1),
            d.results[0].hypothesis.class_id,
        ): d.id
        for d in message.detections
    }


def unreadable(picture: np.ndarray) -> Image:
    return Image(
        height=HEIGHT,
        width=WIDTH,
        encoding='32FC1',
        step=WIDTH * 4,
        data=array('B', bytes(HEIGHT * WIDTH * 4)),
    )


def truncated(picture: np.ndarray) -> Image:
    return Image(
        height=HEIGHT,
        width=WIDTH,
        encoding='rgb8',
        step=WIDTH * 3,
        data=array('B', picture.tobytes()[:-100]),
    )


def empty(picture: np.ndarray) -> Image:
    return Image(encoding='rgb8')


def narrow_step(picture: np.ndarray) -> Image:
    return Image(
        height=HEIGHT, width=WIDTH, encoding='rgb8', step=WIDTH, data=array('B', picture.tobytes())
    )


def test_an_image_comes_back_as_detections_with_its_header_and_boxes_inside_it(camera, picture):
    message = camera.exchange(picture)
    assert message.header.frame_id == 'camera_optical'
    stamp = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
    assert camera.detections[stamp] is message
    assert message.detections
    assert all(detection.header == message.header for detection in message.detections)
    assert all(detection.id.isdecimal() for detection in message.detections)
    assert len({detection.id for detection in message.detections}) == len(message.detections)
    boxes = boxes_and_scores(message)
    assert (boxes[:, 0] < boxes[:, 2]).all()
    assert (boxes[:, 1] < boxes[:, 3]).all()
    assert boxes[:, :2].min() > -1e-3
    assert boxes[:, 2].max() < WIDTH + 1e-3
    assert boxes[:, 3].max() < HEIGHT + 1e-3
    assert (boxes[:, 4] > 0.39).all()


def test_with_onnx_runtime_the_boxes_are_the_same(camera, picture, eager_weights, tmp_path):
    expected = boxes_and_scores(camera.exchange(picture))
    exported = tmp_path / 'onnx'
    assert main(['export', '--checkpoint', str(eager_weights), '--out', str(exported)]) == 0
    parameters = {'checkpoint': eager_weights, 'min_hits': 1, 'runtime': 'onnxruntime'}
    with tracker_node(
        '__ns:=/onnx', 'image:=/onnx/image', exported=exported, **parameters
    ) as node:
        node.wait_for_output('on onnxruntime, provider auto')
        other = Camera('/onnx/tracker', '/onnx/image')
        try:
            other.wait_for_tracker()
            assert same_boxes(boxes_and_scores(other.exchange(picture)), expected)
        finally:
            other.close()
    with tracker_node('__ns:=/onnx', exported=tmp_path / 'none', **parameters) as node:
        node.wait_for_output('cannot configure: these weights are not exported to')


@pytest.mark.parametrize(
    ('parameters', 'place'),
    [
        ({'precision': 'bfloat16'}, 'on cpu bfloat16'),
        ({'camera_motion': 'false', 'weak_score_threshold': '0.2'}, 'on cpu'),
        pytest.param({'compile': 'true'}, 'on cpu compiled', marks=pytest.mark.slow),
    ],
)
def test_with_other_precisions_and_compilation_the_boxes_are_the_same(parameters, place):
    photograph = np.array(Picture.open('docs/demo.jpg').convert('RGB').resize((640, 480)))
    [expected] = build('mobile').detect([photograph], None, 0.45)
    assert len(expected) >= 3
    with tracker_node('__ns:=/form', 'image:=/form/image', min_hits=1, **parameters) as node:
        node.wait_for_output('tracking on /form/image')
        assert place in node.output
        other = Camera('/form/tracker', '/form/image')
        try:
            other.wait_for_tracker()
            found = boxes_and_scores(other.exchange(photograph))
        finally:
            other.close()
    assert (box_iou(expected.boxes, found[:, :4]).max(axis=1) > 0.95).all()


def test_trajectories_carry_the_same_ids_and_end_at_this_image(camera, picture):
    message = camera.exchange(picture)
    stamp = message.header.stamp
    trajectories = camera.trajectories[stamp.sec * 1_000_000_000 + stamp.nanosec]
    assert trajectories.header == message.header
    assert {t.id for t in trajectories.trajectories} == {d.id for d in message.detections}
    for trajectory in trajectories.trajectories:
        assert trajectory.boxes[-1].stamp == stamp
        assert trajectory.boxes[-1].probability == 1
        assert trajectory.confirmed


def test_a_static_image_keeps_its_ids(camera, picture):
    first = ids_by_place(camera.exchange(picture))
    for _ in range(3):
        assert ids_by_place(camera.exchange(picture)) == first


@pytest.mark.parametrize('padding', [0, PADDING])
def test_every_colour_encoding_gives_the_same_boxes(camera, picture, padding):
    expected = boxes_and_scores(camera.exchange(picture))
    alpha = np.full((HEIGHT, WIDTH, 1), 40, np.uint8)
    bgr = picture[:, :, ::-1]
    for encoding, pixels in {
        'rgb8': picture,
        'bgr8': bgr,
        'rgba8': np.concatenate([picture, alpha], 2),
        'bgra8': np.concatenate([bgr, alpha], 2),
    }.items():
        found = boxes_and_scores(camera.exchange(pixels, encoding, padding))
        assert same_boxes(found, expected), encoding
    swapped = boxes_and_scores(camera.exchange(bgr, 'rgb8', padding))
    assert not same_boxes(swapped, expected)


@pytest.mark.parametrize('padding', [0, PADDING])
def test_a_grey_image_gives_the_same_boxes_as_mono8_and_in_colour(camera, picture, padding):
    gray = picture[:, :, :1]
    expected = boxes_and_scores(camera.exchange(np.repeat(gray, 3, 2)))
    for encoding, channels in {'mono8': 1, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4}.items():
        found = boxes_and_scores(camera.exchange(np.repeat(gray, channels, 2), encoding, padding))
        assert same_boxes(found, expected), encoding


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        (unreadable, "encoding '32FC1'"),
        (truncated, 'truncated'),
        (empty, 'width 0, height 0'),
        (narrow_step, f'step {WIDTH} is too small'),
    ],
)
def test_an_invalid_image_is_logged_and_counted_and_the_node_continues(
    camera,
    node,
    picture,
    make,
    words,
):
    before = int(camera.next_diagnostics()['failed'])
    for _ in range(3):  # best effort may lose some
        stamp = camera.send(make(picture))
        if camera.spin_until(lambda: words in node.output, STOP_SECONDS / 3):
            break
    assert words in node.output
    after = camera.next_diagnostics()
    assert int(after['failed']) == before + 1
    assert words in after['last_error']
    assert stamp not in camera.detections
    assert camera.exchange(picture).detections
    assert 'Traceback' not in node.output


def test_diagnostics_count_images_and_say_what_runs(camera, picture):
    before = camera.next_diagnostics()
    camera.exchange(picture)
    after = camera.next_diagnostics()
    assert int(after['processed']) > int(before['processed'])
    assert int(after['received']) == sum(
        int(after[name]) for name in ('processed', 'dropped', 'failed')
    )
    assert after['level'] == '0'
    assert after['topic'] == '/image'
    assert after['model'] == 'mobile'
    assert after['device'] == 'cpu'
    assert after['association']
    assert float(after['processing_ms']) > 0
    assert np.isfinite(float(after['age_ms']))


def test_the_debug_image_has_the_header_and_size_of_the_image(camera, picture):
    camera.watch_debug_image()
    message = camera.exchange(picture)
    stamp = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
    assert camera.spin_until(lambda: stamp in camera.debug_images, STOP_SECONDS)
    drawn = camera.debug_images[stamp]
    assert drawn.header == message.header
    assert (drawn.height, drawn.width, drawn.encoding) == (HEIGHT, WIDTH, 'rgb8')
    assert bytes(drawn.data) != picture.tobytes()
    camera.ignore_debug_image()
    camera.exchange(picture)


def test_stamps_that_repeat_go_back_a_frame_or_are_missing_keep_the_ids(camera, node, picture):
    first = camera.exchange(picture)
    before = camera.next_diagnostics()
    newest = first.header.stamp.sec * 1_000_000_000 + first.header.stamp.nanosec
    for stamp in (newest, newest - 100_000_000, 0, newest, 0):
        camera.detections.pop(stamp, None)
        camera.jump_to(stamp)
        sent = camera.send(picture)
        assert camera.spin_until(lambda sent=sent: sent in camera.detections, STOP_SECONDS)
        assert ids_by_place(camera.detections[sent]) == ids_by_place(first)
    camera.jump_to(newest + 200_000_000)
    assert ids_by_place(camera.exchange(picture)) == ids_by_place(first)
    after = camera.next_diagnostics()
    counted = {
        name: int(after[name]) - int(before[name])
        for name in ('repaired_stamps', 'without_stamp', 'resets')
    }
    assert counted == {'repaired_stamps': 3, 'without_stamp': 2, 'resets': 0}
    warning = f'the stamp of an image of /image, {newest / 1e9:.3f} s, is not after the newest one'
    assert node.output.count('is not after the newest one') == 1
    assert warning in node.output
    assert node.output.count('an image of /image has no stamp (0.000 s)') == 1


def test_a_jump_back_in_time_starts_new_ids(camera, node, picture):
    message = camera.exchange(picture)
    old = {detection.id for detection in message.detections}
    camera.jump_to((message.header.stamp.sec - 3600) * 1_000_000_000)
    new = {detection.id for detection in camera.exchange(picture).detections}
    assert min(map(int, new)) > max(map(int, old))
    node.wait_for_output('the clock was reset')


def test_silence_is_explained_by_topic_and_publishers(camera, node):
    node.wait_for_output('no image on /image, publishers there: 1')
    assert camera.spin_until(
        lambda: (
            camera.diagnostics
            and camera.diagnostics[-1]['level'] == '1'
            and 'no image on /image' in camera.diagnostics[-1]['message']
        ),
        STOP_SECONDS,
    )


@pytest.mark.parametrize('min_hits', [0, 3])
def test_people_in_a_repeated_frame_of_a_real_video_keep_their_ids(min_hits):
    if not VIDEO.is_file():
        pytest.skip(f'no video at {VIDEO}')
    av = pytest.importorskip('av')
    with av.open(str(VIDEO)) as video:
        frame = next(video.decode(video=0)).to_ndarray(format='rgb24')
    names = 'image:=/street/image', '__ns:=/street'
    with tracker_node(*names, min_hits=min_hits) as node:
        node.wait_for_output('tracking on /street/image')
        camera = Camera('/street/tracker', '/street/image')
        camera.wait_for_tracker()
        # The node may track an image before it knows who subscribes, and then gets it again.
        camera.exchange(np.zeros_like(frame))
        messages = [camera.exchange(frame) for _ in range(6)]
        camera.close()
    # With a fixed count, tracks are confirmed in that frame; otherwise likely ones are earlier.
    assert bool(messages[1].detections) == (min_hits == 0)
    people = [d for d in messages[2].detections if d.results[0].hypothesis.class_id == 'person']
    assert len(people) >= 3
    for message in messages[3:]:
        assert ids_by_place(message) == ids_by_place(messages[2])
