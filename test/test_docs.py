# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The documentation is consistent: links, anchors, make targets, file paths, the site's pages."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path
import re
import shlex
import unicodedata

from paths import REPOSITORY
from PIL import Image
import pytest
import yaml

from gtr_ros.cli.program import _parser

PAGES = [
    REPOSITORY / 'README.md',
    *(REPOSITORY / f'{name}.md' for name in ('CONTRIBUTING', 'QUALITY_DECLARATION', 'SECURITY')),
    *sorted((REPOSITORY / 'docs').glob('*.md')),
]
README_LINES = 150
PICTURE_BYTES = 1_500_000

#: first folders of paths that the documentation mentions
FOLDERS = (
    '.ci',
    '.github',
    'benchmarks',
    'config',
    'docs',
    'examples',
    'gtr_ros',
    'launch',
    'msg',
    'scripts',
    'srv',
    'test',
    'tools',
)
#: what in backticks begins like a path and is none: types of messages, topics, variants of names
NO_PATHS = re.compile(r'gtr_ros/[A-Z]\w+|.*[<>*]|.*NAME')

every_page = pytest.mark.parametrize('page', PAGES, ids=lambda path: path.name)


def without_code(text: str) -> str:
    return re.sub(r'^```.*?^```', '', text, flags=re.DOTALL | re.MULTILINE)


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that the headings of a page get, as on GitHub and in mkdocs."""
    found: set[str] = set()
    for heading in re.findall(r'^#+ +(.+?) *$', without_code(page.read_text()), re.MULTILINE):
        text = unicodedata.normalize('NFKD', heading.replace('`', '')).lower()
        anchor = re.sub(r'[^\w\- ]', '', text).replace(' ', '-')
        found.add(anchor)
    return found


def links_of(page: Path) -> list[str]:
    text = re.sub(r'`[^`\n]*`', '', without_code(page.read_text()))
    return re.findall(r'\]\(([^)\s]+)\)', text)


def code_of(page: Path) -> str:
    """Return everything of a page that is in backticks or in a block of code."""
    text = page.read_text()
    blocks = re.findall(r'^```.*?\n(.*?)^```', text, flags=re.DOTALL | re.MULTILINE)
    return '\n'.join([*blocks, *re.findall(r'`([^`\n]+)`', without_code(text))])


@every_page
def test_every_relative_link_and_anchor_exists(page):
    broken = []
    for link in links_of(page):
        if re.match(r'[a-z]+:', link):
            continue
        path, _, anchor = link.partition('#')
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert not broken


@every_page
def test_every_make_target_exists(page):
    makefile = (REPOSITORY / 'Makefile').read_text()
    targets = set(re.findall(r'^([a-z][\w-]*):(?!=)', makefile, re.MULTILINE))
    named = set(re.findall(r'(?:^|`)make ([a-z][\w-]*)', code_of(page), re.MULTILINE))
    assert named <= targets


@every_page
def test_every_path_in_backticks_exists(page):
    missing = []
    for name in re.findall(r'`([^`\s]+)`', without_code(page.read_text())):
        path = name.split(':')[0].rstrip('/')
        first = path.split('/')[0]
        if '/' in name and first in FOLDERS and not NO_PATHS.match(path):
            places = (REPOSITORY, REPOSITORY / 'gtr_ros')
            if not any((place / path).exists() for place in places):
                missing.append(name)
    assert not missing


@every_page
def test_every_test_that_is_named_exists(page):
    for path, name in re.findall(r'`(test/[\w/]+\.py)::(\w+)`', page.read_text()):
        tree = ast.parse((REPOSITORY / path).read_text())
        assert name in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, path


@every_page
def test_every_file_that_is_named_without_its_folder_exists(page):
    inside = (path for folder in FOLDERS for path in (REPOSITORY / folder).rglob('*'))
    known = {path.name for path in (*inside, *REPOSITORY.iterdir())}
    suffixes = '|'.join(('cff', 'md', 'py', 'rst', 'toml', 'xml', 'yml'))
    named = re.findall(rf'`(\w[\w-]*\.(?:{suffixes})|LICENSE|Makefile)`', page.read_text())
    assert set(named) <= known


def commands_of(page: Path) -> list[list[str]]:
    """Return the words of each call of `gtr` in a page, from the command on."""
    lines = (line.partition(' #')[0] for line in code_of(page).replace('\\\n', ' ').splitlines())
    found = [re.match(r'(?:\S*/)?gtr ([a-z].*)', line.strip()) for line in lines]
    return [shlex.split(each[1]) for each in found if each]


def option_strings(parser: argparse.ArgumentParser, words: list[str]) -> set[str]:
    """Return the options of a command of `gtr`; KeyError: there is no such command."""
    for action in parser._subparsers._group_actions if parser._subparsers else ():
        return option_strings(action.choices[words[0]], words[1:])
    return set(parser._option_string_actions)


@every_page
def test_every_command_of_gtr_exists_with_its_options(page):
    for words in commands_of(page):
        given = {word.partition('=')[0] for word in words if word.startswith('--')}
        assert given <= option_strings(_parser(), words), words


@every_page
def test_every_module_and_script_that_is_run_exists(page):
    code = code_of(page)
    modules = re.findall(r'python3? -m ((?:benchmarks|gtr_ros)[\w.]*)', code)
    scripts = re.findall(r'(?:^|\.venv/bin/python )((?:tools|examples)/[\w/]+\.py)', code, re.M)
    paths = [*scripts, *(module.replace('.', '/') for module in modules)]
    ends = ('', '.py')
    assert [p for p in paths if not any((REPOSITORY / f'{p}{e}').exists() for e in ends)] == []


def test_commands_are_found_in_every_page_that_has_some():
    """The tests above would pass if nothing were found."""
    assert ['track', 'video.mp4', '--out', 'tracks.txt', '--video', 'tracked.mp4'] in commands_of(
        REPOSITORY / 'docs' / 'offline.md'
    )
    assert sum(len(commands_of(page)) for page in PAGES) > 40
    with pytest.raises(KeyError):
        option_strings(_parser(), ['trakc'])
    assert '--measure' in option_strings(_parser(), ['export'])
    assert '--from' in option_strings(_parser(), ['weights', 'import'])


@every_page
def test_pages_are_without_em_dashes_and_machine_paths(page):
    text = page.read_text()
    assert '\N{EM DASH}' not in text
    assert not re.search(r'(?<![\w.])/(work|tmp|home|root)/', text)


def test_make_help_lists_every_target():
    makefile = (REPOSITORY / 'Makefile').read_text()
    targets = set(re.findall(r'^([a-z][\w-]*):(?!=)', makefile, re.MULTILINE))
    described = set(re.findall(r"@echo 'make ([\w-]+) ", makefile))
    # `imported` is a step of the others.
    assert targets - {'help', 'imported'} == described
    phony = re.search(r'^\.PHONY: (.+)$', makefile, re.MULTILINE)
    assert phony and set(phony[1].split()) == targets


def test_readme_is_short():
    lines = (REPOSITORY / 'README.md').read_text().splitlines()
    assert len(lines) <= README_LINES


def test_every_page_is_in_the_navigation_of_the_site():
    def pages_in(entry) -> set[str]:
        if isinstance(entry, str):
            return {entry}
        values = entry.values() if isinstance(entry, dict) else entry
        return set().union(*(pages_in(value) for value in values))

    site = yaml.safe_load((REPOSITORY / 'mkdocs.yml').read_text())
    existing = {path.name for path in (REPOSITORY / 'docs').glob('*.md')}
    assert pages_in(site['nav']) == existing


def test_pages_of_the_site_link_only_to_files_of_the_site():
    outside = [
        (page.name, link)
        for page in PAGES
        if page.parent.name == 'docs'
        for link in links_of(page)
        if link.startswith(('..', '/'))
    ]
    assert not outside


def test_every_page_is_linked_from_readme():
    linked = {link.partition('#')[0] for link in links_of(REPOSITORY / 'README.md')}
    pages = {f'docs/{path.name}' for path in (REPOSITORY / 'docs').glob('*.md')}
    assert pages - linked == {'docs/index.md'}


def test_the_picture_of_readme_moves_and_is_small():
    path = REPOSITORY / 'docs' / 'tracking.webp'
    assert path.stat().st_size <= PICTURE_BYTES
    with Image.open(path) as picture:
        assert picture.is_animated
        assert picture.n_frames > 50


def test_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((REPOSITORY / 'CITATION.cff').read_text())
    import gtr_ros

    assert str(citation['version']) == gtr_ros.__version__
    assert citation['license'] == 'Apache-2.0'
    assert citation['preferred-citation']['title'] == 'Global Tracking Transformers'


def test_the_workflow_runs_make_targets_that_exist():
    workflow = (REPOSITORY / '.github' / 'workflows' / 'ci.yml').read_text()
    makefile = (REPOSITORY / 'Makefile').read_text()
    targets = set(re.findall(r'^([a-z][\w-]*):(?!=)', makefile, re.MULTILINE))
    called = set(re.findall(r'run: make ([\w-]+)', workflow))
    assert {'test', 'docs'} <= called <= targets
