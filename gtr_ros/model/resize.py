# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Resizes camera images to the input of a detector, and maps boxes back to image pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import NamedTuple

import numpy as np
from PIL import Image
import torch
from torch import Tensor
from torch.nn import functional as F

#: mean and standard deviation that normalise the published models' input: red, green, blue
MEAN = (123.675, 116.28, 103.53)
DEVIATION = (58.395, 57.12, 57.375)


class Batch(NamedTuple):
    """
    The input of a detector; each image is at the top left corner.

    :param pixels: (B, 3, H, W) float32, RGB; the padding at the right and bottom is 0
    :param scales: (B, 2) float32, x and y, pixels of the network's input per image pixel
    :param sizes: (height, width) of each image as received, pixels
    """

    pixels: Tensor
    scales: Tensor
    sizes: list[tuple[int, int]]

    def to_image(self, boxes: Tensor, index: int) -> Tensor:
        """(N, 4) boxes in pixels of the network's input -> of image `index` as received."""
        return boxes / self.scales[index].repeat(2)

    def to_input(self, boxes: Tensor, index: int) -> Tensor:
        """(N, 4) boxes in pixels of image `index` as received -> of the network's input."""
        return boxes * self.scales[index].repeat(2)


def check_image(image: np.ndarray) -> None:
    """Raise ValueError unless the image is (H, W, 3) uint8 with H, W > 0."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(
            f'image is {image.dtype} of shape {image.shape}; expected uint8 of (H, W, 3), '
            'not empty'
        )


def upload(image: np.ndarray, device: torch.device) -> tuple[Tensor, bool]:
    """
    Copy an image to the device, if possible without a copy on the host.

    :param image: (H, W, 3) uint8, any strides: padded rows, reversed BGR, one channel three times
    :return: (1, 3, H, W) uint8; whether the channels are in reverse order: tensors cannot have
        negative strides
    """
    check_image(image)
    reverse = image.strides[2] < 0
    if reverse:
        image = image[..., ::-1]
    if min(image.strides) < 0 or not image.flags.writeable:
        image = image.copy()  # torch wraps only writable memory with positive strides
    return _to_device(image, device).permute(2, 0, 1)[None], reverse


def _to_device(image: np.ndarray, device: torch.device) -> Tensor:
    """Copy to the device; to a GPU through pinned memory, so that the host does not wait."""
    pixels = torch.from_numpy(image)
    if device.type == 'cuda':
        return pixels.pin_memory().to(device, non_blocking=True)
    return pixels.to(device)


class Resize:
    """Base of the rules by which images of any size become the input of a network."""

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width to which an image of this size is resized."""
        raise NotImplementedError

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of the network's input for images of this size, padded."""
        return self.target(height, width)

    def filter(self, pixels: Tensor, height: int, width: int) -> Tensor:
        """Resize on the device: (B, 3, H, W) uint8 -> (B, 3, height, width), 0..255."""
        raise NotImplementedError

    def join(self, images: Sequence[Tensor]) -> Tensor:
        """(3, h, w) resized RGB images of the target's size -> the input, (B, 3, H, W) float."""
        raise NotImplementedError

    def on_device(self, pixels: Tensor, reverse: bool) -> Tensor:
        """
        Prepare images of one size that are on the device, without waiting for it.

        :param pixels: (B, 3, H, W) uint8
        :param reverse: whether the channels are in reverse order
        :return: (B, 3, H', W') float32, the pixels of a `Batch`
        """
        return self.join(self._resized(pixels, reverse).unbind())

    def __call__(self, images: Sequence[np.ndarray], device: torch.device) -> Batch:
        """(H, W, 3) uint8 RGB images -> the network's input."""
        sizes = [image.shape[:2] for image in images]
        resized = [self._resized(*upload(image, device))[0] for image in images]
        scales = [self.scale(*size) for size in sizes]
        return Batch(self.join(resized), torch.tensor(scales, device=device), sizes)

    def scale(self, height: int, width: int) -> tuple[float, float]:
        """Return x and y of `Batch.scales` for an image of this size."""
        resized_height, resized_width = self.target(height, width)
        return resized_width / width, resized_height / height

    def _resized(self, pixels: Tensor, reverse: bool) -> Tensor:
        """(B, 3, H, W) uint8, the channels maybe in reverse order -> RGB of the target's size."""
        resized = self.filter(pixels, *self.target(*pixels.shape[2:]))
        return resized.flip(1) if reverse else resized


class _PlainResize(Resize):
    """Resizes bilinearly without smoothing; values stay 0..255."""

    def filter(self, pixels: Tensor, height: int, width: int) -> Tensor:
        """Resize on the device: (B, 3, H, W) uint8 -> (B, 3, height, width) float, 0..255."""
        if pixels.is_cuda:  # no kernel for bytes; on a CPU the byte kernel is many times faster
            return F.interpolate(pixels.float(), (height, width), mode='bilinear').round()
        return F.interpolate(pixels, (height, width), mode='bilinear').float()

    def join(self, images: Sequence[Tensor]) -> Tensor:
        """(3, H, W) images of one size -> (B, 3, H, W)."""
        return torch.stack(list(images)) if len(images) > 1 else images[0][None]


