# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Where the objects of an image are in metres, and how sure that is: from depth, or on the ground.

The position of an object is its centre. A depth camera measures the surface that faces it, so half
the thickness of the object is added; the feet that a box ends at are those nearer to the camera.
Errors have two parts: one that is independent in each image, which a filter averages out, and one
that lasts, such as whether a person is seen from the front or from the side, which it cannot.

The constants were chosen on rendered people with known places (`benchmarks/metric.py`; the figures
in docs/metric_tracks.md are of other scenes). For other classes, only what scales with the size of
the box is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gtr_ros.boxes import box_areas
from gtr_ros.boxes import box_intersection

#: pixels from the edge of the image, within which a box is taken to be cut off by it
CUT = 4.0

# Standard deviations, metres, unless a comment says otherwise.
_ALONG, _ALONG_LASTING = 0.04, 0.042  # of a person's surface along the ray
_ACROSS, _ACROSS_LASTING = 0.05, 0.027  # of the middle of a person's box
_UPPER, _UPPER_LASTING = 0.03, 0.035  # of the middle of a person's upper body
_UP_LASTING = 0.04  # the same of its height: feet are hidden more often than sides
_PIXELS = 1.0  # pixels, of an edge of a box
_EDGE = 0.012  # heights of the box, of an edge of a box
_EDGE_LASTING = 1.2  # times these two errors, of those that last
_THICKNESS_ERROR = 0.5  # of half the thickness, for classes whose thickness is not known
_CUT_ERROR = 0.25  # of the side that is cut off
_UPRIGHT = 0.04  # of the height of the middle of a person on the ground
_STRIDE, _STRIDE_LASTING = 0.1, 0.1  # from the nearer foot to the middle of a person
_NEARER_FOOT = 0.09  # from the nearer foot to the middle, median
_SHARED = 0.1  # of the central half of a box, in which another object may be
_SAME_DEPTH = 0.08  # of the distance, between the surfaces of boxes that are one surface
_HORIZON = 0.25  # of the distance: largest error along the ground that is used

_DOWN = np.array([0.0, 1.0, 0.0])  # of the optical frame
_UP = np.array([0.0, 0.0, 1.0])  # of the plane


class Kind(NamedTuple):
    """
    What is known about the objects of a class before they are measured.

    :param half_thickness: from the surface to the centre, metres; None: a quarter of the smaller
        side of the box, because it is not known
    :param speed: standard deviation of the velocity along one axis, m/s
    :param acceleration: spectral density of the acceleration on the ground, m^2 / s^3
    """

    half_thickness: float | None
    speed: float
    acceleration: float


PERSON = Kind(half_thickness=0.085, speed=1.0, acceleration=0.4)
#: animals, vehicles and all other things; not measured
OTHER = Kind(half_thickness=None, speed=5.0, acceleration=2.0)


def kind_of(class_name: str) -> Kind:
    """Return what is known about a class; names of people differ between detectors."""
    return PERSON if class_name.lower() in ('person', 'people', 'pedestrian') else OTHER


@dataclass(frozen=True, eq=False)
class Positions:
    """
    The N objects of an image in one frame; nan where a position is not known.

    :param points: (N, 3) float64, of the centres, metres
    :param covariances: (N, 3, 3) float64, of errors that are independent in each image, m^2
    :param lasting: (N, 3, 3) float64, of errors that stay while an object is seen alike, m^2
    :param sizes: (N, 2) float64, width and height, metres; nan where the image cuts them off
    """

    points: np.ndarray
    covariances: np.ndarray
    lasting: np.ndarray
    sizes: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """(N,) bool: whose position is known."""
        return np.isfinite(self.points).all(axis=1)

    @classmethod
    def unknown(cls, count: int) -> Positions:
        """Return objects of which nothing is known."""
        matrices = np.full((count, 3, 3), np.nan)
        return cls(np.full((count, 3), np.nan), matrices, matrices, np.full((count, 2), np.nan))

    def moved(self, transform: np.ndarray) -> Positions:
        """Return the positions in another frame; transform: (4, 4), from this to that frame."""
        turn, shift = transform[:3, :3], transform[:3, 3]
        return Positions(
            self.points @ turn.T + shift,
            turn @ self.covariances @ turn.T,
            turn @ self.lasting @ turn.T,
            self.sizes,
        )

    def completed(self, other: Positions) -> Positions:
        """Return these positions, and those of `other`, of the same objects, where unknown."""
        use = self.known
        return Positions(
            np.where(use[:, None], self.points, other.points),
            np.where(use[:, None, None], self.covariances, other.covariances),
            np.where(use[:, None, None], self.lasting, other.lasting),
            np.where(use[:, None], self.sizes, other.sizes),
        )


