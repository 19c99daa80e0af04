# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Write what people read of the node's parameters: config/*.yaml, and the table in README.md.

The dataclass `NodeParameters` is the source; a test compares.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
import textwrap

from gtr_ros.node.tracker.parameters import NodeParameters

REPOSITORY = Path(__file__).resolve().parent.parent
#: between these lines of README.md the table stands
BEGIN = '<!-- parameters: tools/parameter_files.py -->\n'
END = '<!-- end of parameters -->\n'

#: what each file says of itself, and what differs from the defaults
FILES = {
    'mobile': (
        'Parameters of the tracker node with its small model (CenterNet on MobileNetV3, 80 COCO '
        "classes). The values are the node's defaults.",
        {},
    ),
    'mot': (
        "Parameters of the tracker node with the paper's MOT model (CenterNet on DLA-34, "
        'pedestrians) as published: threshold, window and confirmation are those of the public '
        'code.',
        {'model': 'mot', 'score_threshold': 0.55, 'min_hits': 5},
    ),
    'tao': (
        "Parameters of the tracker node with the paper's TAO model (CenterNet2 on Res2Net-101, "
        '1203 classes of LVIS) as published: threshold, window and confirmation are those of the '
        'public code.',
        {'model': 'tao', 'score_threshold': 0.4, 'window': 16, 'min_hits': 5},
    ),
}


def yaml_file(name: str) -> str:
    """Return the text of config/NAME.yaml."""
    about, changes = FILES[name]
    about += (
        ' Those marked (live) can be changed while the node runs:\n'
        '  ros2 param set /tracker score_threshold 0.3\n'
        'the others are read when it is configured.'
    )
    parts = [part for line in about.split('\n') for part in _wrap(line, '# ')]
    parts += ['', '/**:', '  ros__parameters:']
    for i, spec in enumerate(fields(NodeParameters)):
        parts += [''] * bool(i)
        parts += _wrap(('' if spec.metadata['read_only'] else '(live) ') + _rules(spec), '    # ')
        parts.append(f'    {spec.name}: {_yaml(changes.get(spec.name, spec.default))}')
    return '\n'.join(parts) + '\n'


def readme_table() -> str:
    """Return the table of README.md."""
    rows = ['| parameter | default | live | |', '|---|---|---|---|']
    for spec in fields(NodeParameters):
        live = '' if spec.metadata['read_only'] else 'yes'
        rows.append(f'| `{spec.name}` | `{_yaml(spec.default)}` | {live} | {_rules(spec)} |')
    return '\n'.join(rows) + '\n'


def readme(text: str) -> str:
    """Return README.md with its table as it should be."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + readme_table() + END + rest.partition(END)[2]


def _rules(spec) -> str:
    text, limits = spec.metadata['description'], spec.metadata['limits']
    if limits:
        text += f' {limits[0]} to {limits[1]}.'
    elif spec.metadata['choices']:
        text += ' One of: ' + ', '.join(repr(c) for c in spec.metadata['choices']) + '.'
    if spec.default == ():
        text += " ['']: empty."
    return text


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
    for name in FILES:
        (REPOSITORY / 'config' / f'{name}.yaml').write_text(yaml_file(name))
    file = REPOSITORY / 'README.md'
    file.write_text(readme(file.read_text()))


if __name__ == '__main__':
    main()
