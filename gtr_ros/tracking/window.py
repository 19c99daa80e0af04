# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sliding window: the objects of the last T frames and their track ids."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch

from gtr_ros.model.association import Association
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Detections
from gtr_ros.tracking.online import make_online
from gtr_ros.tracking.online import OnlineAssociation
from gtr_ros.tracking.past import Past


class WindowView:
    """
    A new frame and the window before it; P_A is computed when it is first read.

    :param now: the M detections of the new frame
    :param frames: detections and track ids of the past frames, oldest first
    :param association: computes P_A
    :param likelihoods: (M, P) float32, P_A if it is already known
    :param on_read: called whenever P_A is read
    """

    def __init__(
        self,
        now: Detections,
        frames: Sequence[tuple[Detections, np.ndarray]],
        association: Association,
        likelihoods: np.ndarray | None = None,
        on_read: Callable[[], None] = lambda: None,
    ) -> None:
        self.now = now
        self._frames = tuple(frames)
        self._association = association
        self._likelihoods = likelihoods
        self._on_read = on_read

    def __len__(self) -> int:
        """Return the number of past frames."""
        return len(self._frames)

    @cached_property
    def past(self) -> Past:
        """The objects of the past frames, and their tracks; there must be at least one frame."""
        frames, ids_by_frame = zip(*self._frames)
        counts = [len(d) for d in frames]
        ids, track = np.unique(np.concatenate(ids_by_frame), return_inverse=True)
        # Frames without detections need no scores.
        scores = [d.class_scores for d in frames if len(d)]
        scored = scores and all(each is not None for each in scores)
        return Past(
            boxes=np.concatenate([d.boxes for d in frames]),
            labels=np.concatenate([d.labels for d in frames]),
            class_scores=np.concatenate(scores) if scored else None,
            stamps=np.repeat([d.stamp for d in frames], counts),
            age=np.repeat(np.arange(len(frames), 0, -1), counts),
            ids=ids,
            track=track,
        )

    @property
    def likelihoods(self) -> np.ndarray:
        """(M, P) float32: P_A of the new frame's objects with those of the past."""
        self._on_read()
        if self._likelihoods is None:
            self._likelihoods = self._compute()
        return self._likelihoods

    def select(self, keep: np.ndarray) -> WindowView:
        """Return the view with some of the new frame's detections; keep is (M,) bool."""
        if keep.all():
            return self
        known = None if self._likelihoods is None else self._likelihoods[keep]
        return WindowView(
            self.now.select(keep), self._frames, self._association, known, self._on_read
        )

    def change_id(self, old: int, new: int) -> WindowView:
        """Return the view with one track id of past boxes replaced."""
        frames = _replace_id(self._frames, old, new)
        return WindowView(self.now, frames, self._association, self._likelihoods, self._on_read)

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
    The detections of the last frames, with their track ids.

    With a memory in seconds, frames are at least memory / frames apart, except for the newest, so
    that the window covers that time at any frame rate.

    :param association: computes P_A of a new frame's objects with those of the window
    :param frames: maximum number of frames
    :param memory: seconds after which a frame is dropped; None: only the number of frames is
        limited
    :param every_frame: whether P_A is needed for every frame; it is then computed incrementally.
        False: only when it is read: from scratch for the first frame, then incrementally, until
        it has not been read for the length of the window
    """

    def __init__(
        self,
        association: Association,
        frames: int,
        memory: float | None = None,
        every_frame: bool = True,
    ) -> None:
        self._association = association
        self._every_frame = every_frame
        self._online = make_online(association) if every_frame else None
        self._was_read = False  # P_A of the newest frame
        self._unread_frames = 0  # since P_A was last read
        self._staged = 0  # detections of the frame whose P_A was computed last
        self._frames: deque[tuple[Detections, np.ndarray]] = deque()
        self._most = frames
        self._memory = None if memory is None else round(memory * NANOSECONDS)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._frames)

    @property
    def frames(self) -> int:
        """Maximum number of frames; if it is reduced, the oldest frames are dropped."""
        return self._most

    @frames.setter
    def frames(self, count: int) -> None:
        self._most = count
        self._drop_oldest(len(self._frames) - count)

    @property
    def online(self) -> OnlineAssociation | None:
        """Computes P_A incrementally; None while P_A is not read."""
        return self._online

    def view(self, now: Detections) -> WindowView:
        """Return a new frame with the window before it; call `add` afterwards."""
        if not self._every_frame:
            self._start_or_stop_online()
        likelihoods = None if self._online is None else self._associate(now).cpu().numpy()
        return WindowView(now, self._frames, self._association, likelihoods, self._mark_read)

    def add(self, detections: Detections, ids: np.ndarray) -> None:
        """
        Append a frame; the oldest is dropped if there are too many.

        :param detections: the detections of the last `view`; some of them may be left out, unless
            P_A is needed for every frame
        :param ids: (N,) int64; 0: no track
        """
        if self._memory is not None and len(self._frames) > 1:
            (before, _), (newest, _) = self._frames[-2], self._frames[-1]
            # The newest frame is always kept at first; once another is added, it stays only if it
            # is far enough from the frame before it.
            if (newest.stamp - before.stamp) * self._most < self._memory:
                self._frames.pop()
                if self._online is not None:
                    self._online.drop_newest()
        if self._online is not None:
            if len(detections) != self._staged:
                self._associate(detections)
            self._online.add()
        if self._every_frame:
            # The online association stores the features; views would keep them all alive.
            none = detections.features.new_empty(len(detections), 0)
            detections = replace(detections, features=none)
        self._frames.append((detections, ids))
        self._drop_oldest(len(self._frames) - self._most)

    def change_id(self, old: int, new: int) -> None:
        """Replace a track id; earlier views do not change."""
        self._frames = deque(_replace_id(self._frames, old, new))

    def drop_expired(self, stamp: int) -> None:
        """Drop the frames that are older than the memory; stamp: the current time, nanoseconds."""
        if self._memory is None:
            return
        oldest = stamp - self._memory
        self._drop_oldest(sum(detections.stamp < oldest for detections, _ in self._frames))

    def clear(self) -> None:
        """Drop all frames."""
        self._frames.clear()
        if self._online is not None:
            self._online.clear()
        self._was_read = False

    def _associate(self, detections: Detections) -> torch.Tensor:
        """Compute P_A of a frame's objects incrementally, (M, P)."""
        self._staged = len(detections)
        return self._online.associate(detections.features, _relative_boxes(detections))

    def _mark_read(self) -> None:
        self._was_read = True

    def _start_or_stop_online(self) -> None:
        """Compute P_A incrementally only as long as it is read."""
        read, self._was_read = self._was_read, False
        self._unread_frames = 0 if read else self._unread_frames + 1
        if self._online is not None and self._unread_frames > self._most:
            self._online = None
        elif self._online is None and read:
            self._online = make_online(self._association)
            for detections, _ in self._frames:
                self._associate(detections)
                self._online.add()

    def _drop_oldest(self, count: int) -> None:
        for _ in range(count):
            self._frames.popleft()
            if self._online is not None:
                self._online.drop_oldest()


def _replace_id(
    frames: Sequence[tuple[Detections, np.ndarray]], old: int, new: int
) -> list[tuple[Detections, np.ndarray]]:
    return [(d, np.where(ids == old, new, ids)) for d, ids in frames]


def _relative_boxes(detections: Detections) -> torch.Tensor:
    """Return boxes relative to the image's width and height, (N, 4), on the features' device."""
    relative = detections.boxes / np.tile(detections.image_size[::-1], 2)
    device = detections.features.device
    return torch.as_tensor(relative, dtype=torch.float32, device=device)
