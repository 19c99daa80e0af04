# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tracker publishes, any program reads back: boxes, ids, stamps and trajectories."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

pytest.importorskip('vision_msgs', reason='needs the messages')

from rclpy.serialization import deserialize_message
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import Detection3DArray
from vision_msgs.msg import LabelInfo
from visualization_msgs.msg import ImageMarker

from gtr_ros.media.drawing import colour_of
from gtr_ros.msg import TrajectoryArray
from gtr_ros.node.messages.depth import detections_3d_message
from gtr_ros.node.messages.received import read_detections
from gtr_ros.node.messages.tracks import detections_message
from gtr_ros.node.messages.tracks import image_marker_message
from gtr_ros.node.messages.tracks import label_info_message
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.node.messages.tracks import trajectories_message
from gtr_ros.structures import Tracks
from gtr_ros.structures import Trajectory

SETTINGS = settings(derandomize=True, max_examples=60, deadline=None)
SIZE = (480, 640)
NAMES = ('person', 'dog', '')


@st.composite
def tracks(draw: st.DrawFn) -> Tracks:
    """Draw up to six tracks whose boxes lie in the image."""
    count = draw(st.integers(0, 6))
    numbers = st.lists(st.floats(0, 1, width=32), min_size=count, max_size=count)
    left, top, right, bottom = (np.array(draw(numbers), np.float32) for _ in range(4))
    x = left * 600
    y = top * 440
    boxes = np.stack([x, y, x + 1 + right * 38, y + 1 + bottom * 38], axis=1).reshape(-1, 4)
    ids = draw(st.lists(st.integers(1, 2**63 - 1), min_size=count, max_size=count, unique=True))
    labels = draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    confirmed = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    return Tracks(
        ids=np.array(ids, np.int64),
        boxes=boxes,
        scores=np.array(draw(numbers), np.float32),
        labels=np.array(labels, np.int64),
        confirmed=np.array(confirmed, bool),
    )


def sent(message: object, kind: type) -> object:
    """Return a message as another program receives it."""
    return deserialize_message(serialize_message(message), kind)


@SETTINGS
@given(made=tracks())
def test_published_detections_are_received_with_their_boxes(made):
    header = Header(frame_id='camera', stamp=nanoseconds_to_stamp(5))
    message = sent(detections_message(made, header, NAMES), Detection2DArray)
    keep = made.confirmed
    assert [int(d.id) for d in message.detections] == made.ids[keep].tolist()
    found = read_detections(message, SIZE, NAMES.index)
    np.testing.assert_allclose(found.boxes, made.boxes[keep], rtol=1e-6, atol=1e-4)
    np.testing.assert_array_equal(found.scores, made.scores[keep])
    np.testing.assert_array_equal(found.labels, made.labels[keep])


@SETTINGS
@given(made=tracks(), metres=st.floats(0.1, 60), focal=st.floats(50, 2000))
def test_objects_in_3d_project_onto_their_boxes(made, metres, focal):
    info = CameraInfo(height=SIZE[0], width=SIZE[1])
    info.k = [focal, 0.0, 320.0, 0.0, focal, 240.0, 0.0, 0.0, 1.0]
    depth = np.full(SIZE, metres, np.float32)
    message, left_out = detections_3d_message(made, Header(), NAMES, SIZE, depth, info)
    message = sent(message, Detection3DArray)
    boxes = dict(zip(map(str, made.ids.tolist()), made.boxes.astype(np.float64)))
    assert len(message.detections) + left_out == made.confirmed.sum()
    for detection in message.detections:
        centre, size = detection.bbox.center.position, detection.bbox.size
        assert centre.z == pytest.approx(metres, rel=1e-6)
        for low, high, at, extent, middle in (
            (0, 2, centre.x, size.x, 320.5),
            (1, 3, centre.y, size.y, 240.5),
        ):
            ends = np.array([at - extent / 2, at + extent / 2]) / centre.z * focal + middle
            np.testing.assert_allclose(ends, boxes[detection.id][[low, high]], atol=1e-3)