@dataclass(frozen=True, eq=False)
class Pinhole:
    """
    A rectified camera.

    :param focal: (2,) float64, x and y, pixels
    :param centre: (2,) float64, principal point, pixels from the edge of the first pixel
    :param size: (height, width), pixels
    """

    focal: np.ndarray
    centre: np.ndarray
    size: tuple[int, int]

    def rays(self, points: np.ndarray) -> np.ndarray:
        """Return (N, 3) with z = 1 for (N, 2) pixels, in the optical frame."""
        slopes = (points - self.centre) / self.focal
        return np.column_stack([slopes, np.ones(len(points))])

    def cuts(self, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return whether the image cuts (N, 4) boxes: at a side; at its lower or upper edge."""
        height, width = self.size
        sides = (boxes[:, 0] < CUT) | (boxes[:, 2] > width - CUT)
        ends = (boxes[:, 1] < CUT) | (boxes[:, 3] > height - CUT)
        return sides, ends


def place_by_depth(
    boxes: np.ndarray,
    depths: np.ndarray,
    camera: Pinhole,
    kinds: list[Kind],
    depth_error: float,
    middles: np.ndarray | None = None,
) -> Positions:
    """
    Return where objects are in the camera's optical frame, from the depth of their surfaces.

    :param boxes: (N, 4) float, xyxy, pixels
    :param depths: (N,) float64, metres along the optical axis; nan: unknown
    :param kinds: of each object
    :param depth_error: standard deviation of an object's depth at 1 m, metres; it grows with the
        square of the distance, as that of stereo cameras does
    :param middles: (N,) float64, x of the middles of their upper bodies, pixels, from
        `gtr_ros.tracking.upper_body`; nan: unknown. Used for people
    """
    corners = boxes.astype(np.float64).reshape(-1, 2, 2)
    depths = np.where(_is_anothers(corners, depths), np.nan, depths)
    spans = (corners[:, 1] - corners[:, 0]) / camera.focal * depths[:, None]  # metres
    half, unsure = _half_thickness(kinds, spans)
    centres, upper = corners.mean(axis=1), np.zeros(len(boxes), bool)
    if middles is not None:
        people = np.array([kind.half_thickness is not None for kind in kinds], bool)
        upper = people & np.isfinite(middles)
        centres[upper, 0] = middles[upper]
    rays = camera.rays(centres)
    length = np.linalg.norm(rays, axis=1)
    along = rays / length[:, None]
    points = rays * depths[:, None] + along * half[:, None]
    side, end = camera.cuts(boxes)
    jitter = _edge_errors(corners) / camera.focal.mean() * depths / np.sqrt(2)
    across = np.hypot(_ACROSS, jitter)
    # What is cut off moves the middle of the box, and lasts while it is.
    cut = _CUT_ERROR * spans * np.column_stack([side, end])
    measured = depth_error * depths**2 * length
    across = np.column_stack([np.where(upper, _UPPER, across), across])
    covariances = _covariances(along, np.hypot(_ALONG, measured), across, _DOWN)
    aside = np.where(upper, _UPPER_LASTING, _ACROSS_LASTING)
    lasting = np.hypot(np.column_stack([aside, np.full(len(boxes), _UP_LASTING)]), cut)
    lasting = _covariances(along, np.hypot(_ALONG_LASTING, unsure), lasting, _DOWN)
    return Positions(points, covariances, lasting, _sizes(spans, side, end))


def place_on_ground(
    boxes: np.ndarray, camera: Pinhole, kinds: list[Kind], camera_pose: np.ndarray
) -> Positions:
    """
    Return where objects stand on the plane z = 0, from the lower edges of their boxes.

    Unknown are those whose box ends at the lower edge of the image or within another box, so that
    their feet may be hidden, and those so close to the horizon that the error would be more than a
    quarter of their distance.

    :param boxes: (N, 4) float, xyxy, pixels
    :param kinds: of each object
    :param camera_pose: (4, 4), from the camera's optical frame to that of the plane; the camera is
        above it
    :return: in the frame of the plane
    """
    corners = boxes.astype(np.float64).reshape(-1, 2, 2)
    feet = np.column_stack([corners.mean(axis=1)[:, 0], corners[:, 1, 1]])
    turn, origin = camera_pose[:3, :3], camera_pose[:3, 3]
    rays = camera.rays(feet) @ turn.T
    with np.errstate(divide='ignore', invalid='ignore'):
        depths = np.where(rays[:, 2] < 0, -origin[2] / rays[:, 2], np.nan)
        hidden = (boxes[:, 3] > camera.size[0] - CUT) | _hides_feet(corners)
        depths[(depths <= 0) | hidden] = np.nan
        points = origin + rays * depths[:, None]
        # How the point moves on the plane if the pixel moves right or down.
        slopes = turn[:, :2].T / camera.focal[:, None]  # axis of the pixel, axis of the frame
        steps = slopes - rays[:, None] * (slopes[:, 2] / rays[:, 2:])[..., None]
        steps = steps * depths[:, None, None]
    errors = _edge_errors(corners)
    steps *= np.stack([errors / np.sqrt(2), errors], axis=1)[..., None]
    edges = steps.transpose(0, 2, 1) @ steps
    ahead = points - origin
    ahead[:, 2] = 0
    distance = np.linalg.norm(ahead, axis=1)
    ahead /= np.maximum(distance, 1e-9)[:, None]
    spans = (corners[:, 1] - corners[:, 0]) / camera.focal * depths[:, None]
    half, unsure = _half_thickness(kinds, spans)
    known = np.array([kind.half_thickness is not None for kind in kinds], bool)
    points = points + ahead * np.where(known, _NEARER_FOOT, half)[:, None]
    points[:, 2] = spans[:, 1] / 2
    points[np.einsum('ni,nij,nj->n', ahead, edges, ahead) > (_HORIZON * distance) ** 2] = np.nan
    side, end = camera.cuts(boxes)
    count = len(boxes)
    covariances = edges + _covariances(
        ahead, np.full(count, _STRIDE), np.full((count, 2), _ACROSS), _UP
    )
    upright = np.hypot(_UPRIGHT, _CUT_ERROR * spans[:, 1] * end)
    across = np.column_stack([np.hypot(_ACROSS_LASTING, _CUT_ERROR * spans[:, 0] * side), upright])
    lasting = _covariances(ahead, np.hypot(_STRIDE_LASTING, unsure), across, _UP)
    lasting += _EDGE_LASTING**2 * edges
    return Positions(points, covariances, lasting, _sizes(spans, side, end))


def _hides_feet(corners: np.ndarray) -> np.ndarray:
    """Return whose feet may be behind another object: where a box ends, another one goes on."""
    feet = np.column_stack([corners.mean(axis=1)[:, 0], corners[:, 1, 1]])
    inside = ((feet[:, None] > corners[:, 0]) & (feet[:, None] < corners[:, 1])).all(axis=2)
    return inside.any(axis=1)


def _is_anothers(corners: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """
    Return whose surface is that of an object in front of it, (N,) bool.

    Depth is measured in the central half of a box. If another box that ends lower in the image
    reaches into it and has the same depth, the surface is that of the other object.
    """
    sides = corners[:, 1] - corners[:, 0]
    central = (corners + 0.25 * np.stack([sides, -sides], axis=1)).reshape(-1, 4)
    shared = box_intersection(central, corners.reshape(-1, 4))
    shared /= np.maximum(box_areas(central), 1e-9)[:, None]
    gap = np.abs(depths[:, None] - depths)
    lower = corners[:, 1, 1] > corners[:, 1, 1, None]
    return ((shared > _SHARED) & (gap < _SAME_DEPTH * depths[:, None]) & lower).any(axis=1)


def _half_thickness(kinds: list[Kind], spans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return half the thickness of each object, and the standard deviation of that, metres."""
    given = np.array([kind.half_thickness or np.nan for kind in kinds], np.float64)
    guess = spans.min(axis=1, initial=np.inf) / 4
    unknown = np.isnan(given)
    return np.where(unknown, guess, given), np.where(unknown, _THICKNESS_ERROR * guess, 0.0)


def _edge_errors(corners: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the edges of (N, 2, 2) boxes, pixels."""
    return np.hypot(_PIXELS, _EDGE * (corners[:, 1, 1] - corners[:, 0, 1]))


def _sizes(spans: np.ndarray, side: np.ndarray, end: np.ndarray) -> np.ndarray:
    return np.where(np.column_stack([side, end]), np.nan, spans)


def _covariances(
    along: np.ndarray, error: np.ndarray, across: np.ndarray, up: np.ndarray
) -> np.ndarray:
    """
    Return covariances that are stretched along a direction, (N, 3, 3).

    :param along: (N, 3) unit vectors
    :param error: (N,) standard deviation along them
    :param across: (N, 2) standard deviations across `along`: level, and along the third axis
    :param up: (3,) upwards or downwards
    """
    level = np.cross(up, along)
    level /= np.linalg.norm(level, axis=1, keepdims=True)
    third = np.cross(along, level)
    axes = np.stack([along, level, third], axis=1)
    scales = np.column_stack([error, across])[..., None] * axes
    return scales.transpose(0, 2, 1) @ scales