@dataclass(frozen=True)
class FixedSize(_PlainResize):
    """
    Resizes images of any size to a fixed size; the aspect ratio changes.

    :param height: of the network's input, pixels; a multiple of 32
    :param width: of the network's input, pixels; a multiple of 32
    """

    height: int = 512
    width: int = 512

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Return the fixed height and width."""
        return self.height, self.width


@dataclass(frozen=True)
class FixedArea(_PlainResize):
    """
    Resizes images of one size to about a given area, nearly keeping the aspect ratio.

    :param area: of the network's input, pixels; its sides are multiples of 32
    """

    area: int = 512 * 512

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width to which an image of this size is resized."""
        scale = math.sqrt(self.area / (height * width))
        return tuple(max(32, round(side * scale / 32) * 32) for side in (height, width))


class _PublishedResize(Resize):
    """Resizes as in the published models' training, normalises, pads to the largest image."""

    #: the sides of the network's input are multiples of this
    multiple: int

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of the network's input for images of this size, padded."""
        height, width = self.target(height, width)
        return _round_up(height, self.multiple), _round_up(width, self.multiple)

    def filter(self, pixels: Tensor, height: int, width: int) -> Tensor:
        """Resize on the device: (B, 3, H, W) uint8 -> (B, 3, height, width), 0..255."""
        # Only Pillow's own filter, on bytes, equals that used in training; the filter on a GPU
        # differs by at most 1 of 255, but does not wait for the host.
        by_device = resize_by_torch if pixels.is_cuda else resize_by_pillow
        return by_device(pixels, height, width)

    def join(self, images: Sequence[Tensor]) -> Tensor:
        """(3, h, w) images of any sizes -> (B, 3, H, W), normalised."""
        return normalise(images, self.multiple)


def resize_by_pillow(pixels: Tensor, height: int, width: int) -> Tensor:
    """Resize on the host: (B, 3, H, W) uint8 -> (B, 3, height, width) uint8."""
    resized = []
    for image in pixels.permute(0, 2, 3, 1).numpy():
        picture = Image.fromarray(np.ascontiguousarray(image))
        resized.append(np.array(picture.resize((width, height), Image.Resampling.BILINEAR)))
    return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2)


def resize_by_torch(pixels: Tensor, height: int, width: int) -> Tensor:
    """Resize with Pillow's filter: (B, 3, H, W) uint8 -> (B, 3, height, width) float."""
    return F.interpolate(pixels.float(), (height, width), mode='bilinear', antialias=True).round()


def normalise(images: Sequence[Tensor], multiple: int) -> Tensor:
    """
    Normalise and pad resized images, as in the training of the published models.

    :param images: (3, H, W), values 0..255, RGB, of any sizes, on one device
    :param multiple: the sides of the input are multiples of this
    :return: (B, 3, H, W) float32, padded to the largest with 0
    """
    # Filled on the device: copying from the host would wait for it.
    mean, deviation = (
        torch.stack([torch.full((1, 1), value, device=images[0].device) for value in values])
        for values in (MEAN, DEVIATION)
    )
    return pad_to_largest([((i.float() - mean) / deviation)[None] for i in images], multiple)


@dataclass(frozen=True)
class SquareFit(_PublishedResize):
    """
    Resizes each image to fit into a square, keeping the aspect ratio: the input of `gtr_mot`.

    Small images are enlarged. Sides are truncated to whole pixels.

    :param size: side of the square, pixels
    :param multiple: the sides of the network's input are multiples of this
    """

    size: int = 1560
    multiple: int = 128

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width to which an image of this size is resized."""
        scale = min(self.size / height, self.size / width)
        return max(1, int(height * scale)), max(1, int(width * scale))


@dataclass(frozen=True)
class ShortestEdge(_PublishedResize):
    """
    Resizes the shorter side to a fixed length, with a limit for the longer: input of `gtr_tao`.

    :param short: length of the shorter side, pixels
    :param long: maximum length of the longer side, pixels
    :param multiple: the sides of the network's input are multiples of this
    """

    short: int = 800
    long: int = 1333
    multiple: int = 32

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width to which an image of this size is resized."""
        scale = self.short / min(height, width)
        longer = max(height, width) * scale
        sides = [self.short if side == min(height, width) else longer for side in (height, width)]
        if longer > self.long:
            sides = [side * (self.long / longer) for side in sides]
        return max(1, int(sides[0] + 0.5)), max(1, int(sides[1] + 0.5))


def pad_to_largest(images: Sequence[Tensor], multiple: int) -> Tensor:
    """Pad (1, 3, h, w) images with 0 at the right and bottom to the same size: (B, 3, H, W)."""
    height = _round_up(max(i.shape[2] for i in images), multiple)
    width = _round_up(max(i.shape[3] for i in images), multiple)
    return torch.cat([F.pad(i, (0, width - i.shape[3], 0, height - i.shape[2])) for i in images])


def _round_up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple
