# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The torch device that a user has chosen."""

from __future__ import annotations

import re

import torch


def choose_device(name: str) -> torch.device:
    """
    Return the torch device with a name.

    :param name: 'auto' (CUDA if available), 'cpu', 'cuda' or 'cuda:N'
    :raises ValueError: if the name is invalid, or this machine has no such device
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    if not re.fullmatch(r'cpu|cuda(:\d+)?', name):
        raise ValueError(f'device is {name!r}; expected one of auto, cpu, cuda, cuda:N (N from 0)')
    device = torch.device(name)
    count = torch.cuda.device_count()
    if device.type == 'cuda' and (device.index or 0) >= count:
        raise ValueError(
            f'device is {name!r}, but torch {torch.__version__} finds {count} CUDA devices on '
            "this machine; set device to 'auto' or 'cpu', or install a compatible pair of driver "
            'and torch'
        )
    return device
