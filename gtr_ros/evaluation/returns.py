# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who people are taken for when they come back, and when they come for the first time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gtr_ros.data.sequence import Sequence
from gtr_ros.data.synthetic.visits import Absence
from gtr_ros.evaluation.identities import identities_given
from gtr_ros.evaluation.identities import vote
from gtr_ros.evaluation.identities import VOTES


@dataclass(frozen=True)
class Returned:
    """
    Who people were taken for.

    :param right: returns after which a person has the identity of its visit before
    :param wrong: returns after which it has one that another person had
    :param new: returns after which it has any other
    :param total: returns that could be judged: the person was found in both visits
    :param strangers: people without a return that were found
    :param strangers_wrong: strangers who got an identity that another person had
    """

    right: int
    wrong: int
    new: int
    total: int
    strangers: int
    strangers_wrong: int


def count_returns(
    sequence: Sequence,
    returns: Iterable[Absence],
    results: Iterable[tuple[np.ndarray, np.ndarray]],
) -> Returned:
    """
    Count the returns after which a tracker knew who it was, and its false acquaintances.

    A person's identity in a visit is the one it was given most often in the first 5 frames in
    which it was found; its identity before, in the last 5 of the visit before. An identity is
    another person's if it was given to one, in any frame before this visit began.

    :param sequence: the truth
    :param returns: of the sequence
    :param results: of each frame, ids (K,) int and boxes (K, 4), xyxy, pixels; they are matched
        with the truth where their IoU is 0.5 or more
    """
    given = identities_given(sequence, results)
    first: dict[int, dict[int, int]] = {}  # of each identity, when each person got it
    for person, seen in given.items():
        for stamp, identity in seen:
            first.setdefault(identity, {}).setdefault(person, stamp)

    def is_of_another(identity: int, person: int, begin: int) -> bool:
        return any(p != person and stamp < begin for p, stamp in first[identity].items())

    by_person: dict[int, list[Absence]] = {}
    for one in returns:
        by_person.setdefault(one.id, []).append(one)
    counts = {'right': 0, 'wrong': 0, 'new': 0}
    for person, absences in by_person.items():
        absences = sorted(absences, key=lambda one: one.back)
        begins = [one.back for one in absences]
        parts: list[list[int]] = [[] for _ in range(len(begins) + 1)]
        for stamp, identity in given.get(person, []):
            parts[int(np.searchsorted(begins, stamp, side='right'))].append(identity)
        for begin, (before, after) in zip(begins, pairwise(parts)):
            if before and after:
                identity = vote(after[:VOTES])
                if identity == vote(before[-VOTES:]):
                    counts['right'] += 1
                else:
                    counts['wrong' if is_of_another(identity, person, begin) else 'new'] += 1

    begin_of: dict[int, int] = {}
    for truth, stamp in zip(sequence.truth, sequence.stamps.tolist()):
        for person in truth.ids.tolist():
            begin_of.setdefault(person, stamp)
    strangers = [person for person in given if person not in by_person]
    wrong = [
        is_of_another(vote([i for _, i in given[person][:VOTES]]), person, begin_of[person])
        for person in strangers
    ]
    return Returned(
        **counts, total=sum(counts.values()), strangers=len(wrong), strangers_wrong=sum(wrong)
    )
