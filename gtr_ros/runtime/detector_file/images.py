# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera images to the input of an exported detector, and its boxes back to the images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from gtr_ros.model.resize import upload
from gtr_ros.runtime.detector_file.settings import Format

_CPU = torch.device('cpu')


@dataclass(frozen=True)
class Placement:
    """
    Where an image is in the network's input.

    :param scale: x and y, pixels of the input per pixel of the image
    :param offset: x and y of its top left corner in the input, pixels
    """

    scale: tuple[float, float]
    offset: tuple[int, int]

    def to_image(self, boxes: np.ndarray) -> np.ndarray:
        """(N, 4) xyxy boxes in pixels of the input -> of the image as received."""
        return (boxes - np.tile(self.offset, 2)) / np.tile(self.scale, 2)


def place(image_size: tuple[int, int], form: Format) -> tuple[Placement, tuple[int, int]]:
    """
    Return where an image of a size is put, and to which height and width it is resized.

    :param image_size: (height, width), pixels
    """
    height, width = image_size
    new_height, new_width, left, top = form.height, form.width, 0, 0
    if form.resize == 'letterbox':
        scale = min(form.height / height, form.width / width)
        new_height, new_width = max(1, int(height * scale)), max(1, int(width * scale))
        if form.pad == 'centre':
            left, top = (form.width - new_width) // 2, (form.height - new_height) // 2
    placement = Placement((new_width / width, new_height / height), (left, top))
    return placement, (new_height, new_width)


def to_input(image: np.ndarray, form: Format) -> tuple[np.ndarray, Placement]:
    """
    Resize, pad and normalise an image.

    :param image: (H, W, 3) uint8 RGB, any strides
    :return: (3, height, width) float32; where the image is in it
    :raises ValueError: if the image is not (H, W, 3) uint8
    """
    pixels, reverse = upload(image, _CPU)
    placement, size = place(image.shape[:2], form)
    # YOLOX is trained with OpenCV's filter, transformers with Pillow's, which averages.
    averages = form.family != 'yolox'
    pixels = F.interpolate(pixels, size, mode='bilinear', antialias=averages)
    left, top = placement.offset
    right, bottom = form.width - size[1] - left, form.height - size[0] - top
    pixels = F.pad(pixels[0], (left, right, top, bottom), value=round(form.padding_value))
    if reverse != (form.channels == 'bgr'):
        pixels = pixels.flip(0)
    values = pixels.float()
    if form.scale != 255:
        values *= form.scale / 255
    if form.mean != Format.mean or form.std != Format.std:
        values -= torch.tensor(form.mean)[:, None, None]
        values /= torch.tensor(form.std)[:, None, None]
    return values.numpy(), placement
