# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When graphs are captured: where they are used again, and beside what runs meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
from dataclasses import dataclass
import threading
from typing import Generic
from typing import TypeVar

Key = TypeVar('Key', bound=Hashable)
Graph = TypeVar('Graph')


@dataclass
class _Entry(Generic[Graph]):
    """The graph of a key, and what it captured."""

    graph: Graph | None = None
    form: object = None
    tried: bool = False


class Captures(Generic[Key, Graph]):
    """
    Graphs by what they are captured for; a graph is captured when its key is asked for again.

    :param capture: key, form -> graph
    :param most: maximum number of graphs
    :param background: whether a thread captures; otherwise the caller waits
    :param log: called with a line of text if a graph is not available, on any thread
    """

    def __init__(
        self,
        capture: Callable[[Key, object], Graph],
        most: int,
        background: bool,
        log: Callable[[str], None],
    ) -> None:
        self._capture = capture
        self._most = most
        self._background = background
        self._log = log
        self._entries: dict[Key, _Entry[Graph]] = {}
        self._full = False
        self._thread: threading.Thread | None = None

    def get(self, key: Key, form: Callable[[], object], title: str) -> Graph | None:
        """
        Return the graph of a key; None where something else must run.

        :param form: returns what is to be captured: when that changes, so does the graph, but
            until then the former one is returned
        :param title: of the key, in what is logged
        """
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) < self._most:
                self._entries[key] = _Entry()
            elif not self._full:
                self._full = True
                self._log(f'{title} run without a CUDA graph: there are {self._most} already')
            return None
        if entry.tried and entry.graph is None:
            return None  # capturing failed
        now = form()
        if not entry.tried or now != entry.form:
            if not self._background:
                self._make(key, entry, now, title)
            elif self._thread is None or not self._thread.is_alive():
                # A daemon, so that the process can end at once.
                self._thread = threading.Thread(
                    target=self._make, args=(key, entry, now, title), name='graph', daemon=True
                )
                self._thread.start()
        return entry.graph

    def _make(self, key: Key, entry: _Entry[Graph], form: object, title: str) -> None:
        try:
            entry.graph = self._capture(key, form)
        except Exception as error:  # a camera must not stop because of a faster form
            kept = ' the former network' if entry.graph is not None else 'out a CUDA graph'
            self._log(f'{title} run with{kept}: capturing failed: {error}')
        entry.form, entry.tried = form, True
