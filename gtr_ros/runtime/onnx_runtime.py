# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The runtime `onnxruntime`: runs the files that `gtr_ros.runtime.export` writes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch import Tensor

from gtr_ros.model.association import Association
from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.association import frame_softmax
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.roi import regions_of
from gtr_ros.runtime.detector import RuntimeDetector
from gtr_ros.runtime.export import exported_folder
from gtr_ros.runtime.export import ExportError
from gtr_ros.runtime.export import fingerprint
from gtr_ros.runtime.packages import import_onnxruntime
from gtr_ros.runtime.providers import choose_provider
from gtr_ros.runtime.providers import describe_provider
from gtr_ros.runtime.providers import provider_options
from gtr_ros.runtime.providers import PROVIDERS
from gtr_ros.runtime.switching import SwitchingDetector
from gtr_ros.runtime.tensorrt import TensorRt
from gtr_ros.tracking.online import make_online
from gtr_ros.tracking.online import OnlineAssociation


class OnnxRuntime:
    """Runs a model in ONNX Runtime; see `gtr_ros.runtime.loading.Runtime`."""

    def load(
        self,
        model: GTR,
        options: ModelOptions,
        log: Callable[[str], None],
        background: bool = False,
    ) -> GTR:
        """Load the files that `gtr export` wrote for these weights."""
        folder = exported_folder(options, model)
        engines = folder / 'tensorrt'
        try:
            onnxruntime = import_onnxruntime()
        except ModuleNotFoundError as error:
            raise _not_installed(error) from error
        found, version = onnxruntime.get_available_providers(), onnxruntime.__version__
        built = any(engines.glob('*.engine'))
        name = choose_provider(
            options.provider, options.device, found, background or built, version
        )
        gpu = options.device != 'cpu' and torch.cuda.is_available()
        log(describe_provider(name, found, gpu, version))
        # Only the detector's inputs have few sizes: an engine is built for each.
        others = provider_options('cuda' if name == 'tensorrt' else name, options.device, engines)
        mark = fingerprint(model)
        model = OnnxGTR(model, folder, others)
        if name == 'tensorrt':
            providers = provider_options(name, options.device, engines)
            network = TensorRt(
                lambda: OnnxNetwork(folder / 'detector.onnx', ['pixels'], mark, providers),
                engines,
                log,
            )
            model.detector = SwitchingDetector(model.detector, background, log, 'provider cuda')
            model.detector.take('TensorRT', network)
        return model

    def network(self, file: Path, mark: str) -> OnnxNetwork:
        """
        Open an exported detector on the CPU.

        :raises ValueError: if ONNX Runtime is not installed, or the file cannot be used
        """
        try:
            return OnnxNetwork(file, ['pixels'], mark, [(PROVIDERS['cpu'], {})])
        except ModuleNotFoundError as error:
            raise _not_installed(error) from error

    def describe(self, options: ModelOptions, model: GTR) -> str:
        """Return the runtime and its execution provider."""
        detector = getattr(model, 'detector', None)
        if isinstance(detector, SwitchingDetector) and not detector.is_ready:
            return 'onnxruntime, provider cuda until the TensorRT engine is ready'
        return f'onnxruntime, provider {options.provider}'


def _not_installed(error: ModuleNotFoundError) -> ValueError:
    return ValueError(
        f'runtime is onnxruntime, but {error}; pip install onnxruntime (or onnxruntime-gpu)'
    )


