# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The boxes of an unlabelled recording with their pooled maps, tracked frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch import Tensor

from gtr_ros.boxes import box_iou
from gtr_ros.media.video import VideoFrame
from gtr_ros.model.gtr import GTR
from gtr_ros.runtime.pipeline import TrackingPipeline
from gtr_ros.stamps import NANOSECONDS

#: seconds of a recording in one excerpt
SECONDS = 30.0
#: maximum number of frames that are kept: five minutes at 10 Hz
MOST_FRAMES = 3000
#: maximum size of the pooled maps that are kept, bytes
MOST_BYTES = 1 << 30

_LEAST_INTERVAL = round(0.075 * NANOSECONDS)  # between two frames that are used
_LONGEST_GAP = 1.0  # seconds for which a tracklet may be without a box
_LEAST_BOXES = 5  # of a tracklet
_ONE_OBJECT = 0.6  # IoU above which two boxes of a frame may be of one object

#: called with each frame that was read
OnFrame = Callable[[VideoFrame], None]


@dataclass(frozen=True)
class Excerpt:
    """
    T consecutive frames of a recording, oldest first, with N boxes in total.

    A tracklet is a part of a track without a long gap. Two tracklets may be of one object, if the
    tracker lost it in between; those that have boxes in one frame are of different objects.

    :param stamps: (T,) int64, nanoseconds
    :param counts: N_t, boxes of each frame, sum N
    :param maps: (N, C, R, S) float16, pooled from the detector's maps, on the host
    :param boxes: (N, 4) float32, xyxy, relative to the width and height of the frame
    :param tracklets: (N,) int64, from 1; 0: none
    :param doubles: pairs of tracklets that overlap so much that they may be of one object
    """

    stamps: np.ndarray
    counts: tuple[int, ...]
    maps: Tensor
    boxes: Tensor
    tracklets: Tensor
    doubles: frozenset[tuple[int, int]] = frozenset()

    def __len__(self) -> int:
        return len(self.stamps)

    def rows(self, t: int) -> slice:
        """Return the rows of the boxes of frame t."""
        start = sum(self.counts[:t])
        return slice(start, start + self.counts[t])

    def part(self, begin: int, end: int) -> Excerpt:
        """Return the frames from `begin` to `end`, which is not included."""
        rows = slice(sum(self.counts[:begin]), sum(self.counts[:end]))
        return replace(
            self,
            stamps=self.stamps[begin:end],
            counts=self.counts[begin:end],
            maps=self.maps[rows],
            boxes=self.boxes[rows],
            tracklets=self.tracklets[rows],
        )


