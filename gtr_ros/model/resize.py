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


@dataclass(frozen=True)
class FixedSize:
    """
    Resizes images of any size to a fixed size; the aspect ratio changes.

    :param height: of the network's input, pixels; a multiple of 32
    :param width: of the network's input, pixels; a multiple of 32
    """

    height: int = 512
    width: int = 512

    def __call__(self, images: Sequence[np.ndarray], device: torch.device) -> Batch:
        """(H, W, 3) uint8 RGB images of any sizes -> a batch of values 0..255."""
        sizes = [image.shape[:2] for image in images]
        resized = [_resize(image, self.height, self.width, device) for image in images]
        pixels = torch.cat(resized) if len(resized) > 1 else resized[0]
        scales = torch.tensor([(self.width / w, self.height / h) for h, w in sizes], device=device)
        return Batch(pixels, scales, sizes)


@dataclass(frozen=True)
class FixedArea:
    """
    Resizes images of one size to about a given area, nearly keeping the aspect ratio.

    :param area: of the network's input, pixels; its sides are multiples of 32
    """

    area: int = 512 * 512

    def __call__(self, images: Sequence[np.ndarray], device: torch.device) -> Batch:
        """(H, W, 3) uint8 RGB images of one size -> a batch of values 0..255."""
        height, width = images[0].shape[:2]
        scale = math.sqrt(self.area / max(height * width, 1))
        sides = (max(32, round(side * scale / 32) * 32) for side in (height, width))
        return FixedSize(*sides)(images, device)


class _PublishedResize:
    """Resizes as in the published models' training, normalises, pads to the largest image."""

    #: the sides of the network's input are multiples of this
    multiple: int

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width to which an image of this size is resized."""
        raise NotImplementedError

    def __call__(self, images: Sequence[np.ndarray], device: torch.device) -> Batch:
        """(H, W, 3) uint8 RGB images of any sizes -> a batch, normalised."""
        sizes, resized, scales = [], [], []
        for image in images:
            check_image(image)
            h, w = image.shape[:2]
            height, width = (max(1, side) for side in self.target(h, w))
            # Only Pillow's own filter, on bytes, equals that used in training; the filter on a GPU
            # differs by at most 1 of 255, but does not wait for the host.
            resize = resize_by_pillow if device.type == 'cpu' else resize_by_torch
            resized.append(resize(image, height, width, device))
            scales.append((width / w, height / h))
            sizes.append((h, w))
        pixels = normalise(resized, self.multiple)
        return Batch(pixels, torch.tensor(scales, device=device), sizes)


def resize_by_pillow(image: np.ndarray, height: int, width: int, device: torch.device) -> Tensor:
    """Resize on the host: (H, W, 3) uint8 -> (3, height, width) uint8."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    resized = np.array(picture.resize((width, height), Image.Resampling.BILINEAR))
    return torch.from_numpy(resized).to(device).permute(2, 0, 1)


def resize_by_torch(image: np.ndarray, height: int, width: int, device: torch.device) -> Tensor:
    """Resize on the device with Pillow's filter: (H, W, 3) uint8 -> (3, height, width) float."""
    pixels, reverse = upload(image, device)
    pixels = F.interpolate(pixels.float(), (height, width), mode='bilinear', antialias=True)
    pixels = pixels[0].round()
    return pixels.flip(0) if reverse else pixels


def normalise(images: Sequence[Tensor], multiple: int) -> Tensor:
    """
    Normalise and pad resized images, as in the training of the published models.

    :param images: (3, H, W), values 0..255, RGB, of any sizes, on one device
    :param multiple: the sides of the input are multiples of this
    :return: (B, 3, H, W) float32, padded to the largest with 0
    """
    mean, deviation = (
        torch.tensor(values, device=images[0].device)[:, None, None]
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
        return int(height * scale), int(width * scale)


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
        return int(sides[0] + 0.5), int(sides[1] + 0.5)


def pad_to_largest(images: Sequence[Tensor], multiple: int) -> Tensor:
    """Pad (1, 3, h, w) images with 0 at the right and bottom to the same size: (B, 3, H, W)."""
    height = math.ceil(max(i.shape[2] for i in images) / multiple) * multiple
    width = math.ceil(max(i.shape[3] for i in images) / multiple) * multiple
    return torch.cat([F.pad(i, (0, width - i.shape[3], 0, height - i.shape[2])) for i in images])


def _resize(image: np.ndarray, height: int, width: int, device: torch.device) -> Tensor:
    """Resize bilinearly: (H, W, 3) uint8 -> (1, 3, height, width) float, 0..255."""
    pixels, reverse = upload(image, device)
    if pixels.is_cuda:  # no kernel for bytes; on a CPU the byte kernel is many times faster
        pixels = F.interpolate(pixels.float(), (height, width), mode='bilinear').round()
    else:
        pixels = F.interpolate(pixels, (height, width), mode='bilinear').float()
    return pixels.flip(1) if reverse else pixels
