# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A detector's file that cannot be used: one line says what was found, and what to do."""

from __future__ import annotations

import os
from pathlib import Path
import re

from detector_graphs import transformer_outputs
from detector_graphs import write_graph
from detector_graphs import yolox_rows
import numpy as np
import pytest

pytest.importorskip('onnxruntime', reason='needs the onnx extra')
import onnx
from onnx import helper
from onnx import TensorProto

from gtr_ros import load_model
from gtr_ros import ModelOptions
from gtr_ros.runtime.detector_file.contents import DetectorFileError
from gtr_ros.runtime.detector_file.contents import MOST_BYTES
from gtr_ros.runtime.detector_file.contents import read_contents
from gtr_ros.runtime.detector_file.detector import DetectorFile

CPU = [('CPUExecutionProvider', {})]
SIZE = (64, 96)
BOX = np.array([[10, 10, 40, 50.0]])
FRACTIONS, LOGITS = transformer_outputs(BOX, [0.9], [0], SIZE)


def open_file(path: Path, *lines: str) -> DetectorFile:
    path.with_suffix('.yaml').unlink(missing_ok=True)
    if lines:
        path.with_suffix('.yaml').write_text('\n'.join(lines))
    return DetectorFile(path, CPU)


def message(path: Path, *lines: str) -> str:
    """Return the error of a detector that cannot be opened."""
    with pytest.raises(DetectorFileError) as caught:
        open_file(path, *lines)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def write(path: Path, outputs: dict[str, np.ndarray], size=SIZE, **options) -> Path:
    return write_graph(path / 'mine.onnx', outputs, size, **options)


def of_size(*counts: int, kind: type = np.float32) -> np.ndarray:
    return np.full(counts, 0.25, kind)


def test_a_missing_file_is_named(tmp_path):
    assert message(tmp_path / 'no.onnx') == f'there is no detector at {tmp_path}/no.onnx'
    with pytest.raises(DetectorFileError, match=r'there is no detector at .*/no\.yaml'):
        DetectorFile(tmp_path / 'no.yaml', CPU)
    (tmp_path / 'mine.yaml').write_text('names: coco')
    with pytest.raises(DetectorFileError, match=r'there is no detector at .*/mine\.onnx'):
        DetectorFile(tmp_path / 'mine.yaml', CPU)


@pytest.mark.parametrize(
    'content',
    [b'PK\x03\x04 not a graph', b'%PDF-1.7', b'\xff' * 40, b'\x08\x07', b'names: coco\n'],
)
def test_a_file_that_is_not_onnx_is_refused(tmp_path, content):
    file = tmp_path / 'mine.onnx'
    file.write_bytes(content)
    assert f'{file} is not an ONNX file (' in message(file)


def test_an_empty_and_a_huge_file_are_refused(tmp_path):
    file = tmp_path / 'mine.onnx'
    file.touch()
    assert 'has 0 bytes' in message(file)
    os.truncate(file, MOST_BYTES + 1)  # sparse: takes no room
    assert f'has {MOST_BYTES + 1} bytes' in message(file)


