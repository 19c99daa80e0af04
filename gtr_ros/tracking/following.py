# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Follow one object: which track it has in each frame, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from gtr_ros.boxes import box_areas
from gtr_ros.boxes import box_intersection
from gtr_ros.stamps import CLOCK_JUMP
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks
from gtr_ros.tracking.followed_look import FollowedLook
from gtr_ros.tracking.followed_look import looks_of
from gtr_ros.tracking.followed_look import TrackLook
from gtr_ros.tracking.gallery import GalleryOptions

#: seconds without a box for which an object counts as followed: detectors miss single frames
GRACE = 0.5
#: seconds for which a returned object is reported as found again
ANNOUNCED = 1.0

_BOXES = 4  # of another track, before it can be the object
_GAP = 0.25  # seconds without a box, or covered, after which a track may be somebody else
_UNLIKE = 2  # boxes that look more like others, after which the object's track may be one
_COVERED = 0.3  # share of a box that a nearer one covers, above which it shows two objects
_SHARED = 0.4  # share of another track's last box inside the object's box, which shows both now
_CERTAIN = 0.95  # probability at which another track, or one that was doubted, is the object
_LIKELY = 0.9  # probability at which the object's own track is the object again
_PROBABLE, _MANY = 0.8, 15  # the same after so many boxes
_TRUSTED = 1.0  # evidence for the track that the object had in the frame before
_BESIDE = 2.0  # evidence against a track that was seen beside the object
_THRESHOLD = 2.0  # evidence at which one other track and nobody are equally likely the object
_UNCLEAR = 1.0  # seconds for which a covered box is taken for the object
_FORGOTTEN = GalleryOptions().wait  # seconds without a box, after which a track is forgotten


class State(IntEnum):
    """What is known of the followed object; the values are those of the message."""

    NONE = 0
    FOLLOWING = 1
    HIDDEN = 2
    LOST = 3
    FOUND_AGAIN = 4


@dataclass(frozen=True)
class Followed:
    """
    The followed object in one frame.

    :param id: of its track; the last one while it is not seen
    :param row: of its track in `Tracks`; None: it is not seen in this frame
    :param seconds: since it was last seen
    :param probability: that this track, or the one that it had last, is the object
    """

    state: State
    id: int
    row: int | None
    seconds: float
    probability: float


