# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Detectors of other families as a file: every layout finds the boxes that it encodes."""

from __future__ import annotations

from pathlib import Path

from detector_graphs import transformer_outputs
from detector_graphs import write_graph
from detector_graphs import yolox_rows
import numpy as np
from paths import REPOSITORY
from PIL import Image
import pytest

pytest.importorskip('onnxruntime', reason='needs the onnx extra')

from gtr_ros import load_model
from gtr_ros import ModelOptions
from gtr_ros import TrackingPipeline
from gtr_ros.model.coco import CLASS_NAMES
from gtr_ros.options import ConfigurationError
from gtr_ros.runtime.detector_file.detector import detector_key
from gtr_ros.runtime.detector_file.detector import DetectorFile
from gtr_ros.runtime.detector_file.opening import providers_for
from gtr_ros.tracking import EvidenceRule

pytestmark = pytest.mark.usefixtures('one_thread')

CPU = [('CPUExecutionProvider', {})]
#: height and width of the graphs' input; images are twice as wide and three times as high
SIZE = (64, 96)
IMAGE = np.full((192, 192, 3), 90, np.uint8)
#: of three objects in that image: boxes in pixels, scores, indices of their classes in COCO's 80
BOXES = np.array([[20, 30, 60, 120], [100, 10, 150, 60], [110, 100, 180, 180]], float)
SCORES = (0.9, 0.8, 0.6)
PERSON, CAR, CLOCK = 0, 2, 74
CLASSES = (PERSON, CAR, CLOCK)


def stretched(boxes: np.ndarray = BOXES) -> np.ndarray:
    return boxes / [2, 3, 2, 3]


def letterboxed(boxes: np.ndarray = BOXES) -> np.ndarray:
    return boxes / 3  # 64 of 192 rows; 32 columns remain


def yolox(path: Path, **options) -> Path:
    encoding = {key: options.pop(key) for key in ('decoded', 'classes') if key in options}
    rows = yolox_rows(letterboxed(), SCORES, CLASSES, SIZE, **encoding)
    return write_graph(path, {'output': rows}, SIZE, **options)


def detections(path: Path, **options) -> Path:
    """Write what RT-DETR, D-FINE and DEIM export: fractions times the given size."""
    queries = 20
    boxes = np.tile([0.2, 0.2, 0.3, 0.3], (queries, 1))
    boxes[:3] = BOXES / 192
    scores, labels = np.full(queries, 0.01), np.zeros(queries, np.int64)
    scores[:3], labels[:3] = SCORES, CLASSES
    # The same query once more, with another class.
    boxes[3], scores[3], labels[3] = boxes[0], 0.5, CAR
    outputs = {'labels': labels, 'boxes': boxes.astype(np.float32), 'scores': scores}
    options = {'weights': {'model.decoder.dec_score_head.2.bias': (80,)}, **options}
    return write_graph(path, outputs, SIZE, **{'with_sizes': True, **options})


def logits(path: Path, **options) -> Path:
    """Write what Hugging Face's RT-DETR and D-FINE export."""
    boxes, classes = transformer_outputs(stretched(), SCORES, CLASSES, SIZE)
    outputs = {'logits': classes, 'pred_boxes': boxes}
    return write_graph(path, outputs, SIZE, **{'image': 'pixel_values', **options})


def rf_detr(path: Path, indices=(1, 3, 85), classes: int = 91, **options) -> Path:
    """Write what RF-DETR exports: 91 logits, at the ids of COCO's categories."""
    boxes, scores = transformer_outputs(stretched(), SCORES, indices, SIZE, classes)
    outputs = {'dets': boxes, 'labels': scores}
    return write_graph(path, outputs, SIZE, **{'image': 'input', **options})


def open_file(path: Path, *lines: str, log=lambda line: None) -> DetectorFile:
    """Open a detector, with these lines in the YAML beside it."""
    if lines:
        path.with_suffix('.yaml').write_text('\n'.join(lines))
    return DetectorFile(path, CPU, log)


def assert_three_objects(detector: DetectorFile, names=('person', 'car', 'clock')) -> None:
    [found] = detector.find([IMAGE], 0.3)
    np.testing.assert_allclose(found.boxes, BOXES, atol=0.2)
    np.testing.assert_allclose(found.scores, SCORES, atol=2e-3)
    assert [detector.class_names[label] for label in found.labels] == list(names)
    assert found.image_size == (192, 192)


