# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transforms between frames are products of matrices, interpolated in time; gaps are explained."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.spatial.transform import Slerp

from gtr_ros.node.tracker.transforms import SPAN
from gtr_ros.node.tracker.transforms import TransformError
from gtr_ros.node.tracker.transforms import Transforms
from gtr_ros.stamps import NANOSECONDS

TURN = (0.0, 0.0, np.sin(np.pi / 4), np.cos(np.pi / 4))  # x becomes y
STILL = (0.0, 0.0, 0.0, 1.0)
SECOND = NANOSECONDS


def matrix(translation, rotation) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(rotation).as_matrix()
    pose[:3, 3] = translation
    return pose


def random_pose(stream: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return stream.normal(0, 5, 3), Rotation.random(random_state=stream).as_quat()


def interpolated(a, b, share: float) -> np.ndarray:
    rotation = Slerp([0, 1], Rotation.from_quat([a[1], b[1]]))(share).as_quat()
    return matrix(a[0] + share * (b[0] - a[0]), rotation)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 9))
def test_any_two_frames_of_a_tree_are_related_by_products_of_matrices(seed, count):
    stream, transforms = np.random.default_rng(seed), Transforms()
    stamp = int(stream.integers(SECOND, 2 * SECOND + 1))
    in_root = [np.eye(4)]
    for child in range(1, count):
        parent = int(stream.integers(child))
        static = bool(stream.random() < 0.4)
        poses = [random_pose(stream) for _ in range(1 if static else 2)]
        for i, pose in enumerate(poses):
            transforms.add(f'f{parent}', f'f{child}', (i + 1) * SECOND, *pose, static)
        own = matrix(*poses[0])
        if not static:
            own = interpolated(*poses, (stamp - SECOND) / SECOND)
        in_root.append(in_root[parent] @ own)
    target, source = (int(i) for i in stream.integers(count, size=2))
    expected = np.linalg.inv(in_root[target]) @ in_root[source]
    found = transforms.lookup(f'f{target}', f'/f{source}', stamp)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_the_way_of_arrival_does_not_matter(seed, share):
    stream = np.random.default_rng(seed)
    stamps = np.sort(stream.choice(9 * SECOND, 6, replace=False))
    poses = [random_pose(stream) for _ in stamps]
    time = int(stamps[0] + share * (stamps[-1] - stamps[0]))
    results = []
    for order in (range(6), stream.permutation(6)):
        transforms = Transforms()
        for i in order:
            transforms.add('odom', 'base', int(stamps[i]), *poses[i])
        results.append(transforms.lookup('odom', 'base', time))
    np.testing.assert_array_equal(*results)


