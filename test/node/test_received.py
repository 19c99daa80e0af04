# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Another detector's boxes are converted to pixels of the camera's image."""

import math

from hypothesis import assume
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

pytest.importorskip('vision_msgs', reason='needs the messages')

from std_msgs.msg import Header
from vision_msgs.msg import Detection2D
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import ObjectHypothesisWithPose

from gtr_ros.node.messages.received import read_detections

SIDES = st.integers(16, 4096)


def detection(x1, y1, x2, y2, results=(('thing', 0.5),), theta=0.0) -> Detection2D:
    made = Detection2D()
    made.bbox.center.position.x, made.bbox.center.position.y = (x1 + x2) / 2, (y1 + y2) / 2
    made.bbox.center.theta = theta
    made.bbox.size_x, made.bbox.size_y = float(x2 - x1), float(y2 - y1)
    for name, score in results:
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = name, score
        made.results.append(hypothesis)
    return made


def read(*detections, size=(100, 200), boxes_size=None):
    names = []

    def label_of(name: str) -> int:
        if name not in names:
            names.append(name)
        return names.index(name)

    message = Detection2DArray(header=Header(), detections=list(detections))
    return read_detections(message, size, label_of, boxes_size), names


@given(
    size=st.tuples(SIDES, SIDES),
    boxes_size=st.tuples(SIDES, SIDES),
    corners=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_boxes_are_in_the_cameras_pixels_for_any_two_image_sizes(size, boxes_size, corners):
    x1, x2 = sorted((corners[0], corners[2]))
    y1, y2 = sorted((corners[1], corners[3]))
    height, width = boxes_size
    assume(max(x2 * width, y2 * height) > 1.5)  # smaller ones are taken for fractions
    given_box = detection(x1 * width, y1 * height, x2 * width, y2 * height)
    found, _ = read(given_box, size=size, boxes_size=boxes_size)
    expected = np.array([x1 * size[1], y1 * size[0], x2 * size[1], y2 * size[0]])
    if len(found):
        np.testing.assert_allclose(found.boxes[0], expected, rtol=1e-5, atol=1e-3)
    else:
        assert (expected[2:] - expected[:2]).min() < 1e-3


def test_the_best_hypothesis_counts_and_new_classes_get_the_next_label():
    found, names = read(
        detection(1, 1, 5, 5, [('dog', 0.3), ('cat', 0.6)]), detection(2, 2, 6, 6, [('dog', 0.9)])
    )
    assert names == ['cat', 'dog']
    assert found.labels.tolist() == [0, 1]
    np.testing.assert_allclose(found.scores, [0.6, 0.9], atol=1e-6)
    assert found.image_size == (100, 200)


def test_a_rotated_box_becomes_the_axis_aligned_box_around_it():
    found, _ = read(detection(40, 40, 60, 50, theta=math.pi / 2))
    np.testing.assert_allclose(found.boxes, [[45, 35, 55, 55]], atol=1e-4)


def test_boxes_are_clipped_and_removed_if_outside_of_the_image():
    found, _ = read(detection(-10, 90, 20, 120), detection(300, 0, 310, 10))
    assert found.boxes.tolist() == [[0, 90, 20, 100]]
    assert len(found.scores) == len(found.labels) == len(found.features) == 1


def test_without_boxes_there_are_no_detections():
    found, _ = read()
    assert found.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ('bad', 'words'),
    [
        (detection(1, 1, 5, 5, []), 'detection 1 has no results'),
        (detection(1, math.nan, 5, 5), 'detection 1 has the box'),
        (detection(1, 1, math.inf, 5), 'detection 1 has the box'),
        (detection(1, 1, 5, 5, [('dog', math.nan)]), 'the score nan'),
    ],
)
def test_an_invalid_box_is_refused_with_its_index(bad, words):
    with pytest.raises(ValueError, match=words.replace('[', r'\[')):
        read(detection(1, 1, 5, 5), bad)


@pytest.mark.parametrize(
    ('results', 'said'),
    [
        ([('dog', 87.0)], 'detection 0: the score is 87; .* per cent'),
        ([('dog', -1.0)], 'detection 0: the score is -1; .* no score'),
        ([('dog', -3.2), ('cat', 4.1)], 'detection 0: the score is -3.2; .* logits'),
    ],
)
def test_scores_of_another_scale_are_refused(results, said):
    with pytest.raises(ValueError, match=said):
        read(detection(10, 10, 50, 50, results))


def test_a_box_with_a_negative_side_is_refused():
    with pytest.raises(ValueError, match='detection 1 has a box of -40 x 40 pixels'):
        read(detection(10, 10, 50, 50), detection(50, 10, 10, 50))


def test_boxes_in_other_units_than_pixels_are_refused():
    with pytest.raises(ValueError, match='fractions of the image'):
        read(detection(0.1, 0.2, 0.6, 0.9))
    wide = [detection(300 + 10 * i, 50, 340 + 10 * i, 90) for i in range(4)]
    with pytest.raises(ValueError, match=r'4 of 4 boxes .* detections_width'):
        read(*wide)
    found, _ = read(*wide, boxes_size=(100, 400))
    assert len(found) == 4


def test_some_boxes_outside_are_left_out():
    found, _ = read(detection(10, 10, 50, 50), detection(300, 10, 340, 50))
    assert len(found) == 1
