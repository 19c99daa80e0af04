# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node: images in, detections whose ids stay with their objects out."""

from __future__ import annotations

from dataclasses import replace
import math
import sys
from time import monotonic
import traceback
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
import rclpy
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.qos import QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from gtr_ros.msg import TrajectoryArray
from gtr_ros.node.diagnostics import diagnostics_message
from gtr_ros.node.diagnostics import explain_silence
from gtr_ros.node.diagnostics import Throttle
from gtr_ros.node.images import array_to_image
from gtr_ros.node.images import ImageError
from gtr_ros.node.interrupts import interrupt_once
from gtr_ros.node.messages import detections_message
from gtr_ros.node.messages import stamp_to_nanoseconds
from gtr_ros.node.messages import trajectories_message
from gtr_ros.node.parameters import ConfigurationError
from gtr_ros.node.parameters import declare_all
from gtr_ros.node.worker import Worker

if TYPE_CHECKING:
    import numpy as np
    from rclpy.publisher import Publisher
    from rclpy.subscription import Subscription
    from rclpy.timer import Timer

    from gtr_ros.node.pipeline import Pipeline
    from gtr_ros.structures import Tracks

_NAME = 'tracker'
_IMAGE_TYPE = 'sensor_msgs/msg/Image'
_SENSOR_QOS = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
_RESULT_QOS = QoSProfile(depth=10)
_SILENCE_SECONDS = 5.0
_ERROR_SECONDS = 5.0
_STOP_SECONDS = 30.0


