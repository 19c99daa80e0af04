# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The web viewer in a process of its own, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
import json
import re
from time import monotonic
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request
from urllib.request import urlopen

from node_processes import ANSWER_SECONDS
from node_processes import executable
from node_processes import Process
from node_processes import process
import numpy as np
from PIL import Image as Picture


class Viewer:
    """The process of a viewer, and a simple HTTP client."""

    def __init__(self, running: Process) -> None:
        self.process = running
        running.wait_for_output('showing ')
        self.url = re.search(r' at (http://\S+)', running.output)[1]
        self.port = urlsplit(self.url).port

    def get(self, path: str, host: str = '') -> tuple[int, bytes]:
        request = Request(self.url + path, headers={'Host': host} if host else {})
        try:
            with urlopen(request, timeout=ANSWER_SECONDS) as response:
                return response.status, response.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()

    def post(self, path: str, body: bytes, **headers: str) -> tuple[int, str]:
        """Send a request of the page; headers: with _ for -, to replace its own."""
        own = {'Content-Type': 'application/json', 'Origin': self.url}
        given = {name.replace('_', '-'): value for name, value in headers.items()}
        request = Request(self.url + path, body, {**own, **given}, method='POST')
        try:
            with urlopen(request, timeout=ANSWER_SECONDS) as response:
                return response.status, response.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def request(self, after: int = 0) -> tuple[dict, bytes]:
        """Request a frame once; return its header and its JPEG."""
        status, body = self.get(f'/frame?after={after}')
        assert status == 200, body
        end = 4 + int.from_bytes(body[:4], 'big')
        return json.loads(body[4:end]), body[end:]

    def frame(self) -> tuple[dict, np.ndarray]:
        """Request frames until there is one; return its header and its pixels."""
        deadline = monotonic() + ANSWER_SECONDS
        while monotonic() < deadline:
            header, jpeg = self.request()
            if jpeg:
                return header, np.asarray(Picture.open(BytesIO(jpeg)))
        raise AssertionError(f'no frame: {header}\n{self.process.output}')

    def wait_for_status(self, text: str) -> None:
        deadline = monotonic() + ANSWER_SECONDS
        header = {}
        while text not in header.get('status', ''):
            assert monotonic() < deadline, f'never said {text!r}, but {header}'
            header, _ = self.request()


@contextmanager
def web_viewer(*words: str, **parameters: object) -> Iterator[Viewer]:
    settings = [word for name, value in parameters.items() for word in ('-p', f'{name}:={value}')]
    command = [*executable('web_viewer'), '--ros-args', '-p', 'port:=0', *settings, *words]
    with process(*command) as running:
        yield Viewer(running)
