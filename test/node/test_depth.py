# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objects are placed in 3D: rendered scenes of known dimensions, calibrations and markers."""

from array import array

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from builtin_interfaces.msg import Duration
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D
from vision_msgs.msg import Detection3DArray
from vision_msgs.msg import ObjectHypothesisWithPose
from visualization_msgs.msg import Marker

from gtr_ros.media.drawing import colour_of
from gtr_ros.media.pixels import ImageError
from gtr_ros.node.messages.depth import depth_to_metres
from gtr_ros.node.messages.depth import detections_3d_message
from gtr_ros.node.messages.markers import markers_message
from gtr_ros.node.messages.tracks import detections_message
from gtr_ros.structures import Tracks

CLASS_NAMES = ('person', 'bicycle', 'car')
HEADER = Header(stamp=Time(sec=7, nanosec=500_000_000), frame_id='camera_optical')
WIDTH, HEIGHT, FOCAL = 640, 480, 525.0
SIZE = (HEIGHT, WIDTH)
NAN, INF = np.nan, np.inf


def tracks_of(*boxes, confirmed=None) -> Tracks:
    count = len(boxes)
    return Tracks(
        ids=np.arange(count) + 3,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.linspace(0.5, 1, count, dtype=np.float32),
        labels=np.arange(count) % 3,
        confirmed=np.array([True] * count if confirmed is None else confirmed, bool),
    )


def info_of(size=SIZE, fx=FOCAL, fy=FOCAL, **fields) -> CameraInfo:
    """Return the calibration of a camera whose principal point is the centre of its image."""
    height, width = size
    k = [fx, 0, width / 2 - 0.5, 0, fy, height / 2 - 0.5, 0, 0, 1]
    return CameraInfo(height=height, width=width, k=np.array(k, float), **fields)


def render(cuboids, wall, size=SIZE, fx=FOCAL, fy=FOCAL) -> np.ndarray:
    """Cast a ray through the centre of each pixel; cuboids: (low, high) corners, metres."""
    height, width = size
    x = (np.arange(width) + 0.5 - width / 2) / fx
    y = (np.arange(height) + 0.5 - height / 2) / fy
    ray = np.stack([*np.meshgrid(x, y), np.ones(size)], axis=2)
    ray[ray == 0] = 1e-12
    depth = np.full(size, wall, float)
    for low, high in cuboids:
        hits = np.sort(np.stack([np.array(low) / ray, np.array(high) / ray]), axis=0)
        near, far = hits[0].max(axis=2), hits[1].min(axis=2)
        depth = np.where((near <= far) & (near < depth), near, depth)
    return depth.astype(np.float32)


def outline(low, high, size=SIZE, fx=FOCAL, fy=FOCAL) -> list[float]:
    """Return the box around the image of a cuboid, from the edge of the first pixel."""
    x = [fx * x / z for x in (low[0], high[0]) for z in (low[2], high[2])]
    y = [fy * y / z for y in (low[1], high[1]) for z in (low[2], high[2])]
    left, top = size[1] / 2, size[0] / 2
    return [left + min(x), top + min(y), left + max(x), top + max(y)]


def locate(tracks, depth, info=None, size=SIZE) -> tuple[Detection3DArray, int]:
    return detections_3d_message(tracks, HEADER, CLASS_NAMES, size, depth, info or info_of(size))


def centre_and_size(detection) -> tuple[list[float], list[float]]:
    centre, size = detection.bbox.center.position, detection.bbox.size
    return [centre.x, centre.y, centre.z], [size.x, size.y, size.z]


def depth_message(values, encoding='32FC1', big=False, padding=0) -> Image:
    kind = np.dtype({'32FC1': 'f4', '16UC1': 'u2'}[encoding]).newbyteorder('>' if big else '<')
    values = np.array(values)
    rows = np.full((len(values), values.shape[1] * kind.itemsize + padding), 201, np.uint8)
    rows[:, : rows.shape[1] - padding] = values.astype(kind).view(np.uint8)
    return Image(
        header=HEADER,
        height=values.shape[0],
        width=values.shape[1],
        encoding=encoding,
        is_bigendian=int(big),
        step=rows.shape[1],
        data=array('B', rows.tobytes()),
    )


