# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Load a model into the runtime chosen in the options."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import nullcontext
from typing import Protocol

import torch

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.build import build
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.options import RUNTIMES
from gtr_ros.model.registry import resolve
from gtr_ros.model.resize import FixedArea
from gtr_ros.runtime.detector_file.opening import open_detector


class Runtime(Protocol):
    """
    Interface of a runtime: one class in one file, named in `gtr_ros.model.options.RUNTIMES`.

    It returns the same boxes, scores and ids as the plain model, within its stated tolerances.
    """

    def load(
        self,
        model: GTR,
        options: ModelOptions,
        log: Callable[[str], None],
        background: bool = False,
    ) -> GTR:
        """
        Prepare a model to run.

        :param model: as `build` returns it: in evaluation mode, on the CPU; may be changed
        :param log: called with a line of text before each slow step; in the background on other
            threads
        :param background: whether the model may run in a slower form until a faster one is
            prepared, and then change between two frames
        :raises ValueError: if the runtime, the device or a file it needs is not available
        """

    def describe(self, options: ModelOptions, model: GTR) -> str:
        """Return a short description of what runs the model, for logs and diagnostics."""


def load_model(
    options: ModelOptions,
    log: Callable[[str], None] = lambda line: None,
    association: AssociationTransformer | None = None,
    background: bool = False,
) -> GTR:
    """
    Build a model and load it into its runtime.

    :param log: called with a line of text before each slow step, or on another thread
    :param association: instead of the model's own, for the paper's ablations
    :param background: for a live camera, see `Runtime.load`; `stop_preparing` ends what it starts
    :raises ValueError: if weights, device, runtime or detector are not available, or do not fit
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    external = open_detector(options, log) if options.detector else None
    model = build_model(options, association)
    model = _runtime(options).load(model, options, log, background)
    model.external = external
    return model


def build_model(options: ModelOptions, association: AssociationTransformer | None = None) -> GTR:
    """
    Build a model on the CPU, without a runtime.

    :raises ValueError: if weights are not available or do not fit, or the model has an input size
        of its own
    """
    model = build(options.model, options.checkpoint, association)
    if options.input_size:
        if not isinstance(getattr(model.detector, 'resize', None), FixedArea):
            raise ValueError(
                f'input_size is {options.input_size}, but model {options.model} resizes images as '
                'in its training; leave it at 0'
            )
        model.detector.resize = FixedArea(options.input_size**2)
    return model


def stop_preparing(model: GTR) -> None:
    """End what is still being prepared for a model in the background; it stays as it is."""
    stop = getattr(getattr(model, 'detector', None), 'stop', None)
    if stop is not None:
        stop()


@contextmanager
def warming_up(model: GTR) -> Iterator[None]:
    """Let nothing be prepared in the background for the sizes of images in this block."""
    detector = getattr(model, 'detector', None)
    with detector.warming_up() if hasattr(detector, 'warming_up') else nullcontext():
        yield


def taken_runtime(options: ModelOptions, model: GTR) -> str:
    """Return the name of the runtime that computes a model's next frame; of 'auto' the taken."""
    return getattr(_runtime(options), 'taken', lambda *_: options.runtime)(options, model)


def describe_runtime(options: ModelOptions, model: GTR) -> str:
    """Return a short description of what runs a model, such as 'cuda:0 float16 compiled'."""
    return _runtime(options).describe(options, model)


def _runtime(options: ModelOptions) -> Runtime:
    return resolve(RUNTIMES[options.runtime])()
