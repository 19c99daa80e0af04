# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parsers of checkpoints, bags, settings and caches, as subjects of `tools/fuzz.py`."""

from __future__ import annotations

from dataclasses import asdict
import io
import json
import os
from pathlib import Path
import shutil
import struct
from typing import Any

from fuzz_files import of_json
from fuzz_files import of_text
from fuzz_files import Subject
from fuzz_mutations import mutate_bytes
from fuzz_mutations import mutate_json
from fuzz_mutations import mutate_tree
import numpy as np
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent


def checkpoint(folder: Path) -> Subject:
    import torch

    from gtr_ros.model.checkpoint import CheckpointError
    from gtr_ros.model.checkpoint import fit
    from gtr_ros.model.checkpoint import load_checkpoint
    from gtr_ros.model.checkpoint import save_checkpoint

    module, path = torch.nn.Linear(3, 2), folder / 'a.safetensors'
    save_checkpoint(path, module.state_dict(), {'model': 'gtr_mobile', 'source': 'here'})
    sample = path.read_bytes()
    size = int.from_bytes(sample[:8], 'little')
    head, rest = sample[8 : 8 + size], sample[8 + size :]

    def mutate(chance: np.random.Generator) -> bytes:
        if chance.random() < 0.5:
            return mutate_bytes((sample,), chance)
        changed = mutate_json(head, chance)
        return struct.pack('<Q', len(changed)) + changed + rest

    def read(path: Path) -> None:
        state, metadata = load_checkpoint(path)
        fit(module, state, path)
        assert all(values.isfinite().all() for values in module.state_dict().values())
        assert all(isinstance(value, str) for value in metadata.values())

    return of_text(path, (sample,), read)._replace(mutate=mutate, errors=(CheckpointError,))


def official_checkpoint(folder: Path) -> Subject:
    import torch

    from gtr_ros.model.checkpoint import CheckpointError
    from gtr_ros.model.checkpoint import load_official

    stream, weight = io.BytesIO(), torch.ones(2, 2)
    names = ['backbone.bottom_up.res2.0.conv1.weight', 'roi_heads.asso_head.fc1.weight']
    torch.save({'model': dict.fromkeys(names, weight), 'iteration': 3}, stream)
    old = io.BytesIO()
    torch.save({'model': {'a': weight}}, old, _use_new_zipfile_serialization=False)
    samples = (stream.getvalue(), old.getvalue())
    return of_text(folder / 'a.pth', samples, load_official)._replace(
        errors=(CheckpointError,),
        valid=(),  # the whole checkpoint is large
    )


def calibration(folder: Path) -> Subject:
    from gtr_ros.model.calibration import Calibration
    from gtr_ros.model.calibration import KEY

    sample = json.dumps(asdict(Calibration())).encode()

    def mutate(chance: np.random.Generator) -> str:
        change = mutate_json if chance.random() < 0.7 else (lambda s, c: mutate_bytes((s,), c))
        return change(sample, chance).decode(errors='surrogateescape')

    def read(text: str) -> None:
        found = Calibration.read({KEY: text})
        assert all(np.isfinite([*found.cosines, *found.logits]))

    return Subject(mutate, read, (ValueError,))


def training_configuration(folder: Path) -> Subject:
    from gtr_ros.training.config import ConfigError
    from gtr_ros.training.config import read_config

    samples = tuple(
        file.read_bytes() for file in sorted((REPOSITORY / 'config' / 'training').glob('*.yaml'))
    )
    trees = [yaml.safe_load(sample) for sample in samples]
    texts = [json.dumps(tree, default=str).encode() for tree in trees]

    def mutate(chance: np.random.Generator) -> bytes:
        if chance.random() < 0.3:
            return mutate_bytes(samples, chance)
        return mutate_json(texts[int(chance.integers(len(texts)))], chance)

    return of_text(folder / 'a.yaml', samples, read_config)._replace(
        mutate=mutate, errors=(ConfigError,)
    )