class TrackerNode(Node):
    """
    Follows the objects of one camera.

    Four steps, as of a lifecycle: `configure` loads, `activate` listens, `deactivate` and
    `cleanup` undo them. The executor's thread only receives; a worker's thread does the rest.
    """

    def __init__(self) -> None:
        super().__init__(_NAME)
        self._settings = declare_all(self)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._pipeline: Pipeline | None = None
        self._detections: Publisher | None = None
        self._trajectories: Publisher | None = None
        self._debug_image: Publisher | None = None
        self._diagnostics: Publisher | None = None
        self._worker: Worker | None = None
        self._subscription: Subscription | None = None
        self._timer: Timer | None = None
        self._throttle = Throttle(_ERROR_SECONDS)
        self._received = 0
        self._resets = 0
        self._age_ms = math.nan
        self._last_arrival = self._last_warning = self._last_report = monotonic()
        self._reported_processed = self._reported_failed = 0

    def configure(self) -> None:
        """
        Load the model onto its device and create what is published.

        :raises ConfigurationError: with the reason, if the parameters cannot be met here
        """
        try:
            from gtr_ros.model.build import RANDOM
            from gtr_ros.node.pipeline import Pipeline
        except ImportError as error:
            raise ConfigurationError(
                f'{sys.executable} cannot import what the model needs: {error}. Install torch and '
                'torchvision for this Python, or start the node from the environment that has them'
            ) from error
        self._pipeline = Pipeline(self._settings)
        if self._settings.checkpoint == RANDOM:
            self.get_logger().warning(
                f"checkpoint is '{RANDOM}': these untrained weights find nothing sensible; "
                'leave checkpoint empty for trained ones'
            )
        self._detections = self.create_publisher(Detection2DArray, '~/detections', _RESULT_QOS)
        self._trajectories = self.create_publisher(TrajectoryArray, '~/trajectories', _RESULT_QOS)
        self._debug_image = self.create_publisher(Image, '~/debug_image', 1)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', _RESULT_QOS)

    def activate(self) -> None:
        """Start the worker and listen."""
        self._worker = Worker(self._track, self._deliver, self._complain)
        self._worker.start()
        self._subscription = self.create_subscription(
            Image,
            'image',
            self._on_image,
            _SENSOR_QOS,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        # Steady: with use_sim_time and no /clock, this timer is what tells the user.
        self._timer = self.create_timer(
            1.0, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._last_arrival = self._last_report = monotonic()
        self.get_logger().info(
            f'tracking on {self._subscription.topic_name}: model {self._settings.model} on '
            f'{self._pipeline.device}, association: {self._pipeline.association}'
        )

    def deactivate(self) -> None:
        """Stop listening and end the worker."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        if self._worker is not None:
            if not self._worker.stop(_STOP_SECONDS):
                self.get_logger().error(
                    f'the worker is still busy after {_STOP_SECONDS:g} s; leaving it behind'
                )
            self._worker = None

    def cleanup(self) -> None:
        """Stop publishing and let the model go."""
        for name in ('_detections', '_trajectories', '_debug_image', '_diagnostics'):
            publisher = getattr(self, name)
            if publisher is not None:
                self.destroy_publisher(publisher)
                setattr(self, name, None)
        self._pipeline = None

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        # Only score_threshold gets here among our own: rclpy refuses to set read-only ones.
        values = {
            change.name: change.value for change in changes if hasattr(self._settings, change.name)
        }
        try:
            self._settings = replace(self._settings, **values)
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if self._pipeline is not None:
            self._pipeline.score_threshold = self._settings.score_threshold
        return SetParametersResult(successful=True)

    def _on_image(self, message: Image) -> None:
        self._received += 1
        self._last_arrival = monotonic()
        self._worker.submit(message)

    def _track(self, image: np.ndarray, message: Image) -> Tracks:
        stamp = stamp_to_nanoseconds(message.header.stamp)
        if stamp == 0:
            self.get_logger().warning(
                'the images carry no stamp: they are taken to be 0.1 s apart, and the age of what '
                'is published is unknown. Let the driver stamp them',
                once=True,
            )
        tracks = self._pipeline(image, stamp or None)
        if self._pipeline.resets != self._resets:
            self._resets = self._pipeline.resets
            self.get_logger().warning(
                f'the stamp of an image, {stamp / 1e9:.3f} s, is not after the one before: time '
                'began again, so every track did; ids go on counting'
            )
        return tracks

    def _deliver(self, message: Image, image: np.ndarray, tracks: Tracks) -> None:
        names = self._pipeline.class_names
        self._detections.publish(detections_message(tracks, message.header, names))
        stamp = stamp_to_nanoseconds(message.header.stamp)
        self._age_ms = (self.get_clock().now().nanoseconds - stamp) / 1e6 if stamp else math.nan
        self._trajectories.publish(trajectories_message(tracks, message.header))
        if self._debug_image.get_subscription_count():
            from gtr_ros.media.drawing import annotate

            drawn = annotate(image, tracks, names)
            self._debug_image.publish(array_to_image(drawn, message.header, 'rgb8'))

    def _complain(self, error: Exception) -> None:
        # Once the context is shut down nothing can be published, and that is no error.
        if not self.context.ok():
            return
        text = str(error)
        if not self._throttle.admits(f'{type(error).__name__}: {text}', monotonic()):
            return
        if not isinstance(error, ImageError):
            text = ''.join(traceback.format_exception(type(error), error, error.__traceback__))
        self.get_logger().error(f'skipped an image of {self._subscription.topic_name}: {text}')

    def _on_timer(self) -> None:
        now = monotonic()
        worker, topic = self._worker, self._subscription.topic_name
        failed = worker.failed - self._reported_failed
        rate = (worker.processed - self._reported_processed) / (now - self._last_report)
        self._reported_failed, self._reported_processed = worker.failed, worker.processed
        self._last_report = now
        level, summary = DiagnosticStatus.OK, f'tracking at {rate:.1f} frames/s'
        if now - self._last_arrival >= _SILENCE_SECONDS:
            level, summary = (
                DiagnosticStatus.WARN,
                explain_silence(
                    topic,
                    _IMAGE_TYPE,
                    self._subscription.qos_profile,
                    self.get_publishers_info_by_topic(topic),
                ),
            )
            if now - self._last_warning >= _SILENCE_SECONDS:
                self._last_warning = now
                self.get_logger().warning(summary)
        if failed:
            level, summary = DiagnosticStatus.ERROR, f'{failed} images failed: {worker.last_error}'
        self._diagnostics.publish(
            diagnostics_message(
                f'{self.get_fully_qualified_name().lstrip("/")}: tracker',
                self.get_clock().now().to_msg(),
                level,
                summary,
                {
                    'topic': topic,
                    'model': self._settings.model,
                    'device': self._pipeline.device,
                    'association': self._pipeline.association,
                    'rate_hz': f'{rate:.2f}',
                    'received': self._received,
                    'processed': worker.processed,
                    'dropped': worker.dropped,
                    'failed': worker.failed,
                    'resets': self._resets,
                    'last_error': worker.last_error,
                    'processing_ms': f'{1e3 * worker.busy_seconds:.1f}',
                    'age_ms': f'{self._age_ms:.1f}',
                },
            )
        )


def main(args: list[str] | None = None) -> int:
    """
    Run the node until it is told to stop.

    :return: the process's exit code: 0 after SIGINT or SIGTERM, 1 if the node could not start
    """
    interrupt_once()
    try:
        rclpy.init(args=args)
    except RuntimeError as error:
        get_logger(_NAME).fatal(str(error))
        return 1
    node = None
    try:
        # Before the node, for an interrupt while it loads: rclpy's executor cannot be made then.
        executor = SingleThreadedExecutor()
        node = TrackerNode()
        node.configure()
        node.activate()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except ConfigurationError as error:
        get_logger(_NAME).fatal(str(error))
        return 1
    except Exception:
        # SIGTERM while starting shuts the context down under whatever is being created.
        if rclpy.ok():
            raise
    finally:
        if node is not None:
            node.deactivate()
            node.cleanup()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
