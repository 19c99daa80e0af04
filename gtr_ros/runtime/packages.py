# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Imports ONNX Runtime and OpenVINO without their reports to their makers.

Both report their use over the internet by default as soon as they are imported, and store an
identifier of the machine in the user's folders.
"""

from __future__ import annotations

from importlib import import_module
import os
import sys
from types import ModuleType

_CONVERTER = 'openvino.tools.ovc'


def import_onnxruntime() -> ModuleType:
    """
    Import ONNX Runtime; a value of ORT_DISABLE_TELEMETRY that the user has set is kept.

    :raises ModuleNotFoundError: if it is not installed
    """
    os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
    return import_module('onnxruntime')


def import_openvino() -> ModuleType:
    """
    Import OpenVINO without its converter, which makes the reports, and is not needed here.

    :raises ModuleNotFoundError: if it is not installed
    """
    if 'openvino' in sys.modules or _CONVERTER in sys.modules:
        return import_module('openvino')
    sys.modules[_CONVERTER] = None  # importing it then raises ImportError, which OpenVINO expects
    try:
        return import_module('openvino')
    finally:
        del sys.modules[_CONVERTER]