def launch_arguments(folder: Path) -> Subject:
    from dataclasses import fields

    from fuzz_mutations import special_value

    from gtr_ros.node.arguments import parse_arguments
    from gtr_ros.node.arguments import refuse_unknown
    from gtr_ros.node.tracker.parameters import NodeParameters
    from gtr_ros.options import ConfigurationError

    specs = fields(NodeParameters)
    defaults = {spec.name: json.dumps(spec.default).encode() for spec in specs}

    def mutate(chance: np.random.Generator) -> dict[str, str]:
        names = [specs[int(i)].name for i in chance.integers(len(specs), size=2)]
        given = {
            name: mutate_bytes((defaults[name],), chance).decode(errors='replace')
            for name in names
        }
        if chance.random() < 0.1:
            given[special_value(str, chance, (0, 0))] = '1'
        return given

    def read(given: dict[str, str]) -> None:
        refuse_unknown(given, defaults)
        NodeParameters(**parse_arguments(NodeParameters, given))

    return Subject(mutate, read, (ConfigurationError,))


def scene_texts(folder: Path) -> Subject:
    from gtr_ros.data.people.scene import PeopleScene
    from gtr_ros.data.synthetic import Scene

    samples = (
        b'synthetic:objects=20,occlusion=2,size=480x640,rate=10',
        b'people:objects=20,camera=drive,size=480x640',
        *(str(kind()).encode() for kind in (Scene, PeopleScene)),
    )

    def read(text: str) -> None:
        (PeopleScene if text.startswith('people') else Scene).parse(text)

    return Subject(
        lambda chance: mutate_bytes(samples, chance).decode(errors='replace'), read, (ValueError,)
    )


def manifest(folder: Path) -> Subject:
    from gtr_ros.recordings.folder import MANIFEST
    from gtr_ros.recordings.folder import ResultsFolder
    from gtr_ros.recordings.options import TrackingOptions

    source, results = folder / 'a.mp4', folder / 'results'
    source.write_bytes(b'video')
    settings = TrackingOptions()
    with ResultsFolder(results, [str(source)], settings, 'weights'):
        pass
    content = json.loads((results / MANIFEST).read_text())
    for entry in content['recordings'].values():
        entry.update(state='done', error=None, summary={'frames': 3, 'tracks': 1})
    (results / 'a.txt').write_text('1,1,1,1,5,5,1,-1,-1,-1\n')

    def read(path: Path) -> None:
        with ResultsFolder(results, [str(source)], settings, 'weights') as opened:
            assert len(opened.waiting) + opened.done_before == 1

    return of_json(results / MANIFEST, content, read)._replace(errors=(ValueError,))


def runtime_choice(folder: Path) -> Subject:
    from gtr_ros.runtime.choice import Choice
    from gtr_ros.runtime.choice import Question

    os.environ['XDG_CACHE_HOME'] = str(folder)
    question = Question(
        ('onnxruntime', 'openvino'), folder / 'a.onnx', 'mark', 'key', 'title', True, (1, 3, 8, 8)
    )
    question.file.write_bytes(b'')
    made = Choice('onnxruntime', {'torch': 3.0, 'onnxruntime': 2.0}, {'openvino': 'none'})
    question.keep(made)

    def read(path: Path) -> None:
        choice = question.answer()
        if choice is not None:
            assert choice.runtime in ('torch', 'onnxruntime', 'openvino')
            str(choice)
            json.dumps(asdict(choice))

    return of_json(question.path, asdict(made), read)._replace(errors=())


