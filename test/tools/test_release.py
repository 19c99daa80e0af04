# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a release needs: the lock, the bill of materials, the containers, the declarations."""

from __future__ import annotations

from datetime import datetime
from datetime import timezone
import hashlib
import json
from pathlib import Path
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

from paths import REPOSITORY
import pytest
import yaml

import gtr_ros

TOOLS, DOCKER = REPOSITORY / 'tools', REPOSITORY / 'docker'
DISTRIBUTIONS = ('jazzy', 'kilted')
PINNED = re.compile(r'^([A-Za-z0-9._-]+)==([^ ;\\\n]+)', re.M)


def pins(name: str) -> dict[str, str]:
    """Return the versions in a file of requirements, by normalised names."""
    found = PINNED.findall((TOOLS / name).read_text())
    return {re.sub(r'[._]', '-', package).lower(): version for package, version in found}


@pytest.mark.parametrize('distribution', DISTRIBUTIONS)
def test_the_lock_has_every_pin_and_a_hash_for_each_package(distribution):
    lock = pins(f'lock-{distribution}.txt')
    wanted = {**pins(f'requirements-{distribution}.txt'), **pins('requirements.txt')}
    assert wanted.items() <= lock.items()
    text = (TOOLS / f'lock-{distribution}.txt').read_text()
    for entry in re.split(r'\n(?=[a-z])', text.partition('\n\n')[2] or text)[1:]:
        assert re.search(r'--hash=sha256:[0-9a-f]{64}', entry), entry
    assert '--index-url' not in text and 'file:' not in text
    assert 'torch' in lock and 'numpy' in lock and len(lock) > 100


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / 'tools').mkdir()
    for path in (*TOOLS.glob('requirements*.txt'), *TOOLS.glob('lock*')):
        shutil.copy(path, tmp_path / 'tools' / path.name)
    return tmp_path


def test_a_pin_that_the_lock_does_not_have_is_found(checkout):
    command = [checkout / 'tools' / 'lock.sh', '--check']
    assert subprocess.run(command, capture_output=True).returncode == 0
    file = checkout / 'tools' / 'requirements.txt'
    file.write_text(re.sub(r'pillow==\S+', 'pillow==99.0', file.read_text()))
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    assert 'lock-jazzy.txt does not have pillow==99.0; run make lock' in run.stderr


@pytest.fixture(scope='module')
def bill(tmp_path_factory) -> dict:
    out = tmp_path_factory.mktemp('bill') / 'sbom.json'
    command = [sys.executable, TOOLS / 'sbom.py', '--out', out]
    subprocess.run(command, check=True, capture_output=True)
    return json.loads(out.read_text())


def test_the_bill_has_the_fields_of_cyclonedx(bill):
    assert bill['bomFormat'] == 'CycloneDX' and bill['specVersion'] == '1.6'
    assert bill['version'] == 1
    assert re.fullmatch(
        r'urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', bill['serialNumber']
    )
    stamp = bill['metadata']['timestamp']
    assert datetime.fromisoformat(stamp.replace('Z', '+00:00')) <= datetime.now(timezone.utc)
    root = bill['metadata']['component']
    assert (root['name'], root['version']) == ('gtr_ros', gtr_ros.__version__)
    # The required keys of a component, and values of the enumerations of the specification.
    for part in [root, *bill['components']]:
        assert part['name'] and part['version'] and part['bom-ref']
        assert part['type'] in ('application', 'library', 'machine-learning-model')
        for each in part.get('hashes', []):
            assert each['alg'] == 'SHA-256' and re.fullmatch('[0-9a-f]{64}', each['content'])
    references = [part['bom-ref'] for part in bill['components']]
    assert len(set(references)) == len(references)
    [dependencies] = bill['dependencies']
    assert dependencies == {'ref': root['bom-ref'], 'dependsOn': references}


def test_the_bill_names_every_package_of_the_lock(bill):
    found = {p['name']: p['version'] for p in bill['components'] if p['type'] == 'library'}
    assert found == pins('lock-jazzy.txt')
    torch = next(part for part in bill['components'] if part['name'] == 'torch')
    assert torch['purl'] == f'pkg:pypi/torch@{torch["version"]}'
    assert all(r['hashes'][0]['content'] for r in torch['externalReferences'])