class _PassOn(nn.Module):
    """A head whose features are the pooled maps themselves, flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.shape: tuple[int, ...] = ()

    def forward(self, pooled: Tensor) -> Tensor:
        self.shape = tuple(pooled.shape[1:])
        return pooled.flatten(1)


def observe(
    model: GTR,
    frames: Iterable[VideoFrame],
    seconds: float | None = None,
    on_frame: OnFrame = lambda frame: None,
) -> list[Excerpt]:
    """
    Run the detector and the tracker over a recording, and keep excerpts of it.

    Of a video with more than 13 frames per second, some are left out. Of a recording that is too
    long, every second, fourth, ... excerpt is kept, so that `MOST_FRAMES` and `MOST_BYTES` are not
    exceeded by more than an excerpt.

    :param model: may be optimised for inference
    :param frames: in order
    :param seconds: approximate length of the recording, if it is known: saves detections
    :param on_frame: called with each frame
    """
    keep = 1  # every excerpt of this many
    if seconds is not None:
        while seconds / keep > MOST_FRAMES / 10:
            keep *= 2
    kept: list[tuple[int, Excerpt]] = []
    recorder, origin, last = _Recorder(model), None, None
    number = 0

    def close() -> None:
        if len(recorder):
            kept.append((number, recorder.finish()))

    for frame in frames:
        on_frame(frame)
        origin = frame.stamp if origin is None else origin
        if last is not None and 0 <= frame.stamp - last < _LEAST_INTERVAL:
            continue
        last = frame.stamp
        index = max(int((frame.stamp - origin) / NANOSECONDS / SECONDS), number)
        if index != number:
            close()
            while _too_much(kept):
                keep *= 2
                kept = [(k, excerpt) for k, excerpt in kept if k % keep == 0]
            number = index
        if number % keep == 0:
            recorder.add(frame)
    close()
    return [excerpt for _, excerpt in kept]


def _too_much(kept: list[tuple[int, Excerpt]]) -> bool:
    frames = sum(len(excerpt) for _, excerpt in kept)
    size = sum(excerpt.maps.nbytes for _, excerpt in kept)
    return len(kept) > 1 and (frames > MOST_FRAMES or size > MOST_BYTES)


class _Recorder:
    """Detects and tracks the frames of one excerpt after the other."""

    def __init__(self, model: GTR) -> None:
        self._head = model.head
        self._pass_on = _PassOn()
        self._model = GTR(
            model.detector,
            self._pass_on,
            model.association,
            model.pool_size,
            model.clip,
            model.score_threshold,
        )
        # Without a gallery: tracklets must not depend on the features more than they have to.
        self._pipeline = TrackingPipeline(
            self._model, rule='evidence', tentative=True, gallery_size=0
        )
        self._frames: list[tuple[int, np.ndarray, Tensor, np.ndarray]] = []

    def __len__(self) -> int:
        return len(self._frames)

    @torch.inference_mode()
    def add(self, frame: VideoFrame) -> None:
        """Detect and track the next frame."""
        [found] = self._pipeline.detect([frame.image], [frame.stamp])
        maps = found.features.unflatten(1, self._pass_on.shape)
        tracks = self._pipeline.track(frame.image, replace(found, features=self._head(maps)))
        ids = np.where(tracks.confirmed, tracks.ids, 0)
        boxes = found.boxes / np.tile(found.image_size[::-1], 2).astype(np.float32)
        self._frames.append((frame.stamp, boxes, maps.half().cpu(), ids))

    def finish(self) -> Excerpt:
        """Return the excerpt, and begin another."""
        stamps, boxes, maps, ids = zip(*self._frames)
        self._frames = []
        self._pipeline.reset()
        stamps = np.array(stamps, np.int64)
        tracklets = split_tracks(stamps, ids)
        return Excerpt(
            stamps=stamps,
            counts=tuple(map(len, boxes)),
            maps=torch.cat(maps),
            boxes=torch.from_numpy(np.concatenate(boxes).astype(np.float32, copy=False)),
            tracklets=torch.from_numpy(np.concatenate(tracklets)),
            doubles=_find_doubles(boxes, tracklets),
        )


def split_tracks(stamps: np.ndarray, ids: Sequence[np.ndarray]) -> list[np.ndarray]:
    """
    Split tracks where they have no box for long, and drop short ones.

    :param stamps: (T,) int64, nanoseconds
    :param ids: of the boxes of each frame, (N_t,) int64; 0: none
    :return: numbers of the tracklets, from 1, of each frame; 0: none
    """
    newest: dict[int, tuple[int, int]] = {}  # by id, number of the tracklet and its last stamp
    numbers, boxes = [], [0]
    for stamp, row in zip(stamps.tolist(), ids):
        now = np.zeros(len(row), np.int64)
        for i, identity in enumerate(row.tolist()):
            if not identity:
                continue
            number, before = newest.get(identity, (0, 0))
            if not number or stamp - before > _LONGEST_GAP * NANOSECONDS:
                number = len(boxes)
                boxes.append(0)
            boxes[number] += 1
            newest[identity] = (number, stamp)
            now[i] = number
        numbers.append(now)
    long = np.array(boxes) >= _LEAST_BOXES
    return [np.where(long[row], row, 0) for row in numbers]


def _find_doubles(
    boxes: Sequence[np.ndarray], tracklets: Sequence[np.ndarray]
) -> frozenset[tuple[int, int]]:
    """Return the pairs of tracklets with boxes that nearly coincide, both ways round."""
    found = set()
    for now, numbers in zip(boxes, tracklets):
        overlap = box_iou(now, now) > _ONE_OBJECT
        for i, k in zip(*np.nonzero(overlap)):
            if i != k and numbers[i] and numbers[k]:
                found.add((int(numbers[i]), int(numbers[k])))
    return frozenset(found)
