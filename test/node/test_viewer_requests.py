# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The viewer answers only its own page, and takes only the requests that this makes."""

from __future__ import annotations

from http.client import HTTPConnection
import json

import pytest

from gtr_ros.node.viewer.frames import FrameEncoder
from gtr_ros.node.viewer.server import WebServer


@pytest.fixture(scope='module')
def viewer():
    encoder = FrameEncoder(lambda item: ({}, b''), print, 15.0)
    server = WebServer(
        '127.0.0.1', 0, encoder, lambda: 'waiting', lambda track_id: f'following {track_id}'
    )
    yield server
    encoder.close()
    server.close()


def test_the_viewer_is_on_loopback_unless_it_is_told_otherwise():
    from gtr_ros.node.viewer.parameters import ViewerParameters

    assert ViewerParameters().address == '127.0.0.1'


FROM_OTHERS = pytest.mark.parametrize(
    ('headers', 'status'),
    [
        ({}, 200),
        ({'Origin': 'http://127.0.0.1:{port}'}, 200),
        ({'Sec-Fetch-Site': 'same-origin'}, 200),
        ({'Sec-Fetch-Site': 'none'}, 200),
        ({'Host': 'localhost:{port}', 'Origin': 'http://localhost:{port}'}, 200),
        ({'Origin': 'http://evil.example'}, 403),
        ({'Origin': 'http://localhost:1'}, 403),
        ({'Origin': 'null'}, 403),
        ({'Sec-Fetch-Site': 'cross-site'}, 403),
        ({'Host': 'evil.example:{port}'}, 403),
        ({'Host': 'evil.example:{port}', 'Origin': 'http://evil.example:{port}'}, 403),
        ({'Host': '127.0.0.1.evil.example'}, 403),
        ({'Host': ''}, 403),
        ({'Host': '127.0.0.1@evil.example'}, 403),
    ],
)


@FROM_OTHERS
@pytest.mark.parametrize('path', ['/', '/frame?after=0'])
def test_other_web_pages_get_no_images(viewer, headers, status, path, monkeypatch):
    monkeypatch.setattr('gtr_ros.node.viewer.server._POLL_SECONDS', 0.01)
    connection = HTTPConnection('127.0.0.1', viewer.port, timeout=10)
    given = {name: value.format(port=viewer.port) for name, value in headers.items()}
    connection.request('GET', path, headers=given)
    answer = connection.getresponse()
    assert answer.status == status
    body = answer.read()
    if status == 200 and path != '/':
        assert json.loads(body[4:]) == {'status': 'waiting'}


def post(
    viewer: WebServer, body: bytes, path: str = '/follow', **headers: str
) -> tuple[int, bytes]:
    """Send a request as the page does; headers: with _ for -, replace those of the page."""
    connection = HTTPConnection('127.0.0.1', viewer.port, timeout=10)
    given = {'Content-Type': 'application/json', **headers}
    given = {name.replace('_', '-'): v.format(port=viewer.port) for name, v in given.items()}
    connection.request('POST', path, body, given)
    answer = connection.getresponse()
    assert answer.getheader('Connection') == 'close', 'the rest would be the next request'
    return answer.status, answer.read()


@FROM_OTHERS
def test_other_web_pages_choose_no_object(viewer, headers, status, monkeypatch):
    asked = []
    monkeypatch.setattr(viewer, 'follow', lambda track_id: asked.append(track_id) or 'following')
    assert post(viewer, b'{"id": "7"}', **headers)[0] == status
    assert asked == (['7'] if status == 200 else [])


def test_the_page_chooses_an_object(viewer):
    own = 'http://127.0.0.1:{port}'
    assert post(viewer, b'{"id": "7"}', Origin=own) == (200, b'following 7\n')
    assert post(viewer, b'{"id": ""}', Content_Type='application/json; charset=utf-8')[0] == 200


@pytest.mark.parametrize(
    ('body', 'headers', 'status'),
    [
        # What a form of another page could send without being asked for its origin.
        (b'{"id": "7"}', {'Content-Type': 'text/plain'}, 400),
        (b'{"id": "7"}', {'Content-Type': 'application/x-www-form-urlencoded'}, 400),
        (b'{"id": 7}', {}, 400),
        (b'{"id": null}', {}, 400),
        (b'["7"]', {}, 400),
        (b'{}', {}, 400),
        (b'', {}, 400),
        (b'{"id": ', {}, 400),
        (b'\xff', {}, 400),
        (b'[' * 1000, {}, 400),
        (b'9' * 1000, {}, 400),
        (b'{"id": "%s"}' % (b'7' * 81), {}, 400),
        (b'', {'Content-Length': '1001'}, 413),
        (b'', {'Content-Length': '9' * 5000}, 413),
        (b'', {'Content-Length': '-1'}, 413),
        (b'', {'Transfer-Encoding': 'chunked', 'Content-Length': ''}, 413),
    ],
)
def test_a_request_that_is_not_the_pages_is_refused(viewer, body, headers, status, monkeypatch):
    asked = []
    monkeypatch.setattr(viewer, 'follow', asked.append)
    assert post(viewer, body, **headers)[0] == status
    assert asked == []


@pytest.mark.parametrize('path', ['/', '/frame', '/follow/7', '/unknown'])
def test_only_one_path_takes_requests(viewer, path):
    assert post(viewer, b'{"id": "7"}', path)[0] == 404


def test_on_an_address_that_others_can_reach_no_object_is_chosen():
    encoder = FrameEncoder(lambda item: ({}, b''), print, 15.0)
    server = WebServer('0.0.0.0', 0, encoder, lambda: '', lambda track_id: 'following')
    assert post(server, b'{"id": "7"}')[0] == 403
    encoder.close()
    server.close()
