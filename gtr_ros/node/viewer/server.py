# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An HTTP server for the viewer's page: frames for browsers, and what they ask to follow."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
import socket
from socketserver import ThreadingTCPServer
import sys
import threading
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import urlsplit

from gtr_ros.node.viewer.frames import as_json
from gtr_ros.node.viewer.frames import EncodedFrame
from gtr_ros.node.viewer.frames import FrameEncoder
from gtr_ros.parsing import parse_json
from gtr_ros.parsing import ParseError

_PAGE = Path(__file__).with_name('page.html')
# Without a new frame, a request is answered after this many seconds with the reason.
_POLL_SECONDS = 2.0
# A browser that takes longer than this for one frame is considered gone.
_SOCKET_SECONDS = 30.0
# Of a request to follow, and of the id in it.
_MOST_BYTES, _MOST_CHARACTERS = 1000, 80
_HEADERS = {
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Cross-Origin-Resource-Policy': 'same-origin',
}


class FollowError(Exception):
    """What is followed has not changed; the message says why."""


class WebServer(ThreadingTCPServer):
    """
    Serves the page and its frames, until `close`.

    There is no authentication. On a loopback address, requests to host names other than this
    machine's are refused: otherwise any web page could make its own host name resolve to this
    address and read the images (DNS rebinding). On other addresses nobody may choose the object
    that is followed: a robot may drive after it.

    :param address: host name or IP address to listen on
    :param port: 0: any free one
    :param explain: returns why there is no new frame
    :param follow: follows the object with an id, '' for none, and returns what was done; raises
        FollowError; called on the thread of the request
    :raises OSError: if it cannot listen there
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        address: str,
        port: int,
        encoder: FrameEncoder,
        explain: Callable[[], str],
        follow: Callable[[str], str],
    ) -> None:
        family, *_, socket_address = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        self.address_family = family
        self.encoder = encoder
        self.explain = explain
        self.follow = follow
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
        if not self._is_allowed():
            return
        url = urlsplit(self.path)
        if url.path == '/':
            self._respond(HTTPStatus.OK, 'text/html; charset=utf-8', self.server.page)
        elif url.path == '/frame':
            self._send_frame(parse_qs(url.query).get('after', ['0'])[0])
        else:
            self._respond_text(HTTPStatus.NOT_FOUND, 'Not found: only / and /frame are served.')

    def do_POST(self) -> None:
        """Follow an object: /follow with {"id": "7"} as JSON; an empty id: follow nothing."""
        # What is refused may be unread, and would be taken for the next request.
        self.close_connection = True
        length = self.headers.get('Content-Length', '')
        if not length.isdecimal() or len(length) > 9 or int(length) > _MOST_BYTES:
            self._respond_text(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f'Content-Length is {length[:20]!r}; expected at most {_MOST_BYTES}',
            )
            return
        body = self.rfile.read(int(length))
        if not self._is_allowed():
            return
        if urlsplit(self.path).path != '/follow':
            self._respond_text(HTTPStatus.NOT_FOUND, 'Not found: only /follow takes requests.')
        elif not self.server.is_loopback:
            self._respond_text(
                HTTPStatus.FORBIDDEN,
                'Forbidden: without authentication, an object can be chosen on a loopback address '
                'only. Serve on 127.0.0.1, and use ssh -L.',
            )
        else:
            self._follow(body)

    def _follow(self, body: bytes) -> None:
        # Other web pages could send a form without asking, but not this type.
        kind = self.headers.get_content_type()
        try:
            request = parse_json(body.decode())
            track_id = request.get('id') if isinstance(request, dict) else None
        except (UnicodeDecodeError, ParseError):
            track_id = None
        if (
            kind != 'application/json'
            or not isinstance(track_id, str)
            or len(track_id) > _MOST_CHARACTERS
        ):
            self._respond_text(
                HTTPStatus.BAD_REQUEST,
                'expected {"id": "7"} as application/json; the id has at most '
                f'{_MOST_CHARACTERS} characters',
            )
            return
        try:
            self._respond_text(HTTPStatus.OK, self.server.follow(track_id))
        except FollowError as error:
            self._respond_text(HTTPStatus.CONFLICT, str(error))

    def _is_allowed(self) -> bool:
        """Return whether a request comes from the page of this viewer; otherwise refuse it."""
        if self.server.is_loopback and not _is_loopback(self.headers.get('Host', '')):
            reason = 'this viewer only serves this machine, as localhost.'
        elif not self._same_origin():
            reason = 'only the page of this viewer may ask for its frames.'
        else:
            return True
        self._respond_text(HTTPStatus.FORBIDDEN, f'Forbidden: {reason}')
        return False

    def _same_origin(self) -> bool:
        """Return whether no other web page makes the request; it could not read the answer."""
        origin = self.headers.get('Origin')
        own = origin is None or urlsplit(origin).netloc == self.headers.get('Host', '')
        return own and self.headers.get('Sec-Fetch-Site') != 'cross-site'

    def _send_frame(self, after: str) -> None:
        """Respond with the length of the header (4 bytes, big endian), the header and the JPEG."""
        if not after.isdecimal():
            text = f'after is {after!r}; expected a frame number'
            self._respond_text(HTTPStatus.BAD_REQUEST, text)
            return
        frame = self.server.encoder.wait(int(after), _POLL_SECONDS)
        if frame is None:
            frame = EncodedFrame(0, as_json({'status': self.server.explain()}), b'')
        length = len(frame.header).to_bytes(4, 'big')
        body = length + frame.header + frame.jpeg
        self._respond(HTTPStatus.OK, 'application/octet-stream', body)

    def _respond_text(self, status: HTTPStatus, text: str) -> None:
        self._respond(status, 'text/plain; charset=utf-8', f'{text}\n'.encode())

    def _respond(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header('Connection', 'close')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Suppress the logging of requests."""


def _is_loopback(host: str) -> bool:
    """Return whether a Host header names this machine."""
    try:
        name = urlsplit(f'//{host}').hostname or ''
        return name == 'localhost' or ip_address(name).is_loopback
    except ValueError:
        return False
