# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The documentation is consistent: links, anchors, make targets, file paths, the site's pages."""

from __future__ import annotations

from pathlib import Path
import re
import unicodedata

from paths import REPOSITORY
from PIL import Image
import pytest
import yaml

PAGES = [
    REPOSITORY / 'README.md',
    REPOSITORY / 'CONTRIBUTING.md',
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