@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('padding', [0, 1, 12])
def test_float_depth_is_metres_and_invalid_values_are_nan(big, padding):
    message = depth_message([[1.25, 0, NAN, 4], [INF, -INF, -2, 0.5]], '32FC1', big, padding)
    metres = depth_to_metres(message)
    assert metres.dtype == np.float32
    np.testing.assert_array_equal(metres, [[1.25, NAN, NAN, 4], [NAN, NAN, NAN, 0.5]])


@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('padding', [0, 1, 6])
def test_integer_depth_is_millimetres_and_zero_is_nan(big, padding):
    message = depth_message([[1250, 0, 1], [65535, 256, 0]], '16UC1', big, padding)
    metres = depth_to_metres(message)
    assert metres.dtype == np.float32
    expected = np.array([[1.25, NAN, 0.001], [65.535, 0.256, NAN]], np.float32)
    np.testing.assert_array_equal(metres, expected)


@pytest.mark.parametrize('padding', [0, 8])
def test_valid_float_depth_is_a_view_and_conversion_does_not_change_the_message(padding):
    canonical = depth_message([[1, NAN], [2, 3]], padding=padding)
    assert np.shares_memory(depth_to_metres(canonical), np.frombuffer(canonical.data, np.uint8))
    for other in (depth_message([[1, 0]]), depth_message([[1, 0]], '16UC1')):
        before = other.data[:]
        depth_to_metres(other)
        assert other.data == before


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'encoding': 'mono8'}, ["'mono8'", '32FC1', '16UC1', 'REP-118']),
        ({'encoding': '64FC1'}, ["'64FC1'", '32FC1']),
        ({'width': 0}, ['empty', 'width 0']),
        ({'height': 0}, ['empty', 'height 0']),
        ({'step': 11}, ['step 11', '12 bytes']),
        ({'height': 3}, ['truncated', '24 bytes', '36']),
        ({'data': array('B')}, ['truncated', '0 bytes']),
    ],
)
def test_an_invalid_depth_image_is_refused_with_value_and_hint(change, words):
    message = depth_message([[1, 2, 3], [4, 5, 6]])
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(ImageError) as refusal:
        depth_to_metres(message)
    for word in words:
        assert word in str(refusal.value)


def test_a_cuboid_in_front_of_a_wall_is_placed_to_the_millimetre():
    low, high = (-0.3, -0.6, 3), (0.3, 0.6, 3.4)
    depth = render([(low, high)], wall=5)
    message, left_out = locate(tracks_of(outline(low, high)), depth)
    assert left_out == 0
    centre, size = centre_and_size(message.detections[0])
    np.testing.assert_allclose(centre, [0, 0, 3], atol=1e-3)
    np.testing.assert_allclose(size[:2], [0.6, 1.2], atol=1e-3)
    # A flat face: 2 % of 3 m, which is more than 5 cm.
    assert size[2] == pytest.approx(0.06)


def test_off_the_axis_x_is_right_y_is_down_and_visible_sides_add_little():
    low, high = (0.5, -0.9, 3), (1.1, -0.1, 3.2)
    depth = render([(low, high)], wall=5)
    message, _ = locate(tracks_of(outline(low, high)), depth)
    centre, size = centre_and_size(message.detections[0])
    # 0.5 * 0.2 / 3.2 m of the left side is visible, so the centre moves by half of that.
    np.testing.assert_allclose(centre, [0.8, -0.5, 3], atol=0.02)
    np.testing.assert_allclose(size[:2], [0.6, 0.8], atol=0.035)
    assert centre[0] < 0.8


