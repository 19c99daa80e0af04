# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Where frames are relative to each other: what arrived on /tf and /tf_static. Needs no rclpy.

This does what tf2's buffer does, so that the node has the same code, and the same results, in
environments without tf2: transforms of seconds, interpolated in time, along the tree of frames.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from dataclasses import field
import threading

import numpy as np

from gtr_ros.stamps import NANOSECONDS

#: time, nanoseconds, for which transforms are kept, as in tf2
SPAN = 10 * NANOSECONDS

_PARALLEL = 1 - 1e-9  # cosine of half angles, above which quaternions are interpolated linearly
_UNIT_TOLERANCE = 1e-3  # of the length of a quaternion, as in tf2


class TransformError(LookupError):
    """There is no transform between two frames at a time, or one that arrived is not valid."""


@dataclass
class _Link:
    """
    The transforms of a frame to its parent.

    :param static: whether they hold at any time; then there is only the newest one
    :param stamps: ascending, nanoseconds
    :param poses: (translation, (3,) metres; unit quaternion, (4,) x y z w), one for each stamp
    """

    parent: str
    static: bool
    stamps: list[int] = field(default_factory=list)
    poses: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)


class Transforms:
    """The transforms of the last ten seconds; may be used on any thread."""

    def __init__(self) -> None:
        self._links: dict[str, _Link] = {}
        self._lock = threading.Lock()

    def add(
        self,
        parent: str,
        child: str,
        stamp: int,
        translation: np.ndarray,
        rotation: np.ndarray,
        static: bool = False,
    ) -> None:
        """
        Add a transform.

        Whatever is more than ten seconds before the newest one of its frame is forgotten. A stamp
        that far back means that the clock was reset: then the ones before are forgotten.

        :param stamp: nanoseconds; ignored if it is static
        :param translation: (3,) float, of the child's origin in the parent, metres
        :param rotation: (4,) float, quaternion x y z w, from the child to the parent
        :raises TransformError: if the transform is not valid
        """
        parent, child = parent.removeprefix('/'), child.removeprefix('/')
        translation, rotation = (np.asarray(v, np.float64) for v in (translation, rotation))
        length = np.linalg.norm(rotation)
        name = f'the transform of frame {child!r} in {parent!r}'
        if not parent or not child or parent == child:
            raise TransformError(f'{name} needs two different names')
        if not np.isfinite(translation).all() or not abs(length - 1) <= _UNIT_TOLERANCE:
            raise TransformError(
                f'{name} has the translation {translation.tolist()} and the quaternion '
                f'{rotation.tolist()}; expected finite numbers, and a quaternion of length 1'
            )
        with self._lock:
            link = self._links.get(child)
            if link is None or link.parent != parent or link.static != static:
                link = self._links[child] = _Link(parent, static)
            if static or (link.stamps and stamp < link.stamps[-1] - SPAN):
                link.stamps.clear()
                link.poses.clear()
            i = bisect_left(link.stamps, stamp)
            if i < len(link.stamps) and link.stamps[i] == stamp:
                return  # tf2 also keeps the first one
            link.stamps.insert(i, stamp)
            link.poses.insert(i, (translation, rotation / length))
            old = bisect_left(link.stamps, link.stamps[-1] - SPAN)
            del link.stamps[:old], link.poses[:old]

    def clear(self) -> None:
        """Forget all transforms that are not static, for example after the clock was reset."""
        with self._lock:
            self._links = {child: link for child, link in self._links.items() if link.static}

    def lookup(self, target: str, source: str, stamp: int) -> np.ndarray:
        """
        Return the transform from one frame to another, (4, 4) float64, metres.

        :param target: frame of the results
        :param source: frame of the points
        :param stamp: nanoseconds
        :raises TransformError: if there is none, or none at this time yet or any more
        """
        target, source = target.removeprefix('/'), source.removeprefix('/')
        with self._lock:
            from_source, from_target = self._ancestors(source), self._ancestors(target)
            common = next((frame for frame in from_source if frame in from_target), None)
            if common is None:
                raise TransformError(self._explain_gap(target, source))
            to_common = self._chain(from_source[: from_source.index(common)], stamp)
            back = self._chain(from_target[: from_target.index(common)], stamp)
        return np.linalg.inv(back) @ to_common

    def _ancestors(self, frame: str) -> list[str]:
        """Return a frame, its parent, and so on."""
        found = [frame]
        while link := self._links.get(found[-1]):
            if link.parent in found:
                raise TransformError(f'the parents of frame {frame!r} form a circle')
            found.append(link.parent)
        return found

    def _chain(self, frames: list[str], stamp: int) -> np.ndarray:
        """Return the transform from the first of these frames to the parent of the last one."""
        result = np.eye(4)
        for frame in frames:
            result = _pose_at(frame, self._links[frame], stamp) @ result
        return result

    def _explain_gap(self, target: str, source: str) -> str:
        known = self._links.keys() | {link.parent for link in self._links.values()}
        for frame in (target, source):
            if frame not in known:
                return (
                    f'nobody has published a transform of frame {frame!r}'
                    f'{self._known(known)}. Is its publisher running, and is the name right?'
                )
        return (
            f'the frames {source!r} and {target!r} are not connected: '
            f'{" in ".join(map(repr, self._ancestors(source)))}, but '
            f'{" in ".join(map(repr, self._ancestors(target)))}'
        )

    @staticmethod
    def _known(frames: set[str]) -> str:
        return f' (those of {", ".join(map(repr, sorted(frames)[:8]))})' if frames else ' or any'


def _pose_at(frame: str, link: _Link, stamp: int) -> np.ndarray:
    """Return the transform of a frame to its parent at a time, (4, 4)."""
    if link.static:
        return matrix_of(*link.poses[-1])
    first, last = link.stamps[0], link.stamps[-1]
    name = f'transform of frame {frame!r} in {link.parent!r}'
    if stamp > last:
        seconds = (stamp - last) / NANOSECONDS
        raise TransformError(f'the newest {name} is {seconds:.3f} s older than the image')
    if stamp < first:
        seconds = (first - stamp) / NANOSECONDS
        raise TransformError(f'the oldest {name} is {seconds:.3f} s newer than the image')
    i = bisect_left(link.stamps, stamp)
    if link.stamps[i] == stamp:
        return matrix_of(*link.poses[i])
    before, after = link.stamps[i - 1 : i + 1]
    share = (stamp - before) / (after - before)
    (start, from_turn), (end, to_turn) = link.poses[i - 1 : i + 1]
    return matrix_of(start + share * (end - start), _slerp(from_turn, to_turn, share))


def _slerp(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """Interpolate unit quaternions along the shorter way."""
    cosine = float(a @ b)
    if cosine < 0:
        b, cosine = -b, -cosine
    if cosine > _PARALLEL:
        mixed = (1 - share) * a + share * b
    else:
        angle = np.arccos(cosine)
        mixed = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    return mixed / np.linalg.norm(mixed)


def matrix_of(translation: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """
    Return a transform as a matrix, (4, 4) float64.

    :param translation: (3,)
    :param rotation: (4,) unit quaternion x y z w
    """
    x, y, z, w = rotation
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = translation
    return matrix
