# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Generate what describes the node's parameters: config/*.yaml, the table in docs/parameters.md.

The source is the dataclass `NodeParameters`; a test checks that the files match it. Run it as
`PYTHONPATH=. .venv/bin/python tools/parameter_files.py`, so that it reads the sources instead of
the package installed by `make env`.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
import textwrap

from gtr_ros.model.registry import MODELS
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.options import explain

REPOSITORY = Path(__file__).resolve().parent.parent
#: the lines before and after the table
BEGIN = '<!-- parameters: tools/parameter_files.py -->\n'
END = '<!-- end of parameters -->\n'


def yaml_file(name: str) -> str:
    """Return the text of config/NAME.yaml."""
    model = MODELS[name]
    changes = {'model': name, **model.parameters}
    about = (
        f'Parameters of the tracker node with {model.description}. Parameters marked (live) can '
        'be changed while the node runs:\n'
        '  ros2 param set /tracker score_threshold 0.3\n'
        'The others are read when the node is configured.'
    )
    parts = [part for line in about.split('\n') for part in _wrap(line, '# ')]
    parts += ['', '/**:', '  ros__parameters:']
    for i, spec in enumerate(fields(NodeParameters)):
        parts += [''] * bool(i)
        parts += _wrap(('' if spec.metadata['read_only'] else '(live) ') + _rules(spec), '    # ')
        parts.append(f'    {spec.name}: {_yaml(changes.get(spec.name, spec.default))}')
    return '\n'.join(parts) + '\n'


def table() -> str:
    """Return the table of docs/parameters.md."""
    rows = ['| parameter | default | live | |', '|---|---|---|---|']
    for spec in fields(NodeParameters):
        live = '' if spec.metadata['read_only'] else 'yes'
        rows.append(f'| `{spec.name}` | `{_yaml(spec.default)}` | {live} | {_rules(spec)} |')
    return '\n'.join(rows) + '\n'


def page(text: str) -> str:
    """Return the text of docs/parameters.md with its table replaced."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


def _rules(spec) -> str:
    return explain(spec) + (" Write an empty list as ['']." if spec.default == () else '')


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value or "''"
    return str(list(value) or ['']) if isinstance(value, tuple) else repr(value)


def _wrap(text: str, before: str) -> list[str]:
    indent = before + ' ' * (len(text) - len(text.lstrip()))
    return textwrap.wrap(
        text.strip(), 98, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def main() -> None:
    for name in MODELS:
        (REPOSITORY / 'config' / f'{name}.yaml').write_text(yaml_file(name))
    file = REPOSITORY / 'docs' / 'parameters.md'
    file.write_text(page(file.read_text()))


if __name__ == '__main__':
    main()