FAMILIES = {
    'yolox': (yolox, {}, 'yolox (yolox), input 96 x 64 letterbox corner, BGR 0..255'),
    'yolox raw': (yolox, {'decoded': False}, 'yolox (yolox-raw)'),
    'rt-detr': (detections, {}, 'rt-detr (detections), input 96 x 64 stretched, RGB 0..1,'),
    'rt-detr logits': (logits, {}, 'rt-detr (logits), input 96 x 64 stretched, RGB 0..1,'),
    'rf-detr': (rf_detr, {}, 'rf-detr (logits), input 96 x 64 stretched, RGB 0..1, mean and std,'),
}


@pytest.mark.parametrize('kind', [np.float32, np.float16])
@pytest.mark.parametrize('batch', [1, 2, 'batch'])
@pytest.mark.parametrize('family', FAMILIES)
def test_each_family_is_recognised_and_decoded(tmp_path, family, batch, kind):
    write, options, told = FAMILIES[family]
    lines = []
    file = write(tmp_path / 'mine.onnx', batch=batch, kind=kind, **options)
    detector = open_file(file, log=lines.append)
    assert_three_objects(detector)
    outputs = detector._session.run(np.zeros((3, 3, *SIZE), np.float32))
    assert {len(value) for value in outputs.values()} == {3}
    assert len(detector.class_names) == 80
    [line] = lines
    assert line.startswith(f'detector {tmp_path}/mine.onnx: {told}')
    assert '80 classes (COCO), on CPUExecutionProvider' in line


@pytest.mark.parametrize('family', FAMILIES)
def test_images_of_several_sizes_go_in_one_call(tmp_path, family):
    write, options, _ = FAMILIES[family]
    detector = open_file(write(tmp_path / 'mine.onnx', batch='batch', **options))
    for together in (False, True):
        detector._session.together = together
        views = [IMAGE, IMAGE[::2, ::2], IMAGE[..., ::-1]]
        for image, scale, found in zip(views, (1, 2, 1), detector.find(views, 0.3), strict=True):
            np.testing.assert_allclose(found.boxes, BOXES / scale, atol=0.2)
            assert found.image_size == image.shape[:2]
    assert detector.find([], 0.3) == []


def test_scores_below_a_threshold_are_left_out_whoever_sets_it(tmp_path):
    file = rf_detr(tmp_path / 'mine.onnx')
    [found] = open_file(file).find([IMAGE], 0.7)
    assert len(found) == 2
    [found] = open_file(file, 'score_threshold: 0.85').find([IMAGE], 0.1)
    np.testing.assert_allclose(found.scores, [0.9], atol=1e-3)


def test_overlapping_boxes_of_a_class_are_suppressed_as_told(tmp_path):
    near = np.array([[20, 30, 60, 120], [28, 30, 68, 120], [20, 51, 60, 141]], float)
    rows = yolox_rows(letterboxed(near), SCORES, (0, 0, 5), SIZE)
    file = write_graph(tmp_path / 'mine.onnx', {'output': rows}, SIZE)
    assert len(open_file(file).find([IMAGE], 0.3)[0]) == 2
    assert len(open_file(file, 'nms_threshold: 0.9').find([IMAGE], 0.3)[0]) == 3


def test_an_object_with_two_classes_is_one_object(tmp_path):
    twice = np.array([[20, 30, 60, 120], [20, 30, 61, 121], [20, 30, 60, 160]], float)
    centred, classes = transformer_outputs(stretched(twice), SCORES, CLASSES, SIZE)
    file = write_graph(tmp_path / 'mine.onnx', {'logits': classes, 'pred_boxes': centred}, SIZE)
    [found] = open_file(file).find([IMAGE], 0.3)
    assert found.labels.tolist() == [PERSON, CLOCK]
    np.testing.assert_allclose(found.boxes, twice[[0, 2]], atol=0.2)


