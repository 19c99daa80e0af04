# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Feed mutated files and messages to every parser of the package.

Only the documented errors may come out: no other exception, no exit, no crash, no input that takes
longer than the limit or more memory than the limit. An input follows from seed, parser and number,
so that each finding can be repeated; it is also written to a file.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
import contextlib
from importlib import import_module
import mmap
import os
from pathlib import Path
import resource
import signal
import sys
from tempfile import TemporaryDirectory
from time import monotonic
from time import sleep
import traceback
from typing import NamedTuple
from typing import TextIO
import warnings
import zlib

import fuzz_files as files
from fuzz_files import Subject
import fuzz_messages as messages
import fuzz_settings as settings
from fuzz_settings import text_of
import numpy as np

_SECONDS = 5.0  # of processor time, for one input
_MEMORY = 1 << 30  # bytes beyond those in use when the parser is ready
_MOST_RESTARTS = 20  # after inputs that ended the process
#: what most parsers need, imported once and not in each process
_NEEDED = (
    'gtr_ros.data.formats.rosbag',
    'gtr_ros.data.opening',
    'gtr_ros.recordings.folder',
    'gtr_ros.runtime.choice',
    'vision_msgs.msg',
)


class Parser(NamedTuple):
    """
    A parser to feed.

    :param share: of the inputs, in about thousandths; fast parsers get most
    :param make: returns the subject, given an empty folder
    """

    share: float
    make: Callable[[Path], Subject]


PARSERS = {
    'MOTChallenge rows': Parser(70, files.motchallenge_rows),
    'MOTChallenge folder': Parser(8, files.motchallenge_folder),
    'seqinfo.ini': Parser(30, files.seqinfo),
    'KITTI': Parser(45, files.kitti),
    'COCO and TAO videos': Parser(30, files.coco_video),
    'COCO images': Parser(25, files.coco_stills),
    'LVIS': Parser(5, files.lvis),
    'CrowdHuman': Parser(20, files.crowdhuman),
    'stored boxes, text': Parser(15, files.boxes_text),
    'stored boxes, npz': Parser(5, files.boxes_npz),
    'images': Parser(80, files.picture),
    'videos': Parser(0.5, files.video),
    'checkpoint, safetensors': Parser(15, settings.checkpoint),
    'checkpoint, published': Parser(1.5, settings.official_checkpoint),
    'calibration': Parser(150, settings.calibration),
    'training configuration': Parser(1, settings.training_configuration),
    'launch arguments': Parser(6, settings.launch_arguments),
    'scenes as text': Parser(150, settings.scene_texts),
    'manifest of gtr track': Parser(2, settings.manifest),
    'choice of a runtime': Parser(8, settings.runtime_choice),
    'ONNX file': Parser(0.6, settings.onnx_file),
    'bag metadata': Parser(0.4, settings.bag_metadata),
    'bag, MCAP': Parser(0.5, settings.mcap_bag),
    'bag, SQLite': Parser(0.2, settings.sqlite_bag),
    'node parameters, yaml': Parser(0.5, settings.node_parameters),
    'Image': Parser(150, messages.image_message),
    'CompressedImage': Parser(60, messages.compressed_message),
    'depth Image': Parser(120, messages.depth_message),
    'Detection2DArray': Parser(15, messages.detections_message),
    'CameraInfo': Parser(40, messages.camera_info_message),
}


class _TooSlowError(BaseException):
    """An input took longer than the limit."""


class Result(NamedTuple):
    """
    What came of the inputs of a parser.

    :param tried: number of inputs
    :param accepted: number of those that were read without an error
    :param seconds: that it took
    :param findings: what went wrong, each kind once, with the number of the first input
    """

    tried: int
    accepted: int
    seconds: float
    findings: dict[str, int]


def fuzz(name: str, inputs: int, seed: int, first: int = 0, seconds: float = np.inf) -> Result:
    """Feed a parser in processes of its own, which a crash ends; seconds: at most so long."""
    state = mmap.mmap(-1, 16)  # next input, and accepted inputs
    findings: dict[str, int] = {}
    start, place, accepted = monotonic(), first, 0
    for _ in range(_MOST_RESTARTS):
        read_end, write_end = os.pipe()
        child = os.fork()
        if not child:
            os.close(read_end)
            with os.fdopen(write_end, 'w') as out, contextlib.suppress(BaseException):
                _feed(name, place, first + inputs, seed, seconds, state, out)
                os._exit(0)
            os._exit(1)
        os.close(write_end)
        ending = _watch(child, state)
        with os.fdopen(read_end, errors='replace') as lines:
            for line in lines:
                index, _, text = line.rstrip('\n').partition(' ')
                findings.setdefault(text, int(index))
        place = int.from_bytes(state[:8], 'little')
        accepted += int.from_bytes(state[8:], 'little')
        if ending is None:
            break
        if not place:  # not even the samples were made
            raise SystemExit(f'{name}: the parser cannot be prepared: {ending}')
        findings.setdefault(f'{ending}', place - 1)
        state[8:] = bytes(8)
    return Result(place - first, accepted, monotonic() - start, findings)


def make_input(subject: Subject, name: str, seed: int, index: int):
    """Return one input: the same in every run."""
    chance = np.random.default_rng([seed, zlib.crc32(name.encode()), index])
    return subject.mutate(chance)


