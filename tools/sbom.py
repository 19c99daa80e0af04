# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Write a software bill of materials (CycloneDX 1.6, JSON): `make sbom`.

It names the packages of the lock (tools/lock-jazzy.txt) with the hashes of their files, and the
weights that this package includes, with their hashes and where they come from. Needs no network.
"""

from __future__ import annotations

import argparse
from datetime import datetime
from datetime import timezone
import hashlib
import json
from pathlib import Path
import re
import uuid

ROOT = Path(__file__).parents[1]
#: in which the bill is written unless told otherwise
OUT = ROOT / 'build' / 'sbom.json'
_CARD = 'gtr_ros/weights/README.md'
_PINNED = re.compile(r'^([A-Za-z0-9._-]+)==([^ ;\\]+)')


def bill(version: str, lock: str, stamp: datetime) -> dict:
    """
    Return the bill of materials.

    :param version: of this package
    :param lock: text of a lock file with hashes
    :param stamp: when the bill is made
    """
    root = {
        'type': 'application',
        'bom-ref': f'pkg:generic/gtr_ros@{version}',
        'name': 'gtr_ros',
        'version': version,
        'licenses': [{'license': {'id': 'Apache-2.0'}}, {'license': {'id': 'MIT'}}],
    }
    parts = [*_packages(lock), *_weights(version)]
    content = json.dumps(parts, sort_keys=True)
    return {
        '$schema': 'http://cyclonedx.org/schema/bom-1.6.schema.json',
        'bomFormat': 'CycloneDX',
        'specVersion': '1.6',
        # The same parts have the same number.
        'serialNumber': f'urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}',
        'version': 1,
        'metadata': {
            'timestamp': stamp.strftime('%Y-%m-%dT%H:%M:%SZ'),
            'tools': {'components': [{'type': 'application', 'name': 'tools/sbom.py'}]},
            'component': root,
        },
        'components': parts,
        'dependencies': [
            {'ref': root['bom-ref'], 'dependsOn': [each['bom-ref'] for each in parts]}
        ],
    }


def _packages(lock: str) -> list[dict]:
    """Return a component for each package of a lock; a file of it has one of the hashes."""
    found: list[dict] = []
    for line in lock.splitlines():
        if pinned := _PINNED.match(line):
            name, version = pinned.groups()
            reference = f'pkg:pypi/{name}@{version}'
            found.append(
                {
                    'type': 'library',
                    'bom-ref': reference,
                    'name': name,
                    'version': version,
                    'purl': reference,
                    'externalReferences': [],
                }
            )
        elif digest := re.match(r' +--hash=sha256:([0-9a-f]{64})', line):
            # A package has many files, one for each platform: not hashes of the component itself.
            found[-1]['externalReferences'].append(
                {
                    'type': 'distribution',
                    'url': found[-1]['purl'],
                    'hashes': [{'alg': 'SHA-256', 'content': digest[1]}],
                }
            )
    return found


def _weights(version: str) -> list[dict]:
    """Return a component for each file of weights, with what its metadata says of its origin."""
    found = []
    for path in sorted((ROOT / 'gtr_ros' / 'weights').glob('*.safetensors')):
        data = path.read_bytes()
        length = int.from_bytes(data[:8], 'little')
        metadata = json.loads(data[8 : 8 + length]).get('__metadata__', {})
        origin = {key: metadata[key] for key in ('source', 'begun_from') if key in metadata}
        found.append(
            {
                'type': 'machine-learning-model',
                'bom-ref': f'gtr_ros/weights/{path.name}',
                'name': path.name,
                'version': version,
                'description': f'Weights of {metadata["model"]}. Data, licences: {_CARD}',
                'hashes': [{'alg': 'SHA-256', 'content': hashlib.sha256(data).hexdigest()}],
                'licenses': [{'license': {'id': 'Apache-2.0'}}],
                'properties': [
                    {'name': f'gtr_ros:{key}', 'value': value} for key, value in origin.items()
                ],
            }
        )
    return found


def main() -> None:
    """Write the bill."""
    parser = argparse.ArgumentParser(description='write a bill of materials (CycloneDX 1.6)')
    parser.add_argument('--out', type=Path, default=OUT)
    out = parser.parse_args().out
    text = (ROOT / 'gtr_ros' / '__init__.py').read_text()
    version = re.search(r"__version__ = '(.+)'", text)[1]
    lock = (ROOT / 'tools' / 'lock-jazzy.txt').read_text()
    content = bill(version, lock, datetime.now(timezone.utc))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=2) + '\n')
    print(f'{out}: {len(content["components"])} components')


if __name__ == '__main__':
    main()
