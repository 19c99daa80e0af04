# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Chooses a runtime in a process of its own, while this one tracks."""

from __future__ import annotations

from dataclasses import asdict
import json

from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime.helper import Helper
from gtr_ros.runtime.helper import model_arguments
from gtr_ros.runtime.helper import serve

_NAMES = ('model', 'checkpoint', 'exported', 'input_size')  # options that the choice depends on


class Choosing(Helper):
    """
    A process that makes a choice, whose result are the arguments of `choice.Choice`.

    :param options: of the model
    :param threads: number of threads of the model
    :param key: of the question, which the process must also have
    """

    def __init__(self, options: ModelOptions, threads: int, key: str) -> None:
        given = model_arguments(options, _NAMES, threads)
        super().__init__('choosing one', 'gtr_ros.runtime.choosing', given, key)


def main(text: str, key: str) -> dict:
    """Make the choice for the options of a model."""
    import torch

    from gtr_ros.runtime.choice import choose
    from gtr_ros.runtime.choice import Question
    from gtr_ros.runtime.loading import build_model

    options = ModelOptions(**json.loads(text))
    torch.set_num_threads(options.threads)
    model = build_model(options)
    question = Question.about(model, options)
    if question.key != key:
        raise SystemExit('its weights or packages differ from those of the node')
    choice, _ = choose(model, question)
    return asdict(choice)


if __name__ == '__main__':
    serve(main)
