# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A process of its own for what would delay the frames of this one.

Tracing and compiling run Python for seconds: on a thread of this process, hardly a frame could be
tracked meanwhile, because only one thread at a time runs Python. Threads that a library starts
would also stay, and make those of the frames slower. And a library that crashes does not end the
node.
"""

from __future__ import annotations

from collections.abc import Callable
import json
import os
from pathlib import Path
import subprocess
import sys
import threading
from typing import NoReturn

import gtr_ros
from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime.process import import_torch
from gtr_ros.runtime.process import keep_freed_memory
from gtr_ros.runtime.process import sleep_soon

_LINES = 2  # of an unexpected error that are reported


class HelperError(RuntimeError):
    """The process failed; the message is what it reported."""


class Helper:
    """
    A process that computes one result; it ends with this one, whatever happens.

    :param task: what it does, for error messages
    :param module: whose `main` runs, see `serve`
    :param arguments: of `main`
    :param environment: variables of the process, besides those of this one
    """

    def __init__(
        self, task: str, module: str, *arguments: str, environment: dict[str, str] | None = None
    ) -> None:
        self._task = task
        package = str(Path(gtr_ros.__file__).parent.parent)
        path = [package, *filter(None, [os.environ.get('PYTHONPATH')])]
        self._process = subprocess.Popen(
            [sys.executable, '-m', module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(path), **(environment or {})},
            start_new_session=True,  # Ctrl-C reaches only this process, which then stops it
        )

    def wait(self) -> dict:
        """
        Return the result; an exception meanwhile, such as Ctrl-C, ends the process.

        :raises HelperError: if the process failed or was stopped
        """
        # Not communicate(), which closes the input at once, and with that ends the process.
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.extend(self._process.stderr), daemon=True)
        reader.start()
        try:
            output = self._process.stdout.read()
            code = self._process.wait()
        except BaseException:
            self.stop()
            raise
        reader.join()
        if code:
            last = ' '.join(line.strip() for line in errors[-_LINES:])
            raise HelperError(f'{self._task} ended with exit code {code}: {last}')
        return json.loads(output.splitlines()[-1])

    def stop(self) -> None:
        """End the process and those that it started at once."""
        # It leads a group of its own: a compiler that it started is in it.
        if self._process.poll() is None:
            os.killpg(self._process.pid, 9)


def model_arguments(options: ModelOptions, names: tuple[str, ...], threads: int) -> str:
    """
    Return options of a model as an argument of a helper, which may run in another folder.

    :param names: of the options that matter to it
    :param threads: number of threads of the model
    """
    given = {name: getattr(options, name) for name in names}
    paths = {name: path for name, path in options.absolute_paths().items() if name in names}
    return json.dumps({**given, **paths, 'threads': threads})


def serve(main: Callable[..., dict]) -> NoReturn:
    """
    Run `main` with the arguments of the command line in a helper, print its result, and end.

    :param main: its result can be written as JSON; raises SystemExit with a message if it fails
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed_memory()
    sleep_soon()
    import_torch()
    # What libraries print on the way must not mix with the result.
    output, sys.stdout = sys.stdout, sys.stderr
    code = 0
    try:
        print(json.dumps(main(*sys.argv[1:])), file=output)
    except SystemExit as error:
        print(error, file=sys.stderr)
        code = 1
    except Exception as error:
        print(f'{type(error).__name__}: {error}'.replace('\n', ' '), file=sys.stderr)
        code = 1
    output.flush()
    sys.stderr.flush()
    # Without clearing the interpreter: threads of libraries may still be waiting.
    os._exit(code)


def _end_with_parent() -> None:
    """End this process, and those that it started, when the other end of its input is closed."""
    sys.stdin.read()
    if os.getpgrp() == os.getpid():
        os.killpg(0, 9)
    os._exit(1)
