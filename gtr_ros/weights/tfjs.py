# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the weights of a TensorFlow.js graph model and maps them to `MobileCenterNet`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gtr_ros.model.mobile_centernet import MobileCenterNet


class GraphError(ValueError):
    """A TensorFlow.js graph that cannot be read; the message names the file and the reason."""


def read_weights(graph_file: Path) -> dict[str, np.ndarray]:
    """
    Read all constants of a graph.

    :param graph_file: the `.json`, with its weight files in the same folder
    :return: arrays by node name, in the layout of TensorFlow (convolutions are h, w, in, out);
        float16 is converted to float32
    :raises GraphError: if a file is missing, is not such a graph, or has the wrong length
    """
    try:
        manifest = json.loads(graph_file.read_text())['weightsManifest']
        data = b''.join(
            (graph_file.parent / path).read_bytes()
            for group in manifest
            for path in group['paths']
        )
        entries = [entry for group in manifest for entry in group['weights']]
    except OSError as error:
        raise GraphError(f'{error.filename}: {error.strerror}') from error
    except (KeyError, TypeError, ValueError) as error:
        raise GraphError(f'{graph_file}: not a TensorFlow.js graph model ({error!r})') from error
    weights, offset = {}, 0
    for entry in entries:
        stored = np.dtype(entry.get('quantization', entry)['dtype'])
        count = int(np.prod(entry['shape']))
        if offset + count * stored.itemsize > len(data):
            raise GraphError(
                f'{graph_file}: its weight file is truncated: it ends at byte {len(data)}, within '
                f'{entry["name"]}'
            )
        array = np.frombuffer(data, stored, count, offset).reshape(entry['shape'])
        weights[entry['name']] = array.astype(entry['dtype'])
        offset += count * stored.itemsize
    if offset != len(data):
        raise GraphError(
            f'{graph_file}: it describes {offset} bytes of weights, but its weight file has '
            f'{len(data)}'
        )
    return weights


def _graph_names(blocks: int) -> dict[str, tuple[str, str | None]]:
    """Return the graph's names for weight and bias of each convolution in `MobileCenterNet`."""

    def normed(node: str, op: str = 'Conv2D') -> tuple[str, str]:
        return f'{node}/{op}_weights', f'{node}/{op}_bn_offset'

    def plain(node: str) -> tuple[str, str]:
        return f'{node}/weights', f'{node}/biases'

    names: dict[str, tuple[str, str | None]] = {
        'backbone.stem': normed('MobilenetV3/Conv'),
        'backbone.last': normed('extern1'),
        'attention.fc1': normed('CenternetHead/conv1x1_se_a'),
        'attention.fc2': ('CenternetHead/conv1x1_se_b/weights', None),
    }
    for i in range(blocks):
        block, node = f'backbone.blocks.{i}', 'MobilenetV3/expanded_conv' + (f'_{i}' if i else '')
        names[f'{block}.expand'] = normed(f'{node}/expand')
        names[f'{block}.depthwise'] = normed(f'{node}/depthwise', 'depthwise')
        names[f'{block}.excite.fc1'] = plain(f'{node}/squeeze_excite/Conv')
        names[f'{block}.excite.fc2'] = plain(f'{node}/squeeze_excite/Conv_1')
        names[f'{block}.project'] = normed(f'{node}/project')
    separables = {}
    for i in range(3):
        names[f'laterals.{i}.0'] = normed(f'CenternetHead/c{i + 2}_reverse/1x1')
        separables[f'laterals.{i}.1'] = f'CenternetHead/c{i + 2}_reverse/3x3'
        for ours, theirs in (('narrow', 'x'), ('wide', 'y')):
            node = f'CenternetHead/c{i + 3}_upsample/branch_{theirs}_upsample_resize'
            separables[f'upsamples.{i}.{ours}'] = node
    for module, node in separables.items():
        names[f'{module}.0'] = (f'{node}/depthwise_weights', None)
        names[f'{module}.1'] = normed(node, 'separable_conv2d')
    for module, output in (('heatmap', 'cls'), ('sides', 'wh')):
        node = f'CenternetHead/centernet_{output}_output'
        names[f'{module}.0'] = (f'{node}/depthwise_weights', None)
        names[f'{module}.1'] = (f'{node}/pointwise_weights', f'{node}/biases')
    return names


def mobile_centernet_state(weights: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """
    Convert the weights of the published MobileNetV3 CenterNet graph to those of `MobileCenterNet`.

    :param weights: from `read_weights`
    :return: a state dict, float32
    :raises GraphError: if a weight of the network is missing from the graph or has another shape
    """
    # Some of the graph's names have the prefix of a training tower.
    weights = {name.removeprefix('tower_0/'): array for name, array in weights.items()}
    model = MobileCenterNet()
    names = _graph_names(len(model.backbone.blocks))
    state = model.state_dict()
    for key, tensor in state.items():
        module = max((m for m in names if key.startswith(f'{m}.')), key=len)
        name = names[module][0 if key.endswith('weight') else 1]
        if name is None:
            tensor.zero_()
            continue
        if name not in weights:
            raise GraphError(f'the graph has no {name!r}, which the detector needs for {key!r}')
        array = weights[name]
        if key.endswith('weight'):
            # A depthwise kernel is (h, w, channels, 1), any other kernel (h, w, in, out).
            array = array.transpose((2, 3, 0, 1) if 'depthwise' in name else (3, 2, 0, 1))
        if array.shape != tensor.shape:
            raise GraphError(
                f'{name!r} has shape {array.shape}; {key!r} needs {tuple(tensor.shape)}'
            )
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(array)))
    return state
