# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ask the tracker to follow the object that somebody clicked."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from queue import Empty
from queue import SimpleQueue
import threading
from typing import TYPE_CHECKING

from gtr_ros.node.viewer.server import FollowError
from gtr_ros.srv import Follow

if TYPE_CHECKING:
    from rclpy.client import Client
    from rclpy.node import Node
    from rclpy.task import Future as Response

_ANSWER_SECONDS = 3.0


class FollowRequests:
    """
    Passes requests on to the service `~/follow` of a tracker, one at a time.

    :param tracker: name of the tracker, or of one of its cameras: TRACKER/CAMERA
    """

    def __init__(self, node: Node, tracker: str) -> None:
        # The service belongs to the tracker, which tells its cameras apart by a field.
        parent, _, last = tracker.rpartition('/')
        cameras = {tracker: '', parent: last} if parent else {tracker: ''}
        #: names of the service, before they are remapped
        self.services = [f'{name}/follow' for name in cameras]
        self._names = [node.resolve_service_name(service) for service in self.services]
        # Made now: a client that is made for a request does not know its service yet.
        clients = [node.create_client(Follow, service) for service in self.services]
        self._clients = list(zip(clients, cameras.values()))
        self._requests: SimpleQueue[tuple[str, Future]] = SimpleQueue()
        self._busy = threading.Lock()
        self._unanswered: tuple[Client, Response] | None = None
        # Clients are called on the executor's thread.
        self._guard = node.create_guard_condition(self._on_requests)

    def follow(self, track_id: str) -> str:
        """
        Follow an object; return what the tracker says. Call this on another thread.

        :param track_id: empty: stop following
        :raises FollowError: if the tracker refuses, does not answer, or has no such service
        """
        if not self._busy.acquire(blocking=False):
            raise FollowError('the tracker is answering another request; try again')
        answer: Future[str] = Future()
        try:
            self._requests.put((track_id, answer))
            self._guard.trigger()
            return answer.result(_ANSWER_SECONDS)
        except FutureTimeoutError:
            raise FollowError(f'the tracker has not answered in {_ANSWER_SECONDS:g} s') from None
        finally:
            answer.cancel()
            self._busy.release()

    def _on_requests(self) -> None:
        while True:
            try:
                self._ask(*self._requests.get_nowait())
            except Empty:
                return

    def _ask(self, track_id: str, answer: Future) -> None:
        ready = [(client, camera) for client, camera in self._clients if client.service_is_ready()]
        if not ready:
            names = ' or '.join(self._names)
            _settle(answer, FollowError(f'no node offers the service {names}'))
            return
        if self._unanswered:
            before, response = self._unanswered
            before.remove_pending_request(response)
        client, camera = ready[0]
        response = client.call_async(Follow.Request(id=track_id, camera=camera))
        self._unanswered = client, response
        response.add_done_callback(lambda done: _settle(answer, done.result()))


def _settle(answer: Future, result: Follow.Response | FollowError) -> None:
    """Give an answer to whoever still waits for it."""
    if not answer.set_running_or_notify_cancel():
        return
    if isinstance(result, FollowError):
        answer.set_exception(result)
    elif result.success:
        answer.set_result(result.message)
    else:
        answer.set_exception(FollowError(result.message))