class OnnxNetwork:
    """
    An inference session for one exported file.

    :param inputs: names of the inputs, in order
    :param mark: fingerprint of the model, which the file must have
    :raises ExportError: if there is no such file, it cannot be read, or it has other weights
    """

    def __init__(
        self,
        path: Path,
        inputs: Sequence[str],
        mark: str,
        providers: Sequence[tuple[str, dict]],
    ) -> None:
        onnxruntime = import_onnxruntime()
        if not path.is_file():
            raise ExportError(f'there is no {path}; `gtr export` writes it')
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        # Spinning threads would take the cores away from torch and other nodes.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=list(providers))
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise ExportError(f'ONNX Runtime cannot read {path}: {error}') from error
        meta = self._session.get_modelmeta().custom_metadata_map
        if meta.get('fingerprint') != mark:
            raise ExportError(
                f'{path} was exported from other weights or by another version; export it '
                'again with `gtr export`'
            )
        self.metadata = meta
        self._inputs = inputs
        # The exporter leaves out inputs that the network does not use.
        self._used = {value.name for value in self._session.get_inputs()}

    def is_ready(self, size: tuple[int, ...]) -> bool:
        """Return whether the network needs no preparation for an input of this shape."""
        return True

    def prepare(self, size: tuple[int, ...]) -> None:
        """Do nothing: inputs of all shapes run."""

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """Run the network: tensors on the CPU in, tensors on the CPU out."""
        given = {
            name: np.ascontiguousarray(values.numpy())
            for name, values in zip(self._inputs, inputs, strict=True)
            if name in self._used
        }
        return [torch.from_numpy(values) for values in self._session.run(None, given)]


class OnnxAssociation(Association):
    """
    An association transformer whose steps run in ONNX Runtime.

    P_A is computed frame by frame in ONNX Runtime; for a whole window at once, in torch.

    :param plain: the transformer that was exported
    :param session: (features, boxes, rows) -> logits (M, P), rows of the new objects
    """

    def __init__(self, plain: AssociationTransformer, session: OnnxNetwork) -> None:
        super().__init__()
        self.description = plain.description
        self.calibration = plain.calibration
        self.plain = plain
        self.session = session
        self.width = int(session.metadata['width'])

    def forward(
        self, features: Tensor, counts: Sequence[int], query_frame: int, boxes: Tensor
    ) -> Tensor:
        """Return P_A of the query frame's objects, (M, N); see `Association.forward`."""
        return self.plain(features, counts, query_frame, boxes)


class OnnxSteps(OnlineAssociation):
    """What an `OnnxAssociation` stores of a camera's window: the rows that its file outputs."""

    association: OnnxAssociation

    def row_width(self, features: int) -> int:
        return self.association.width

    def _likelihoods(self, rows: Tensor, features: Tensor, boxes: Tensor) -> Tensor:
        count = len(features)
        logits, rows[-count:] = self.association.session(features, boxes, rows[:-count])
        return frame_softmax(logits, self.counts)


@make_online.register
def _(association: OnnxAssociation) -> OnlineAssociation:
    return OnnxSteps(association)


class OnnxGTR(GTR):
    """
    A model whose networks run in ONNX Runtime, with the same boxes and ids.

    Resizing images, decoding and linking stay in torch and numpy on the CPU.

    :param plain: the model that was exported, on the CPU
    :param folder: written by `gtr_ros.runtime.export.export_model`
    :param providers: execution providers of ONNX Runtime, with their options
    :raises ExportError: if a file is missing, or has other weights
    """

    def __init__(self, plain: GTR, folder: Path, providers: Sequence[tuple[str, dict]]) -> None:
        mark = fingerprint(plain)

        def read(part: str, *inputs: str) -> OnnxNetwork:
            return OnnxNetwork(folder / f'{part}.onnx', inputs, mark, providers)

        association = plain.association
        if isinstance(association, AssociationTransformer):
            association = OnnxAssociation(
                association, read('association', 'features', 'boxes', 'rows')
            )
        super().__init__(
            RuntimeDetector(plain.detector, read('detector', 'pixels')),
            nn.Identity(),  # features.onnx contains the head
            association,
            plain.pool_size,
            plain.clip,
            plain.score_threshold,
        )
        self.name = plain.name
        self._batches = providers[0][0] != 'CPUExecutionProvider'
        names = (f'map{i}' for i in range(len(plain.detector.strides)))
        self._features = read('features', 'regions', *names)

    @property
    def device(self) -> torch.device:
        """Device of images and features: always the CPU, whichever provider runs the networks."""
        return torch.device('cpu')

    @property
    def batches(self) -> bool:
        """Whether images of the same size are processed as one batch."""
        return self._batches

    def features(self, maps: Sequence[Tensor], regions: Sequence[Tensor]) -> Tensor:
        """Compute the features of the regions of each image; see `GTR.features`."""
        return self._features(regions_of(regions), *maps)[0]
