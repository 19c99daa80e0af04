# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sliding window: the last T frames' objects and who they were."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch

from gtr_ros.model.association import Association
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Detections
from gtr_ros.tracking.online import online


@dataclass
class Past:
    """
    The P objects of a window's past frames, oldest first, and the K tracks they form.

    :param boxes: (P, 4) float32, xyxy, pixels of the image as received
    :param labels: (P,) int64
    :param class_scores: (P, C) float32, or None
    :param stamps: (P,) int64, nanoseconds
    :param age: (P,) int64, frames ago: 1 for the previous frame's objects
    :param ids: (K,) int64, the tracks' identities, ascending
    :param track: (P,) int64, index of each object's track in `ids`
    """

    boxes: np.ndarray
    labels: np.ndarray
    class_scores: np.ndarray | None
    stamps: np.ndarray
    age: np.ndarray
    ids: np.ndarray
    track: np.ndarray

    # Not a product of matrices: numpy's threads for these would take the cores from torch's, and
    # both would wait many times longer than the sums take.

    @cached_property
    def _by_track(self) -> tuple[np.ndarray, np.ndarray]:
        """(P,) int64, the objects track by track; (K,) int64, where each track begins there."""
        ends = np.cumsum(self.lengths)
        return np.argsort(self.track, kind='stable'), ends - self.lengths

    def sum_by_track(self, values: np.ndarray) -> np.ndarray:
        """Add up what is of one track: (M, P) float -> (M, K)."""
        order, begins = self._by_track
        return np.add.reduceat(values[:, order], begins, axis=1)

    def best_by_track(self, values: np.ndarray) -> np.ndarray:
        """Take the largest of what is of one track: (M, P) float -> (M, K)."""
        order, begins = self._by_track
        return np.maximum.reduceat(values[:, order], begins, axis=1)

    def any_by_track(self, values: np.ndarray) -> np.ndarray:
        """Say whether any of a track is true: (M, P) bool -> (M, K)."""
        order, begins = self._by_track
        return np.logical_or.reduceat(values[:, order], begins, axis=1)

    @cached_property
    def lengths(self) -> np.ndarray:
        """(K,) int64: objects of each track."""
        return np.bincount(self.track, minlength=len(self.ids))

    @cached_property
    def last(self) -> np.ndarray:
        """(K,) int64: index of each track's newest object."""
        last = np.zeros(len(self.ids), np.int64)
        last[self.track] = np.arange(len(self.track))  # the newest comes last, and stays
        return last

    def velocities(self, frames: int = 8) -> np.ndarray:
        """
        Fit a line to the centres of each track's newest frames.

        :param frames: how far before its newest object a track is looked at
        :return: (K, 2) float64, pixels a second; 0 for a track of one object
        """
        recent = self.age <= self.age[self.last][self.track] + frames
        track, boxes = self.track[recent], self.boxes[recent].astype(np.float64)
        time = (self.stamps[recent] - self.stamps[self.last][track]) / NANOSECONDS
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2

        def total(values: np.ndarray) -> np.ndarray:
            return np.bincount(track, values, minlength=len(self.ids))

        count, sum_t, sum_tt = total(np.ones_like(time)), total(time), total(time * time)
        spread = np.maximum(count * sum_tt - sum_t**2, 1e-12)
        slopes = [count * total(time * x) - sum_t * total(x) for x in centre.T]
        return np.stack(slopes, axis=1) / spread[:, None]


class WindowView:
    """
    A window as a new frame meets it: what it holds, and P_A, which is computed when asked for.

    :param now: the new frame's M detections
    :param frames: the detections and identities of the past frames, oldest first
    :param association: what relates the new frame to them, if somebody asks
    :param likelihoods: (M, P) float32, where it was asked already
    :param read: called when somebody asks
    """

    def __init__(
        self,
        now: Detections,
        frames: Sequence[tuple[Detections, np.ndarray]],
        association: Association,
        likelihoods: np.ndarray | None = None,
        read: Callable[[], None] = lambda: None,
    ) -> None:
        self.now = now
        self._frames = tuple(frames)
        self._association = association
        self._likelihoods = likelihoods
        self._read = read

    def __len__(self) -> int:
        """Count the past frames."""
        return len(self._frames)

    @cached_property
    def past(self) -> Past:
        """The objects of all past frames, of which there is at least one, and their tracks."""
        frames, identities = zip(*self._frames)
        counts = [len(d) for d in frames]
        ids, track = np.unique(np.concatenate(identities), return_inverse=True)
        scored = all(d.class_scores is not None for d in frames)
        return Past(
            boxes=np.concatenate([d.boxes for d in frames]),
            labels=np.concatenate([d.labels for d in frames]),
            class_scores=np.concatenate([d.class_scores for d in frames]) if scored else None,
            stamps=np.repeat([d.stamp for d in frames], counts),
            age=np.repeat(np.arange(len(frames), 0, -1), counts),
            ids=ids,
            track=track,
        )

    @property
    def likelihoods(self) -> np.ndarray:
        """(M, P) float32: P_A of the new frame's objects with those of the past."""
        self._read()
        if self._likelihoods is None:
            self._likelihoods = self._compute()
        return self._likelihoods

    def select(self, keep: np.ndarray) -> WindowView:
        """Return the view of some of the new frame's detections; keep is (M,) bool."""
        if keep.all():
            return self
        known = None if self._likelihoods is None else self._likelihoods[keep]
        return WindowView(
            self.now.select(keep), self._frames, self._association, known, self._read
        )

    def rename(self, old: int, new: int) -> WindowView:
        """Return the view in which the past boxes of one identity are of another."""
        frames = _renamed(self._frames, old, new)
        return WindowView(self.now, frames, self._association, self._likelihoods, self._read)

    @torch.inference_mode()
    def _compute(self) -> np.ndarray:
        frames = [*(d for d, _ in self._frames), self.now]
        counts = [len(d) for d in frames]
        past = sum(counts[:-1])
        if not past or not counts[-1]:
            return np.zeros((counts[-1], past), np.float32)
        features = torch.cat([d.features for d in frames if len(d)])
        boxes = torch.cat([_relative_boxes(d) for d in frames])
        return self._association(features, counts, len(frames) - 1, boxes)[:, :past].cpu().numpy()