def _watch(child: int, state: mmap.mmap) -> str | None:
    """Wait for a process, and end it if it makes no progress; return how it failed, if it did."""
    place, since = state[:8], monotonic()
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            break
        if state[:8] != place:
            place, since = state[:8], monotonic()
        if monotonic() - since > 60 + 4 * _SECONDS:  # also the imports before the first input
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return 'hangs outside Python'
        sleep(0.01)
    if os.WIFSIGNALED(status):
        return f'ends the process: {signal.Signals(os.WTERMSIG(status)).name}'
    code = os.WEXITSTATUS(status)
    return None if not code else f'ends the process with {code}'


def _feed(
    name: str, first: int, end: int, seed: int, seconds: float, state: mmap.mmap, out: TextIO
) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    warnings.simplefilter('ignore')
    kinds: Counter[str] = Counter()
    accepted = 0

    def stop(number, frame):
        raise _TooSlowError

    signal.signal(signal.SIGPROF, stop)
    memory = Path('/dev/shm')  # a file system in memory
    with TemporaryDirectory(prefix='fuzz.', dir=memory if memory.is_dir() else None) as folder:
        subject = PARSERS[name].make(Path(folder))
        for sample in subject.valid:  # this also imports what the parser needs
            subject.read(sample)
        _limit_memory()
        deadline = monotonic() + seconds
        for index in range(first, end):
            if monotonic() > deadline:
                break
            state[:8] = (index + 1).to_bytes(8, 'little')
            given = make_input(subject, name, seed, index)
            signal.setitimer(signal.ITIMER_PROF, _SECONDS)
            try:
                subject.read(given)
                accepted += 1
                state[8:] = accepted.to_bytes(8, 'little')
            except subject.errors as error:
                # Reading the message must not fail either.
                assert str(error)
            except BaseException as error:
                signal.setitimer(signal.ITIMER_PROF, 0)
                kind, text = _describe(error)
                kinds[kind] += 1
                if kinds[kind] == 1:
                    print(index, f'{kind}: {text}', file=out, flush=True)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)


def _describe(error: BaseException) -> tuple[str, str]:
    """Return the exception with the line that raised it, here or in the package; its text."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if 'gtr_ros' in frame.filename or frame.filename.startswith(str(settings.REPOSITORY))
    ]
    own = [f for f in own if '.venv' not in f.filename and f.name != 'stop'] or own
    place = f'{Path(own[-1].filename).name}, {own[-1].name}' if own else 'outside'
    kind = 'takes too long' if isinstance(error, _TooSlowError) else type(error).__name__
    text = ' '.join(str(error).split())[:100]
    text = ''.join('#' if c.isdigit() else c for c in text).encode('ascii', 'replace').decode()
    line = f' line {own[-1].lineno}' if own else ''
    return f'{kind} in {place}{line}', text


def _limit_memory() -> None:
    pages = int(Path('/proc/self/statm').read_text().split()[5])  # data and stack
    limit = pages * resource.getpagesize() + _MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _write_finding(folder: Path, name: str, seed: int, index: int, text: str) -> Path:
    with TemporaryDirectory() as scratch:
        given = make_input(PARSERS[name].make(Path(scratch)), name, seed, index)
    folder.mkdir(parents=True, exist_ok=True)
    stem = f'{name.replace(" ", "_").replace(",", "")}-{seed}-{index}'
    (folder / f'{stem}.input').write_bytes(text_of(given))
    note = folder / f'{stem}.txt'
    note.write_text(
        f'{text}\n'
        f'python tools/fuzz.py --parser {name!r} --seed {seed} --first {index} --inputs 1\n'
    )
    return note


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--inputs', type=int, default=1_000_000, help='of all parsers together')
    parser.add_argument('--each', type=int, help='inputs of every parser, instead of --inputs')
    parser.add_argument('--seconds', type=float, default=np.inf, help='at most, of each parser')
    parser.add_argument('--parser', action='append', choices=PARSERS, help='only this one')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--first', type=int, default=0, help='number of the first input')
    parser.add_argument('--findings', type=Path, default=settings.REPOSITORY / 'build' / 'fuzz')
    arguments = parser.parse_args()
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    # Fields are set to values that only another program's message can have.
    os.environ['ROS_PYTHON_CHECK_FIELDS'] = '0'
    chosen = arguments.parser or list(PARSERS)
    shares = sum(PARSERS[name].share for name in chosen)
    total, failed = 0, 0
    for module in _NEEDED:
        import_module(module)
    print(f'{"parser":<26}{"inputs":>9}{"accepted":>10}{"per second":>12}{"findings":>10}')
    for name in chosen:
        inputs = arguments.each or round(arguments.inputs * PARSERS[name].share / shares)
        result = fuzz(name, inputs, arguments.seed, arguments.first, arguments.seconds)
        total += result.tried
        failed += len(result.findings)
        rate = result.tried / max(result.seconds, 1e-9)
        print(
            f'{name:<26}{result.tried:>9}{result.accepted:>10}{rate:>12.0f}'
            f'{len(result.findings):>10}',
            flush=True,
        )
        for text, index in result.findings.items():
            note = _write_finding(arguments.findings, name, arguments.seed, index, text)
            print(f'  input {index}: {text} ({note})', flush=True)
    print(f'{total} inputs, {failed} findings')
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