def test_boxes_are_clipped_to_the_image_and_removed_outside(tmp_path):
    boxes = np.array([[-30, -30, 40, 50], [300, 20, 330, 60], [10, 10, 90, 90]], float)
    centred, classes = transformer_outputs(stretched(boxes), SCORES, CLASSES, SIZE)
    file = write_graph(tmp_path / 'mine.onnx', {'dets': centred, 'logits': classes}, SIZE)
    [found] = open_file(file, 'family: rf-detr').find([IMAGE], 0.3)
    np.testing.assert_allclose(found.boxes, [[0, 0, 40, 50], [10, 10, 90, 90]], atol=0.1)


@pytest.mark.parametrize(
    ('told', 'top_left'),
    [('stretch', None), ('letterbox corner', (0, 0)), ('letterbox centre', (16, 0))],
)
def test_boxes_come_back_from_where_the_image_was_put(tmp_path, told, top_left):
    resize, _, pad = told.partition(' ')
    boxes = stretched() if top_left is None else letterboxed() + np.tile(top_left, 2)
    centred, classes = transformer_outputs(boxes, SCORES, CLASSES, SIZE)
    file = write_graph(tmp_path / 'mine.onnx', {'logits': classes, 'pred_boxes': centred}, SIZE)
    lines = [f'resize: {resize}', *([f'pad: {pad}'] if pad else [])]
    assert_three_objects(open_file(file, *lines))


def test_the_input_is_what_the_training_had(tmp_path):
    random = np.random.default_rng(5)
    image = random.integers(0, 256, (64, 96, 3), np.uint8)  # of the input's size: not resized
    seen = []

    def watch(detector: DetectorFile) -> np.ndarray:
        run = detector._session.run
        detector._session.run = lambda pixels: (seen.append(pixels), run(pixels))[1]
        detector.find([image], 0.3)
        return seen[-1][0]

    plain = image.transpose(2, 0, 1).astype(np.float32)
    of_yolox = watch(open_file(yolox(tmp_path / 'a.onnx')))
    np.testing.assert_array_equal(of_yolox, plain[::-1])
    np.testing.assert_allclose(watch(open_file(logits(tmp_path / 'b.onnx'))), plain / 255)
    mean = np.array([0.485, 0.456, 0.406])[:, None, None]
    std = np.array([0.229, 0.224, 0.225])[:, None, None]
    expected = (plain / 255 - mean) / std
    of_rf_detr = watch(open_file(rf_detr(tmp_path / 'c.onnx')))
    np.testing.assert_allclose(of_rf_detr, expected, atol=1e-5)
    told = 'channels: bgr', 'scale: 255', 'mean: [1, 2, 3]', 'std: [2, 2, 4]'
    expected = (plain[::-1] - np.array([[[1]], [[2]], [[3]]])) / np.array([[[2]], [[2]], [[4]]])
    of_yaml = watch(open_file(logits(tmp_path / 'd.onnx'), *told))
    np.testing.assert_allclose(of_yaml, expected, atol=1e-5)
    bgr = image[..., ::-1]  # a view with a negative stride
    detector = open_file(tmp_path / 'a.onnx')
    run = detector._session.run
    detector._session.run = lambda pixels: (seen.append(pixels), run(pixels))[1]
    detector.find([bgr], 0.3)
    np.testing.assert_array_equal(seen[-1][0], plain)


def test_an_image_is_resized_as_pillow_does_for_transformers_and_padded_for_yolox(tmp_path):
    seen = []
    photograph = np.array(Image.open(REPOSITORY / 'docs/demo.jpg').convert('RGB'))
    for write in (yolox, logits):
        detector = open_file(write(tmp_path / f'{write.__name__}.onnx'), 'padding_value: 7')
        run = detector._session.run
        detector._session.run = lambda pixels, run=run: (seen.append(pixels), run(pixels))[1]
        detector.find([photograph], 0.3)
    height, width = photograph.shape[:2]
    scale = min(64 / height, 96 / width)
    inside = seen[0][0, :, : int(height * scale), : int(width * scale)]
    assert inside.std() > 20
    rest = [seen[0][0, :, int(height * scale) :], seen[0][0, :, :, int(width * scale) :]]
    assert all((part == 7).all() for part in rest)
    resized = Image.fromarray(photograph).resize((96, 64), Image.Resampling.BILINEAR)
    expected = np.asarray(resized).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(seen[1][0], expected, atol=1.01 / 255)