def test_a_cut_off_file_is_refused_wherever_it_ends(tmp_path):
    whole = write(tmp_path, {'logits': LOGITS, 'pred_boxes': FRACTIONS}).read_bytes()
    file = tmp_path / 'mine.onnx'
    for length in range(1, len(whole), len(whole) // 40):
        file.write_bytes(whole[:length])
        assert str(file) in message(file)


def test_random_bytes_never_raise_another_error(tmp_path):
    whole = bytearray(write(tmp_path, {'logits': LOGITS, 'pred_boxes': FRACTIONS}).read_bytes())
    random, file = np.random.default_rng(3), tmp_path / 'mine.onnx'
    refused = 0
    for _ in range(200):
        changed = bytearray(whole)
        for at in random.integers(0, min(len(whole), 600), 4):
            changed[at] = random.integers(256)
        file.write_bytes(changed)
        try:
            read_contents(file)
        except DetectorFileError:
            refused += 1
    assert refused > 20


def with_external(folder: Path, location: str) -> Path:
    """Write a detector with a weight in another file."""
    file = write(folder, {'logits': LOGITS, 'pred_boxes': FRACTIONS})
    model = onnx.load(file)
    tensor = TensorProto(name='more', dims=[16], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key='location', value=location)
    tensor.external_data.add(key='length', value='64')
    model.graph.initializer.append(tensor)
    onnx.save(model, file)
    return file


def test_weights_beside_the_file_are_read_and_others_refused(tmp_path):
    folder = tmp_path / 'model'
    (folder / 'parts').mkdir(parents=True)
    for place in (folder / 'weights.bin', folder / 'parts/weights.bin', tmp_path / 'secret'):
        place.write_bytes(bytes(64))
    (folder / 'link.bin').symlink_to(tmp_path / 'secret')
    assert len(open_file(with_external(folder, 'weights.bin')).class_names) == 80
    assert len(open_file(with_external(folder, 'parts/weights.bin')).class_names) == 80
    outside = ['../secret', str(tmp_path / 'secret'), 'link.bin', 'parts/../../secret']
    for name in [*outside, '', '*/_ORT_MEM_ADDR_/*']:
        text = message(with_external(folder, name))
        assert f'refers to weights in {name!r}, outside its folder; refused' in text
    assert 'there is no' in message(with_external(folder, 'gone.bin'))


def test_weights_outside_are_found_in_subgraphs_and_attributes(tmp_path):
    tensor = TensorProto(name='t', dims=[1], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key='location', value='../secret')
    constant = helper.make_node('Constant', [], ['c'], value=tensor)
    inner = helper.make_graph([constant], 'inner', [], [])
    node = helper.make_node('If', ['x'], ['y'], then_branch=inner, else_branch=inner)
    for nodes in ([constant], [node]):
        file = write(tmp_path, {'logits': LOGITS, 'pred_boxes': FRACTIONS})
        model = onnx.load(file)
        model.graph.node.extend(nodes)
        onnx.save(model, file)
        assert "'../secret', outside its folder" in message(file)


def test_operators_that_are_not_onnx_are_named(tmp_path):
    for operator, expected in (
        ('EPContext', 'has the operator EPContext, which loads a program'),
        ('EfficientNMS_TRT', 'EfficientNMS_TRT'),
    ):
        file = write(tmp_path, {'logits': LOGITS, 'pred_boxes': FRACTIONS})
        model = onnx.load(file)
        node = helper.make_node(operator, ['images'], ['extra'], domain='com.mine')
        model.graph.node.append(node)
        model.opset_import.append(helper.make_opsetid('com.mine', 1))
        onnx.save(model, file)
        assert expected in message(file)


def test_a_free_size_must_be_told(tmp_path):
    file = write(tmp_path, {'logits': LOGITS, 'pred_boxes': FRACTIONS}, ('h', 'w'))
    text = message(file)
    assert 'found the inputs images float (1, 3, h, w) and the outputs logits float' in text
    assert "write 'width: 640' and 'height: 640'" in text
    assert str(tmp_path / 'mine.yaml') in text
    assert 'has no fixed width' in message(file, 'height: 64')
    assert open_file(file, 'height: 64', 'width: 96').format.width == 96


def test_another_size_than_that_of_the_export_is_refused(tmp_path):
    file = write(tmp_path, {'logits': LOGITS, 'pred_boxes': FRACTIONS})
    assert 'has width: 640, but the input was exported for 96' in message(file, 'width: 640')


@pytest.mark.parametrize(
    ('outputs', 'found'),
    [
        ({'output0': of_size(84, 126)}, 'output0 float32 (1, 84, 126)'),
        ({'output': of_size(126, 5)}, 'output float32 (1, 126, 5)'),
        ({'output': of_size(125, 85)}, 'with N = 126 for this input'),
        ({'a': of_size(20, 4), 'b': of_size(20, 4)}, 'a float32 (1, 20, 4), b float32'),
        ({'boxes': of_size(20, 4), 'scores': of_size(20)}, 'boxes float32 (1, 20, 4)'),
        ({'boxes': of_size(20, 5), 'labels': of_size(20, kind=np.int64)}, 'boxes float32'),
        ({'heatmap': of_size(80, 16, 24)}, 'heatmap float32 (1, 80, 16, 24)'),
    ],
)
def test_outputs_of_no_family_are_named_with_what_was_expected(tmp_path, outputs, found):
    text = message(write(tmp_path, outputs))
    assert 'found the inputs images float (1, 3, 64, 96) and the outputs' in text
    assert found in text
    assert 'of YOLOX: one, (B, N, 5 + C)' in text
    assert 'of RF-DETR: dets, labels' in text
    assert "'family: FAMILY'" in text


def test_what_the_yaml_says_must_fit_what_is_found(tmp_path):
    file = write(tmp_path, {'logits': LOGITS, 'pred_boxes': FRACTIONS})
    assert 'mine.yaml says family: yolox; expected' in message(file, 'family: yolox')
    assert 'mine.yaml says layout: yolox-raw;' in message(file, 'layout: yolox-raw')
    assert 'says layout: detections;' in message(file, 'layout: detections')


def test_logits_that_two_families_have_need_the_family(tmp_path):
    boxes, logits = transformer_outputs(BOX, [0.9], [1], SIZE, classes=91)
    file = write(tmp_path, {'logits': logits, 'pred_boxes': boxes})
    text = message(file)
    assert "write 'family: rt-detr'" in text
    assert "'family: rf-detr'" in text
    for family, mean in (('rt-detr', 0.0), ('rf-detr', 0.485)):
        assert open_file(file, f'family: {family}').format.mean[0] == mean


def test_boxes_of_yolox_in_no_clear_unit_need_the_layout(tmp_path):
    rows = yolox_rows(BOX, [0.9], [0], SIZE)
    rows[:, :2] = -40  # neither pixels of the input nor offsets of cells
    file = write(tmp_path, {'output': rows})
    text = message(file)
    assert "write 'layout: yolox' (exported with --decode_in_inference)" in text
    assert open_file(file, 'layout: yolox').format.layout == 'yolox'


def test_the_number_of_classes_of_finished_detections_must_be_known(tmp_path):
    outputs = {
        'labels': np.zeros(20, np.int64),
        'boxes': np.tile(np.float32([0.1, 0.1, 0.4, 0.5]), (20, 1)),
        'scores': of_size(20),
    }
    file = write(tmp_path, outputs, with_sizes=True)
    assert "do not tell the number of classes: write 'names: coco' (80)" in message(file)
    assert len(open_file(file, 'names: coco').class_names) == 80
    weights = {'model.decoder.dec_score_head.0.bias': (5,), 'model.enc_score_head.bias': (5,)}
    file = write(tmp_path, outputs, with_sizes=True, weights=weights)
    assert 'it has 5 classes, and their names are not known' in message(file)
    assert 'it has 5 classes, and' in message(file, 'names: coco')
    assert open_file(file, 'names: [a, b, c, d, e]').class_names == ('a', 'b', 'c', 'd', 'e')


def test_boxes_without_an_input_for_the_size_need_a_unit(tmp_path):
    outputs = {
        'labels': np.zeros(20, np.int64),
        'boxes': np.tile(np.float32([0.1, 0.1, 0.4, 0.5]), (20, 1)),
        'scores': np.float32([0.9] * 20),
    }
    file = write(tmp_path, outputs)
    assert 'the unit of its boxes is not clear' in message(file, 'names: coco')
    detector = open_file(file, 'names: coco', 'boxes: fractions')
    [found] = detector.find([np.zeros((100, 200, 3), np.uint8)], 0.3)
    np.testing.assert_allclose(found.boxes, [[20, 10, 80, 50]], atol=0.01)
    detector = open_file(file, 'names: coco', 'boxes: pixels')
    with pytest.raises(DetectorFileError, match='seem to be fractions of the image'):
        detector.find([np.zeros((100, 200, 3), np.uint8)], 0.3)


def test_a_wrong_number_of_names_is_refused_with_the_right_one(tmp_path):
    file = write(tmp_path, {'output': yolox_rows(BOX, [0.9], [0], SIZE, classes=3)})
    text = message(file, 'names: [cat, dog]')
    assert f'it has 3 classes, and {tmp_path}/mine.yaml has 2 names' in text
    assert "write 'names: [NAME, ...]' with 3 entries" in text
    assert 'their names are not known' in message(file)
    boxes, logits = transformer_outputs(BOX, [0.9], [0], SIZE, classes=4)
    file = write(tmp_path, {'dets': boxes, 'labels': logits})
    assert 'is usually the background: null' in message(file, 'names: [a, b, c]')


def test_a_class_that_has_no_name_is_refused_when_it_is_found(tmp_path):
    outputs = {
        'labels': np.full(20, 5, np.int64),
        'boxes': np.tile(np.float32([0.1, 0.1, 0.4, 0.5]), (20, 1)),
        'scores': of_size(20),
    }
    detector = open_file(write(tmp_path, outputs, with_sizes=True), 'names: [a, b]')
    with pytest.raises(DetectorFileError, match='found the class 5, but there are 2 names'):
        detector.find([np.zeros((100, 200, 3), np.uint8)], 0.1)


def test_scores_that_are_logits_are_refused(tmp_path):
    outputs = {
        'labels': np.zeros(20, np.int64),
        'boxes': np.tile(np.float32([0.1, 0.1, 0.4, 0.5]), (20, 1)),
        'scores': np.float32([4.5] * 20),
    }
    file = write(tmp_path, outputs, with_sizes=True)
    assert 'the score is 4.5; expected a number from 0 to 1' in message(file, 'names: coco')


def test_an_output_that_is_not_a_number_is_an_error_at_once_or_in_its_image(tmp_path):
    broken = LOGITS.copy()
    broken[0] = np.nan
    file = write(tmp_path, {'logits': broken, 'pred_boxes': FRACTIONS})
    text = message(file)
    assert f'the output of {file} cannot be used: a score is not a number' in text
    assert 'Export it in float32' in text
    boxes = FRACTIONS.copy()
    boxes[0, 0] = np.inf
    detector = open_file(write(tmp_path, {'logits': LOGITS, 'pred_boxes': boxes}))
    with pytest.raises(ArithmeticError, match='a box is not finite'):
        detector.find([np.zeros((100, 200, 3), np.uint8)], 0.3)
    file = write(tmp_path, {'logits': LOGITS, 'pred_boxes': FRACTIONS}, fails_if_white=True)
    detector = open_file(file)
    grey = np.full((100, 200, 3), 100, np.uint8)
    assert len(detector.find([grey], 0.3)[0]) == 1
    with pytest.raises(ArithmeticError, match=r'mine\.onnx cannot be used'):
        detector.find([np.full_like(grey, 255)], 0.3)
    assert len(detector.find([grey], 0.3)[0]) == 1


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        ('size: 640', r"has 'size'; expected some of file, family, layout, width"),
        ('width: 20', 'width is 20; expected whole pixels from 32 to 4096'),
        ('width: 64.5', 'width is 64.5; expected whole pixels'),
        ('width: true', 'width is True; expected whole pixels'),
        ('names: imagenet', "names is 'imagenet'; expected coco, or a list"),
        ('names: [cat, cat]', r"names is \['cat', 'cat'\]; expected .* a different name"),
        ('names: [null, null]', 'names is'),
        ('names: [1, 2]', 'names is'),
        ('resize: crop', "resize is 'crop'; expected stretch or letterbox"),
        ('pad: left', "pad is 'left'; expected corner or centre"),
        ('channels: grey', "channels is 'grey'; expected rgb or bgr"),
        ('scale: 2', 'scale is 2; expected 255 or 1'),
        ('mean: 0.5', 'mean is 0.5; expected three numbers'),
        ('std: [0, 1, 1]', r'std is \[0, 1, 1\]; expected three numbers above 0'),
        ('std: [.nan, 1, 1]', 'expected three numbers above 0'),
        ('score_threshold: 30', 'score_threshold is 30; expected a number from 0 to 1'),
        ('nms_threshold: no', 'nms_threshold is False; expected a number'),
        ('file: weights.pt', "file is 'weights.pt'; expected the path of an ONNX file"),
        ('file: other.onnx', 'is about another file than mine.onnx'),
        ('- names', 'is not a list of keys and values'),
        ('names: [', 'is not YAML:'),
        ('!!python/object/apply:os.system [ls]', 'is not YAML:'),
    ],
)
def test_each_wrong_line_of_the_yaml_is_named_with_what_was_expected(tmp_path, line, expected):
    file = write(tmp_path, {'logits': LOGITS, 'pred_boxes': FRACTIONS})
    text = message(file, line)
    assert str(tmp_path / 'mine.yaml') in text
    assert re.search(expected, text), text


@pytest.mark.parametrize(
    ('shape', 'kind'), [([1, 4, 64, 96], 1), ([1, 3, 64, 96], 2), ([1, 64, 96], 1)]
)
def test_inputs_that_are_not_images_are_refused(tmp_path, shape, kind):
    file = tmp_path / 'mine.onnx'
    given = helper.make_tensor_value_info('data', kind, shape)
    of = helper.make_tensor_value_info('out', kind, shape)
    node = helper.make_node('Identity', ['data'], ['out'])
    graph = helper.make_graph([node], 'g', [given], [of])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)])
    model.ir_version = 8
    onnx.save(model, file)
    text = message(file)
    assert 'found the inputs data' in text
    assert 'expected one input of images, (B, 3, H, W), float or float16' in text


def test_loading_a_model_ends_with_the_same_line(tmp_path):
    file = tmp_path / 'mine.onnx'
    file.write_bytes(b'PK\x03\x04')
    with pytest.raises(ValueError, match='is not an ONNX file'):
        load_model(ModelOptions(detector=str(file), device='cpu', runtime='torch'))
