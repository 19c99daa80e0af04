# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""FrameEncoder for web browsers: made while one asks, the newest wins. Knows nothing of ROS."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
import json
from pathlib import Path
import socket
from socketserver import ThreadingTCPServer
import sys
import threading
from time import monotonic
from typing import Any
from typing import NamedTuple
from urllib.parse import parse_qs
from urllib.parse import urlsplit

_PAGE = Path(__file__).with_name('web_page.html')
# A browser asks again after this many seconds without a frame, and is told why there is none.
_POLL_SECONDS = 2.0
# From one question to the next one a browser is busy with the frame, or on a slow network.
_BUSY_SECONDS = 5.0
# A browser that takes longer for one frame is gone.
_SOCKET_SECONDS = 30.0
_HEADERS = {
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'X-EncodedFrame-Options': 'DENY',
}


class EncodedFrame(NamedTuple):
    """
    What a browser shows.

    :param number: counts frames, from 1
    :param head: number, and what is to be drawn, as JSON
    :param picture: a JPEG
    """

    number: int
    head: bytes
    picture: bytes


class FrameEncoder:
    """
    Makes frames of the newest item, on a thread of its own, while somebody waits for one.

    However many browsers there are and however slow, one item and one frame are kept.

    :param make: turns an item into what is to be drawn, for JSON, and a JPEG
    :param complain: called on that thread with what `make` raised
    :param max_rate: frames a second
    """

    def __init__(
        self,
        make: Callable[[Any], tuple[dict, bytes]],
        complain: Callable[[Exception], None],
        max_rate: float,
    ) -> None:
        self._make = make
        self._complain = complain
        self._seconds = 1 / max_rate
        self._changed = threading.Condition()
        self._item: Any = None
        self._frame: EncodedFrame | None = None
        self._waiting = 0
        self._asked = -float('inf')
        self._closed = False
        #: how many were made
        self.made = 0
        self._thread = threading.Thread(target=self._run, name='frames', daemon=True)
        self._thread.start()

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for frames, or did a moment ago."""
        with self._changed:
            return self._waiting > 0 or monotonic() - self._asked < _BUSY_SECONDS

    def put(self, item: Any) -> None:
        """Take an item in place of the one before."""
        with self._changed:
            self._item = item
            self._changed.notify_all()

    def wait(self, seen: int, timeout: float) -> EncodedFrame | None:
        """
        Wait for a frame.

        :param seen: number of the one that the caller has; 0: none
        :param timeout: seconds
        :return: the newest, as soon as it is another one; None after the timeout
        """

        def is_new() -> bool:
            return self._frame is not None and self._frame.number != seen

        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or is_new(), timeout)
            self._waiting -= 1
            self._asked = monotonic()
            return self._frame if is_new() else None

    def clear(self) -> None:
        """Forget what there is: whoever comes later must not take it for new."""
        with self._changed:
            self._item = self._frame = None

    def close(self) -> None:
        """End the thread, and let nobody wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closed or (self._waiting and self._item is not None)
                )
                if self._closed:
                    return
                item, self._item = self._item, None
            began = monotonic()
            try:
                head, picture = self._make(item)
            except Exception as error:  # one bad image must not end the view
                self._complain(error)
                continue
            with self._changed:
                self.made += 1
                self._frame = EncodedFrame(
                    self.made, _as_json({'number': self.made, **head}), picture
                )
                self._changed.notify_all()
                self._changed.wait_for(
                    lambda: self._closed, max(0.0, began + self._seconds - monotonic())
                )


class WebServer(ThreadingTCPServer):
    """
    Serves the page, and the frames that it asks for, until `close`.

    There is no authentication. On a loopback address, names other than this machine's own are
    refused: else any web page could have its name point here, and read along.

    :param address: name or number of the interface to listen on
    :param port: 0: any that is free
    :param explain: says why there is no new frame
    :raises OSError: if it cannot listen there
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(
        self, address: str, port: int, frames: FrameEncoder, explain: Callable[[], str]
    ) -> None:
        family, *_, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        self.address_family = family
        self.frames = frames
        self.explain = explain
        self.page = _PAGE.read_bytes()
        super().__init__(where, _Handler)
        self.is_loopback = ip_address(where[0]).is_loopback
        self._thread = threading.Thread(target=self.serve_forever, name='web', daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.server_address[1]

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the page."""
        host = self.server_address[0]
        return f'http://[{host}]:{self.port}' if ':' in host else f'http://{host}:{self.port}'

    def close(self) -> None:
        """Listen no more."""
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of browsers that have gone."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: WebServer
    protocol_version = 'HTTP/1.1'
    timeout = _SOCKET_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if self.server.is_loopback and not _is_loopback(self.headers.get('Host', '')):
            self._answer(
                HTTPStatus.FORBIDDEN,
                'text/plain',
                b'Only as localhost: this viewer listens for this machine alone.\n',
            )
        elif url.path == '/':
            self._answer(HTTPStatus.OK, 'text/html; charset=utf-8', self.server.page)
        elif url.path == '/frame':
            self._send_frame(parse_qs(url.query).get('after', ['0'])[0])
        else:
            self._answer(HTTPStatus.NOT_FOUND, 'text/plain', b'There are only / and /frame.\n')

    def _send_frame(self, after: str) -> None:
        """Answer with the length of the head (4 bytes, big endian), the head and the JPEG."""
        if not after.isdecimal():
            text = f'after is {after!r}; expected the number of a frame\n'
            self._answer(HTTPStatus.BAD_REQUEST, 'text/plain', text.encode())
            return
        frame = self.server.frames.wait(int(after), _POLL_SECONDS)
        if frame is None:
            frame = EncodedFrame(0, _as_json({'status': self.server.explain()}), b'')
        length = len(frame.head).to_bytes(4, 'big')
        body = length + frame.head + frame.picture
        self._answer(HTTPStatus.OK, 'application/octet-stream', body)

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of every request."""


def _as_json(values: dict) -> bytes:
    return json.dumps(values).encode()


def _is_loopback(host: str) -> bool:
    """Whether a Host header names this machine."""
    try:
        name = urlsplit(f'//{host}').hostname or ''
        return name == 'localhost' or ip_address(name).is_loopback
    except ValueError:
        return False
