# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Requests of a browser reach the service of the tracker, one at a time, and end in any case."""

from __future__ import annotations

from collections.abc import Iterator
import threading

import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from node_processes import ANSWER_SECONDS
from node_processes import ros_environment
import rclpy
from rclpy.executors import SingleThreadedExecutor

from gtr_ros.node.viewer import following
from gtr_ros.node.viewer.following import FollowRequests
from gtr_ros.node.viewer.server import FollowError
from gtr_ros.srv import Follow


class Nodes:
    """A viewer's node and a tracker's, each spinning on a thread of its own."""

    def __init__(self, tracker: str) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._executors = [SingleThreadedExecutor(context=self._context) for _ in range(2)]
        nodes = [rclpy.create_node(name, context=self._context) for name in ('viewer', 'robot')]
        self.asked: list[tuple[str, str]] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        nodes[1].create_service(Follow, 'tracker/follow', self._on_follow)
        self.requests = FollowRequests(nodes[0], tracker)
        for executor, node in zip(self._executors, nodes):
            executor.add_node(node)
            threading.Thread(target=executor.spin, daemon=True).start()
        clients = [client for client, _ in self.requests._clients]
        deadline = threading.Event()
        for _ in range(100):
            if any(client.service_is_ready() for client in clients):
                return
            deadline.wait(ANSWER_SECONDS / 100)
        raise AssertionError('the service was never found')

    def close(self) -> None:
        self.may_answer.set()
        for executor in self._executors:
            executor.shutdown()
        rclpy.shutdown(context=self._context)

    def _on_follow(self, request: Follow.Request, response: Follow.Response) -> Follow.Response:
        self.asked.append((request.id, request.camera))
        self.may_answer.wait(ANSWER_SECONDS)
        response.success = request.id != '9'
        response.message = f'answer to {request.id}'
        return response


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(params=['tracker', 'tracker/front'])
def nodes(request: pytest.FixtureRequest) -> Iterator[Nodes]:
    made = Nodes(request.param)
    made.camera = request.param.partition('/')[2]
    yield made
    made.close()


def test_the_service_of_the_tracker_is_asked_for_the_camera(nodes):
    assert nodes.requests.follow('7') == 'answer to 7'
    assert nodes.requests.follow('') == 'answer to '
    with pytest.raises(FollowError, match='answer to 9'):
        nodes.requests.follow('9')
    assert nodes.asked == [('7', nodes.camera), ('', nodes.camera), ('9', nodes.camera)]


def test_an_answer_that_does_not_come_is_given_up_and_the_next_request_is_made(nodes, monkeypatch):
    monkeypatch.setattr(following, '_ANSWER_SECONDS', 0.5)
    nodes.may_answer.clear()
    with pytest.raises(FollowError, match=r'has not answered in 0\.5 s'):
        nodes.requests.follow('7')
    monkeypatch.setattr(following, '_ANSWER_SECONDS', ANSWER_SECONDS)
    late = threading.Timer(0.2, nodes.may_answer.set)
    late.start()
    assert nodes.requests.follow('8') == 'answer to 8', 'not the late answer to 7'


def test_while_one_request_waits_others_are_refused(nodes):
    nodes.may_answer.clear()
    first: list[str] = []
    thread = threading.Thread(target=lambda: first.append(nodes.requests.follow('7')))
    thread.start()
    while not nodes.asked:
        thread.join(0.05)
        assert thread.is_alive()
    with pytest.raises(FollowError, match='another request'):
        nodes.requests.follow('8')
    nodes.may_answer.set()
    thread.join(ANSWER_SECONDS)
    assert first == ['answer to 7']
    assert [track_id for track_id, _ in nodes.asked] == ['7']