class Window:
    """
    The detections of the last frames, with the identities they were given.

    With a memory in seconds its frames are at least memory / frames apart, but for the newest, so
    that they cover that time whatever the camera's rate.

    :param association: what relates a new frame to those of the window
    :param frames: frames kept at most
    :param memory: seconds after which a frame leaves; None: only others push it out
    :param asked: whether P_A is asked of every frame; it is then computed with what was computed
        of the frames before. False: only while somebody reads it: of the first frame that is read
        from the beginning, then as if it were asked, until nobody has for a window's length
    """

    def __init__(
        self,
        association: Association,
        frames: int,
        memory: float | None = None,
        asked: bool = True,
    ) -> None:
        self._association = association
        self._asked = asked
        self._online = online(association) if asked else None
        self._was_read = False  # P_A of the newest frame
        self._unread = 0  # frames since P_A was read
        self._staged = 0  # detections of the frame that was asked about
        self._frames: deque[tuple[Detections, np.ndarray]] = deque()
        self._most = frames
        self._memory = None if memory is None else round(memory * NANOSECONDS)

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def frames(self) -> int:
        """Frames kept at most; with less of them than before the oldest leave."""
        return self._most

    @frames.setter
    def frames(self, count: int) -> None:
        self._most = count
        self._drop_oldest(len(self._frames) - count)

    def view(self, now: Detections) -> WindowView:
        """Return the window as a new frame meets it; then `add` the frame."""
        if not self._asked:
            self._follow_readers()
        likelihoods = None if self._online is None else self._ask(now).cpu().numpy()
        return WindowView(now, self._frames, self._association, likelihoods, self._note_reader)

    def add(self, detections: Detections, ids: np.ndarray) -> None:
        """
        Append a frame; what is one too many leaves.

        :param detections: those that the last `view` was of; where P_A is not asked of every
            frame, some of them may be left out
        :param ids: (N,) int64; 0: of nobody
        """
        if self._memory is not None and len(self._frames) > 1:
            (before, _), (newest, _) = self._frames[-2], self._frames[-1]
            # The newest was kept in any case; with a newer one here it must be far enough on.
            if (newest.stamp - before.stamp) * self._most < self._memory:
                self._frames.pop()
                if self._online is not None:
                    self._online.drop_newest()
        if self._online is not None:
            if len(detections) != self._staged:
                self._ask(detections)
            self._online.add()
        if self._asked:
            # What there is of its features is kept already; a view would keep all of them.
            none = detections.features.new_empty(len(detections), 0)
            detections = replace(detections, features=none)
        self._frames.append((detections, ids))
        self._drop_oldest(len(self._frames) - self._most)

    def rename(self, old: int, new: int) -> None:
        """Give the boxes of one identity to another; views made before do not change."""
        self._frames = deque(_renamed(self._frames, old, new))

    def forget(self, stamp: int) -> None:
        """Drop the frames that are older than the memory at a time in nanoseconds."""
        if self._memory is None:
            return
        oldest = stamp - self._memory
        self._drop_oldest(sum(detections.stamp < oldest for detections, _ in self._frames))

    def clear(self) -> None:
        """Forget every frame."""
        self._frames.clear()
        if self._online is not None:
            self._online.clear()
        self._was_read = False

    def _ask(self, detections: Detections) -> torch.Tensor:
        """Return P_A of a frame's objects, computed with what is kept of the window, (M, P)."""
        self._staged = len(detections)
        return self._online.ask(detections.features, _relative_boxes(detections))

    def _note_reader(self) -> None:
        self._was_read = True

    def _follow_readers(self) -> None:
        """Keep what is computed of the window while somebody reads P_A, and no longer."""
        read, self._was_read = self._was_read, False
        self._unread = 0 if read else self._unread + 1
        if self._online is not None and self._unread > self._most:
            self._online = None
        elif self._online is None and read:
            self._online = online(self._association)
            for detections, _ in self._frames:
                self._ask(detections)
                self._online.add()

    def _drop_oldest(self, count: int) -> None:
        for _ in range(count):
            self._frames.popleft()
            if self._online is not None:
                self._online.drop_oldest()


def _renamed(
    frames: Sequence[tuple[Detections, np.ndarray]], old: int, new: int
) -> list[tuple[Detections, np.ndarray]]:
    return [(d, np.where(ids == old, new, ids)) for d, ids in frames]


def _relative_boxes(detections: Detections) -> torch.Tensor:
    """Return boxes relative to the image's width and height, (N, 4), where the features are."""
    relative = detections.boxes / np.tile(detections.image_size[::-1], 2)
    device = detections.features.device
    return torch.as_tensor(relative, dtype=torch.float32, device=device)
