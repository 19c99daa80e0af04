# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A known motion of the background is estimated correctly."""

from __future__ import annotations

import numpy as np
from PIL import Image
import pytest

from gtr_ros.data.synthetic import generate
from gtr_ros.data.synthetic import Scene
from gtr_ros.data.synthetic.world import World
from gtr_ros.tracking.camera_motion import CameraMotion

HEIGHT, WIDTH = 480, 640
STILL = np.eye(2, 3)


@pytest.fixture(scope='module')
def scenery() -> np.ndarray:
    """Return (1440, 1920, 3) uint8, texture at all scales, as in photographs."""
    stream = np.random.default_rng(0)
    picture = Image.new('F', (1920, 1440), 128)
    for cell, strength in ((3, 12), (12, 20), (50, 25), (200, 30)):
        noise = stream.standard_normal((1440 // cell + 2, 1920 // cell + 2)) * strength
        layer = Image.fromarray(noise.astype(np.float32)).resize((1920, 1440), Image.BICUBIC)
        picture = Image.fromarray(np.asarray(picture) + np.asarray(layer))
    grey = np.clip(np.asarray(picture), 0, 255).astype(np.uint8)
    return np.stack([grey, grey, grey], axis=-1)


def similarity(
    degrees: float = 0, zoom: float = 1, shift: tuple[float, float] = (0, 0)
) -> np.ndarray:
    """Return (2, 3), a rotation and zoom about the image centre, then a shift in pixels."""
    turn = zoom * np.exp(1j * np.deg2rad(degrees))
    middle = (WIDTH + 1j * HEIGHT) / 2
    rest = middle + complex(*shift) - turn * middle
    return np.array([[turn.real, -turn.imag, rest.real], [turn.imag, turn.real, rest.imag]])


def view_of(scenery: np.ndarray, motion: np.ndarray = STILL, seed: int = 1) -> np.ndarray:
    """Return (480, 640, 3) uint8, the centre of the scenery after a motion, with sensor noise."""
    inverse = np.linalg.inv(np.vstack([motion, [0, 0, 1]]))[:2]
    inverse[:, 2] += [640, 480]
    image = Image.fromarray(scenery).transform(
        (WIDTH, HEIGHT), Image.AFFINE, inverse.ravel().tolist(), Image.BICUBIC
    )
    noise = np.random.default_rng(seed).normal(0, 3, (HEIGHT, WIDTH, 3))
    return np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)


def largest_error(found: np.ndarray | None, true: np.ndarray) -> float:
    """Return the largest error at the corners and the centre, pixels."""
    assert found is not None
    assert found.shape == (2, 3)
    assert found.dtype == np.float64
    x, y = np.array([0, WIDTH, 0, WIDTH, WIDTH / 2]), np.array([0, 0, HEIGHT, HEIGHT, HEIGHT / 2])
    return np.linalg.norm((found - true) @ np.stack([x, y, np.ones(5)]), axis=0).max()


def paste(image: np.ndarray, texture: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the image with a different texture in each box, (N, 4) int, xyxy."""
    image = image.copy()
    for k, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        image[y1:y2, x1:x2] = 255 - texture[40 * k : 40 * k + y2 - y1, 30 * k : 30 * k + x2 - x1]
    return image


@pytest.mark.parametrize(
    'motion',
    [
        similarity(shift=(4, -3)),
        similarity(shift=(-31, 14)),
        similarity(shift=(150, 20)),
        similarity(shift=(-213, 0)),
        similarity(degrees=1),
        similarity(degrees=-5),
        similarity(zoom=0.95),
        similarity(zoom=1.05),
        similarity(degrees=3, zoom=1.03, shift=(60, -25)),
    ],
    ids=['slow', 'pan', 'fast', 'third', 'turn', 'roll', 'back', 'ahead', 'all'],
)
def test_motion_of_the_background_is_estimated_within_two_pixels(scenery, motion):
    camera = CameraMotion()
    assert camera.update(view_of(scenery)) is None
    assert largest_error(camera.update(view_of(scenery, motion, seed=2)), motion) < 2


def test_motion_is_in_pixels_of_the_image_at_any_size(scenery):
    for crop, shift in ((scenery[::4, ::4], 9), (scenery, 36)):
        camera, width = CameraMotion(), crop.shape[1]
        camera.update(crop[:, : width - shift])
        found = camera.update(crop[:, shift:])
        np.testing.assert_allclose(found[:, 2], [-shift, 0], atol=0.003 * width)
        np.testing.assert_allclose(found[:, :2], np.eye(2), atol=0.005)


def test_each_motion_is_relative_to_the_previous_image(scenery):
    camera = CameraMotion()
    camera.update(view_of(scenery))
    for k in range(1, 4):
        found = camera.update(view_of(scenery, similarity(shift=(20 * k, 0)), seed=k))
        assert largest_error(found, similarity(shift=(20, 0))) < 2


def test_a_camera_that_stands_still_gives_exactly_the_identity(scenery):
    camera = CameraMotion()
    camera.update(view_of(scenery))
    for seed in range(2, 7):
        np.testing.assert_array_equal(camera.update(view_of(scenery, seed=seed)), STILL)


def test_a_change_of_light_is_no_motion(scenery):
    camera = CameraMotion()
    camera.update(view_of(scenery))
    darker = (view_of(scenery, seed=2) * 0.8).astype(np.uint8)
    np.testing.assert_array_equal(camera.update(darker), STILL)


@pytest.mark.parametrize('motion', [STILL, similarity(degrees=2, shift=(25, 8))])
def test_objects_that_move_in_front_of_the_background_do_not_disturb(scenery, motion):
    boxes = np.array([[40, 120, 200, 420], [260, 60, 400, 300], [440, 200, 600, 460]])
    later = boxes + np.array([[12, 4, 12, 4], [-14, 0, -14, 0], [10, -6, 10, -6]])
    camera = CameraMotion()
    camera.update(paste(view_of(scenery), scenery, boxes), boxes)
    found = camera.update(paste(view_of(scenery, motion, seed=2), scenery, later), later)
    assert largest_error(found, motion) < 3


def test_an_object_in_front_of_a_blank_wall_is_not_the_background(scenery):
    wall = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    camera = CameraMotion()
    camera.update(paste(wall, scenery, np.array([[200, 150, 320, 400]])))
    assert camera.update(paste(wall, scenery, np.array([[220, 150, 340, 400]]))) is None


def test_motion_is_unknown_if_objects_cover_the_image(scenery):
    everywhere = np.array([[-20.0, -20.0, 700.0, 500.0]], np.float32)
    camera = CameraMotion()
    camera.update(view_of(scenery), everywhere)
    assert camera.update(view_of(scenery, seed=2), everywhere) is None


def test_the_pan_of_a_synthetic_scene_is_estimated():
    scene = Scene(camera=120.0, duration=1.2, occlusion=0)
    made = generate(scene)
    images = made.sequence.images
    world = World.at(scene, made.sequence.stamps, made.hidings)
    path = np.round(world.camera + world.margin)  # it is drawn at whole pixels
    camera = CameraMotion()
    for t in range(len(path)):
        found = camera.update(images.at(t), made.detections[t].boxes)
        if t:
            shift = path[t - 1] - path[t]
            assert largest_error(found, similarity(shift=tuple(shift))) < 2.5


def test_motion_is_unknown_for_blank_images(scenery):
    blank = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    camera = CameraMotion()
    for image in (blank, blank, view_of(scenery), blank):
        assert camera.update(image) is None


def test_motion_is_unknown_for_another_scene(scenery):
    camera = CameraMotion()
    camera.update(view_of(scenery))
    assert camera.update(view_of(scenery[::-1, ::-1])) is None


def test_another_image_size_starts_again(scenery):
    camera = CameraMotion()
    camera.update(view_of(scenery))
    half = view_of(scenery)[::2, ::2]
    assert camera.update(half) is None
    np.testing.assert_array_equal(camera.update(half), STILL)


def test_a_reset_discards_the_previous_image(scenery):
    camera = CameraMotion()
    camera.update(view_of(scenery))
    camera.reset()
    assert camera.update(view_of(scenery)) is None


def test_strided_views_give_the_same_result_as_copies(scenery):
    motion = similarity(degrees=1, shift=(12, -7))
    images = [view_of(scenery), view_of(scenery, motion, seed=2)]
    wide = [np.empty((2 * HEIGHT, WIDTH + 24, 4), np.uint8) for _ in images]
    views = [padded[::2, 8 : WIDTH + 8, 2::-1] for padded in wide]
    for view, image in zip(views, images):
        view[...] = image
    of_copies, of_views = CameraMotion(), CameraMotion()
    of_copies.update(images[0])
    of_views.update(views[0])
    found = of_copies.update(images[1])
    assert largest_error(found, motion) < 2
    np.testing.assert_array_equal(of_views.update(views[1]), found)


def test_images_are_not_kept(scenery):
    image = view_of(scenery)
    camera = CameraMotion()
    camera.update(image)
    image[:] = 0
    np.testing.assert_array_equal(camera.update(view_of(scenery, seed=2)), STILL)


@pytest.mark.parametrize('size', [(0, 0), (1, 1), (40, 40), (25, 31), (33, 300), (480, 20)])
def test_small_images_are_accepted(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    camera = CameraMotion()
    for _ in range(2):
        found = camera.update(image, np.array([[1.0, 2.0, 9.0, 9.0]]))
        assert found is None or np.array_equal(found, STILL)


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((60, 80, 3), np.float32),
        np.zeros((60, 80), np.uint8),
        np.zeros((60, 80, 4), np.uint8),
    ],
)
def test_an_image_of_another_type_or_shape_is_rejected(image):
    with pytest.raises(ValueError, match=r'image is (float32|uint8) \(60, 80.*expected uint8'):
        CameraMotion().update(image)


def test_boxes_of_another_shape_are_rejected():
    with pytest.raises(ValueError, match=r'boxes have shape \(2, 5\); expected \(N, 4\), xyxy'):
        CameraMotion().update(np.zeros((60, 80, 3), np.uint8), np.zeros((2, 5)))


@pytest.mark.parametrize('shift', [(1.5, 0), (0, -2.5), (5.75, 3.25), (-9.1, 6.6)])
def test_a_shift_is_estimated_to_a_fraction_of_a_pixel(scenery, shift):
    camera, motion = CameraMotion(), similarity(shift=shift)
    camera.update(view_of(scenery))
    found = camera.update(view_of(scenery, motion, seed=2))
    np.testing.assert_allclose(
        found[:, 2] + found[:, :2] @ [320, 240] - [320, 240], shift, atol=0.25
    )


@pytest.mark.parametrize(('shift', 'moved'), [(0.6, False), (1.6, True)])
def test_a_motion_below_the_noise_is_none(scenery, shift, moved):
    # The default limit is 0.0015 image widths: 0.96 pixels.
    camera = CameraMotion()
    camera.update(view_of(scenery))
    found = camera.update(view_of(scenery, similarity(shift=(shift, 0)), seed=2))
    assert (not np.array_equal(found, STILL)) == moved
