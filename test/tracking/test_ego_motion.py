# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The motion in the image follows from the rotation of the camera; ids survive its turns."""

from __future__ import annotations

from dataclasses import replace
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
import torch

from gtr_ros.model.association import CosineAssociation
from gtr_ros.structures import Detections
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.ego_motion import angle_of
from gtr_ros.tracking.ego_motion import image_motion
from gtr_ros.tracking.placement import Pinhole

CAMERA = Pinhole(np.array([460.0, 470.0]), np.array([325.0, 236.0]), (480, 640))


def pose_of(yaw: float, pitch: float, roll: float, position=(0.0, 0.0, 0.0)) -> np.ndarray:
    """Return the pose of an optical frame in the world, (4, 4); angles in degrees."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler('yxz', (yaw, pitch, roll), degrees=True).as_matrix()
    pose[:3, 3] = position
    return pose


def project(points: np.ndarray, pose: np.ndarray, camera: Pinhole) -> np.ndarray:
    """Return where (N, 3) points of the world are in the image, (N, 2); nan: not in it."""
    seen = (points - pose[:3, 3]) @ pose[:3, :3]
    pixels = seen[:, :2] / seen[:, 2:] * camera.focal + camera.centre
    inside = (pixels > 0).all(axis=1) & (pixels < camera.size[::-1]).all(axis=1)
    return np.where((inside & (seen[:, 2] > 0))[:, None], pixels, np.nan)


def missed(
    points: np.ndarray, motion: np.ndarray, poses: tuple[np.ndarray, np.ndarray], *cameras: Pinhole
) -> float:
    """Return by what share of their motion the points that both images see are missed, median."""
    before, now = (project(points, p, c) for p, c in zip(poses, cameras))
    errors = np.linalg.norm(before @ motion[:, :2].T + motion[:, 2] - now, axis=1)
    assert np.isfinite(errors).sum() > 100
    return np.nanmedian(errors) / np.nanmedian(np.linalg.norm(now - before, axis=1))


def turn_between(poses: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return poses[1][:3, :3].T @ poses[0][:3, :3]


def far_points() -> np.ndarray:
    stream = np.random.default_rng(0)
    return 1e6 * np.column_stack([stream.uniform(-1, 1, (2000, 2)), stream.uniform(0.5, 1, 2000)])


@pytest.mark.parametrize(
    ('angles', 'most'),
    [
        ((1, 0, 0), 0.15),
        ((0, -2, 0), 0.1),
        ((0, 0, 10), 1e-6),
        ((4, 1, -3), 0.15),
        ((15, 3, 2), 0.1),
        ((-40, 0, 0), 0.05),
    ],
)
def test_far_points_are_found_where_the_camera_sees_them_next(angles, most):
    poses = pose_of(20, 5, 2), pose_of(20, 5, 2) @ pose_of(*angles)
    motion = image_motion(turn_between(poses), CAMERA, CAMERA)
    assert missed(far_points(), motion, poses, CAMERA, CAMERA) < most


def test_a_change_of_the_lens_is_part_of_the_motion():
    zoomed = replace(CAMERA, focal=1.2 * CAMERA.focal, centre=CAMERA.centre + 3)
    poses = pose_of(0, 0, 0), pose_of(0, 0, 5)
    motion = image_motion(turn_between(poses), CAMERA, zoomed)
    assert missed(far_points(), motion, poses, CAMERA, zoomed) < 1e-6


def test_a_translation_moves_points_by_their_distance():
    distance, poses = 4.0, (pose_of(0, 0, 0), pose_of(1, 0, 0, (0.3, -0.05, 0.2)))
    pixels = np.random.default_rng(1).uniform((0, 0), (640, 480), (500, 2))
    points = CAMERA.rays(pixels) * distance
    offset = np.linalg.inv(poses[1])[:3, 3] / distance
    turn = turn_between(poses)
    motion = image_motion(turn, CAMERA, CAMERA, offset)
    assert missed(points, motion, poses, CAMERA, CAMERA) < 0.05
    turned = image_motion(turn, CAMERA, CAMERA)
    assert missed(points, turned, poses, CAMERA, CAMERA) > 0.5


def test_a_camera_that_does_not_turn_moves_nothing():
    np.testing.assert_allclose(image_motion(np.eye(3), CAMERA, CAMERA), np.eye(2, 3), atol=1e-9)


@pytest.mark.parametrize('yaw', [62, 68, 90, 180])
def test_a_turn_that_leaves_nothing_in_the_image_has_no_motion(yaw):
    assert image_motion(pose_of(yaw, 0, 0)[:3, :3], CAMERA, CAMERA) is None


def test_the_angle_of_a_turn_is_that_of_any_axis():
    for angle in (0.0, 0.3, 2.0, math.pi):
        turn = Rotation.from_rotvec(angle * np.array([0.6, 0, 0.8])).as_matrix()
        assert angle_of(turn) == pytest.approx(angle, abs=1e-6)


def ids_while_turning(compensated: bool) -> list[list[int]]:
    """Track two equal objects while the camera turns by the angle between them, and back."""
    camera = Pinhole(np.array([200.0, 200.0]), np.array([128.0, 48.0]), (96, 256))
    tracker, before, ids = Tracker(CosineAssociation(), min_hits=1), 0.0, []
    for t, yaw in enumerate(np.radians([0, 0, 0, 0, 16, 16, 0, 16, 0, 0])):
        middle = 128 + 200 * np.tan(np.radians([-16.0, 0.0]) + yaw)
        boxes = np.column_stack([middle - 10, [20, 20], middle + 10, [80, 80]])
        turn = Rotation.from_euler('y', yaw - before).as_matrix()
        found = Detections(
            boxes=boxes.astype(np.float32),
            scores=np.full(2, 0.9, np.float32),
            labels=np.zeros(2, np.int64),
            features=torch.ones(2, 4),
            image_size=camera.size,
            stamp=(t + 1) * 100_000_000,
            camera=image_motion(turn, camera, camera) if compensated else None,
        )
        ids.append(tracker.update(found).ids.tolist())
        before = yaw
    return ids


def test_ids_survive_turns_only_with_the_motion():
    assert ids_while_turning(True) == [[1, 2]] * 10
    assert ids_while_turning(False) != [[1, 2]] * 10