def onnx_file(folder: Path) -> Subject:
    import onnx
    from onnx import helper
    from onnx import TensorProto

    from gtr_ros.runtime.export import ExportError
    from gtr_ros.runtime.onnx_runtime import OnnxNetwork

    shape = [1, 4]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ('x', 'y')]
    weight = helper.make_tensor('w', TensorProto.FLOAT, [4, 4], np.eye(4).ravel().tolist())
    node = helper.make_node('MatMul', ['x', 'w'], ['y'])
    graph = helper.make_graph([node], 'g', values[:1], values[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    helper.set_model_props(model, {'fingerprint': 'mark'})
    sample = model.SerializeToString()
    onnx.checker.check_model(model)
    return of_text(
        folder / 'a.onnx',
        (sample,),
        lambda path: OnnxNetwork(path, ['x'], 'mark', [('CPUExecutionProvider', {})]),
    )._replace(errors=(ExportError,))


def _bag(folder: Path, storage: str) -> Path:
    """Write a small bag with the writer of the tests."""
    import sys

    sys.path.insert(0, str(REPOSITORY / 'test' / 'support'))
    from writers import write_bag

    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    stamps = [10**9 + 10**8 * i for i in range(3)]
    box = np.array([[1.0, 2, 9, 11]])
    write_bag(
        folder / storage,
        storage,
        images=[(stamp, pixels) for stamp in stamps],
        detections=[(stamp, box, [0.5], [0], [7]) for stamp in stamps],
    )
    return folder / storage


def _read_bag(path: Path) -> None:
    """Read a bag in all ways; what is accepted must be readable to its end."""
    from gtr_ros.data.formats.errors import FormatError
    from gtr_ros.data.formats.rosbag import read_rosbag
    from gtr_ros.recordings.salvage import open_recorded

    try:
        sequence = read_rosbag(path)
        for _ in sequence.images():
            pass
    except FormatError:
        pass
    bag = open_recorded(path)
    try:
        for _ in bag.messages():
            pass
    except Exception:  # as `gtr track` reads it: through `guarded`
        pass
    finally:
        bag.close()


def bag_metadata(folder: Path) -> Subject:
    bag = _bag(folder, 'mcap')
    path = bag / 'metadata.yaml'
    sample = path.read_bytes()
    tree = yaml.safe_load(sample)

    def mutate(chance: np.random.Generator) -> bytes:
        if chance.random() < 0.4:
            return mutate_bytes((sample,), chance)
        return json.dumps(mutate_tree(tree, chance)).encode()

    return of_text(path, (sample,), lambda _: _read_bag(bag))._replace(mutate=mutate)


def _storage(folder: Path, storage: str) -> Subject:
    bag = _bag(folder, storage)
    [path] = [file for file in bag.iterdir() if file.suffix in ('.mcap', '.db3')]
    sample, alone = path.read_bytes(), folder / f'alone{path.suffix}'

    def read(data: bytes) -> None:
        path.write_bytes(data)
        shutil.copyfile(path, alone)
        _read_bag(bag)
        _read_bag(alone)

    return Subject(lambda chance: mutate_bytes((sample,), chance), read, valid=(sample,))


def mcap_bag(folder: Path) -> Subject:
    return _storage(folder, 'mcap')


def sqlite_bag(folder: Path) -> Subject:
    return _storage(folder, 'sqlite3')


def node_parameters(folder: Path) -> Subject:
    import rclpy
    from rclpy.exceptions import ParameterException
    from rclpy.node import Node

    from gtr_ros.node.declaring import declare_all
    from gtr_ros.node.tracker.parameters import NodeParameters
    from gtr_ros.options import ConfigurationError

    sample = (REPOSITORY / 'config' / 'mobile.yaml').read_bytes()
    tree = yaml.safe_load(sample)
    path = folder / 'a.yaml'

    def mutate(chance: np.random.Generator) -> bytes:
        if chance.random() < 0.4:
            return mutate_bytes((sample,), chance)
        return yaml.safe_dump(mutate_tree(tree, chance)).encode()

    def read(path: Path) -> None:
        context = rclpy.Context()
        arguments = ['--ros-args', '--params-file', str(path), '--disable-rosout-logs']
        try:  # as `gtr_ros.node.running.run_node`, which logs what is raised here
            rclpy.init(context=context, args=arguments)
        except RuntimeError:
            return
        node = None
        try:
            node = Node(
                'tracker', context=context, enable_rosout=False, start_parameter_services=False
            )
            declare_all(node, NodeParameters)
        finally:
            if node is not None:
                node.destroy_node()
            rclpy.shutdown(context=context)

    return of_text(path, (sample,), read)._replace(
        mutate=mutate, errors=(ConfigurationError, ParameterException)
    )


def text_of(value: Any) -> bytes:
    """Return an input as bytes, for the file of a finding."""
    return value if isinstance(value, bytes) else repr(value).encode()
