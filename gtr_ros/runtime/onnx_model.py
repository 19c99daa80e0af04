# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model whose networks ONNX Runtime runs, from the files of `gtr_ros.runtime.export`."""

from __future__ import annotations

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
from gtr_ros.model.roi import regions_of
from gtr_ros.runtime.export import ExportError
from gtr_ros.runtime.export import fingerprint
from gtr_ros.runtime.other_network import OtherNetwork
from gtr_ros.tracking.online import online
from gtr_ros.tracking.online import OnlineAssociation


class _Session:
    """
    A file that ONNX Runtime runs.

    :param inputs: names of what it is given, in order
    :param mark: fingerprint of the model that it must be of
    :raises ExportError: if there is no such file, it cannot be read, or is of other weights
    """

    def __init__(
        self,
        path: Path,
        inputs: Sequence[str],
        mark: str,
        providers: Sequence[tuple[str, dict]],
    ) -> None:
        import onnxruntime

        if not path.is_file():
            raise ExportError(f'there is no {path}; `gtr export` makes it')
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        # Threads that wait by turning would take the cores from torch's, and from other nodes.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=list(providers))
        except Exception as error:  # ONNX Runtime's own kinds, which have no base of their own
            raise ExportError(f'ONNX Runtime cannot read {path}: {error}') from error
        meta = self._session.get_modelmeta().custom_metadata_map
        if meta.get('fingerprint') != mark:
            raise ExportError(
                f'{path} was exported from other weights, or by another version; `gtr export` '
                'makes it again'
            )
        self.metadata = meta
        self._inputs = inputs
        # What a network does not use was left out of the file.
        self._used = {value.name for value in self._session.get_inputs()}

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """Run it: tensors on the CPU in, tensors on the CPU out."""
        given = {
            name: np.ascontiguousarray(values.numpy())
            for name, values in zip(self._inputs, inputs, strict=True)
            if name in self._used
        }
        return [torch.from_numpy(values) for values in self._session.run(None, given)]


class OnnxAssociation(Association):
    """
    An association transformer whose steps run in ONNX Runtime.

    What is asked of a whole window, and not frame by frame, the transformer itself answers.

    :param plain: the transformer that was exported
    :param session: (features, boxes, rows) -> logits (M, P), rows of the new objects
    """

    def __init__(self, plain: AssociationTransformer, session: _Session) -> None:
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
    """What an `OnnxAssociation` keeps of a camera's window: the rows that its file makes."""

    association: OnnxAssociation

    def row_width(self, features: int) -> int:
        return self.association.width

    def _likelihoods(self, rows: Tensor, features: Tensor, boxes: Tensor) -> Tensor:
        count = len(features)
        logits, rows[-count:] = self.association.session(features, boxes, rows[:-count])
        return frame_softmax(logits, self._counts)


@online.register
def _(association: OnnxAssociation) -> OnlineAssociation:
    return OnnxSteps(association)


class OnnxGTR(GTR):
    """
    A model whose networks run in ONNX Runtime: the same boxes and the same identities.

    Images are resized, maps decoded and objects linked on the CPU.

    :param plain: the model that was exported, on the CPU
    :param folder: of `gtr_ros.runtime.export.export_model`
    :param providers: of ONNX Runtime, with their options
    :raises ExportError: if a file is missing, or is of other weights
    """

    def __init__(self, plain: GTR, folder: Path, providers: Sequence[tuple[str, dict]]) -> None:
        mark = fingerprint(plain)

        def read(part: str, *inputs: str) -> _Session:
            return _Session(folder / f'{part}.onnx', inputs, mark, providers)

        association = plain.association
        if isinstance(association, AssociationTransformer):
            association = OnnxAssociation(
                association, read('association', 'features', 'boxes', 'rows')
            )
        super().__init__(
            OtherNetwork(plain.detector, read('detector', 'pixels')),
            nn.Identity(),  # the features' file has the head
            association,
            plain.pool_size,
            plain.clip,
            plain.score_threshold,
        )
        self._batches = providers[0][0] != 'CPUExecutionProvider'
        names = (f'map{i}' for i in range(len(plain.detector.strides)))
        self._features = read('features', 'regions', *names)

    @property
    def device(self) -> torch.device:
        """Where images and features are: the CPU, whatever runs the networks."""
        return torch.device('cpu')

    @property
    def batches(self) -> bool:
        """Whether images of one size are detected in one pass."""
        return self._batches

    def features(self, maps: Sequence[Tensor], regions: Sequence[Tensor]) -> Tensor:
        """Pool the regions of each image, and make features of them; see `GTR.features`."""
        return self._features(regions_of(regions), *maps)[0]
