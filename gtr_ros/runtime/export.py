# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Export a model to ONNX: the detector's network, the features of boxes, an association step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
import warnings

import torch
from torch import nn
from torch import Tensor

from gtr_ros.files import atomic_write
from gtr_ros.files import cache_directory
from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.association import CosineAssociation
from gtr_ros.model.detector import Detector
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.roi import pool_regions
from gtr_ros.tracking.online import CachingAssociation
from gtr_ros.tracking.online import make_online
from gtr_ros.tracking.online import StreamingAssociation

#: ONNX opset: the first with deformable convolution
OPSET = 19

#: incremented when the exported files change, so that old files are not used
_FORMAT = 1

#: height and width of the traced input; the exported files accept others
_TRACED = (256, 384)


class ExportError(ValueError):
    """Files that cannot be written or do not fit; the message names them and a remedy."""


class _Network(nn.Module):
    """Pixels -> feature maps and outputs to decode."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return self.detector.network(pixels)


class _Features(nn.Module):
    """Regions and feature maps -> features."""

    def __init__(self, model: GTR) -> None:
        super().__init__()
        self.head, self.strides, self.size = model.head, model.detector.strides, model.pool_size

    def forward(self, regions: Tensor, *maps: Tensor) -> Tensor:
        return self.head(pool_regions(maps, self.strides, regions, self.size))


class _StreamingStep(nn.Module):
    """(features and boxes of a new frame, rows of the window) -> (logits, rows of the frame)."""

    def __init__(self, association: AssociationTransformer) -> None:
        super().__init__()
        self.association = association  # registers the weights with the exporter
        self.online = StreamingAssociation(association)
        self.width = self.online.row_width(association.features)

    def forward(self, features: Tensor, boxes: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        columns = iter(rows.split(self.association.features, dim=1))
        own = []

        def keep(*new: Tensor) -> list[Tensor]:
            own.extend(new)
            return [torch.cat((next(columns), values)) for values in new]

        return self.online.logits(features, boxes, keep), torch.cat(own, dim=1)


class _FullStep(nn.Module):
    """The same for an encoder that re-encodes all objects: rows are features and boxes."""

    def __init__(self, association: AssociationTransformer) -> None:
        super().__init__()
        self.association = association
        self.width = association.features + 4

    def forward(self, features: Tensor, boxes: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        past, new = rows.shape[0], torch.cat((features, boxes), dim=1)
        features, boxes = torch.cat((rows, new)).split((self.association.features, 4), dim=1)
        # The number of past frames does not matter to encoders that are exported this way.
        counts = [past, new.shape[0]]
        logits = self.association.logits(features, counts, slice(past, None), boxes)[-1]
        return logits[:, :past], new


def fingerprint(model: GTR) -> str:
    """Return a digest of the weights of a model and of the way they are exported."""
    return _digest(model, model.association.description)


def detector_fingerprint(detector: Detector) -> str:
    """Return the same for a detector alone."""
    return _digest(detector, detector.kind)


def _digest(module: nn.Module, kind: str) -> str:
    digest = hashlib.sha256(f'{_FORMAT} {OPSET} {kind}'.encode())
    for name, value in sorted(module.state_dict().items()):
        digest.update(f'{name} {tuple(value.shape)}'.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def export_folder(name: str, model: GTR) -> Path:
    """Return the folder in the user's cache for the files of these weights; it may not exist."""
    return cache_directory() / 'onnx' / f'gtr_{name}-{fingerprint(model)[:12]}'


def exported_folder(options: ModelOptions, model: GTR) -> Path:
    """
    Return the folder of the files that were exported from these weights.

    :raises ExportError: if there is none
    """
    given = options.exported
    folder = Path(given).expanduser() if given else export_folder(options.model, model)
    if folder.is_dir():
        return folder
    weights = f' --checkpoint {options.checkpoint}' if options.checkpoint else ''
    raise ExportError(
        f'these weights are not exported to {folder}; export them once with `gtr export '
        f'--model {options.model}{weights}{f" --out {given}" if given else ""}`'
    )


@torch.inference_mode()
def export_model(model: GTR, folder: Path) -> list[Path]:
    """
    Write a model as ONNX files, all or none; existing ones are replaced.

    Batch size, height, width and the numbers of boxes and objects are dynamic. Resizing, decoding,
    non-maximum suppression and linking are not in the files.

    :param model: in evaluation mode, on the CPU
    :param folder: created if necessary; receives `detector.onnx`, `features.onnx` and, for a
        transformer, `association.onnx`; other files in it are kept
    :return: the files
    :raises ExportError: if the association cannot run frame by frame, or a file cannot be written
    :raises ModuleNotFoundError: if the package onnx is not installed
    """
    step = _step(model)
    mark = fingerprint(model)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder) as part:
            _export_all(model, step, Path(part), mark)
            return [file.replace(folder / file.name) for file in sorted(Path(part).iterdir())]
    except OSError as error:
        raise ExportError(f'cannot write {folder}: {error}') from error


