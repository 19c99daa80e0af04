# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clips from labelled videos: frames drawn as in the public code, or at a robot's frame rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence as SequenceOf

import numpy as np
from PIL import Image

from gtr_ros.data.labels import label_map
from gtr_ros.data.sequence import read_images
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.training.clip import Clip
from gtr_ros.training.crops import Crop
from gtr_ros.training.crops import crop_image
from gtr_ros.training.crops import CroppedBoxes
from gtr_ros.training.crops import draw_crop


class VideoClips:
    """
    Clips from labelled videos: random frames from a short interval, all with the same crop.

    T frames are drawn from 2 T successive ones. If the scale makes frames smaller than the crop, T
    is increased, as in the public code, so that clips of small frames use the same amount of
    memory.

    :param sequences: videos with ground truth and images
    :param class_names: of the model; other classes of the videos are ignored
    :param frames: T, if frames fill the crop
    :param most_frames: maximum of T
    :param size: side of the crop, pixels
    :param scale: range of the factor by which a frame is larger than the crop
    :param flip: probability that the clip is mirrored
    :param strides: one of these is drawn for each clip, which then has every stride-th frame
    :param clip_boxes: whether boxes are clipped to the crop
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
        """Create a clip."""
        number = int(rng.integers(len(self.sequences)))
        sequence, labels = self.sequences[number], self._labels[number]
        height, width = sequence.image_size
        crop = draw_crop(height, width, self.size, self.scale, rng.uniform)
        chosen = self._draw_frames(len(sequence), max(height, width) * crop.scale, rng)
        mirrored = rng.random() < self.flip
        parts = []
        for t, image in zip(chosen, read_images(sequence, chosen), strict=True):
            frame = crop_image(Image.fromarray(image), crop, self.size)
            if mirrored:
                frame = np.ascontiguousarray(frame[:, ::-1])
            parts.append((frame, *self._objects(sequence.truth[t], labels, crop, frame, mirrored)))
        images, boxes, classes, objects, crowds = zip(*parts)
        return Clip(
            images,
            boxes,
            classes,
            _number(objects),
            crowds,
            # Some classes are not labelled in every image, and a clip cannot represent which.
            complete=sequence.federated is None,
            source=f'{sequence.name}, frames {", ".join(str(t + 1) for t in chosen)}',
        )

    def _draw_frames(self, length: int, long_side: float, rng: np.random.Generator) -> list[int]:
        """Draw the frames of a clip from `length`; long_side: of a scaled frame, pixels."""
        count, most = self.frames, int(self.frames * (self.size / long_side) ** 2)
        if most > self.frames:
            # T is drawn first and limited afterwards, so most clips have the maximum length.
            count = min(int(rng.integers(self.frames, most + 1)), self.most_frames)
        stride = int(rng.choice(self.strides))
        # In a short video, the stride is reduced until there are enough frames.
        stride = max(1, min(stride, length // count))
        first = int(rng.integers(max(1, length - count * stride + 1)))
        interval = np.arange(first, min(length, first + 2 * count * stride), stride)
        chosen = rng.choice(interval, min(count, len(interval)), replace=False)
        return np.sort(chosen).tolist()

    def _objects(
        self, truth: Truth, labels: np.ndarray, crop: Crop, frame: np.ndarray, mirrored: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return boxes, labels, (N, 2) classes and ids of the truth, and crowds of a frame."""
        classes = labels[truth.labels]
        known = classes >= 0
        counted = known & truth.counted
        cropped = CroppedBoxes.of(truth.boxes[counted], crop, frame.shape, mirrored)
        boxes = cropped.clipped if self.clip_boxes else cropped.boxes
        # A box that does not count (distractor, void) is ignored like a crowd.
        ignored = np.concatenate([truth.boxes[known & ~truth.counted], truth.regions])
        crowds = CroppedBoxes.of(ignored, crop, frame.shape, mirrored)
        return (
            boxes[cropped.visible].astype(np.float32),
            classes[counted][cropped.visible],
            np.stack([truth.labels[counted], truth.ids[counted]], axis=1)[cropped.visible],
            crowds.clipped[crowds.visible].astype(np.float32),
        )


def _number(objects: SequenceOf[np.ndarray]) -> tuple[np.ndarray, ...]:
    """
    Assign numbers from 1 to the objects of a clip.

    Ids of the ground truth may start anywhere, and may be unique only within a class.

    :param objects: of each frame (N_t, 2) int64, classes and ids of the ground truth
    :return: of each frame (N_t,) int64
    """
    numbers: dict[tuple[int, ...], int] = {}
    return tuple(
        np.array([numbers.setdefault(tuple(o), len(numbers) + 1) for o in rows.tolist()], np.int64)
        for rows in objects
    )


def _label_map(sequence: Sequence, class_names: SequenceOf[str]) -> np.ndarray:
    """Return the model's label of each of a video's classes; -1 if the model lacks the class."""
    names = list(class_names)
    labels = label_map(sequence.class_names, names)
    if labels.max(initial=-1) < 0:
        raise ValueError(
            f'{sequence.name} has no class of the model: {", ".join(sequence.class_names[:4])}; '
            f'the model has {", ".join(names[:4])}{" and others" if names[4:] else ""}'
        )
    return labels


def _check(sequence: Sequence) -> None:
    if sequence.images is None:
        raise ValueError(f'{sequence.name} has no images, only ground truth')
    if len(sequence) < 2:
        raise ValueError(f'{sequence.name} has {len(sequence)} frames; expected at least 2')
    for t, truth in enumerate(sequence.truth):
        counts = Counter(zip(truth.ids.tolist(), truth.labels.tolist()))
        for (identity, label), count in counts.items():
            if count > 1:
                raise ValueError(
                    f'{sequence.name}, frame {t + 1}: id {identity} of class '
                    f'{sequence.class_names[label]} occurs {count} times; expected once'
                )
