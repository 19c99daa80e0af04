# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw moments of scenes; all of this runs in the thread of `gtr_ros.data.people.context`."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any

import numpy as np

from gtr_ros.data.people.camera import View
from gtr_ros.data.people.context import Resources
from gtr_ros.data.people.figures import Figures
from gtr_ros.data.people.figures import NEAREST
from gtr_ros.data.people.lighting import Light
from gtr_ros.data.people.setting import Setting
from gtr_ros.data.people.stage import Bodies
from gtr_ros.data.people.stage import Coats
from gtr_ros.data.people.stage import MASK
from gtr_ros.data.people.stage import Paints
from gtr_ros.data.people.stage import Programs
from gtr_ros.data.people.stage import SHADOW_MAP
from gtr_ros.data.people.stage import Solids
from gtr_ros.data.people.stage import Targets

_FARTHEST = 400.0  # metres
_SPOT = 0.42  # metres, radius of the dark spot below a person


@dataclass(frozen=True, eq=False)
class Shot:
    """
    Everything that a picture of a moment needs.

    :param camera: (4, 4), from the optical frame to the world
    :param textures: (N, S, S * 3 // 2, 3) uint8 RGB, of the people of the scene
    :param exposure: factor
    :param motion: (3, 3), maps pixels to where they were when the exposure began
    :param taps: number of pictures that motion blur adds up
    :param frame: number that noise is drawn from
    """

    view: View
    setting: Setting
    light: Light
    figures: Figures
    camera: np.ndarray
    textures: np.ndarray
    exposure: float
    motion: np.ndarray
    taps: int
    blur: float
    vignette: float
    balance: np.ndarray
    noise: tuple[float, float]
    frame: int