def test_each_of_several_objects_gets_its_own_depth():
    cuboids = [((x, -0.4, z), (x + 0.4, 0.4, z + 0.01)) for x, z in ((-1, 2), (0, 3), (1, 4))]
    message, _ = locate(tracks_of(*(outline(*c) for c in cuboids)), render(cuboids, wall=8))
    centres = [centre_and_size(detection)[0] for detection in message.detections]
    np.testing.assert_allclose(centres, [[-0.8, 0, 2], [0.2, 0, 3], [1.2, 0, 4]], atol=0.005)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_resolution_and_shape_of_image_depth_and_calibration_change_nothing(data):
    width, height = (data.draw(st.integers(160, 800), label=name) for name in ('width', 'height'))
    depth_size, info_size = (
        tuple(round(scale * side) for side in (height, width))
        for scale in (data.draw(st.floats(0.5, 1.6), label=name) for name in ('depth', 'info'))
    )
    # The same field of view for all of them.
    focal_x, focal_y = (data.draw(st.floats(0.5, 2), label=name) for name in ('fx', 'fy'))
    distance = data.draw(st.floats(0.3, 20), label='distance')
    # A plate, in fractions of the field of view.
    left, top = (data.draw(st.floats(-0.45, 0.2), label=name) for name in ('left', 'top'))
    wide, high = (data.draw(st.floats(0.2, 0.25), label=name) for name in ('wide', 'high'))
    per_x, per_y = distance / focal_x, distance / focal_y
    low = (left * per_x, top * per_y, distance)
    end = ((left + wide) * per_x, (top + high) * per_y, distance + 1e-6)

    depth = render(
        [(low, end)], 2 * distance, depth_size, focal_x * depth_size[1], focal_y * depth_size[0]
    )
    info = info_of(info_size, focal_x * info_size[1], focal_y * info_size[0])
    box = outline(low, end, (height, width), focal_x * width, focal_y * height)
    message, left_out = locate(tracks_of(box), depth, info, (height, width))
    assert left_out == 0
    centre, size = centre_and_size(message.detections[0])
    expected = (np.array(low) + end) / 2
    np.testing.assert_allclose(centre, expected, rtol=1e-4, atol=1e-4 * distance)
    np.testing.assert_allclose(size[:2], [wide * per_x, high * per_y], rtol=1e-4)
    assert size[2] == pytest.approx(max(0.05, 0.02 * distance), rel=1e-4)


def test_header_ids_classes_and_scores_are_those_of_the_2d_detections():
    boxes = [[100, 100, 200, 200], [300, 100, 400, 300], [300, 300, 400, 450]]
    tracks = tracks_of(*boxes, confirmed=[True, False, True])
    depth = np.full(SIZE, 2, np.float32)
    message, left_out = locate(tracks, depth)
    flat = detections_message(tracks, HEADER, CLASS_NAMES)
    assert left_out == 0
    assert message.header == HEADER
    assert [d.id for d in message.detections] == [d.id for d in flat.detections] == ['3', '5']
    for solid, plane in zip(message.detections, flat.detections):
        assert solid.header == HEADER
        assert [r.hypothesis for r in solid.results] == [r.hypothesis for r in plane.results]
        assert solid.results[0].pose.pose == solid.bbox.center
        turn = solid.bbox.center.orientation
        assert (turn.x, turn.y, turn.z, turn.w) == (0, 0, 0, 1)
    assert deserialize_message(serialize_message(message), Detection3DArray) == message


def test_an_object_without_depth_is_left_out_and_counted():
    depth = np.full(SIZE, 2, np.float32)
    depth[:, 250:] = NAN
    boxes = [[100, 100, 200, 200], [300, 100, 400, 300], [500, 300, 600, 450]]
    message, left_out = locate(tracks_of(*boxes, confirmed=[True, True, False]), depth)
    assert [detection.id for detection in message.detections] == ['3']
    assert left_out == 1


def test_without_any_depth_the_message_is_empty_but_stamped():
    message, left_out = locate(tracks_of([100, 100, 200, 200]), np.full(SIZE, NAN, np.float32))
    assert (message.header, message.detections, left_out) == (HEADER, [], 1)
    message, left_out = locate(tracks_of(), np.full(SIZE, 2, np.float32))
    assert (message.header, message.detections, left_out) == (HEADER, [], 0)


BOX = outline((0.2, 0.1, 2), (0.6, 0.7, 2.000001))


def place(info, box=BOX, size=SIZE) -> np.ndarray:
    """Return the position and size of an object at a depth of 2 m."""
    message, _ = locate(tracks_of(box), np.full(size, 2, np.float32), info, size)
    return np.concatenate(centre_and_size(message.detections[0]))


TRUTH = [0.4, 0.4, 2, 0.4, 0.6, 0.05]


def test_the_projection_of_the_rectified_image_is_preferred_to_the_raw_cameras():
    k = info_of().k
    p = np.insert(k.reshape(3, 3), 3, [-30, 0, 0], axis=1).ravel()
    off = k * np.array([1.1, 1, 1, 1, 1.1, 1, 1, 1, 1])
    for info in (info_of(), info_of(p=p), CameraInfo(width=WIDTH, height=HEIGHT, p=p)):
        np.testing.assert_allclose(place(info), TRUTH, atol=1e-4)
    info = info_of(p=p)
    info.k = off
    np.testing.assert_allclose(place(info), TRUTH, atol=1e-4)


