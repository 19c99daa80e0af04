# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What tells machines apart whose measurements and compiled networks differ."""

from __future__ import annotations

import os
from pathlib import Path
import platform

import torch


def processor() -> str:
    """Return what tells processors apart: architecture, model and instructions."""
    try:
        lines = Path('/proc/cpuinfo').read_text().split('\n\n')[0].splitlines()
    except OSError:
        lines = []
    told = [line for line in lines if line.startswith(('model name', 'flags', 'Features'))]
    return f'{platform.machine()} {platform.processor()} {" ".join(told)}'


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def computes_on(device: torch.device) -> list[object]:
    """Return what code that was compiled for a device depends on."""
    if device.type != 'cuda':
        return ['cpu', processor(), torch.get_num_threads()]
    return ['cuda', torch.cuda.get_device_name(device), *torch.cuda.get_device_capability(device)]
