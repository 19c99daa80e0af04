# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One id for each object in the images of several cameras.

The tracker of each camera has ids of its own; each of its tracks begins with a new shared id. A
track whose shared id was not published yet may be an object that other cameras know: it then gets
that id instead. The evidence for this has two terms, which add up: the place, where the object is
predicted at that time, and the appearance. What was published never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace

import numpy as np

from gtr_ros.stamps import NANOSECONDS
from gtr_ros.tracking.gallery import SimilarityStatistics
from gtr_ros.tracking.metric import MetricTracks
from gtr_ros.tracking.metric import Objects
from gtr_ros.tracking.placement import Positions
from gtr_ros.tracking.shared_objects import SharedObjects

_SEEN = 1.0  # seconds after which an object that a camera saw is no longer in its view
_COAST = 1.0  # seconds for which positions are predicted between the images of a camera
#: probabilities at which a track is held back: with enough images, and with too few
_LIKELY, _POSSIBLE = 0.5, 0.05


@dataclass(frozen=True)
class SharingOptions:
    """
    When a new track of one camera is an object that other cameras know.

    :param size: maximum number of lost objects that are kept; the one that was lost first is
        removed
    :param seconds: time for which a lost object is kept
    :param reach: metres, deviation of where an object is that was lost long ago
    :param threshold: evidence at which a known and a new object are equally likely
    :param certainty: minimum probability to join a track to a known object
    :param least_places: images in which a new track has a position, before it is compared
    :param least_boxes: the same for boxes, if it has no positions
    :param patience: seconds, from its confirmation, for which a new track waits for these
    :param wait: the same while it is likely to be a known object
    :param appearance_limit: largest absolute evidence of appearance
    :param drop: decrease in an object's similarity to itself in another camera, in Fisher's z
    """

    size: int = 1000
    seconds: float = 900.0
    reach: float = 8.0
    threshold: float = 3.0
    certainty: float = 0.95
    least_places: int = 2
    least_boxes: int = 3
    patience: float = 0.5
    wait: float = 2.0
    appearance_limit: float = 8.0
    drop: float = 0.5


