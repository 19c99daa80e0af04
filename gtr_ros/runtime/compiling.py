# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compiles a network in a process of its own, while this one tracks."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
import threading

from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime.helper import Helper
from gtr_ros.runtime.helper import HelperError
from gtr_ros.runtime.helper import model_arguments

_NAMES = ('model', 'checkpoint', 'device', 'precision')  # options that the network depends on


class InAnotherProcess:
    """
    Compiles in a process of its own, one size at a time; see `compiled.Builder`.

    :param options: of the model
    :param threads: number of threads of the model
    """

    def __init__(self, options: ModelOptions, threads: int) -> None:
        self._arguments = model_arguments(options, _NAMES, threads)
        self._lock = threading.Lock()
        self._helper: Helper | None = None
        self._stopped = False

    def __call__(self, size: tuple[int, ...], file: Path) -> None:
        """
        Compile the network and write it.

        :raises HelperError: if that fails, or was stopped
        """
        # Its temporary files are removed here, as it may be killed.
        with TemporaryDirectory(prefix='gtr_compiling_', ignore_cleanup_errors=True) as folder:
            self._start(size, file, folder).wait()

    def _start(self, size: tuple[int, ...], file: Path, folder: str) -> Helper:
        with self._lock:
            if self._stopped:
                raise HelperError('compiling was stopped')
            self._helper = Helper(
                'compiling',
                'gtr_ros.runtime.compiling_process',
                self._arguments,
                json.dumps(size),
                str(file.absolute()),
                environment={'TMPDIR': folder},
            )
            return self._helper

    def stop(self) -> None:
        """End the process."""
        with self._lock:
            self._stopped = True
            if self._helper is not None:
                self._helper.stop()
