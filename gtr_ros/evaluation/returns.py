# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Identities of people who return, and of people who appear once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gtr_ros.data.sequence import Sequence
from gtr_ros.data.synthetic.visits import Absence
from gtr_ros.evaluation.identities import identities_given
from gtr_ros.evaluation.identities import majority
from gtr_ros.evaluation.identities import MAJORITY_FRAMES


@dataclass(frozen=True)
class ReturnCounts:
    """
    Outcomes of returns, and of people who appear only once.

    :param right: returns after which a person has the id of the previous visit
    :param wrong: returns after which the person has another person's id
    :param new: returns after which the person has any other id
    :param total: returns of people who were tracked in both visits
    :param strangers: people without a return who were tracked
    :param strangers_wrong: strangers who got the id of another person
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
) -> ReturnCounts:
    """
    Count the returns after which a person is re-identified, and false re-identifications.

    A person's id in a visit is the most frequent one of the first 5 frames in which the person is
    matched; the id before is that of the last 5 frames of the previous visit. An id belongs to
    another person if that person had it in any frame before this visit began.

    :param sequence: the ground truth
    :param returns: in the sequence
    :param results: of each frame, ids (K,) int and boxes (K, 4), xyxy, pixels; matched with the
        ground truth at IoU 0.5
    """
    given = identities_given(sequence, results)
    first: dict[int, dict[int, int]] = {}  # for each id, when each person first got it
    for person, seen in given.items():
        for stamp, identity in seen:
            first.setdefault(identity, {}).setdefault(person, stamp)

    def is_of_another(identity: int, person: int, begin: int) -> bool:
        return any(p != person and stamp < begin for p, stamp in first[identity].items())

    by_person: dict[int, list[Absence]] = {}
    for absence in returns:
        by_person.setdefault(absence.id, []).append(absence)
    counts = {'right': 0, 'wrong': 0, 'new': 0}
    for person, absences in by_person.items():
        absences = sorted(absences, key=lambda absence: absence.back)
        begins = [absence.back for absence in absences]
        parts: list[list[int]] = [[] for _ in range(len(begins) + 1)]
        for stamp, identity in given.get(person, []):
            parts[int(np.searchsorted(begins, stamp, side='right'))].append(identity)
        for begin, (before, after) in zip(begins, pairwise(parts)):
            if before and after:
                identity = majority(after[:MAJORITY_FRAMES])
                if identity == majority(before[-MAJORITY_FRAMES:]):
                    counts['right'] += 1
                else:
                    counts['wrong' if is_of_another(identity, person, begin) else 'new'] += 1

    begin_of: dict[int, int] = {}
    for truth, stamp in zip(sequence.truth, sequence.stamps.tolist()):
        for person in truth.ids.tolist():
            begin_of.setdefault(person, stamp)
    strangers = [person for person in given if person not in by_person]
    wrong = [
        is_of_another(
            majority([i for _, i in given[person][:MAJORITY_FRAMES]]), person, begin_of[person]
        )
        for person in strangers
    ]
    return ReturnCounts(
        **counts, total=sum(counts.values()), strangers=len(wrong), strangers_wrong=sum(wrong)
    )