def test_classes_of_your_own_are_named_in_the_yaml(tmp_path):
    file = rf_detr(tmp_path / 'mine.onnx', (0, 1, 2), classes=4)
    detector = open_file(file, 'names: [forklift, pallet, cone, null]')
    assert detector.class_names == ('forklift', 'pallet', 'cone')
    assert_three_objects(detector, ('forklift', 'pallet', 'cone'))
    detector = open_file(file, 'names: [null, forklift, pallet, cone]')
    [found] = detector.find([IMAGE], 0.3)  # the first class is no object now
    assert [detector.class_names[label] for label in found.labels] == ['forklift', 'pallet']


def test_an_object_is_not_lost_where_the_background_scores_higher(tmp_path):
    boxes, scores = transformer_outputs(stretched(), SCORES, (0, 1, 2), SIZE, 4)
    scores[:, 3] = 5
    file = write_graph(tmp_path / 'mine.onnx', {'dets': boxes, 'labels': scores}, SIZE)
    detector = open_file(file, 'names: [forklift, pallet, cone, null]')
    assert_three_objects(detector, ('forklift', 'pallet', 'cone'))


def test_the_91_ids_of_coco_are_those_of_its_80_classes(tmp_path):
    indices = np.array([1, 13, 90])  # person, stop sign, toothbrush
    detector = open_file(rf_detr(tmp_path / 'mine.onnx', indices))
    assert detector.class_names == CLASS_NAMES
    assert_three_objects(detector, ('person', 'stop sign', 'toothbrush'))


def test_a_yaml_names_a_file_of_another_name_and_the_size(tmp_path):
    boxes, classes = transformer_outputs(stretched(), SCORES, CLASSES, SIZE)
    outputs = {'pred_boxes': boxes, 'logits': classes}
    write_graph(tmp_path / 'weights.onnx', outputs, ('height', 'width'), 'batch')
    yaml = tmp_path / 'mine.yaml'
    yaml.write_text('file: weights.onnx\nwidth: 96\nheight: 64\n')
    assert_three_objects(DetectorFile(yaml, CPU))


def test_outputs_of_other_names_are_told_by_shape_and_type(tmp_path):
    boxes = np.tile([1.0, 1, 2, 2], (20, 1))
    boxes[:3] = stretched()
    scores, labels = np.zeros(20), np.zeros(20, np.int64)
    scores[:3], labels[:3] = SCORES, CLASSES
    outputs = {'b': boxes.astype(np.float32), 'c': labels, 'a': scores.astype(np.float32)}
    file = write_graph(tmp_path / 'mine.onnx', outputs, SIZE)
    assert_three_objects(open_file(file, 'names: coco', 'boxes: pixels'))


def test_a_hidden_batch_size_is_found_before_the_first_images(tmp_path):
    boxes, classes = transformer_outputs(stretched(), SCORES, CLASSES, SIZE)
    # The batch is free, but a constant of one image is multiplied into the second output.
    file = write_graph(tmp_path / 'mine.onnx', {'logits': classes, 'pred_boxes': boxes}, SIZE, 'b')
    import onnx

    model = onnx.load(file)
    reshape = onnx.helper.make_node('Reshape', ['pred_boxes.sum', 'single'], ['pred_boxes'])
    for node in model.graph.node:
        if node.output[0] == 'pred_boxes':
            node.output[0] = 'pred_boxes.sum'
    model.graph.node.append(reshape)
    model.graph.initializer.append(
        onnx.numpy_helper.from_array(np.array([1, *boxes.shape]), 'single')
    )
    onnx.save(model, file)
    detector = open_file(file)
    session = detector._session
    session.together = True
    session.check_batches(np.zeros((1, 3, *SIZE), np.float32))
    assert not session.together
    assert [len(found) for found in detector.find([IMAGE] * 3, 0.3)] == [3, 3, 3]