@torch.inference_mode()
def export_detector(detector: Detector, file: Path) -> None:
    """
    Write the network of a detector as an ONNX file, as `export_model` does; replaces the file.

    :param detector: in evaluation mode, on the CPU
    :param file: its folder is created if necessary; gets the fingerprint of the detector
    :raises ExportError: if it cannot be written
    :raises ModuleNotFoundError: if the package onnx is not installed
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as part:
            _export_detector(detector, part, detector_fingerprint(detector))
    except OSError as error:
        raise ExportError(f'cannot write {file}: {error}') from error


def _step(model: GTR) -> nn.Module | None:
    association = model.association
    if isinstance(association, CosineAssociation):
        return None
    kind = make_online(association)
    if isinstance(kind, StreamingAssociation):
        return _StreamingStep(association)
    if isinstance(kind, CachingAssociation):
        return _FullStep(association)
    raise ExportError(
        f'{association.description} cannot be exported: the state that it stores for past frames '
        'changes with every frame (time embedding, or encoder layers without attention before '
        'others)'
    )


def _export_detector(detector: Detector, file: Path, mark: str) -> dict[str, Tensor]:
    """Write the network of a detector; return its maps, by name."""
    pixels = torch.rand(1, 3, *_TRACED)
    outputs = detector.network(pixels)
    maps = outputs[: len(detector.strides)]
    map_names = [f'map{i}' for i in range(len(maps))]
    others = [f'output{i}' for i in range(len(outputs) - len(maps))]
    _write(
        file,
        _Network(detector),
        {'pixels': pixels},
        [*map_names, *others],
        {name: _sizes(name) for name in ('pixels', *map_names, *others)},
        mark,
    )
    return dict(zip(map_names, maps))


def _export_all(model: GTR, step: nn.Module | None, folder: Path, mark: str) -> None:
    maps = _export_detector(model.detector, folder / 'detector.onnx', mark)
    regions = torch.tensor([[0, 10, 20, 110, 220], [0, 50, 20, 90, 70.0]])
    _write(
        folder / 'features.onnx',
        _Features(model),
        {'regions': regions, **maps},
        ['features'],
        {
            'regions': {0: 'boxes'},
            'features': {0: 'boxes'},
            **{name: _sizes(name) for name in maps},
        },
        mark,
    )
    if step is None:
        return
    length = model.association.features
    _write(
        folder / 'association.onnx',
        step,
        {
            'features': torch.randn(3, length),
            'boxes': torch.rand(3, 4),
            'rows': torch.randn(5, step.width),
        },
        ['logits', 'new_rows'],
        {
            'features': {0: 'new'},
            'boxes': {0: 'new'},
            'rows': {0: 'past'},
            'logits': {0: 'new', 1: 'past'},
            'new_rows': {0: 'new'},
        },
        mark,
        width=str(step.width),
    )


def _sizes(name: str) -> dict[int, str]:
    """Return names for the dynamic sizes of a tensor; only the batch size is shared by all."""
    return {0: 'batch', 2: f'{name}_height', 3: f'{name}_width'}


def _write(
    path: Path,
    module: nn.Module,
    inputs: dict[str, Tensor],
    outputs: list[str],
    free: dict[str, dict[int, str]],
    mark: str,
    **metadata: str,
) -> None:
    import onnx

    with _deformable_convolution(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # tests check what is traced as a constant
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_axes=free,
        )
    file = onnx.load(path)
    onnx.checker.check_model(file)
    onnx.helper.set_model_props(file, {'fingerprint': mark, **metadata})
    onnx.save(file, path)


@contextmanager
def _deformable_convolution() -> Iterator[None]:
    """Map torchvision's deformable convolution to the ONNX operator while exporting."""
    from torch.onnx import symbolic_helper

    @symbolic_helper.parse_args(*'vvvvv', *'iiiiiiii', 'b')
    def convert(
        g, x, weight, offset, mask, bias, down, right, pad_y, pad_x, dilation_y, dilation_x,
        groups, offset_groups, use_mask,
    ):  # fmt: skip
        inputs = [x, weight, offset, bias, *([mask] if use_mask else [])]
        return g.op(
            'DeformConv',
            *inputs,
            strides_i=[down, right],
            pads_i=[pad_y, pad_x, pad_y, pad_x],
            dilations_i=[dilation_y, dilation_x],
            group_i=groups,
            offset_group_i=offset_groups,
        )

    name = 'torchvision::deform_conv2d'
    torch.onnx.register_custom_op_symbolic(name, convert, OPSET)
    try:
        yield
    finally:
        torch.onnx.unregister_custom_op_symbolic(name, OPSET)