def test_binning_and_region_of_interest_refer_to_the_full_sensor():
    info = info_of((1000, 1400), 2 * FOCAL, 2 * FOCAL, binning_x=2, binning_y=2)
    info.roi.x_offset, info.roi.y_offset = 60, 20
    info.roi.width, info.roi.height = 2 * WIDTH, 2 * HEIGHT
    # The principal point is now 700 - 60 and 500 - 20 pixels of the sensor from the corner: the
    # centre.
    np.testing.assert_allclose(place(info), TRUTH, atol=1e-4)


def test_a_calibration_of_unknown_size_is_that_of_the_image_with_or_without_binning():
    plain, binned = info_of(), info_of((960, 1280), 2 * FOCAL, 2 * FOCAL, binning_x=2, binning_y=2)
    for info in (plain, binned):
        info.width = info.height = 0
        np.testing.assert_allclose(place(info), TRUTH, atol=1e-4)


def test_a_calibration_of_another_resolution_is_scaled_and_binning_is_not_applied_twice():
    info = info_of((240, 320), FOCAL / 2, FOCAL / 2)
    np.testing.assert_allclose(place(info), TRUTH, atol=1e-4)
    info = info_of(
        binning_x=2, binning_y=2
    )  # of a driver that publishes the size of the binned image
    np.testing.assert_allclose(place(info), TRUTH, atol=1e-4)


def test_a_camera_without_calibration_is_refused_with_a_hint():
    with pytest.raises(ImageError, match=r'focal lengths \[0.0, 0.0\].*Calibrate.*depth to false'):
        place(CameraInfo(width=WIDTH, height=HEIGHT))
    for bad in (-FOCAL, NAN, INF):
        with pytest.raises(ImageError, match='above 0'):
            place(info_of(fx=bad))


def test_a_view_that_is_a_crop_of_the_other_is_refused():
    with pytest.raises(ImageError, match=r'camera_info is of an image of 1280x720.*640x480'):
        place(info_of((720, 1280)))
    with pytest.raises(ImageError, match='640x360 pixels is not aligned to an image of 640x480'):
        locate(tracks_of(BOX), np.full((360, 640), 2, np.float32))
    # The aspect ratios of a sensor's formats for the same view may differ by half a percent.
    message, _ = locate(
        tracks_of(BOX), np.full((480, 848), 2, np.float32), info_of((720, 1280)), (720, 1280)
    )
    assert len(message.detections) == 1


def test_each_object_is_a_box_and_a_label_in_its_colour_after_old_ones_are_deleted():
    boxes = [[100, 100, 200, 200], [300, 100, 400, 300]]
    detections, _ = locate(tracks_of(*boxes), np.full(SIZE, 2, np.float32))
    first, *rest = markers_message(detections).markers
    assert (first.action, first.header) == (Marker.DELETEALL, HEADER)
    assert [m.type for m in rest] == [Marker.CUBE, Marker.TEXT_VIEW_FACING] * 2
    assert len({(m.ns, m.id) for m in rest}) == 4
    for detection, cube, text in zip(detections.detections, rest[::2], rest[1::2]):
        assert cube.header == text.header == HEADER
        assert cube.action == text.action == Marker.ADD
        assert cube.lifetime == text.lifetime == Duration(nanosec=500_000_000)
        assert (cube.pose, cube.scale) == (detection.bbox.center, detection.bbox.size)
        assert 0 < cube.color.a < 1 == text.color.a
        for marker in (cube, text):
            shown = np.array([marker.color.r, marker.color.g, marker.color.b]) * 255
            np.testing.assert_allclose(shown, colour_of(int(detection.id)))
        above = detection.bbox.center.position.y - detection.bbox.size.y / 2
        assert text.pose.position.y + text.scale.z / 2 < above
        assert text.scale.z > 0
    assert [m.text for m in rest[1::2]] == ['3 person', '4 bicycle']


def test_without_objects_old_markers_are_deleted():
    markers = markers_message(Detection3DArray(header=HEADER)).markers
    assert [marker.action for marker in markers] == [Marker.DELETEALL]


def test_markers_of_large_ids_are_32_bit_and_different():
    largest = 2**31 - 2
    message = Detection3DArray(header=HEADER)
    for track_id in (1, largest, largest + 2):
        detection = Detection3D(id=str(track_id))
        detection.results = [ObjectHypothesisWithPose()]
        message.detections.append(detection)
    ids = [marker.id for marker in markers_message(message).markers[1:]]
    assert ids == [1, 1, largest, largest, 1, 1]
