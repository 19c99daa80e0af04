# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The people of a moment as triangles in the world, and their boxes in the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtr_ros.data.people.camera import View
from gtr_ros.data.people.cast import Person
from gtr_ros.data.people.gait import pose
from gtr_ros.data.people.gait import skin
from gtr_ros.data.people.wardrobe import Dressed
from gtr_ros.data.people.world import Moment

#: metres along the optical axis; what is nearer is not drawn
NEAREST = 0.1

_COARSE = 130  # pixels, height of a person below which the coarse mesh is drawn
_SHADOWS = 4.0  # metres beside the view, where people may cast shadows into it


@dataclass(frozen=True, eq=False)
class Figures:
    """
    N people as one mesh of V vertices and F triangles in the world frame.

    People who are far out of the view are left out. Those whose full box is in the image are
    `seen`, and only they have boxes.

    :param people: (N,) int64, indices in the scene
    :param positions: (V, 3) float32, metres
    :param normals: (V, 3) float32
    :param uv: (V, 2) float32, of each one's texture
    :param vertices: (N + 1,) int64, where each one's vertices start
    :param triangles: (F, 3) int32
    :param faces: (N + 1,) int64, where each one's triangles start
    :param seen: (N,) bool
    :param full_boxes: (N, 4) float64, xyxy, pixels; of the whole body
    :param distances: (N,) float64, metres along the optical axis to the middle of the body
    :param feet: (N, 3) float64, x, y on the ground, and how far a person sits, in [0, 1]
    """

    people: np.ndarray
    positions: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    vertices: np.ndarray
    triangles: np.ndarray
    faces: np.ndarray
    seen: np.ndarray
    full_boxes: np.ndarray
    distances: np.ndarray
    feet: np.ndarray


def make_figures(
    people: tuple[Person, ...],
    dressed: list[Dressed],
    moment: Moment,
    t: float,
    camera: np.ndarray,
    view: View,
) -> Figures:
    """
    Pose the people of a moment.

    :param dressed: how each person is drawn
    :param t: seconds
    :param camera: (4, 4), from the optical frame to the world
    """
    to_camera = np.linalg.inv(camera)
    turn = to_camera[:3, :3].T.astype(np.float32)
    shift = to_camera[:3, 3].astype(np.float32)
    chosen = _near_view(moment, to_camera, view)
    parts, boxes, distances, sizes = [], [], [], []
    for i in chosen.tolist():
        person, figure = people[i], dressed[i]
        matrices = pose(
            figure.avatar,
            person.look,
            person.gait,
            phase=float(moment.phases[i]),
            speed=float(moment.speeds[i]),
            action=moment.actions[i],
            time=t,
            share=float(moment.shares[i]),
        )
        x, y = moment.positions[i]
        depth = float(to_camera[2] @ (x, y, 0.9, 1))
        small = depth > view.distance_of(_COARSE * 480 / view.size[0])
        mesh = figure.coarse if small else figure.fine
        own, normals = skin(mesh, matrices)
        to_world = _to_world(float(moment.headings[i]))
        positions = own @ to_world.T + np.array([x, y, 0], np.float32)
        parts.append((positions, normals @ to_world.T, mesh.uv, mesh.triangles))
        seen = positions @ turn + shift
        distances.append(seen[:, 2].mean())
        boxes.append(_box(seen, view))
        sizes.append((len(positions), len(mesh.triangles)))
    starts = np.concatenate([np.zeros((1, 2), int), np.cumsum(sizes or [[0, 0]], axis=0)])
    if not parts:
        starts = starts[:1]
    triangles = [p[3] + start for p, start in zip(parts, starts[:-1, 0].tolist(), strict=True)]
    boxes = np.array(boxes, float).reshape(-1, 4)
    height, width = view.size
    inside = (boxes[:, 0] < width) & (boxes[:, 1] < height)
    inside &= (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
    return Figures(
        people=chosen,
        positions=_join([p[0] for p in parts], 3, np.float32),
        normals=_join([p[1] for p in parts], 3, np.float32),
        uv=_join([p[2] for p in parts], 2, np.float32),
        vertices=starts[:, 0],
        triangles=_join(triangles, 3, np.int32),
        faces=starts[:, 1],
        seen=inside,
        full_boxes=boxes,
        distances=np.array(distances, float),
        feet=np.column_stack([moment.positions[chosen], moment.shares[chosen]]),
    )


def _near_view(moment: Moment, to_camera: np.ndarray, view: View) -> np.ndarray:
    """Return the indices of the people who are in the view or close to it."""
    count = len(moment.positions)
    middle = np.column_stack([moment.positions, np.full(count, 0.9), np.ones(count)])
    x, _, z = (middle @ to_camera.T)[:, :3].T
    slope = view.size[1] / 2 / view.focal
    beside = (np.abs(x) - slope * np.maximum(z, 0)) / np.hypot(1, slope)
    return np.flatnonzero(moment.present & (z > -0.5) & (beside < _SHADOWS))


def _to_world(heading: float) -> np.ndarray:
    """Return (3, 3), from a person's own axes (left, up, forward) to the world's."""
    cos, sin = np.cos(heading), np.sin(heading)
    return np.array([[-sin, 0, cos], [cos, 0, sin], [0, 1, 0]], np.float32)


def _box(seen: np.ndarray, view: View) -> np.ndarray:
    """Return the box around points of the optical frame, (4,); empty and far out if behind."""
    nearest = seen[:, 2].min()
    ahead = seen if nearest > NEAREST else seen[seen[:, 2] > NEAREST]
    if len(ahead) == 0:
        return np.full(4, -1e6)
    height, width = view.size
    slopes = ahead[:, :2] / ahead[:, 2:]
    corners = np.stack([slopes.min(axis=0), slopes.max(axis=0)]).astype(np.float64)
    return (corners * view.focal + (width / 2, height / 2)).ravel()


def _join(parts: list[np.ndarray], width: int, kind: type) -> np.ndarray:
    return np.concatenate(parts or [np.zeros((0, width))]).astype(kind, copy=False)
