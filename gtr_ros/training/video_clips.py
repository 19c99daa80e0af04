# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clips of labelled videos, drawn as the public code draws them, or at a robot's frame rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence as SequenceOf

import numpy as np
from PIL import Image

from gtr_ros.data.sequence import read_images
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.training.clip import Clip
from gtr_ros.training.views import draw_view
from gtr_ros.training.views import look
from gtr_ros.training.views import Placed
from gtr_ros.training.views import View


class VideoClips:
    """
    Clips of labelled videos: a random subset of a stretch of frames, all seen in one window.

    A clip of T frames is drawn from 2 T successive ones. Where the window makes frames small, T
    grows, as the public code has it, so that small images fill the memory as large ones do.

    :param sequences: videos with truth and images
    :param class_names: of the model; other classes of the videos are left out
    :param frames: T of a full window
    :param most_frames: T at most
    :param size: side of the window, pixels
    :param scale: least and most factor by which a frame is larger than what fits into the window
    :param flip: probability that the clip is mirrored
    :param strides: one is drawn for each clip; frames are every so manyth
    :param clip_boxes: whether boxes end at the window's border
    :raises ValueError: if there is no video or stride, or a video has no images, is shorter than 2
        frames, has no class of the model, or has an id twice for one class in a frame
    """

    def __init__(
        self,
        sequences: SequenceOf[Sequence],
        class_names: SequenceOf[str],
        frames: int = 8,
        most_frames: int = 16,
        size: int = 1280,
        scale: tuple[float, float] = (0.1, 2.0),
        flip: float = 0.5,
        strides: SequenceOf[int] = (1,),
        clip_boxes: bool = False,
    ) -> None:
        self.sequences = list(sequences)
        self.frames = frames
        self.most_frames = max(frames, most_frames)
        self.size = size
        self.scale = scale
        self.flip = flip
        self.strides = tuple(strides)
        self.clip_boxes = clip_boxes
        if not self.sequences:
            raise ValueError('there is no video; expected at least one')
        if not self.strides or min(self.strides) < 1:
            raise ValueError(f'strides are {self.strides}; expected at least one, each 1 or more')
        self._labels = [_label_map(s, class_names) for s in self.sequences]
        for sequence in self.sequences:
            _check(sequence)

    def __call__(self, rng: np.random.Generator) -> Clip:
        """Make a clip."""
        number = int(rng.integers(len(self.sequences)))
        sequence, labels = self.sequences[number], self._labels[number]
        height, width = sequence.image_size
        view = draw_view(height, width, self.size, self.scale, rng.uniform)
        chosen = self._draw_frames(len(sequence), max(height, width) * view.scale, rng)
        mirrored = rng.random() < self.flip
        parts = []
        for t, image in zip(chosen, read_images(sequence, chosen), strict=True):
            frame = look(Image.fromarray(image), view, self.size)
            if mirrored:
                frame = np.ascontiguousarray(frame[:, ::-1])
            parts.append((frame, *self._objects(sequence.truth[t], labels, view, frame, mirrored)))
        images, boxes, classes, objects, crowds = zip(*parts)
        return Clip(
            images,
            boxes,
            classes,
            _number(objects),
            crowds,
            # Of some classes not every object has a box, and which they are is not in a clip.
            complete=sequence.federated is None,
            source=f'{sequence.name}, frames {", ".join(str(t + 1) for t in chosen)}',
        )

    def _draw_frames(self, length: int, long_side: float, rng: np.random.Generator) -> list[int]:
        """Draw the frames of a clip; long_side: of a scaled frame, pixels."""
        count, most = self.frames, int(self.frames * (self.size / long_side) ** 2)
        if most > self.frames:
            # Most clips are as long as can be: what is above is cut off once it is drawn.
            count = min(int(rng.integers(self.frames, most + 1)), self.most_frames)
        stride = int(rng.choice(self.strides))
        # A short video is seen at the stride that leaves enough frames.
        stride = max(1, min(stride, length // count))
        first = int(rng.integers(max(1, length - count * stride + 1)))
        stretch = np.arange(first, min(length, first + 2 * count * stride), stride)
        picked = rng.choice(stretch, min(count, len(stretch)), replace=False)
        return np.sort(picked).tolist()

    def _objects(
        self, truth: Truth, labels: np.ndarray, view: View, frame: np.ndarray, mirrored: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return boxes, labels, (N, 2) classes and ids of the truth, and crowds of one frame."""
        classes = labels[truth.labels]
        known = classes >= 0
        own = known & truth.counted
        placed = Placed.of(truth.boxes[own], view, frame.shape, mirrored)
        boxes = placed.inside if self.clip_boxes else placed.boxes
        # What is neither to be found nor to be blamed is a crowd of one.
        others = np.concatenate([truth.boxes[known & ~truth.counted], truth.regions])
        crowds = Placed.of(others, view, frame.shape, mirrored)
        return (
            boxes[placed.seen].astype(np.float32),
            classes[own][placed.seen],
            np.stack([truth.labels[own], truth.ids[own]], axis=1)[placed.seen],
            crowds.inside[crowds.seen].astype(np.float32),
        )


def _number(objects: SequenceOf[np.ndarray]) -> tuple[np.ndarray, ...]:
    """
    Give a clip's objects numbers from 1: the truth counts from anywhere, and for each class.

    :param objects: of each frame (N_t, 2) int64, classes and ids of the truth
    :return: of each frame (N_t,) int64
    """
    numbers: dict[tuple[int, ...], int] = {}
    return tuple(
        np.array([numbers.setdefault(tuple(o), len(numbers) + 1) for o in own.tolist()], np.int64)
        for own in objects
    )


def _label_map(sequence: Sequence, class_names: SequenceOf[str]) -> np.ndarray:
    """Return the model's label of each of a video's classes, -1: it has none."""
    names = list(class_names)
    labels = [names.index(n) if n in names else -1 for n in sequence.class_names]
    if max(labels, default=-1) < 0:
        raise ValueError(
            f'{sequence.name} has no class of the model: {", ".join(sequence.class_names[:4])}; '
            f'the model has {", ".join(names[:4])}{" and others" if names[4:] else ""}'
        )
    return np.array(labels, np.int64)


def _check(sequence: Sequence) -> None:
    if sequence.images is None:
        raise ValueError(f'{sequence.name} has no images; only its truth is here')
    if len(sequence) < 2:
        raise ValueError(f'{sequence.name} has {len(sequence)} frames; expected at least 2')
    for t, truth in enumerate(sequence.truth):
        counts = Counter(zip(truth.ids.tolist(), truth.labels.tolist()))
        for (identity, label), count in counts.items():
            if count > 1:
                raise ValueError(
                    f'{sequence.name}, frame {t + 1}: id {identity} of class '
                    f'{sequence.class_names[label]} is there {count} times; expected once'
                )