@SETTINGS
@given(made=tracks())
def test_the_boxes_of_confirmed_tracks_are_drawn_in_the_colours_of_their_ids(made):
    header = Header(frame_id='camera')
    marker = sent(image_marker_message(made, header), ImageMarker)
    assert (marker.header, marker.ns, marker.scale) == (header, 'tracks', 2.0)
    assert (marker.type, marker.action) == (ImageMarker.LINE_LIST, ImageMarker.ADD)
    ids, boxes = made.ids[made.confirmed].tolist(), made.boxes[made.confirmed]
    lines = np.array([[(p.x, p.y, p.z) for p in marker.points]]).reshape(-1, 8, 3)
    colours = np.array([(c.r, c.g, c.b, c.a) for c in marker.outline_colors]).reshape(-1, 4, 4)
    assert len(lines) == len(colours) == len(ids)
    for identity, box, line, colour in zip(ids, boxes, lines, colours):
        assert (line[:, 2] == 0).all()
        np.testing.assert_array_equal([*line[:, :2].min(0), *line[:, :2].max(0)], box)
        # Each line is a side: one of its coordinates stays the same.
        assert ((line[::2, :2] == line[1::2, :2]).sum(axis=1) >= 1).all()
        np.testing.assert_allclose(colour[:, :3], np.tile(colour_of(identity), (4, 1)) / 255)
        assert (colour[:, 3] == 1).all()


def test_labels_are_published_with_their_numbers():
    message = sent(label_info_message(Header(frame_id='camera'), NAMES, 0.25), LabelInfo)
    assert message.header.frame_id == 'camera'
    assert [(c.class_id, c.class_name) for c in message.class_map] == list(enumerate(NAMES))
    assert message.threshold == 0.25


STAMPS = st.integers(-(2**31) * 10**9, (2**31 - 1) * 10**9)


@SETTINGS
@given(stamp=STAMPS)
def test_stamps_are_exact(stamp):
    assert stamp_to_nanoseconds(nanoseconds_to_stamp(stamp)) == stamp


@SETTINGS
@given(
    stamps=st.lists(STAMPS, min_size=1, max_size=5),
    values=st.lists(st.floats(-1e6, 1e6, width=32), min_size=4, max_size=4),
    likelihood=st.floats(0, 1, width=32),
    identity=st.integers(1, 2**63 - 1),
    confirmed=st.booleans(),
    away=st.floats(0, 1e6, width=32),
)
def test_published_trajectories_are_received(
    stamps, values, likelihood, identity, confirmed, away
):
    x1, y1, x2, y2 = values
    box = np.array([min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)], np.float32)
    count = len(stamps)
    trajectory = Trajectory(
        id=identity,
        stamps=np.array(stamps),
        boxes=np.tile(box, (count, 1)),
        likelihoods=np.full(count, likelihood, np.float32),
        confirmed=confirmed,
        away=away,
    )
    nothing = np.zeros(0)
    made = Tracks(
        ids=nothing, boxes=nothing, scores=nothing, labels=nothing, confirmed=nothing,
        trajectories=[trajectory],
    )  # fmt: skip
    [found] = sent(trajectories_message(made, Header()), TrajectoryArray).trajectories
    assert (int(found.id), found.confirmed) == (identity, confirmed)
    assert found.away == pytest.approx(away)
    assert [stamp_to_nanoseconds(each.stamp) for each in found.boxes] == stamps
    for each in found.boxes:
        assert each.probability == pytest.approx(likelihood)
        centre = each.bbox.center.position
        half = np.array([each.bbox.size_x, each.bbox.size_y]) / 2
        corners = np.array([centre.x, centre.y]) + np.outer([-1, 1], half)
        np.testing.assert_allclose(corners.ravel(), box, rtol=1e-5, atol=1e-3)