def test_the_bill_has_the_hashes_of_the_weights_and_where_they_come_from(bill):
    folder = REPOSITORY / 'gtr_ros' / 'weights'
    weights = {p['name']: p for p in bill['components'] if p['type'] == 'machine-learning-model'}
    assert weights.keys() == {path.name for path in folder.glob('*.safetensors')}
    for name, part in weights.items():
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert part['hashes'] == [{'alg': 'SHA-256', 'content': digest}]
        origin = {each['name']: each['value'] for each in part['properties']}
        assert origin['gtr_ros:source']
        assert 'gtr_ros/weights/README.md' in part['description']


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile, with continued lines joined."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith('#')]
    text = re.sub(r'\\\n\s*', '', '\n'.join(lines))
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize('name', ['Dockerfile.cpu', 'Dockerfile.cuda'])
def test_a_container_copies_what_exists_and_runs_without_rights(name):
    found = instructions(DOCKER / name)
    kinds = [kind for kind, _ in found]
    assert kinds.count('FROM') == 2
    assert all(rest.startswith('ros:jazzy-ros-base') for kind, rest in found if kind == 'FROM')
    for kind, rest in found:
        if kind == 'COPY' and '--from' not in rest:
            *sources, _ = rest.split()
            assert all((REPOSITORY / source).exists() for source in sources), rest
    users = [rest for kind, rest in found if kind == 'USER']
    assert users and users[-1] not in ('root', '0')
    last = dict(found)
    assert 'HEALTHCHECK' in kinds and last['ENTRYPOINT'] == '["/opt/gtr_ros/bin/entrypoint.sh"]'
    command = json.loads(last['CMD'])
    assert command[:3] == ['ros2', 'launch', 'gtr_ros']
    assert (REPOSITORY / 'launch' / command[3]).is_file()


@pytest.mark.parametrize('name', ['Dockerfile.cpu', 'Dockerfile.cuda'])
def test_a_container_has_the_versions_that_were_tried(name):
    text = ' '.join(rest for _, rest in instructions(DOCKER / name))
    given = dict(re.findall(r'\b([a-z-]+)==(\S+)', text))
    tried = pins('requirements.txt')
    # ROS's packages of Ubuntu need their own numpy; the GPU's runtime is another package.
    others = {'numpy', 'onnxruntime-gpu'}
    assert {k: v for k, v in given.items() if k not in others}.items() <= tried.items()
    setup = (REPOSITORY / 'setup.py').read_text()
    required = re.search(r'install_requires=\[(.*?)\]', setup, re.DOTALL)[1]
    assert set(re.findall(r"'([\w-]+)>=", required)) <= given.keys()


@pytest.mark.parametrize('script', ['docker/entrypoint.sh', 'docker/healthcheck.sh'])
def test_scripts_of_containers_are_valid(script):
    run = subprocess.run(['bash', '-n', REPOSITORY / script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_a_platform_that_is_not_installed_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / 'tools').mkdir()
    shutil.copy(TOOLS / 'platform.sh', tmp_path / 'tools')
    run = subprocess.run(
        [tmp_path / 'tools' / 'platform.sh'],
        env={'PATH': '/usr/bin:/bin', 'HOME': str(tmp_path), 'PYTHON': '3.99'},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert 'no Python 3.99 found' in run.stderr
    assert not (tmp_path / 'build').exists()


def test_the_version_is_released_and_the_same_everywhere():
    version = gtr_ros.__version__
    citation = yaml.safe_load((REPOSITORY / 'CITATION.cff').read_text())
    assert citation['version'] == version
    newest = re.search(
        r'^(\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)\n-+$',
        (REPOSITORY / 'CHANGELOG.rst').read_text(),
        re.M,
    )
    assert newest.groups() == (version, citation['date-released'])
    declaration = (REPOSITORY / 'QUALITY_DECLARATION.md').read_text()
    assert f'`gtr_ros` {version} claims **Quality Level 3**' in declaration


@pytest.mark.parametrize('page', ['QUALITY_DECLARATION.md', 'SECURITY.md', 'docs/security.md'])
def test_every_file_that_is_given_as_evidence_exists(page):
    text = (REPOSITORY / page).read_text()
    named = re.findall(r'`([\w./-]+)(?:::\w+)?`', text)
    paths = [n for n in named if '/' in n or n.endswith(('.md', '.xml', '.py', '.rst', '.toml'))]
    paths = [n for n in paths if not n.startswith(('/', 'build/')) and n != 'seqinfo.ini']
    assert len(paths) >= 2
    missing = [n for n in paths if not (REPOSITORY / n).exists()]
    assert missing == []


def test_every_line_of_the_quality_declaration_has_evidence():
    text = (REPOSITORY / 'QUALITY_DECLARATION.md').read_text()
    rows = [line.split('|') for line in text.splitlines() if re.match(r'\| \d\.', line)]
    assert len(rows) >= 24
    for _, requirement, state, evidence, _ in rows:
        assert state.strip() and '`' in evidence, requirement
        # A file of tests proves nothing in particular: `test/test_docs.py` finds those named.
        assert not re.search(r'`test/[\w/]+\.py`', evidence), requirement


def test_the_security_policy_has_each_node_and_no_action():
    root = ElementTree.parse(REPOSITORY / 'config' / 'sros2' / 'policy.xml').getroot()
    assert (root.tag, root.get('version')) == ('policy', '0.2.0')
    enclaves = {each.get('path') for each in root.iter('enclave')}
    assert enclaves == {
        f'/gtr_ros/{name}' for name in ('tracker', 'video_publisher', 'web_viewer')
    }
    assert list(root.iter('actions')) == []
    for rule in (*root.iter('topics'), *root.iter('services')):
        assert set(rule.attrib.values()) == {'ALLOW'}
        assert not any('*' in each.text for each in rule)
