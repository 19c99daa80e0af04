# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Mutation testing: change one place of a module, and see whether a test of it fails.

A sample of the mutants of each module is tried, the same in every run. Survivors that were looked
at are listed with a reason in `tools/mutants_survivors.md`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
import json
import os
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
from typing import NamedTuple
import zlib

import numpy as np

os.environ['OMP_NUM_THREADS'] = '1'

from mutants_syntax import find_mutants
from mutants_syntax import Mutant
from mutants_tests import import_outside
from mutants_tests import REPOSITORY
from mutants_tests import Tests

_GOAL = 0.85
_SURVIVORS = REPOSITORY / 'tools' / 'mutants_survivors.md'


class Group(NamedTuple):
    """Modules, as patterns of files, and the tests that may fail for a change of them."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


GROUPS = {
    'tracking': Group(
        ('gtr_ros/tracking/*.py',),
        # The second has the tests of `fixed_streaming.py`.
        ('test/tracking', 'test/runtime/test_association_graphs.py'),
    ),
    'node': Group(
        (
            *(
                f'gtr_ros/node/{name}.py'
                for name in ('arguments', 'declaring', 'throttle', 'topics', 'usage')
            ),
            *(
                f'gtr_ros/node/tracker/{name}.py'
                for name in (
                    'batching',
                    'diagnostics',
                    'ego_motion',
                    'mailbox',
                    'missing',
                    'parameters',
                    'places',
                    'placing',
                    'sharing',
                    'statistics',
                    'transforms',
                )
            ),
        ),
        ('test/node', 'test/test_options.py'),
    ),
    'messages': Group(('gtr_ros/node/messages/*.py',), ('test/node',)),
}


class Tried(NamedTuple):
    """A mutant and what became of it."""

    module: Path
    mutant: Mutant
    result: str

    @property
    def key(self) -> str:
        """Names the mutant, also after lines moved."""
        mutant = self.mutant
        one_line = (' '.join(text.split()) for text in (mutant.before, mutant.after))
        before, after = (text if len(text) < 100 else f'{text[:97]}...' for text in one_line)
        return f'{self.module}, {mutant.function or "module"}: `{before}` -> `{after}`'


def sample(module: Path, count: int | None) -> list[Mutant]:
    """Return some of a module's mutants, the same in every run; count None: all."""
    mutants = find_mutants((REPOSITORY / module).read_text())
    if count is None or len(mutants) <= count:
        return mutants
    chance = np.random.default_rng(zlib.crc32(str(module).encode()))
    return [mutants[i] for i in sorted(chance.choice(len(mutants), count, replace=False))]


def try_group(
    group: Group, only: str, count: int | None, jobs: int, folder: Path, known: dict[str, str]
) -> list[Tried]:
    """
    Try the mutants of a group's modules; print each that survives.

    :param known: results of an earlier run by the mutants' keys; those that were killed stay so
    """
    modules = sorted(
        file.relative_to(REPOSITORY) for name in group.modules for file in REPOSITORY.glob(name)
    )
    tests = Tests(modules, group.tests)
    tests.trace(folder / 'lines.json')
    chosen = [
        (module, mutant)
        for module in modules
        if only in str(module)
        for mutant in sample(module, count)
    ]

    def attempt(each: tuple[Path, Mutant]) -> Tried:
        before = known.get(Tried(*each, '').key, '')
        killed = before in ('killed', 'timeout')
        tried = Tried(*each, before if killed else tests.run(*each))
        if tried.result in ('survived', 'not run'):
            print(f'{tried.result}: {tried.key} (line {each[1].lines[0]})', flush=True)
        return tried

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(attempt, chosen))


def report(results: dict[str, list[Tried]]) -> bool:
    """Print the score of each module and group; return whether every group reaches the goal."""
    known = _SURVIVORS.read_text() if _SURVIVORS.is_file() else ''
    print(f'\n{"module":<45}{"mutants":>9}{"tried":>7}{"killed":>8}{"listed":>8}{"score":>8}')
    reached = True
    for name, tried in results.items():
        for module in [*sorted({each.module for each in tried}), None]:
            mine = [each for each in tried if module in (None, each.module)]
            counts = Counter(each.result for each in mine)
            killed = counts['killed'] + counts['timeout']
            listed = sum(
                each.key in known for each in mine if each.result in ('survived', 'not run')
            )
            modules = {each.module for each in mine}
            every = sum(len(find_mutants((REPOSITORY / file).read_text())) for file in modules)
            score = killed / len(mine)
            print(
                f'{module or name!s:<45}{every:>9}{len(mine):>7}{killed:>8}{listed:>8}'
                f'{score:>8.1%}'
            )
        reached &= score >= _GOAL
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--group', choices=GROUPS, action='append', help='only this group')
    parser.add_argument('--module', default='', help='only modules whose path contains this')
    parser.add_argument('--tests', action='append', help='only these tests')
    parser.add_argument('--per-module', type=int, default=20, help='mutants tried; 0: all')
    parser.add_argument('--jobs', type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument('--out', type=Path, help='a JSON file for the results')
    parser.add_argument(
        '--again', type=Path, help='results of an earlier run: only its survivors are tried'
    )
    arguments = parser.parse_args()
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / 'test' / 'support')]
    os.environ.setdefault('AMENT_PREFIX_PATH', sys.prefix)
    os.environ['PYTHONPATH'] = str(REPOSITORY)
    os.chdir(REPOSITORY)
    import_outside()
    results, known = {}, {}
    if arguments.again:
        # Mutants with the same text are tried again if one of them survived.
        for _, key, result in json.loads(arguments.again.read_text()):
            if known.get(key) in (None, 'killed', 'timeout'):
                known[key] = result
    with TemporaryDirectory() as folder:
        for name in arguments.group or GROUPS:
            count = arguments.per_module or None
            group = GROUPS[name]
            if arguments.tests:
                group = group._replace(tests=tuple(arguments.tests))
            tried = try_group(group, arguments.module, count, arguments.jobs, Path(folder), known)
            if tried:
                results[name] = tried
    reached = report(results)
    if arguments.out:
        rows = [(name, each.key, each.result) for name in results for each in results[name]]
        arguments.out.write_text(json.dumps(rows, indent=1))
    sys.exit(0 if reached else f'a group is below {_GOAL:.0%}')


if __name__ == '__main__':
    main()
