# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The diagnostics of one camera."""

from __future__ import annotations

from dataclasses import replace
import os
from time import monotonic
from typing import NamedTuple
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue

from gtr_ros.node.environment import profile_path
from gtr_ros.node.tracker.missing import LostImages
from gtr_ros.node.tracker.missing import MISSING_SHARE
from gtr_ros.node.tracker.missing import remedy
from gtr_ros.node.tracker.missing import SECONDS

if TYPE_CHECKING:
    from gtr_ros.node.tracker.camera import Camera
    from gtr_ros.node.tracker.parameters import NodeParameters
    from gtr_ros.node.tracker.pipeline import Pipeline
    from gtr_ros.node.tracker.statistics import CameraStatistics
    from gtr_ros.profiling import Profiler
    from gtr_ros.tracking.reidentification import Reidentification

#: time without anything to track, after which the diagnostics warn
SILENCE_SECONDS = 5.0
#: time for which images wait for the same one, after which the diagnostics warn
BUSY_SECONDS = 10.0


class _Assessment(NamedTuple):
    """
    The state of a camera.

    :param level: of `DiagnosticStatus`
    :param warning: warning to log; empty: none
    """

    level: bytes
    summary: str
    warning: str = ''


class CameraReport:
    """
    Creates the diagnostics of one camera.

    :param pipeline: of all cameras
    :param profiler: of all cameras
    """

    def __init__(self, camera: Camera, pipeline: Pipeline, profiler: Profiler) -> None:
        self._camera = camera
        self._pipeline = pipeline
        self._profiler = profiler
        self._time = monotonic()
        self._previous = replace(camera.statistics)
        self._lost = LostImages()
        self._finished_at = self._time  # when an image was last tracked, or failed

    def make(
        self, node: str, settings: NodeParameters, enabled: bool
    ) -> tuple[DiagnosticStatus, str]:
        """
        Report on the time since the previous call.

        :param node: full name of the node
        :param settings: current parameters
        :param enabled: False: ~/enable has disabled tracking
        :return: the status, and a warning to log, unless it is empty
        """
        self._camera.update_statistics()
        current, previous, now = replace(self._camera.statistics), self._previous, monotonic()
        elapsed = max(now - self._time, 1e-6)
        self._previous, self._time = current, now
        if current.processed + current.failed > previous.processed + previous.failed:
            self._finished_at = now
        rate_in = (current.received - previous.received) / elapsed
        rate = (current.processed - previous.processed) / elapsed
        level, summary, warning = self._assess(current, previous, settings, enabled, rate)
        values = {
            'topic': self._camera.inputs.topic,
            'model': settings.model,
            'device': self._pipeline.place,
            'device_memory_mb': self._pipeline.device_megabytes,
            'association': self._pipeline.association,
            'rate_in_hz': f'{rate_in:.2f}',
            'rate_hz': f'{rate:.2f}',
            **_values_of(current),
        }
        for stage, median in self._profiler.medians().items():
            values[f'profile.{stage}_ms'] = f'{median:.2f}'
        status = DiagnosticStatus(
            level=level,
            name=f'{node}: {self._camera.name or "tracker"}',
            message=summary,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        return status, warning

    def _assess(
        self,
        current: CameraStatistics,
        previous: CameraStatistics,
        settings: NodeParameters,
        enabled: bool,
        rate: float,
    ) -> _Assessment:
        assessment = _Assessment(DiagnosticStatus.OK, f'tracking at {rate:.1f} frames/s')
        missing = self._explain_missing(current)
        if not enabled:
            assessment = _Assessment(DiagnosticStatus.OK, 'disabled by ~/enable')
        elif missing:
            assessment = _Assessment(DiagnosticStatus.WARN, missing, missing)
        elif self._time - current.last_arrival >= SILENCE_SECONDS:
            reason = self._camera.inputs.explain_silence()
            assessment = _Assessment(DiagnosticStatus.WARN, reason, reason)
        elif (
            current.dropped > previous.dropped
            and (busy := self._time - self._finished_at) >= BUSY_SECONDS
        ):
            reason = (
                f'images of {self._camera.inputs.topic} arrive, but the model has been busy with '
                f'the same one for {busy:.0f} s. Is it too slow for this machine? If it hangs, '
                'restart the node'
            )
            assessment = _Assessment(DiagnosticStatus.WARN, reason, reason)
        elif (
            settings.max_age
            and current.processed > previous.processed
            and current.age > settings.max_age
        ):
            reason = (
                f'detections on {self._camera.inputs.topic} are {current.age:.2f} s old when they '
                f'are published, more than max_age {settings.max_age:g} s. Are the stamps and '
                'clocks right? Is the model too slow for this machine?'
            )
            assessment = _Assessment(DiagnosticStatus.WARN, reason, reason)
        if failed := current.failed - previous.failed:
            summary = f'{failed} images failed: {current.last_error}'
            assessment = _Assessment(DiagnosticStatus.ERROR, summary, assessment.warning)
        return assessment

    def _explain_missing(self, current: CameraStatistics) -> str:
        """Return how many images did not arrive, and what helps; empty: none are missing."""
        topic = self._camera.inputs.topic
        if current.lost is None:
            if current.missing < MISSING_SHARE:
                return ''
            text = (
                f'{100 * current.missing:.0f} % of the images of {topic} do not arrive: their '
                f'stamps are those of {current.publisher_rate:.1f} images/s'
            )
        else:
            lost, sent = self._lost.add(current.received, current.lost)
            if not lost:
                return ''
            text = (
                f'{lost} of {sent} images of {topic} were lost on their way to this node in the '
                f'last {SECONDS} s'
            )
        return f'{text}. {remedy(os.environ, str(profile_path()))}'


def _values_of(statistics: CameraStatistics) -> dict[str, object]:
    """Return the counters under their names in /diagnostics."""
    return {
        'received': statistics.received,
        'lost': '' if statistics.lost is None else statistics.lost,
        'publisher_rate_hz': f'{statistics.publisher_rate:.2f}',
        'missing_percent': f'{100 * statistics.missing:.0f}',
        'processed': statistics.processed,
        'dropped': statistics.dropped,
        'skipped': statistics.skipped,
        'unmatched': statistics.unmatched,
        'failed': statistics.failed,
        'split': statistics.split,
        'without_stamp': statistics.without_stamp,
        'repaired_stamps': statistics.repaired_stamps,
        'without_depth': statistics.without_depth,
        'without_transform': statistics.without_transform,
        'without_ego_motion': statistics.without_ego_motion,
        'refused_transforms': statistics.refused_transforms,
        'refused_zones': statistics.refused_zones,
        'refused_follows': statistics.refused_follows,
        'resets': statistics.resets,
        'returns': statistics.returns,
        'last_return': _text_of(statistics.last_return),
        'joins': statistics.joins,
        'last_error': statistics.last_error,
        'processing_ms': f'{1e3 * statistics.processing_seconds:.1f}',
        'age_ms': f'{1e3 * statistics.age:.1f}',
    }


def _text_of(last_return: Reidentification | None) -> str:
    return f'id {last_return.id} after {last_return.away:.1f} s' if last_return else ''
