# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the window gives to the association."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import frame
from scenes import looks
import torch

from gtr_ros.model.association import Association
from gtr_ros.tracking.window import Window


class Recorder(Association):
    """Keeps the boxes that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes: list[torch.Tensor] = []

    def forward(self, features, counts, query_frame, boxes):
        self.boxes.append(boxes)
        return torch.zeros(counts[query_frame], sum(counts))


@pytest.mark.parametrize('every_frame', [True, False])
def test_the_association_gets_boxes_relative_to_the_image(every_frame):
    association = Recorder()
    window = Window(association, 4, every_frame=every_frame)
    shown = frame([(320, 240)], 1.0, looks([0]), height=96, image_size=(480, 640))
    window.view(shown)
    window.add(shown, np.array([1]))
    assert window.view(shown).likelihoods.shape == (1, 1)
    expected = np.array([320 - 24, 240 - 48, 320 + 24, 240 + 48]) / [640, 480, 640, 480]
    assert association.boxes[-1].dtype == torch.float32, 'as the weights'
    np.testing.assert_allclose(association.boxes[-1], [expected] * 2, rtol=1e-6)
