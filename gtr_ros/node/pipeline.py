# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model and tracker on their device, as the parameters ask: image in, tracks out. No rclpy."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np
import torch

from gtr_ros.model.build import build
from gtr_ros.model.build import choose_device
from gtr_ros.node.parameters import ConfigurationError
from gtr_ros.tracking import RULES
from gtr_ros.tracking import Tracker

if TYPE_CHECKING:
    from gtr_ros.node.parameters import NodeParameters
    from gtr_ros.structures import Tracks

_WARM_UP_SIZE = (480, 640)


class Pipeline:
    """
    One camera's way from image to identities.

    :param parameters: the node's parameters; those the pipeline does not need are ignored
    :raises ConfigurationError: if there is no such device, no such class, or no such weights
    """

    def __init__(self, parameters: NodeParameters) -> None:
        if parameters.threads:
            torch.set_num_threads(parameters.threads)
        try:
            self.device = choose_device(parameters.device)
            self.model = build(parameters.model, parameters.checkpoint)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        self._labels = _labels(parameters.class_names, self.model.class_names)
        self.score_threshold = parameters.score_threshold
        self._rule = RULES[parameters.rule or parameters.model]
        self.tracker = Tracker(
            self.model.association,
            self._rule,
            parameters.window,
            parameters.min_hits,
        )
        self._warm_up()

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each label."""
        return self.model.class_names

    @property
    def association(self) -> str:
        """One line on which linking is run."""
        return f'{self.model.association.description}; {self._rule.description}'

    @property
    def resets(self) -> int:
        """How often every track was forgotten because time began again."""
        return self.tracker.resets

    def __call__(self, image: np.ndarray, stamp: int | None) -> Tracks:
        """
        Find the objects of the next image and say who they are.

        :param image: (H, W, 3) uint8, RGB, any strides
        :param stamp: the image's time, nanoseconds; None where it has none
        """
        [detections] = self.model.detect([image], [stamp], self.score_threshold)
        if self._labels is not None:
            detections = detections.select(np.isin(detections.labels, self._labels))
        return self.tracker.update(detections)

    def _warm_up(self) -> None:
        # The first run allocates memory and, on CUDA, loads kernels: no camera should wait for it,
        # and a device that cannot run the model should be known now.
        try:
            self.model.to(self.device)
            self.model.detect([np.zeros((*_WARM_UP_SIZE, 3), np.uint8)], None, 1.0)
        except RuntimeError as error:
            raise ConfigurationError(
                f'the model does not run on device {self.device}: {error}. '
                "Try device 'cpu', or free the device's memory"
            ) from error


def _labels(wanted: tuple[str, ...], known: tuple[str, ...]) -> list[int] | None:
    for name in wanted:
        if name not in known:
            close = get_close_matches(name, known) or known
            raise ConfigurationError(
                f'class_names has {name!r}, which this model does not know; '
                f'did you mean one of {", ".join(close)}?'
            )
    return [known.index(name) for name in wanted] or None