class Identities:
    """
    Gives the tracks of C cameras the ids of the objects that they show.

    An id is unique in an image, and is not reused. It belongs to at most one track of each camera:
    that which got it last. The memory is bounded by `SharingOptions`.

    :param cameras: C
    :param rule: when a track is joined
    """

    def __init__(self, cameras: int, rule: SharingOptions = SharingOptions()) -> None:
        self.cameras, self.rule = cameras, rule
        self.last_id = 0
        #: number of tracks of each camera that got the id of an object that others know
        self.joins = [0] * cameras
        self.clear()

    def clear(self) -> None:
        """End all tracks and forget all objects. Their ids are not reused."""
        #: for debugging and tests; must not be changed
        self.objects = SharedObjects(self.cameras, self.rule.drop)
        self._metric = [MetricTracks(_COAST) for _ in range(self.cameras)]

    def rename(
        self,
        camera: int,
        stamp: int,
        ids: np.ndarray,
        labels: np.ndarray,
        confirmed: np.ndarray,
        features: np.ndarray,
        alive: np.ndarray,
        similarity: SimilarityStatistics | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Return the shared ids of the tracks in an image, and which of them may be published.

        :param camera: its index
        :param stamp: of the image, nanoseconds
        :param ids: (N,) int64, from the tracker of this camera, all different
        :param labels: (N,) int64
        :param confirmed: (N,) bool
        :param features: (N, D) float32, of any length
        :param alive: (A,) int64, tracks of this camera that can be continued
        :param similarity: of this camera's objects; None: unknown, appearance is no evidence
        :return: (N,) int64 and (N,) bool. Ids of tracks that are not published may still change
        """
        now, known = stamp / NANOSECONDS, self.objects
        known.alive[:, camera] = np.isin(known.members[:, camera], np.append(alive, ids))
        # If the clock of this camera was reset, nothing was seen later.
        known.seen[:, camera] = np.minimum(known.seen[:, camera], now)
        known.keep(known.published | known.alive.any(axis=1))
        length = np.linalg.norm(features, axis=1, keepdims=True)
        features = (features / np.maximum(length, 1e-12)).astype(np.float32)
        row_of = {member: row for row, member in enumerate(known.members[:, camera].tolist())}
        rows = np.array([row_of.get(i, -1) for i in ids.tolist()], np.int64)
        new = rows < 0
        known.update(rows[~new], features[~new])
        rows[new] = len(known) + np.arange(np.count_nonzero(new))
        fresh = self.last_id + 1 + np.arange(np.count_nonzero(new))
        known.begin(camera, now, fresh, ids[new], features[new])
        self.last_id += len(fresh)
        known.labels[rows], known.seen[rows, camera] = labels, now
        certain = rows[confirmed]
        known.confirmed_at[certain] = np.minimum(known.confirmed_at[certain], now)
        held = self._decide(camera, now, rows, similarity)
        publish = confirmed & ~held
        known.published[rows] |= publish
        found = known.ids[rows]
        self._forget(now)
        return found, publish

    def place(self, camera: int, stamp: int, objects: Objects, positions: Positions) -> None:
        """
        Take over where the objects of an image are, as soon as that is known.

        :param camera: its index
        :param stamp: of the image, nanoseconds
        :param objects: all tracks in the image, by their shared ids. Those that have got another
            id since then, or are not known any more, are left out
        :param positions: of these objects, in a frame that all cameras share
        """
        known = self.objects
        row_of = {shared: row for row, shared in enumerate(known.ids.tolist())}
        rows = [row_of.get(i) for i in objects.ids.tolist()]
        members = [0 if row is None else int(known.members[row, camera]) for row in rows]
        members = np.array(members, np.int64)
        points = np.where(members[:, None] > 0, positions.points, np.nan)
        own = Objects(members, objects.labels, objects.scores, objects.kinds)
        state = self._metric[camera].update(stamp, own, replace(positions, points=points))
        where = {member: k for k, member in enumerate(state.ids.tolist())}
        for row, member, kind in zip(rows, members.tolist(), objects.kinds):
            k = where.get(member)
            if k is not None and not state.unobserved[k]:
                moving = np.concatenate([state.positions[k], state.velocities[k]])
                covariance = state.covariances[k]
                known.put(row, stamp / NANOSECONDS, moving, covariance, kind.acceleration)

    def _decide(
        self, camera: int, now: float, rows: np.ndarray, similarity: SimilarityStatistics | None
    ) -> np.ndarray:
        """
        Join tracks to objects that other cameras know.

        :param rows: (N,) of the objects in the image; changed to those that they are joined to
        :return: (N,) bool: which of them must not be published yet
        """
        rule, known, held = self.rule, self.objects, np.zeros(len(rows), bool)
        new = np.flatnonzero(~known.published[rows])
        if not len(new):
            return held
        tracks = rows[new]
        waited = np.maximum(now - known.confirmed_at[tracks], 0.0)
        possible = np.array([self._candidates(row, now) for row in tracks.tolist()])
        if not possible.any():
            return held
        evidence, comparable = self._evidence(now, tracks, similarity)
        evidence = np.where(possible & comparable, evidence, -np.inf)
        probability = _probability(evidence, rule.threshold)
        best = probability.argmax(axis=1)
        sure = probability[np.arange(len(new)), best]
        placed, impatient = known.placed[tracks] >= rule.least_places, waited > rule.patience
        enough = placed | (impatient & (known.boxes[tracks] >= rule.least_boxes))
        held[new] = (sure >= np.where(enough, _LIKELY, _POSSIBLE)) & (waited <= rule.wait)
        held[new] |= ~placed & ~impatient & (possible & ~comparable).any(axis=1)
        certain = enough & (sure >= rule.certainty)
        for i in np.argsort(-sure, kind='stable').tolist():
            row, other = int(tracks[i]), int(best[i])
            if certain[i] and self._candidates(row, now)[other]:  # no other track took it
                known.join(row, other)
                self.joins[camera] += 1
                rows[new[i]], held[new[i]] = other, False
        return held

    def _candidates(self, row: int, now: float) -> np.ndarray:
        """
        Return which objects an object can be, (K,) bool.

        Not those that only its own camera has seen, which its tracker knows, and not those whose
        track in its own camera may go on: it was seen a moment ago, or no other camera sees the
        object. Of two that are not published, the younger is joined.
        """
        known = self.objects
        own = known.alive[row]
        possible = known.published | (known.ids < known.ids[row]) & known.alive.any(axis=1)
        possible &= known.labels == known.labels[row]
        here, elsewhere = (
            known.seen[:, chosen].max(axis=1, initial=-np.inf) for chosen in (own, ~own)
        )
        goes_on = (now - here <= _SEEN) | (now - elsewhere > _SEEN)
        possible &= ~(known.alive[:, own].any(axis=1) & goes_on) & np.isfinite(elsewhere)
        possible[row] = False
        return possible

    def _evidence(
        self, now: float, tracks: np.ndarray, similarity: SimilarityStatistics | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Return the evidence that N tracks are each of the objects, and whether there is any.

        :return: (N, K) float64; (N, K) bool, False for objects that are in view elsewhere, if the
            place of one of the two is not known
        """
        known, rule = self.objects, self.rule
        evidence = np.zeros((len(tracks), len(known)))
        if similarity is not None:
            evidence += known.appearance_evidence(tracks, similarity, rule.appearance_limit)
        both = (known.placed[tracks] > 0)[:, None] & (known.placed > 0)
        for i, row in enumerate(tracks.tolist()):
            evidence[i, both[i]] += known.place_evidence(row, np.flatnonzero(both[i]), rule.reach)
        return evidence, both | (now - known.last_seen > _SEEN)

    def _forget(self, now: float) -> None:
        """Remove objects that were lost too long ago, too many of them, and those never shown."""
        known = self.objects
        lost = ~known.alive.any(axis=1)
        keep = ~lost | (known.published & (now - known.last_seen <= self.rule.seconds))
        excess = np.count_nonzero(lost & keep) - self.rule.size
        if excess > 0:
            last_seen = np.where(lost & keep, known.last_seen, np.inf)
            keep[np.argsort(last_seen, kind='stable')[:excess]] = False
        known.keep(keep)


def _probability(evidence: np.ndarray, threshold: float) -> np.ndarray:
    """
    Return the probability that N tracks are each of K objects, (N, K).

    The alternatives of a pair are a new object, the other objects for the track, and the other
    tracks for the object.

    :param evidence: (N, K); -inf: impossible
    :param threshold: evidence at which an object and a new one are equally likely
    """
    weights = np.exp(evidence - threshold)
    total = weights.sum(axis=1, keepdims=True) + weights.sum(axis=0) - weights
    return weights / (1 + total)
