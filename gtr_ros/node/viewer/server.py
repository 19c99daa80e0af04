# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An HTTP server for the viewer's page, which encodes frames while a browser requests them."""

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

_PAGE = Path(__file__).with_name('page.html')
# Without a new frame, a request is answered after this many seconds with the reason.
_POLL_SECONDS = 2.0
# Longest expected time between two requests from a browser that is drawing a frame or is on a slow
# network.
_BUSY_SECONDS = 5.0
# A browser that takes longer than this for one frame is considered gone.
_SOCKET_SECONDS = 30.0
_HEADERS = {
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Cross-Origin-Resource-Policy': 'same-origin',
}


class EncodedFrame(NamedTuple):
    """
    A frame to be sent to browsers.

    :param number: of the frame, from 1
    :param header: JSON with the number and what to draw
    :param jpeg: the image
    """

    number: int
    header: bytes
    jpeg: bytes


class FrameEncoder:
    """
    Encodes the newest item, on a separate thread, while a browser waits for a frame.

    Only one item and one frame are kept, however many browsers there are and however slow.

    :param encode: returns what to draw for an item, as JSON values, and a JPEG
    :param on_error: called on the encoder's thread with an exception raised by `encode`
    :param max_rate: maximum rate of frames, Hz
    """

    def __init__(
        self,
        encode: Callable[[Any], tuple[dict, bytes]],
        on_error: Callable[[Exception], None],
        max_rate: float,
    ) -> None:
        self._encode = encode
        self._on_error = on_error
        self._period = 1 / max_rate
        self._changed = threading.Condition()
        self._item: Any = None
        self._frame: EncodedFrame | None = None
        self._waiting = 0
        self._requested_at = -float('inf')
        self._closed = False
        #: number of frames that were encoded
        self.encoded = 0
        self._thread = threading.Thread(target=self._run, name='frames', daemon=True)
        self._thread.start()

    @property
    def wanted(self) -> bool:
        """Whether a browser is waiting for a frame, or was recently."""
        with self._changed:
            return self._waiting > 0 or monotonic() - self._requested_at < _BUSY_SECONDS

    def put(self, item: Any) -> None:
        """Replace the item to encode."""
        with self._changed:
            self._item = item
            self._changed.notify_all()

    def wait(self, seen: int, timeout: float) -> EncodedFrame | None:
        """
        Wait for a new frame.

        :param seen: number of the newest frame that the caller has; 0: none
        :param timeout: maximum time to wait, seconds
        :return: the newest frame as soon as its number differs from `seen`; None after the timeout
        """

        def is_new() -> bool:
            return self._frame is not None and self._frame.number != seen

        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or is_new(), timeout)
            self._waiting -= 1
            self._requested_at = monotonic()
            return self._frame if is_new() else None

    def clear(self) -> None:
        """Discard item and frame, so that a browser that connects later gets no old frame."""
        with self._changed:
            self._item = self._frame = None

    def close(self) -> None:
        """End the thread, and wake all waiting callers."""
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
            start = monotonic()
            try:
                header, jpeg = self._encode(item)
            except Exception as error:  # one bad image must not end the thread
                self._on_error(error)
                continue
            with self._changed:
                self.encoded += 1
                header = _as_json({'number': self.encoded, **header})
                self._frame = EncodedFrame(self.encoded, header, jpeg)
                self._changed.notify_all()
                self._changed.wait_for(
                    lambda: self._closed, max(0.0, start + self._period - monotonic())
                )


class WebServer(ThreadingTCPServer):
    """
    Serves the page and its frames, until `close`.

    There is no authentication. On a loopback address, requests to host names other than this
    machine's are refused: otherwise any web page could make its own host name resolve to this
    address and read the images (DNS rebinding).

    :param address: host name or IP address to listen on
    :param port: 0: any free one
    :param explain: returns why there is no new frame
    :raises OSError: if it cannot listen there
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(
        self, address: str, port: int, encoder: FrameEncoder, explain: Callable[[], str]
    ) -> None:
        family, *_, socket_address = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        self.address_family = family
        self.encoder = encoder
        self.explain = explain
        self.page = _PAGE.read_bytes()
        super().__init__(socket_address, _Handler)
        self.is_loopback = ip_address(socket_address[0]).is_loopback
        self._thread = threading.Thread(target=self.serve_forever, name='web', daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return self.server_address[1]

    @property
    def url(self) -> str:
        """Address of the page, for a browser on this machine."""
        host = self.server_address[0]
        return f'http://[{host}]:{self.port}' if ':' in host else f'http://{host}:{self.port}'

    def close(self) -> None:
        """Stop listening."""
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore browsers that have disconnected."""
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
            self._respond(
                HTTPStatus.FORBIDDEN,
                'text/plain',
                b'Forbidden: this viewer only serves this machine, as localhost.\n',
            )
        elif not self._same_origin():
            self._respond(
                HTTPStatus.FORBIDDEN,
                'text/plain',
                b'Forbidden: only the page of this viewer may ask for its frames.\n',
            )
        elif url.path == '/':
            self._respond(HTTPStatus.OK, 'text/html; charset=utf-8', self.server.page)
        elif url.path == '/frame':
            self._send_frame(parse_qs(url.query).get('after', ['0'])[0])
        else:
            self._respond(
                HTTPStatus.NOT_FOUND, 'text/plain', b'Not found: only / and /frame are served.\n'
            )

    def _same_origin(self) -> bool:
        """Return whether no other web page makes the request; it could not read the answer."""
        origin = self.headers.get('Origin')
        own = origin is None or urlsplit(origin).netloc == self.headers.get('Host', '')
        return own and self.headers.get('Sec-Fetch-Site') != 'cross-site'

    def _send_frame(self, after: str) -> None:
        """Respond with the length of the header (4 bytes, big endian), the header and the JPEG."""
        if not after.isdecimal():
            text = f'after is {after!r}; expected a frame number\n'
            self._respond(HTTPStatus.BAD_REQUEST, 'text/plain', text.encode())
            return
        frame = self.server.encoder.wait(int(after), _POLL_SECONDS)
        if frame is None:
            frame = EncodedFrame(0, _as_json({'status': self.server.explain()}), b'')
        length = len(frame.header).to_bytes(4, 'big')
        body = length + frame.header + frame.jpeg
        self._respond(HTTPStatus.OK, 'application/octet-stream', body)

    def _respond(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Suppress the logging of requests."""


def _as_json(values: dict) -> bytes:
    return json.dumps(values).encode()


def _is_loopback(host: str) -> bool:
    """Return whether a Host header names this machine."""
    try:
        name = urlsplit(f'//{host}').hostname or ''
        return name == 'localhost' or ip_address(name).is_loopback
    except ValueError:
        return False
