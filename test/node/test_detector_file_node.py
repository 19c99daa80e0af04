# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node with a detector's file: its boxes and classes, with ids, over real DDS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from detector_graphs import transformer_outputs
from detector_graphs import write_graph
import numpy as np
from paths import SHARED
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')
pytest.importorskip('onnxruntime', reason='needs the onnx extra')

from node_processes import Camera
from node_processes import Process
from node_processes import ros_environment
from node_processes import tracker_node
from vision_msgs.msg import Detection2DArray

from gtr_ros.boxes import box_iou
from gtr_ros.media.video import VideoReader
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.node.tracker.pipeline import CameraFrame
from gtr_ros.node.tracker.pipeline import Pipeline
from gtr_ros.options import ConfigurationError
from gtr_ros.runtime.detector_file.detector import DetectorFile
from gtr_ros.tracking import EvidenceRule

pytestmark = pytest.mark.ros

NANO = SHARED / 'data/teacher/yolox_nano.onnx'
SIZE = (64, 96)
#: xyxy, pixels of an image of twice that size
BOXES = np.array([[20, 16, 60, 120], [100, 20, 150, 60.0]])
IMAGE = np.full((128, 192, 3), 120, np.uint8)


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


def write_detector(folder: Path, **options) -> Path:
    """Write a detector that finds a forklift and a pallet at the same places in every image."""
    boxes, logits = transformer_outputs(BOXES / 2, [0.9, 0.8], [0, 2], SIZE, classes=4)
    outputs = {'dets': boxes, 'labels': logits}
    file = write_graph(folder / 'mine.onnx', outputs, SIZE, **options)
    told = 'mean: [0, 0, 0]\nstd: [1, 1, 1]\nnames: [forklift, cone, pallet, null]\n'
    (folder / 'mine.yaml').write_text(told)
    return file


def found(message: Detection2DArray) -> list[tuple[str, str, list[float]]]:
    """Return id, class and corners of each detection."""
    rows = []
    for detection in message.detections:
        box, [result] = detection.bbox, detection.results
        x, y, w, h = box.center.position.x, box.center.position.y, box.size_x, box.size_y
        corners = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
        rows.append((detection.id, result.hypothesis.class_id, corners))
    return rows


def exchange(node: Process, camera: Camera, image: np.ndarray) -> Detection2DArray:
    message = camera.exchange(image)
    assert 'Traceback' not in node.output
    return message


def test_the_node_tracks_the_boxes_of_a_file(tmp_path):
    file = write_detector(tmp_path, fails_if_white=True)
    with tracker_node(detector=file, min_hits=1, device='cpu', runtime='torch') as node:
        node.wait_for_output('tracking on /image')
        assert 'rf-detr (logits), input 96 x 64 stretched, RGB 0..1, 3 classes' in node.output
        assert '3 classes (forklift, cone, pallet)' in node.output
        assert f'boxes of {file}, features of model mobile' in node.output
        camera = Camera()
        try:
            camera.wait_for_tracker()
            for _ in range(3):
                first, second = found(exchange(node, camera, IMAGE))
                assert (first[:2], second[:2]) == (('1', 'forklift'), ('2', 'pallet'))
                np.testing.assert_allclose([first[2], second[2]], BOXES, atol=0.2)
            # An image whose output is not a number is counted, and the next one is tracked.
            camera.send(np.full_like(IMAGE, 255))
            assert camera.spin_until(lambda: 'mine.onnx cannot be used' in node.output, 20.0)
            assert [row[0] for row in found(camera.exchange(IMAGE))] == ['1', '2']
            assert camera.next_diagnostics()['failed'] == '1'
        finally:
            camera.close()


@pytest.mark.parametrize(
    ('parameters', 'expected'),
    [
        ({'detector': 'no.onnx'}, 'there is no detector at no.onnx'),
        ({'detector': 'mine.engine'}, 'expected the path of an ONNX file (.onnx)'),
        ({'detector': 'a.onnx', 'detections_topic': 'boxes'}, 'these are two detectors'),
    ],
)
def test_the_node_says_in_one_line_what_is_wrong_with_a_file(parameters, expected):
    with tracker_node(device='cpu', runtime='torch', **parameters) as node:
        assert node.wait() != 0
        assert expected in node.output
        assert 'Traceback' not in node.output


@pytest.mark.skipif(not NANO.is_file(), reason='YOLOX-Nano is not here (../shared)')
def test_the_node_tracks_people_found_by_yolox_nano(pets):
    detector = DetectorFile(NANO, [('CPUExecutionProvider', {})])
    with VideoReader(pets / 'vtest.avi') as video:
        images = [frame.image for frame, _ in zip(video, range(3))]
    with tracker_node(detector=NANO, min_hits=1, device='cpu', runtime='torch') as node:
        node.wait_for_output('tracking on /image')
        assert 'yolox (yolox-raw), input 416 x 416 letterbox corner, BGR 0..255' in node.output
        camera = Camera()
        try:
            camera.wait_for_tracker()
            ids = []
            for image in images:
                rows = found(exchange(node, camera, image))
                [expected] = detector.find([image], 0.4)
                corners = np.array([row[2] for row in rows])
                assert len(rows) == len(expected) >= 5
                assert box_iou(expected.boxes, corners).max(axis=1).min() > 0.99
                assert sum(row[1] == 'person' for row in rows) >= 3
                ids.append({row[0] for row in rows})
            assert len(set.intersection(*ids)) >= 5
        finally:
            camera.close()


def test_the_pipeline_links_them_as_boxes_of_another_detector_with_known_classes(tmp_path):
    options = {'checkpoint': 'random', 'device': 'cpu', 'model': 'mot', 'min_hits': 1}
    file = str(write_detector(tmp_path))
    pipe = Pipeline(NodeParameters(detector=file, class_names=('pallet',), **options))
    assert isinstance(pipe.tracker('')._linker.rule, EvidenceRule)
    assert pipe.class_names == ['forklift', 'cone', 'pallet']
    assert pipe.description.startswith('rf-detr mine.onnx; ')
    [detections] = pipe.detect([CameraFrame(IMAGE, 1)])
    assert len(detections) == 2
    assert pipe.track(detections).labels.tolist() == [2]
    with pytest.raises(ConfigurationError, match="'person', which this model does not know"):
        pipe.update(NodeParameters(detector=file, class_names=('person',), **options))
