# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The process that `gtr_ros.runtime.compiling` starts."""

from __future__ import annotations

import json
import os
from pathlib import Path

from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime.helper import serve

_NICE = 10  # the process yields the cores to that of the frames


def main(text: str, size: str, file: str) -> dict:
    """
    Compile the network of a model for an input size, and write it to a file.

    :param text: the options of the model, of `helper.model_arguments`
    :param size: (B, 3, H, W) of the input, as JSON
    :param file: below the path of `compiled_files` for these options
    """
    os.nice(_NICE)
    import torch

    from gtr_ros.runtime.compiled import compiled_files
    from gtr_ros.runtime.compiled import InThisProcess
    from gtr_ros.runtime.device import choose_device
    from gtr_ros.runtime.loading import build_model
    from gtr_ros.runtime.torch_runtime import tune

    options = ModelOptions(**json.loads(text))
    device = choose_device(options.device)
    torch.set_num_threads(options.threads)
    model = build_model(options)
    if not Path(file).name.startswith(compiled_files(model.detector, options, device).name):
        raise SystemExit('its weights or packages differ from those that are loaded')
    detector = tune(model.to(device), options.precision, compiled=True).detector.plain
    InThisProcess(detector.network, detector)(tuple(json.loads(size)), Path(file))
    return {}


if __name__ == '__main__':
    serve(main)
