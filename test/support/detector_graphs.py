# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Small ONNX graphs with the inputs and outputs of exported detectors, which find known boxes.

Each family's boxes are encoded here as its exporter does, independently of the package's code.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper
from onnx import numpy_helper
from onnx import TensorProto

_TYPES = {np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16}


def write_graph(
    path: Path,
    outputs: Mapping[str, np.ndarray],
    size: Sequence[int | str] = (64, 96),
    batch: int | str = 1,
    kind: type = np.float32,
    with_sizes: bool = False,
    weights: Mapping[str, Sequence[int]] = {},
    image: str = 'images',
    fails_if_white: bool = False,
) -> Path:
    """
    Write a detector that finds the same in every image.

    :param outputs: of one image, without the batch; boxes are fractions if with_sizes
    :param size: height and width of the input
    :param batch: a number, or the name of a free size
    :param kind: of the input and of outputs that are not whole numbers
    :param with_sizes: whether there is the input `orig_target_sizes`, (width, height), which
        multiplies the output `boxes`
    :param weights: names and shapes of more weights, unused
    :param image: name of the input of images
    :param fails_if_white: whether the outputs are not numbers for an image of ones
    """
    number = _TYPES[kind]
    inputs = [helper.make_tensor_value_info(image, number, [batch, 3, *size])]
    # 0 for each image, which gives the outputs their batch.
    chain = ['ReduceMean', *(['Sub', 'Log'] if fails_if_white else []), 'Mul']
    nodes, last = [], image
    constants = [
        numpy_helper.from_array(np.zeros(1, kind), 'zero'),
        numpy_helper.from_array(np.ones(1, kind), 'one'),
    ]
    for i, operator in enumerate(chain):
        given = {'Mul': [last, 'zero'], 'Sub': ['one', last]}.get(operator, [last])
        options = {'axes': [1, 2, 3], 'keepdims': 1} if operator == 'ReduceMean' else {}
        last = f'step{i}'
        nodes.append(helper.make_node(operator, given, [last], **options))
    if with_sizes:
        inputs.append(
            helper.make_tensor_value_info('orig_target_sizes', TensorProto.INT64, [batch, 2])
        )
        nodes += [
            helper.make_node('Cast', ['orig_target_sizes'], ['sides'], to=number),
            helper.make_node('Concat', ['sides', 'sides'], ['corners'], axis=1),
            helper.make_node('Unsqueeze', ['corners'], ['lengths'], axes=[1]),
        ]
    described = []
    for name, value in outputs.items():
        whole = value.dtype.kind == 'i'
        constants.append(numpy_helper.from_array(value[None].astype(kind), f'{name}.value'))
        shape = [batch, *value.shape]
        nodes.append(helper.make_node('Reshape', [last, f'{name}.rank'], [f'{name}.zero']))
        rank = np.array([-1, *[1] * value.ndim])
        constants.append(numpy_helper.from_array(rank, f'{name}.rank'))
        scaled = name == 'boxes' and with_sizes
        names = [f'{name}.sum', name] if whole or scaled else [name]
        nodes.append(helper.make_node('Add', [f'{name}.value', f'{name}.zero'], names[:1]))
        if whole:
            nodes.append(helper.make_node('Cast', names[:1], [name], to=TensorProto.INT64))
        elif scaled:
            nodes.append(helper.make_node('Mul', [names[0], 'lengths'], [name]))
        of = TensorProto.INT64 if whole else number
        described.append(helper.make_tensor_value_info(name, of, shape))
    constants += [
        numpy_helper.from_array(np.zeros(shape, np.float32), name)
        for name, shape in weights.items()
    ]
    graph = helper.make_graph(nodes, 'detector', inputs, described, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 11)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def yolox_rows(
    boxes: np.ndarray,
    scores: Sequence[float],
    indices: Sequence[int],
    size: tuple[int, int],
    classes: int = 80,
    decoded: bool = True,
) -> np.ndarray:
    """
    Encode boxes as YOLOX does, (N, 5 + C): each at the stride of 8 cell of its centre.

    :param boxes: (K, 4) xyxy, pixels of the input; in different cells
    :param size: height and width of the input
    """
    rows = []
    for stride in (8, 16, 32):
        for y in range(size[0] // stride):
            for x in range(size[1] // stride):
                row = np.zeros(5 + classes)
                # Without an object: at the corner of its cell, as large as the stride.
                row[:4] = (x * stride, y * stride, stride, stride) if decoded else 0
                for box, score, index in zip(boxes, scores, indices):
                    centre, sides = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
                    if stride == 8 and (centre // 8 == (x, y)).all():
                        row[:2], row[2:4] = centre, sides
                        if not decoded:
                            row[:2], row[2:4] = centre / 8 - (x, y), np.log(sides / 8)
                        row[4], row[5 + index] = score**0.5, score**0.5
                rows.append(row)
    return np.array(rows, np.float32)


def transformer_outputs(
    boxes: np.ndarray,
    scores: Sequence[float],
    indices: Sequence[int],
    size: tuple[int, int],
    classes: int = 80,
    queries: int = 20,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Encode boxes as fractions of the input, centre and sides (Q, 4), with logits (Q, C).

    :param boxes: (K, 4) xyxy, pixels of the input
    """
    centred = np.tile(np.array([0.5, 0.5, 0.1, 0.1]), (queries, 1))
    logits = np.full((queries, classes), -9.0)
    for q, (box, score, index) in enumerate(zip(boxes, scores, indices)):
        x1, y1, x2, y2 = box / np.array([size[1], size[0]] * 2)
        centred[q] = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
        logits[q, index] = np.log(score / (1 - score))
    return centred.astype(np.float32), logits.astype(np.float32)
