# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Runs tests with one module changed, in forked processes.

Third-party packages are imported before the fork, this package after it, so that the changed
module is the one that everything imports.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterable
from contextlib import suppress
import gc
import importlib
from importlib.machinery import PathFinder
from importlib.machinery import SourceFileLoader
import json
import os
from pathlib import Path
import resource
import signal
import sys
import threading
from time import monotonic
from time import sleep

from mutants_syntax import Mutant
from mutants_syntax import mutate
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
_MEMORY = 4 << 30  # bytes that a child may allocate
_OUTSIDE = ('torch', 'scipy.optimize', 'scipy.fft', 'scipy.ndimage', 'PIL.Image', 'yaml')
_ROS = ('rclpy', 'vision_msgs.msg', 'sensor_msgs.msg', 'visualization_msgs.msg', 'hypothesis')
#: arguments of pytest: only tests that start no other process, and nothing that costs time
_OPTIONS = (
    *('-q', '-x', '-m', 'not ros and not slow', '--no-header', '--assert=plain'),
    *(
        '--continue-on-collection-errors',
        '-p',
        'no:cacheprovider',
        '-p',
        'no:unraisableexception',
        '-p',
        'no:threadexception',
    ),
)


class Tests:
    """
    The tests of a group of modules, with the lines that each of them runs.

    :param modules: source files, relative to the repository
    :param paths: folders and files of the tests, relative to the repository
    """

    def __init__(self, modules: Iterable[Path], paths: Iterable[str]) -> None:
        self.modules = [REPOSITORY / module for module in modules]
        self.paths = [str(REPOSITORY / path) for path in paths]
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()
        self._lines: dict[tuple[str, int], set[str]] = {}

    def trace(self, cache: Path) -> None:
        """Run all tests once, and keep which lines of the modules each of them runs."""
        in_child(lambda: self._trace(cache), 3600, cache.with_suffix('.log'))
        found = json.loads(cache.read_text()) if cache.is_file() else {'seconds': {}}
        if not found['seconds']:
            raise SystemExit(f'no test ran:\n{cache.with_suffix(".log").read_text()[-3000:]}')
        if found['failed']:
            print(f'left out, because they fail without a change: {found["failed"]}', flush=True)
        self.seconds, self.failed = found['seconds'], set(found['failed'])
        self._lines = {
            (file, int(line)): set(tests).difference(self.failed)
            for file, lines in found['lines'].items()
            for line, tests in lines.items()
        }

    def of(self, module: Path, mutant: Mutant) -> list[str]:
        """Return the tests that may notice a mutant: first those that run its lines or module."""
        file, (first, last) = str(REPOSITORY / module), mutant.lines
        lines = [line for known, line in self._lines if known == file]
        if not mutant.at_import:
            lines = [line for line in lines if first <= line <= last]
        covering = set().union(*(self._lines[file, line] for line in lines))
        chosen = covering
        if mutant.at_import:  # a constant, field or default: any test may depend on it
            chosen = set(self.seconds).difference(self.failed)
        return sorted(chosen, key=lambda test: (test not in covering, self.seconds[test]))

    def run(self, module: Path, mutant: Mutant) -> str:
        """Return 'killed', 'timeout', 'survived' or 'not run' for one mutant."""
        tests = self.of(module, mutant)
        if not tests:
            return 'not run'
        limit = 20 + 5 * sum(self.seconds[test] for test in tests)
        code = in_child(lambda: _test_mutant(module, mutant, tests), limit)
        return {0: 'survived', None: 'timeout'}.get(code, 'killed')

    def _trace(self, cache: Path) -> int:
        recorder = _Recorder({str(module) for module in self.modules})
        recorder.start()
        code = pytest.main([*_OPTIONS, '--maxfail=99', *self.paths], plugins=[recorder])
        sys.settrace(None)
        lines: dict[str, dict[int, list[str]]] = defaultdict(dict)
        for (file, line), tests in recorder.lines.items():
            lines[file][line] = sorted(tests)
        cache.write_text(
            json.dumps(
                {'seconds': recorder.seconds, 'lines': lines, 'failed': sorted(recorder.failed)}
            )
        )
        return int(code)


class _Recorder:
    """A plugin of pytest that records the lines of some files that each test runs."""

    def __init__(self, files: set[str]) -> None:
        self.files = files
        self.lines: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()
        self._test: str | None = None

    def start(self) -> None:
        threading.settrace(self._call)
        sys.settrace(self._call)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item):
        self.start()  # the test before may have ended the tracing
        self._test, start = item.nodeid, monotonic()
        result = yield
        self.seconds[item.nodeid] = monotonic() - start
        self._test = None
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    def _call(self, frame, event, argument):
        if frame.f_code.co_filename not in self.files:
            return None
        return self._line

    def _line(self, frame, event, argument):
        if self._test is not None and event == 'line':
            self.lines[frame.f_code.co_filename, frame.f_lineno].add(self._test)
        return self._line


class _Chosen:
    """A plugin of pytest that runs only some tests, in their order."""

    def __init__(self, tests: list[str]) -> None:
        self.order = {test: i for i, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self.order),
            key=lambda item: self.order[item.nodeid],
        )


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, index: int) -> None:
        super().__init__(name, path)
        self.index = index

    def get_code(self, fullname: str):
        return compile(mutate(Path(self.path).read_text(), self.index), self.path, 'exec')


class _Finder:
    """Finds one module, and loads a mutant in its place."""

    def __init__(self, module: Path, index: int) -> None:
        self.name, self.index = '.'.join(module.with_suffix('').parts), index
        self.path = str(REPOSITORY / module)

    def find_spec(self, name: str, path=None, target=None):
        if name != self.name:
            return None
        spec = PathFinder.find_spec(name, path)
        spec.loader = _Loader(name, self.path, self.index)
        return spec


def _test_mutant(module: Path, mutant: Mutant, tests: list[str]) -> int:
    finder = _Finder(module, mutant.index)
    sys.meta_path.insert(0, finder)
    importlib.invalidate_caches()
    files = sorted({str(REPOSITORY / test.split('::')[0]) for test in tests})
    return int(pytest.main([*_OPTIONS, *files], plugins=[_Chosen(tests)]))


def import_outside() -> None:
    """Import what the tests need from outside the package, once for all children."""
    for name in (*_OUTSIDE, *_ROS):
        importlib.import_module(name)
    importlib.import_module('torch').set_num_threads(1)
    gc.freeze()
    os.environ['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1'
    loaded = [name for name in sys.modules if name.split('.')[0] == 'gtr_ros']
    if loaded:
        raise SystemExit(f'imported before the fork: {loaded}')


def in_child(work: Callable[[], int], seconds: float, log: Path | None = None) -> int | None:
    """
    Run a function in a forked process, and return what it returns.

    :param seconds: processor time, after which the process is ended; ten times as long by the
        clock
    :return: None if it took longer; another number than 0 if it failed in any way
    """
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setsid()
            out = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(out, 1)
            os.dup2(out, 2)
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
            resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            code = work()
        except BaseException:
            code = 1
        finally:
            os._exit(code)
    deadline = monotonic() + 10 * seconds
    while monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            _end_group(child)
            if os.WIFSIGNALED(status):
                ended = os.WTERMSIG(status)
                return None if ended in (signal.SIGXCPU, signal.SIGKILL) else -ended
            return os.WEXITSTATUS(status)
        sleep(0.02)
    _end_group(child)
    os.waitpid(child, 0)
    return None


def _end_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
