# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The runtime `auto`: torch on CUDA; on a CPU the fastest one that is installed."""

from __future__ import annotations

from collections.abc import Callable
import os
import threading

import torch

from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import FORCED
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.registry import RANDOM
from gtr_ros.runtime.choice import Choice
from gtr_ros.runtime.choice import choose
from gtr_ros.runtime.choice import OTHERS
from gtr_ros.runtime.choice import Question
from gtr_ros.runtime.choosing import Choosing
from gtr_ros.runtime.device import choose_device
from gtr_ros.runtime.switching import Network
from gtr_ros.runtime.switching import SwitchingDetector
from gtr_ros.runtime.torch_runtime import TorchRuntime
from gtr_ros.runtime.torch_runtime import tune


class AutoRuntime:
    """
    Runs a model in the fastest runtime that is installed; see `gtr_ros.runtime.loading.Runtime`.

    The network of the detector may run in another runtime, the rest always runs in torch. Each
    runtime is measured once for a machine, number of threads and weights, with an image of 640 x
    480: the networks' inputs have nearly the same number of pixels for cameras of all sizes.
    """

    def load(
        self,
        model: GTR,
        options: ModelOptions,
        log: Callable[[str], None],
        background: bool = False,
    ) -> GTR:
        """
        Load the model into the fastest runtime.

        :param background: if the choice was not made before, run in torch until a process has
            made it, then change to it between two frames; otherwise the choice is made here
        """
        if _implies_torch(options):
            if options.exported:  # with the same options, another machine may need it
                log(f'runtime torch: exported, {options.exported}, is not used here')
            return TorchRuntime().load(model, options, log, background)
        question = Question.about(model, options)
        if not question.names:
            log(
                'runtime torch; OpenVINO is up to three times as fast on a CPU: pip install '
                'openvino onnx'
            )
            return tune(model, log=log)
        choice, network = question.answer(), None
        if choice is not None:
            choice, network = _reopen(question, choice)
            tune(model, log=log)
        elif not background:
            log(f'measuring once which runtime is the fastest here: torch, {_names(question)}')
            choice, network = choose(model, question)
        else:
            tune(model, log=log)
        if choice is not None:
            log(str(choice))
            if network is None:
                return model
        model.detector = SwitchingDetector(model.detector, background, log)
        if choice is None:
            _choose_in_background(model.detector, options, question, log)
        else:
            model.detector.take(choice.runtime, network)
        return model

    def describe(self, options: ModelOptions, model: GTR) -> str:
        """Return the device, and the runtime unless it is torch for good."""
        detector = getattr(model, 'detector', None)
        if options.compile or not isinstance(detector, SwitchingDetector):
            return TorchRuntime().describe(options, model)
        until = ' until a faster one is ready' if detector.choosing else ''
        return f'{model.device}, runtime {detector.runtime}{until}'

    def taken(self, options: ModelOptions, model: GTR) -> str:
        """Return the name of the runtime of the next frame."""
        detector = getattr(model, 'detector', None)
        switches = isinstance(detector, SwitchingDetector) and not options.compile
        return detector.runtime if switches else 'torch'


def _implies_torch(options: ModelOptions) -> bool:
    forced = os.environ.get(FORCED, '')
    if forced not in ('', 'torch', *OTHERS):
        raise ValueError(
            f'the environment variable {FORCED} is {forced!r}; expected one of torch, '
            f'{", ".join(OTHERS)}'
        )
    return (
        choose_device(options.device).type != 'cpu'
        or options.precision != 'float32'
        or options.compile
        or options.checkpoint == RANDOM  # other processes cannot load these weights
        or forced == 'torch'
    )


def _names(question: Question) -> str:
    return ', '.join(question.names)


def _reopen(question: Question, choice: Choice) -> tuple[Choice, Network | None]:
    """Return a choice that was made before with its network; torch if that fails now."""
    if choice.runtime == 'torch':
        return choice, None
    try:
        network = question.open(choice.runtime)
        network.prepare(question.size)
        return choice, network
    except Exception as error:  # whatever a runtime raises, torch runs
        problems = {**choice.problems, choice.runtime: str(error)}
        return Choice('torch', choice.milliseconds, problems), None


def _choose_in_background(
    detector: SwitchingDetector,
    options: ModelOptions,
    question: Question,
    log: Callable[[str], None],
) -> None:
    """Start a process that makes the choice, and a thread that waits for it."""
    log(f'runtime torch, until it is measured which is the fastest here: {_names(question)}')
    choosing = Choosing(options, torch.get_num_threads(), question.key)
    detector.choosing = choosing.stop

    def take() -> None:
        try:
            choice = Choice(**choosing.wait())
            network = None
            if choice.runtime != 'torch':
                network = question.open(choice.runtime)
                network.prepare(detector.size or question.size)
        except Exception as error:
            choice, network = None, None
            line = f'runtime torch: {error}'
        if detector.stopped:
            return
        if network is not None:
            detector.take(choice.runtime, network)
        detector.choosing = None
        log(line if choice is None else str(choice))

    # A daemon, so that the process can end at once.
    threading.Thread(target=take, name='runtime', daemon=True).start()
