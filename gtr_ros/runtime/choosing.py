# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Chooses a runtime in a process of its own, while this one tracks.

Exporting traces the model in Python for a second: on a thread of this process, no frame could be
tracked meanwhile, because only one thread at a time runs Python. Threads of torch's that measure
would also stay, and make those of the frames slower. And a runtime that crashes does not end the
node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
import json
import os
from pathlib import Path
import subprocess
import sys
import threading

import gtr_ros
from gtr_ros.model.options import ModelOptions

_NAMES = ('model', 'checkpoint', 'exported', 'input_size')  # options that the choice depends on
_LINES = 2  # of an unexpected error that are reported


class ChoosingError(RuntimeError):
    """The process failed; the message is what it reported."""


class Choosing:
    """
    A process that makes a choice; it ends with this one, whatever happens.

    :param options: of the model
    :param threads: number of threads of the model
    :param key: of the question, which the process must also have
    """

    def __init__(self, options: ModelOptions, threads: int, key: str) -> None:
        given = {
            **{name: getattr(options, name) for name in _NAMES},
            **options.absolute_paths(),
            'threads': threads,
        }
        package = str(Path(gtr_ros.__file__).parent.parent)
        path = [package, *filter(None, [os.environ.get('PYTHONPATH')])]
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'gtr_ros.runtime.choosing', json.dumps(given), key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(path)},
            start_new_session=True,  # Ctrl-C reaches only this process, which then stops it
        )

    def wait(self) -> dict:
        """
        Return the choice, as the arguments of `gtr_ros.runtime.choice.Choice`.

        :raises ChoosingError: if the process failed or was stopped
        """
        # Not communicate(), which closes the input at once, and with that ends the process.
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.extend(self._process.stderr), daemon=True)
        reader.start()
        output = self._process.stdout.read()
        code = self._process.wait()
        reader.join()
        if code:
            last = ' '.join(line.strip() for line in errors[-_LINES:])
            raise ChoosingError(f'choosing one ended with exit code {code}: {last}')
        return json.loads(output.splitlines()[-1])

    def stop(self) -> None:
        """End the process at once."""
        self._process.kill()


def main(arguments: Sequence[str]) -> int:
    """Make the choice for the options on the command line; print it as a line of JSON."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from gtr_ros.runtime.process import import_torch
    from gtr_ros.runtime.process import keep_freed_memory
    from gtr_ros.runtime.process import sleep_soon

    keep_freed_memory()
    sleep_soon()
    import_torch()
    import torch

    from gtr_ros.runtime.choice import choose
    from gtr_ros.runtime.choice import Question
    from gtr_ros.runtime.loading import build_model

    text, key = arguments
    options = ModelOptions(**json.loads(text))
    torch.set_num_threads(options.threads)
    model = build_model(options)
    question = Question.about(model, options)
    if question.key != key:
        print('its weights or packages differ from those of the node', file=sys.stderr)
        return 1
    choice, _ = choose(model, question)
    print(json.dumps(asdict(choice)), flush=True)
    return 0


def _end_with_parent() -> None:
    """End this process when the other end of its input is closed."""
    sys.stdin.read()
    os._exit(1)


if __name__ == '__main__':
    # Without clearing the interpreter: a runtime's threads may still be waiting.
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