class Follower:
    """
    Keeps to one object.

    The object is the track that was chosen, also after the tracker has lost and re-identified it.
    Being near is no evidence. The appearance of the object is learnt while it is followed, and so
    is that of the others in view. If the track begins to look like somebody else, because two
    people crossed and the tracker exchanged them, it is not followed any more: the object is
    hidden. It is found again if its track looks like it again, or if another one certainly does;
    not if it looks as much like somebody who was beside the object and is not in view any more.

    :param track_id: the track that was chosen
    :param hidden: seconds without a box after which a hidden object is lost; it may still be found
        again
    """

    def __init__(self, track_id: int, hidden: float) -> None:
        self.id = track_id
        self._hidden = round(hidden * NANOSECONDS)
        self._look = FollowedLook()
        self._tracks: dict[int, TrackLook] = {}
        self._seen: int | None = None  # stamp of the newest box of the object
        self._found: int | None = None  # stamp at which it was found again
        self._away = False  # whether it is hidden or lost
        self._doubted = False  # whether its track looks like another object
        self._clear = 0  # stamp of the newest box that shows it alone
        self._compared: set[int] = set()  # other tracks, since the object was seen
        self._resumed = False  # whether its track goes on after a gap, and may be somebody else's
        # Newest stamp and box of each track, for GRACE seconds.
        self._boxes: dict[int, tuple[int, np.ndarray]] = {}
        self._newest: int | None = None
        self._probability = 1.0

    def update(self, stamp: int, tracks: Tracks, image: np.ndarray | None = None) -> Followed:
        """
        Return the object in the next frame.

        :param stamp: nanoseconds; one more than a second before the newest one means that the
            clock was reset, so the time since the object was seen begins again
        :param tracks: of the frame
        :param image: (H, W, 3) uint8 RGB, whose colours are compared, too; None: they are not
        """
        if self._newest is not None and stamp < self._newest - CLOCK_JUMP:
            self._seen = self._found = self._newest = None
            self._tracks.clear()
            self._boxes.clear()
            self._compared.clear()
        self._newest = stamp = stamp if self._newest is None else max(stamp, self._newest)
        if self._seen is None:
            self._seen = stamp
        ids = tracks.ids.tolist()
        looks = self._known_looks(tracks, image)
        clear = uncovered(tracks.boxes)
        oldest = stamp - round(GRACE * NANOSECONDS)
        self._boxes = {i: (t, box) for i, (t, box) in self._boxes.items() if t >= oldest}
        row = ids.index(self.id) if self.id in ids else None
        if row is not None:
            clear[row] &= not self._is_shared(tracks.boxes[row], ids)
        self._boxes.update((i, (stamp, box)) for i, box in zip(ids, tracks.boxes))
        if stamp - self._seen > GRACE * NANOSECONDS and not self._away:
            self._away, self._tracks = True, {}
        self._gather(stamp, ids, looks, clear)
        evidence = self._evidence_of(ids)
        if row is not None and not (
            self._is_object(row, tracks, evidence)
            and (clear[row] or looks is None or self._look.is_usual(looks[row]))
        ):
            row = None
        if row is None and (self._away or self._doubted):
            row = self._search(ids, tracks, evidence)
        if row is not None:
            self._see(stamp, row, ids, looks, clear)
        return self._followed(stamp, row)

    def _is_shared(self, box: np.ndarray, ids: list[int]) -> bool:
        """
        Return whether the box of the object's track may show another object as well.

        The track of one that was seen beside the object ended inside it a moment ago.
        """
        ended = self._boxes.keys() & self._look.others - {self.id, *ids}
        if not ended:
            return False
        boxes = np.stack([self._boxes[i][1] for i in ended]).astype(np.float64)
        inside = box_intersection(boxes, box[None].astype(np.float64))[:, 0]
        return bool((inside > _SHARED * box_areas(boxes)).any())

    def _known_looks(self, tracks: Tracks, image: np.ndarray | None) -> np.ndarray | None:
        """Return what tracks look like, (N, D) of unit length; None: it is not known."""
        known = looks_of(tracks, image)
        if known is None:
            return None
        # Nothing was seen yet, or it was seen by another model.
        if not (self._look.begun and self._look.is_of(known.vectors)):
            self._look, self._tracks = FollowedLook(known.usual), {}
        return known.vectors

    def _gather(
        self, stamp: int, ids: list[int], looks: np.ndarray | None, clear: np.ndarray
    ) -> None:
        """Add a frame to the evidence that each track is the object."""
        if looks is None or not self._look.begun:
            return
        hidden = self._away or self._doubted
        for i in np.flatnonzero(clear).tolist():
            track = self._tracks.get(ids[i])
            if track is None or stamp - track.seen > _GAP * NANOSECONDS:
                track = self._tracks[ids[i]] = TrackLook(looks[i], stamp)
            if ids[i] == self.id and self._look.known:
                track.unlike = 0 if self._look.resembles(looks[i]) else track.unlike + 1
                if track.unlike == _UNLIKE:
                    track.mean, track.boxes = looks[i], 0
            track.add(looks[i], (stamp - track.seen) / NANOSECONDS)
            track.seen = stamp
            track.evidence = self._look.evidence(track, hidden)
        expired = stamp - round(_FORGOTTEN * NANOSECONDS)
        self._tracks = {i: track for i, track in self._tracks.items() if track.seen > expired}

    def _is_object(self, row: int, tracks: Tracks, evidence: np.ndarray) -> bool:
        """Return whether the track with the object's id looks like it, or is not known to."""
        track = self._tracks.get(self.id)
        gap = _GAP * NANOSECONDS
        # After a gap it may be somebody else who was near.
        self._resumed |= self._newest - self._seen > gap
        new = not (self._look.known or self._away or self._resumed)
        if not self._look.begun or new:
            return bool(tracks.confirmed[row])
        if track is None or self._newest - track.seen > _UNCLEAR * NANOSECONDS:
            return False
        self._resumed |= track.seen - self._clear > gap
        self._clear = track.seen
        if not (self._away or self._doubted or self._resumed):
            others = np.logaddexp.reduce(np.delete(evidence, row), initial=0.0)
            self._probability = _sigmoid(track.evidence + _TRUSTED - float(others))
            self._doubted = self._probability < 0.5
            return not self._doubted
        self._probability = _sigmoid(track.evidence)
        least = _LIKELY if track.boxes < _MANY else _PROBABLE
        if self._doubted or not self._look.known:
            least = _CERTAIN
        if self._probability < least or self._look.is_another(track, tracks.ids.tolist()):
            self._doubted |= self._probability < 0.5
            return False
        self._doubted = self._resumed = False
        return True

    def _evidence_of(self, ids: list[int]) -> np.ndarray:
        """Return the evidence that each track is the object; -inf: too few boxes."""
        evidence = np.full(len(ids), -np.inf)
        for row, track_id in enumerate(ids):
            track = self._tracks.get(track_id)
            # A track that was seen beside the object is it only if the tracker exchanged the two.
            against = _BESIDE if track_id in self._look.others and not self._doubted else 0.0
            if track is not None and track.boxes >= _BOXES:
                evidence[row] = track.evidence - against
        return evidence

    def _search(self, ids: list[int], tracks: Tracks, evidence: np.ndarray) -> int | None:
        """Return the row of another track that certainly is the object."""
        compared = np.isfinite(evidence)
        if not compared.any() or not tracks.confirmed[best := int(evidence.argmax())]:
            return None
        # The more tracks were compared, the more likely one of them looks like it by chance.
        self._compared.update(ids[i] for i in np.flatnonzero(compared) if ids[i] != self.id)
        weights = np.exp(evidence)
        nobody = max(len(self._compared), 1) * np.exp(_THRESHOLD)
        probability = weights[best] / (weights.sum() + nobody)
        present = {self.id, *ids}
        if probability < _CERTAIN or self._look.is_another(self._tracks[ids[best]], present):
            return None
        self.id, self._doubted, self._probability = ids[best], False, float(probability)
        self._look.no_other(self.id)
        return best

    def _see(
        self,
        stamp: int,
        row: int,
        ids: list[int],
        looks: np.ndarray | None,
        clear: np.ndarray,
    ) -> None:
        """Learn from a frame that shows the object."""
        if self._away:
            self._found, self._away = stamp, False
        self._seen = stamp
        self._compared.clear()
        if looks is None or not clear[row]:
            return
        self._clear = stamp
        others = clear.copy()
        others[row] = False
        beside = [ids[i] for i in np.flatnonzero(others)]
        sure = self._found is None  # as it was chosen
        self._look.learn(looks[row], beside, looks[others], sure)

    def _followed(self, stamp: int, row: int | None) -> Followed:
        unseen = stamp - self._seen
        state = State.FOLLOWING
        if self._away:
            state = State.LOST if unseen > self._hidden else State.HIDDEN
        elif self._found is not None and stamp - self._found <= ANNOUNCED * NANOSECONDS:
            state = State.FOUND_AGAIN
        return Followed(state, self.id, row, unseen / NANOSECONDS, self._probability)


def uncovered(boxes: np.ndarray) -> np.ndarray:
    """
    Return which boxes no nearer one covers by a third, (N,) bool.

    :param boxes: (N, 4), xyxy, pixels
    """
    boxes = boxes.astype(np.float64)
    share = box_intersection(boxes, boxes) / np.maximum(box_areas(boxes), 1e-9)[:, None]
    # The one that ends lower in the image is nearer.
    nearer = boxes[:, 3] > boxes[:, 3, None]
    return ~((share > _COVERED) & nearer).any(axis=1)


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))