def draw_truth(
    resources: Resources,
    view: View,
    setting: Setting,
    figures: Figures,
    camera: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Draw who is seen where, and how far everything is.

    :param camera: (4, 4), from the optical frame to the world
    :return: (H, W) uint16, 0 or the position in `Figures.people` + 1; (H, W) float32, metres along
        the optical axis, inf where nothing is; (N,) float64, pixels of each whole body
    """
    stage = _Stage(resources, view)
    solids = stage.solids(setting)
    bodies = Bodies(stage.gl, stage.programs, figures)
    to_clip = _to_clip(view, camera)
    _write(stage.programs['truth'], 'to_clip', to_clip)
    target = stage.targets.truth
    target.use()
    target.clear()
    stage.gl.enable_only(stage.solid)
    for name in ('things', 'flats') + (('backdrop',) if setting.solid else ()):
        solids.render(name, 'truth')
    stage.gl.enable_only(stage.closed)
    bodies.render('truth')
    height, width = view.size
    read = np.frombuffer(target.read(components=2, dtype='u4'), np.uint32)
    read = read.reshape(height, width, 2)
    depth = read[..., 1].view(np.float32)
    depth = np.where(depth > 0, depth, np.float32(np.inf))
    areas = _areas(stage, view, figures, bodies, to_clip)
    bodies.release()
    return read[..., 0].astype(np.uint16), depth, areas


def draw_picture(resources: Resources, shot: Shot) -> np.ndarray:
    """Draw a picture, (H, W, 3) uint8 RGB, as a camera sees it before it compresses it."""
    import moderngl

    stage = _Stage(resources, shot.view)
    gl, programs, targets = stage.gl, stage.programs, stage.targets
    targets.prepare_pictures()
    solids = stage.solids(shot.setting)
    paints: Paints = resources.get('paints', lambda: Paints(gl, programs))
    coats: Coats = resources.keep(
        'coats', shot.setting, lambda: Coats(gl, shot.textures, shot.setting.panorama)
    )
    bodies = Bodies(gl, programs, shot.figures)
    to_shadow, wide = _to_shadow(shot.view, shot.camera, shot.light)
    _write(programs['shadow'], 'to_clip', to_shadow)
    targets.shadow.use()
    targets.shadow.clear()
    gl.enable_only(stage.solid)
    solids.render('things', 'shadow')
    bodies.render('shadow')

    to_clip = _to_clip(shot.view, shot.camera)
    for unit, texture in enumerate(
        (
            coats.people,
            paints.materials,
            targets.shadow_map,
            paints.patches,
            coats.panorama,
            targets.resolved,
            targets.drawn,
            paints.grain,
        )
    ):
        texture.use(unit)
    for name in ('figures', 'things', 'backdrop'):
        _light(programs[name], shot, to_clip, to_shadow, wide)
    _write(programs['backdrop'], 'glow', shot.setting.glow)
    targets.behind.use()
    targets.behind.clear(*_developed(shot.setting.above * shot.setting.glow * shot.exposure))
    gl.enable_only(stage.solid)
    solids.render('things', 'things')
    solids.render('flats', 'things')
    solids.render('backdrop', 'backdrop')
    _spots(stage, shot, to_clip, moderngl)
    gl.copy_framebuffer(targets.averaged, targets.behind)

    targets.picture.use()
    targets.picture.clear()
    # Things hide people; their colours, which this leaves undefined, are drawn over.
    gl.enable_only(stage.solid)
    _write(programs['shadow'], 'to_clip', to_clip)
    solids.render('things', 'shadow')
    gl.enable_only(stage.nothing)
    paints.screen['behind'].render(vertices=3)
    gl.enable_only(stage.closed)
    bodies.render('figures')
    bodies.release()
    return _through_lens(stage, shot, paints, moderngl)


class _Stage:
    """What OpenGL holds for one size of image."""

    def __init__(self, resources: Resources, view: View) -> None:
        import moderngl

        self._resources = resources
        self.gl = resources.context
        self.programs: Programs = resources.get('programs', lambda: Programs(self.gl))
        self.targets: Targets = resources.get(
            ('targets', view.size), lambda: Targets(self.gl, view.size)
        )
        self.solid = moderngl.DEPTH_TEST
        self.closed = moderngl.DEPTH_TEST | moderngl.CULL_FACE
        self.nothing = moderngl.NOTHING
        # Rows count from the top: triangles turn the other way round.
        self.gl.front_face = 'cw'

    def solids(self, setting: Setting) -> Solids:
        return self._resources.keep(
            'solids', setting, lambda: Solids(self.gl, self.programs, setting)
        )


def _areas(
    stage: _Stage, view: View, figures: Figures, bodies: Bodies, to_clip: np.ndarray
) -> np.ndarray:
    """Return how many pixels each whole body would cover, also outside of the image, (N,)."""
    areas = np.zeros(len(figures.people))
    target = stage.targets.mask
    target.use()
    target.clear()
    stage.gl.enable_only(stage.nothing)
    height, width = view.size
    placed: list[tuple[int, int, int, int, int, float]] = []
    x = y = row = 0

    def count() -> None:
        read = np.frombuffer(target.read(components=1), np.uint8).reshape(MASK, MASK)
        for i, left, top, wide, high, scale in placed:
            covered = np.count_nonzero(read[top : top + high, left : left + wide])
            areas[i] = covered * scale**2
        placed.clear()

    for i in np.flatnonzero(figures.seen).tolist():
        x1, y1, x2, y2 = figures.full_boxes[i]
        left, top = math.floor(x1) - 1, math.floor(y1) - 1
        wide, high = math.ceil(x2) + 1 - left, math.ceil(y2) + 1 - top
        scale = max(1.0, wide / MASK, high / MASK)  # of very near people
        tile = math.ceil(wide / scale), math.ceil(high / scale)
        if x + tile[0] > MASK:
            x, y, row = 0, y + row, 0
        if y + tile[1] > MASK:
            count()
            target.clear()
            x = y = row = 0
        crop = np.eye(4)
        wide, high = tile[0] * scale, tile[1] * scale
        crop[0, 0], crop[1, 1] = width / wide, height / high
        crop[0, 3] = (width - 2 * left) / wide - 1
        crop[1, 3] = (height - 2 * top) / high - 1
        _write(stage.programs['mask'], 'to_clip', crop @ to_clip)
        stage.gl.viewport = (x, y, *tile)
        bodies.render('mask', i)
        placed.append((i, x, y, *tile, scale))
        x, row = x + tile[0], max(row, tile[1])
    count()
    return areas


def _spots(stage: _Stage, shot: Shot, to_clip: np.ndarray, moderngl: Any) -> None:
    """Darken the ground below people."""
    standing = shot.figures.feet[shot.figures.feet[:, 2] < 0.5][:, :2]
    if not len(standing):
        return
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, -1], [1, 1], [-1, 1]], np.float32)
    corners = standing[:, None] + _SPOT * signs  # [N,6,2]
    rows = np.concatenate(
        [corners, np.full((*corners.shape[:2], 1), 0.012), np.broadcast_to(signs, corners.shape)],
        axis=2,
    )
    program = stage.programs['spots']
    _write(program, 'to_clip', to_clip)
    program['strength'] = 0.6
    buffer = stage.gl.buffer(rows.astype(np.float32).tobytes())
    array = stage.gl.vertex_array(program, [(buffer, '3f 2f', 'in_position', 'in_uv')])
    stage.gl.enable_only(moderngl.DEPTH_TEST | moderngl.BLEND)
    stage.gl.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA
    array.render()
    array.release()
    buffer.release()


def _through_lens(stage: _Stage, shot: Shot, paints: Paints, moderngl: Any) -> np.ndarray:
    program, targets = stage.programs['lens'], stage.targets
    height, width = shot.view.size
    program['size'] = width, height
    _write(program, 'motion', shot.motion)
    program['taps'] = shot.taps
    program['blur'] = shot.blur
    program['vignette'] = shot.vignette
    _write(program, 'balance', shot.balance)
    program['noise'] = shot.noise
    program['grain_shift'] = tuple(np.random.default_rng(shot.frame).integers(0, 512, 2).tolist())
    targets.image.use()
    stage.gl.enable_only(moderngl.NOTHING)
    paints.screen['lens'].render(vertices=3)
    read = np.frombuffer(targets.image.read(components=3), np.uint8)
    return read.reshape(height, width, 3).copy()


def _light(
    program: Any, shot: Shot, to_clip: np.ndarray, to_shadow: np.ndarray, wide: float
) -> None:
    light = shot.light
    values = {
        'to_clip': to_clip,
        'to_shadow': to_shadow,
        'sun': light.direction,
        'sun_colour': light.main,
        'sky_colour': light.sky,
        'ground_colour': light.ground,
        'side': light.side,
        'side_colour': light.side_colour,
        'exposure': np.array([shot.exposure]),
        'softness': np.array([max(light.softness / wide, 1.0 / SHADOW_MAP)]),
        'lift': np.array([1.5 * wide / SHADOW_MAP]),
        'patches': np.array([light.patches, 0.2 / light.patch_size]),
        'eye': shot.camera[:3, 3],
    }
    for name, value in values.items():
        if name in program:
            _write(program, name, value)


def _write(program: Any, name: str, value: np.ndarray) -> None:
    """Set a uniform; OpenGL has the columns of a matrix one after the other."""
    program[name].write(np.ascontiguousarray(np.asarray(value).T, np.float32).tobytes())


def _to_clip(view: View, camera: np.ndarray) -> np.ndarray:
    """Return (4, 4), from the world to clip coordinates, where -1 is the left and the top."""
    height, width = view.size
    clip = np.zeros((4, 4))
    clip[0, 0], clip[1, 1] = 2 * view.focal / width, 2 * view.focal / height
    clip[2, 2] = (_FARTHEST + NEAREST) / (_FARTHEST - NEAREST)
    clip[2, 3] = -2 * _FARTHEST * NEAREST / (_FARTHEST - NEAREST)
    clip[3, 2] = 1
    return clip @ np.linalg.inv(camera)


def _to_shadow(view: View, camera: np.ndarray, light: Light) -> tuple[np.ndarray, float]:
    """Return (4, 4), from the world to the shadow map, and the width of the map, metres."""
    reach = min(1.1 * view.distance_of(45), 24.0)
    forward = camera[:2, 2] / np.hypot(*camera[:2, 2])
    middle = np.array([*(camera[:2, 3] + 0.55 * reach * forward), 0.5])
    half = max(0.6, math.sin(view.half_angle)) * reach + 1.5
    away = -light.direction
    right = np.cross(away, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    down = np.cross(away, right)
    axes = np.stack([right / half, down / half, away / (half + 12)])
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    texel = 2.0 / SHADOW_MAP
    shift = -axes @ middle
    shift[:2] = np.round(shift[:2] / texel) * texel  # else shadows flicker as the camera moves
    matrix[:3, 3] = shift
    return matrix, 2 * half


def _developed(radiance: np.ndarray) -> list[float]:
    """Return the colour of the sky; `developed` of the shaders."""
    x = np.asarray(radiance, float)
    x = x * (1 + 0.08 * x) / (1 + 0.55 * x)
    return [*(np.clip(x, 0, 1) ** 0.5).tolist(), 1.0]