def test_the_shorter_way_is_taken_between_quaternions_of_opposite_sign():
    transforms = Transforms()
    transforms.add('odom', 'base', 0, (0, 0, 0), STILL)
    transforms.add('odom', 'base', SECOND, (2, 0, 0), tuple(-value for value in TURN))
    half = transforms.lookup('odom', 'base', SECOND // 2)
    np.testing.assert_allclose(half[:3, 3], [1, 0, 0])
    np.testing.assert_allclose(half[:2, 0], [np.sqrt(0.5), np.sqrt(0.5)])


def test_a_static_transform_holds_at_any_time_and_the_newest_one_counts():
    transforms = Transforms()
    transforms.add('base', 'camera', 5 * SECOND, (1, 0, 0), STILL, static=True)
    transforms.add('base', 'camera', 4 * SECOND, (0, 0, 3), STILL, static=True)
    for stamp in (0, 10**18):
        np.testing.assert_array_equal(transforms.lookup('base', 'camera', stamp)[:3, 3], [0, 0, 3])
    transforms.clear()
    assert transforms.lookup('base', 'camera', 0) is not None


def test_a_frame_is_its_own_origin_even_if_it_is_unknown():
    np.testing.assert_array_equal(Transforms().lookup('map', 'map', 7), np.eye(4))


def full() -> Transforms:
    transforms = Transforms()
    for second in (1, 2):
        transforms.add('odom', 'base', second * SECOND, (second, 0, 0), STILL)
    transforms.add('base', 'camera', 0, (0, 0, 1), TURN, static=True)
    transforms.add('world', 'table', 0, (0, 0, 1), STILL, static=True)
    return transforms


@pytest.mark.parametrize(
    ('target', 'source', 'stamp', 'words'),
    [
        ('odom', 'kamera', SECOND, ["'kamera'", 'nobody', "'base', 'camera', 'odom'"]),
        ('map', 'camera', SECOND, ["'map'", 'nobody']),
        ('table', 'camera', SECOND, ["'camera' in 'base' in 'odom'", "'table' in 'world'"]),
        ('odom', 'camera', 2 * SECOND + 120_000_000, ["'base' in 'odom'", '0.120 s older']),
        ('odom', 'camera', SECOND // 2, ["'base' in 'odom'", '0.500 s newer']),
    ],
)
def test_a_missing_transform_is_named(target, source, stamp, words):
    with pytest.raises(TransformError) as error:
        full().lookup(target, source, stamp)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ('parent', 'child', 'shift', 'turn'),
    [
        ('odom', 'base', (np.nan, 0, 0), STILL),
        ('odom', 'base', (np.inf, 0, 0), STILL),
        ('odom', 'base', (0, 0, 0), (0, 0, 0, 0)),
        ('odom', 'base', (0, 0, 0), (0, 0, np.nan, 1)),
        ('odom', 'base', (0, 0, 0), (0, 0, 1, 1)),
        ('odom', 'odom', (0, 0, 0), STILL),
        ('', 'base', (0, 0, 0), STILL),
    ],
)
def test_an_invalid_transform_is_refused_and_changes_nothing(parent, child, shift, turn):
    transforms = full()
    with pytest.raises(TransformError, match='the transform of frame'):
        transforms.add(parent, child, 3 * SECOND, shift, turn)
    assert transforms.lookup('odom', 'base', 2 * SECOND)[0, 3] == 2


def test_parents_in_a_circle_are_an_error_and_no_endless_loop():
    transforms = full()
    transforms.add('camera', 'odom', SECOND, (0, 0, 0), STILL)
    with pytest.raises(TransformError, match='circle'):
        transforms.lookup('world', 'camera', SECOND)


def test_transforms_of_ten_seconds_are_kept():
    transforms = Transforms()
    for stamp in range(0, 2 * SPAN + 1, SECOND):
        transforms.add('odom', 'base', stamp, (stamp / SECOND, 0, 0), STILL)
    assert transforms.lookup('odom', 'base', SPAN)[0, 3] == SPAN / SECOND
    with pytest.raises(TransformError, match='oldest'):
        transforms.lookup('odom', 'base', SPAN - 1)


def test_after_a_reset_of_the_clock_the_new_times_count():
    transforms = Transforms()
    transforms.add('odom', 'base', 100 * SECOND, (9, 0, 0), STILL)
    transforms.add('odom', 'base', SECOND, (1, 0, 0), STILL)
    transforms.add('odom', 'base', 2 * SECOND, (2, 0, 0), STILL)
    assert transforms.lookup('odom', 'base', 3 * SECOND // 2)[0, 3] == 1.5


def test_results_are_those_of_tf2():
    tf2_ros = pytest.importorskip('tf2_ros', reason='needs tf2_ros, which is not in the wheels')
    from geometry_msgs.msg import TransformStamped
    from rclpy.time import Time

    stream, own, theirs = np.random.default_rng(5), Transforms(), tf2_ros.Buffer()
    frames = {'base': 'odom', 'camera': 'base', 'odom': 'map', 'person': 'map'}
    for child, parent in frames.items():
        for stamp in range(SECOND, 4 * SECOND, SECOND // 3):
            shift, turn = random_pose(stream)
            own.add(parent, child, stamp, shift, turn)
            message = TransformStamped(child_frame_id=child)
            message.header.frame_id = parent
            message.header.stamp = Time(nanoseconds=stamp).to_msg()
            for name, value in zip('xyz', shift.tolist()):
                setattr(message.transform.translation, name, value)
            for name, value in zip('xyzw', turn.tolist()):
                setattr(message.transform.rotation, name, value)
            theirs.set_transform(message, 'test')
    for stamp in range(SECOND, 3 * SECOND, SECOND // 7):
        for target in frames:
            for source in frames:
                found = theirs.lookup_transform(target, source, Time(nanoseconds=stamp)).transform
                shift, turn = found.translation, found.rotation
                expected = matrix((shift.x, shift.y, shift.z), (turn.x, turn.y, turn.z, turn.w))
                np.testing.assert_allclose(own.lookup(target, source, stamp), expected, atol=1e-6)


def test_a_quaternion_of_almost_length_1_is_normalised():
    transforms = Transforms()
    transforms.add('odom', 'base', 0, (1, 2, 3), 1.0009 * np.array(TURN))
    np.testing.assert_allclose(
        transforms.lookup('odom', 'base', 0), matrix((1, 2, 3), TURN), atol=1e-9
    )


def test_a_transform_just_ten_seconds_before_the_newest_is_no_reset():
    transforms = Transforms()
    transforms.add('odom', 'base', SPAN, (1, 0, 0), STILL)
    transforms.add('odom', 'base', 0, (0, 0, 0), STILL)
    assert transforms.lookup('odom', 'base', SPAN)[0, 3] == 1
    assert transforms.lookup('odom', 'base', 0)[0, 3] == 0


def test_tiny_turns_are_interpolated_too():
    transforms, half = Transforms(), 2.5e-5
    transforms.add('odom', 'base', 0, (0, 0, 0), STILL)
    transforms.add('odom', 'base', SECOND, (0, 0, 0), (0, 0, np.sin(half), np.cos(half)))
    for share in (0.25, 0.5, 0.75):
        found = transforms.lookup('odom', 'base', round(share * SECOND))
        assert found[1, 0] == pytest.approx(share * 2 * half, rel=1e-6)