def test_the_key_of_a_detector_changes_with_its_files(tmp_path):
    file = logits(tmp_path / 'mine.onnx')
    first = detector_key(str(file))
    assert detector_key('') == ''
    assert first == detector_key(str(file))
    (tmp_path / 'mine.yaml').write_text('nms_threshold: 0.5')
    second = detector_key(str(file))
    rf_detr(file)
    assert len({first, second, detector_key(str(file))}) == 3


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ({}, ['CUDA', 'CPU']),
        ({'device': 'cpu'}, ['CPU']),
        ({'device': 'cuda:1'}, ['CUDA', 'CPU']),
        ({'provider': 'tensorrt'}, ['Tensorrt', 'CUDA', 'CPU']),
    ],
)
def test_an_engine_is_built_only_if_tensorrt_is_asked_for(
    tmp_path, monkeypatch, options, expected
):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    file = logits(tmp_path / 'mine.onnx')
    options, lines = ModelOptions(detector=str(file), **options), []
    names = [f'{name}ExecutionProvider' for name in ('Tensorrt', 'CUDA', 'CPU')]
    chosen = providers_for(options, names, '1.0', lines.append)
    assert [name for name, _ in chosen] == [f'{name}ExecutionProvider' for name in expected]
    if options.provider != 'tensorrt':
        assert not lines
        return
    assert lines[0].startswith(f'building an engine for {file} once in {tmp_path}/gtr_ros')
    engines = Path(chosen[0][1]['trt_engine_cache_path'])
    assert engines.is_dir()
    (engines / 'a.engine').touch()
    again = providers_for(ModelOptions(detector=str(file)), names, '1.0', lines.append)
    assert again == chosen  # it was built, so it is used
    assert len(lines) == 1
    rf_detr(file)
    assert providers_for(ModelOptions(detector=str(file)), names, '1.0', print) == chosen[1:]


def test_a_provider_that_does_not_start_is_named(tmp_path):
    import onnxruntime

    if 'CUDAExecutionProvider' in onnxruntime.get_available_providers():
        pytest.skip('this ONNX Runtime has CUDA')
    file, lines = logits(tmp_path / 'mine.onnx'), []
    with pytest.warns(UserWarning, match='CUDAExecutionProvider'):
        DetectorFile(file, [('CUDAExecutionProvider', {}), *CPU], lines.append)
    assert lines[0].endswith(
        'on CPUExecutionProvider, because CUDAExecutionProvider does not start'
    )


def test_a_model_finds_the_boxes_of_the_file_with_its_own_features(tmp_path):
    file = rf_detr(tmp_path / 'mine.onnx')
    plain = load_model(ModelOptions(device='cpu', runtime='torch'))
    lines = []
    model = load_model(
        ModelOptions(device='cpu', runtime='torch', detector=str(file)), lines.append
    )
    assert any('rf-detr (logits)' in line for line in lines)
    assert model.class_names == CLASS_NAMES
    image = np.random.default_rng(1).integers(0, 256, (192, 192, 3), np.uint8)
    found, other = model.detect([image, image[:96]], [5, 6], 0.3)
    np.testing.assert_allclose(found.boxes, BOXES, atol=0.2)
    assert (found.stamp, other.stamp, other.image_size) == (5, 6, (96, 192))
    expected = plain.describe(image, found)
    assert found.features.shape == (3, 256)
    np.testing.assert_allclose(found.features, expected.features, atol=1e-5)


def test_its_boxes_are_linked_as_those_of_another_detector_and_keep_their_ids(tmp_path):
    options = {'device': 'cpu', 'checkpoint': 'random', 'model': 'mot'}
    own = TrackingPipeline(ModelOptions(**options))
    file = str(rf_detr(tmp_path / 'mine.onnx'))
    other = TrackingPipeline(ModelOptions(**options, detector=file), min_hits=1)
    assert not isinstance(own._tracker._linker.rule, EvidenceRule)
    assert isinstance(other._tracker._linker.rule, EvidenceRule)
    ids = [other(IMAGE, t * 100_000_000, 'rgb').ids.tolist() for t in range(4)]
    assert ids == [[1, 2, 3]] * 4


@pytest.mark.parametrize('options', [{'precision': 'bfloat16'}, {'threads': 1}])
def test_options_of_the_network_apply_to_the_features(tmp_path, options):
    file = str(rf_detr(tmp_path / 'mine.onnx'))
    model = load_model(ModelOptions(device='cpu', runtime='torch', detector=file, **options))
    [found] = model.detect([IMAGE])
    assert found.features.shape == (3, 256)
    assert np.isfinite(found.features.numpy()).all()


def test_a_detector_of_another_kind_of_file_is_refused_before_anything_is_loaded():
    with pytest.raises(ConfigurationError, match=r"detector is 'best.pt'; expected .* \(.onnx\)"):
        ModelOptions(detector='best.pt')
