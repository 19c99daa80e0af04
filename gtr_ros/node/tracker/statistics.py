# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The counters of one camera, which /diagnostics reports."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
import math
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gtr_ros.tracking.reidentification import Reidentification


@dataclass
class CameraStatistics:
    """
    The counters of one camera since activation; those of its tracks since configuration.

    Two threads write them without a lock, which is safe because each attribute has one writer and
    is replaced as a whole. The executor's thread writes `received`, `lost`, `skipped`, `dropped`,
    `unmatched` and `last_arrival`; before each report it estimates `publisher_rate` and `missing`,
    and copies the tracker's `repaired_stamps`, `resets`, `returns` and `last_return`, and `joins`.
    The worker's thread writes all others, except `without_transform`, which both write under a
    lock. The executor's thread reads all of them for the diagnostics.

    :param received: images
    :param lost: images that the middleware lost on their way; None: it does not count them
    :param publisher_rate: estimate from the stamps, Hz; 0: unknown
    :param missing: share of images that did not arrive, estimated from the stamps, 0 to 1
    :param skipped: images discarded because of `max_rate` or `~/enable`
    :param dropped: images replaced by a newer one before they were processed
    :param unmatched: images that never got boxes from the other detector
    :param last_arrival: time when there was last something to track, seconds of the steady clock
    :param processed: images that were tracked and published
    :param failed: images that were not tracked, because of an error
    :param last_error: type and message of the newest error
    :param split: images detected in a smaller batch, because the batch of all cameras failed
    :param processing_seconds: processing time of the newest image, including the other cameras'
        images in the same batch
    :param age: seconds from the stamp of the newest image until its detections were published;
        nan: it has no stamp, or simulated time has no clock
    :param without_stamp: images without a stamp
    :param without_depth: objects that were not published in 3D because their depth is not known
    :param without_transform: images without tracks in the target frame, because a transform, the
        calibration or a stamp is missing
    :param without_ego_motion: images whose camera motion was estimated from the images, because
        the transforms to `camera_motion_frame` did not tell it
    :param refused_transforms: transforms that are not valid, or of the future
    :param repaired_stamps: images whose stamp was not after the previous one, but which were
        tracked
    :param refused_zones: zones of `zones_file` that are not valid; set at activation
    :param refused_follows: requests to ~/follow that named no object
    :param resets: how often all tracks were ended
    :param returns: how often a lost object was re-identified
    :param last_return: the newest re-identification; None if there was none
    :param joins: how many tracks got the id of an object that other cameras know
    """

    received: int = 0
    lost: int | None = 0
    publisher_rate: float = 0.0
    missing: float = 0.0
    skipped: int = 0
    dropped: int = 0
    unmatched: int = 0
    last_arrival: float = field(default_factory=monotonic)
    processed: int = 0
    failed: int = 0
    last_error: str = ''
    split: int = 0
    processing_seconds: float = 0.0
    age: float = math.nan
    without_stamp: int = 0
    without_depth: int = 0
    without_transform: int = 0
    without_ego_motion: int = 0
    refused_transforms: int = 0
    repaired_stamps: int = 0
    refused_zones: int = 0
    refused_follows: int = 0
    resets: int = 0
    returns: int = 0
    last_return: Reidentification | None = None
    joins: int = 0
