# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The weights of the parity fixtures' models, which a fixed formula generates, and matching."""

from __future__ import annotations

from collections.abc import Iterable
import math
import zlib

import numpy as np
from scipy.optimize import linear_sum_assignment
import torch
from torch import nn
from torch import Tensor

from gtr_ros.model.official import published_key

_DOUBLED = ('.bottom_up.', '.cell.', '_tower.', '.resample.')


def formula_tensor(key: str, shape: Iterable[int]) -> Tensor | None:
    """Return the float32 weight of a published key by the formula; None: keep the model's."""
    shape = tuple(shape)
    leaf = key.rsplit('.', 1)[-1]
    if leaf == 'num_batches_tracked':
        return None
    z = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(math.prod(shape))
    z = z.reshape(shape)
    if leaf == 'running_mean':
        value = 0.05 * z
    elif leaf == 'running_var':
        value = 1 + 0.2 * np.abs(z)
    elif leaf == 'edge_weights':
        value = 1 + 0.3 * z
    elif leaf == 'scale':
        value = 1 + 0.1 * z
    elif key.endswith('bbox_pred.bias') and 'centernet_head' in key:
        value = 4 + 0.5 * z
    elif key.endswith('agn_hm.bias'):
        value = np.full(shape, -1.0)
    elif len(shape) == 1 and leaf == 'weight':
        value = 1 + 0.1 * z
    elif len(shape) == 1:
        value = 0.05 * z
    else:
        gain = math.sqrt(2) if any(part in key for part in _DOUBLED) else 1.0
        value = gain * z / math.sqrt(math.prod(shape[1:]))
    if key.endswith(('asso_head.fc1.weight', 'asso_head.fc2.weight')):
        value = value * 0.6
    elif key.endswith('asso_head.fc2.bias'):
        value = value - 0.2
    if key.endswith(('.conv3.norm.weight', '.shortcut.1.norm.weight')) or '.conv2_offsets.' in key:
        value = value * 0.3
    return torch.from_numpy(np.asarray(value, np.float32))


def with_formula_weights(module: nn.Module, prefix: str = '') -> nn.Module:
    """
    Load the formula's weights into a module and return it in evaluation mode.

    :param prefix: of its parameters' names in `GTR.state_dict()`
    """
    state = module.state_dict()
    for name, value in state.items():
        weight = formula_tensor(published_key(prefix + name), value.shape)
        state[name] = value if weight is None else weight
    module.load_state_dict(state)
    return module.eval()


def match_boxes(boxes: Tensor, expected: Tensor | np.ndarray, atol: float) -> Tensor:
    """
    Match boxes as sets: the order of boxes with nearly equal scores does not matter.

    :param boxes: (N, 4), to compare
    :param expected: (N, 4)
    :param atol: largest difference of a coordinate, pixels
    :return: (N,) int64, index into `boxes` of each expected box
    """
    expected = torch.as_tensor(expected, dtype=boxes.dtype)
    assert boxes.shape == expected.shape
    distance = (expected[:, None] - boxes).abs().amax(dim=-1)  # NxN
    order = torch.tensor(linear_sum_assignment((distance > atol).float())[1])
    assert (distance.gather(1, order[:, None]) <= atol).all(), distance.amin(dim=1).max()
    return order
