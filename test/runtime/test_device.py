# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A device is found by the name that a user gives it, or refused with what there is."""

from __future__ import annotations

import pytest
import torch

from gtr_ros.runtime.device import choose_device


@pytest.mark.parametrize('name', ['gpu', 'cuda:', 'cuda:x', '', 'CPU', 'cpu:0'])
def test_a_name_of_no_device_is_refused(name):
    with pytest.raises(ValueError, match=f"device is '{name}'; expected one of auto"):
        choose_device(name)


@pytest.mark.parametrize(
    ('count', 'name', 'device'),
    [
        (0, 'auto', 'cpu'),
        (2, 'auto', 'cuda'),
        (2, 'cuda', 'cuda'),
        (2, 'cuda:1', 'cuda:1'),
        (2, 'cpu', 'cpu'),
    ],
)
def test_a_device_that_is_there_is_selected(monkeypatch, count, name, device):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: count > 0)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: count)
    assert choose_device(name) == torch.device(device)


@pytest.mark.parametrize(('count', 'name'), [(0, 'cuda'), (0, 'cuda:0'), (2, 'cuda:2')])
def test_a_cuda_device_that_is_not_there_is_refused_with_their_number(monkeypatch, count, name):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: count)
    with pytest.raises(ValueError, match=f"'{name}', but torch .* {count} CUDA devices"):
        choose_device(name)
