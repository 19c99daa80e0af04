# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracker node: a lifecycle node that tracks the objects in the images of cameras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import sys
from time import monotonic
import traceback
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
import rclpy
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import LifecycleState
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from std_srvs.srv import Trigger

from gtr_ros.model.registry import own_parameters
from gtr_ros.node.declaring import accept_integers
from gtr_ros.node.declaring import declare_all
from gtr_ros.node.declaring import from_message
from gtr_ros.node.running import run_node
from gtr_ros.node.running import spin
from gtr_ros.node.services import answer_always
from gtr_ros.node.topics import explain_clock
from gtr_ros.node.topics import explain_namesakes
from gtr_ros.node.tracker.diagnostics import CameraReport
from gtr_ros.node.tracker.follow_service import FollowServices
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.node.tracker.reporting import Reporter
from gtr_ros.node.tracker.transform_listener import TransformListener
from gtr_ros.node.tracker.worker import Worker
from gtr_ros.node.unused import warn_of_unused
from gtr_ros.options import ConfigurationError
from gtr_ros.options import without_effect
from gtr_ros.profiling import Profiler
from gtr_ros.runtime.process import import_torch
from gtr_ros.runtime.process import keep_freed_memory
from gtr_ros.runtime.process import sleep_soon
from gtr_ros.srv import SetClasses
from gtr_ros.stamps import CLOCK_JUMP

if TYPE_CHECKING:
    from rclpy.publisher import Publisher
    from rclpy.timer import Timer

    from gtr_ros.node.tracker.camera import Camera
    from gtr_ros.node.tracker.inputs import CameraRequest
    from gtr_ros.node.tracker.outputs import Outputs
    from gtr_ros.node.tracker.pipeline import Pipeline
    from gtr_ros.node.tracker.sharing import SharedIds

_NAME = 'tracker'
_STOP_SECONDS = 30.0
_PROFILE_SECONDS = 10.0


class TrackerNode(LifecycleNode):
    """
    Tracks the objects of one camera, or of several with one model.

    Configuring loads the model and advertises the results; activating subscribes and starts the
    worker; the reverse transitions release all of it. The executor's thread only receives
    messages; the worker's thread processes them.
    """

    def __init__(self, **options: object) -> None:
        super().__init__(_NAME, **options)
        self.settings: NodeParameters = declare_all(self, NodeParameters, own_parameters)
        if hasattr(self, 'add_pre_set_parameters_callback'):  # not in Humble
            self.add_pre_set_parameters_callback(accept_integers(NodeParameters))
        self.add_on_set_parameters_callback(self._on_set_parameters)
        #: None unless the node is configured
        self.pipeline: Pipeline | None = None
        self._outputs: dict[str, Outputs] = {}
        #: by name; empty unless the node is active
        self.cameras: dict[str, Camera] = {}
        self._reports: list[CameraReport] = []
        self._worker: Worker | None = None
        self._listener: TransformListener | None = None
        self._shared: SharedIds | None = None
        self._profiler: Profiler | None = None
        self._profile_logged_at = 0.0
        self._diagnostics: Publisher | None = None
        self._timer: Timer | None = None
        self._enabled = True
        self._reporter = Reporter(self)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self.create_service(SetBool, '~/enable', self._on_enable)
        self.create_service(SetClasses, '~/set_classes', self._on_set_classes)
        FollowServices(self, lambda: self.cameras, self._reporter.warn)
        answer_always(self)
        self._jump_callback = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None,
                min_backward=Duration(nanoseconds=-CLOCK_JUMP),
                on_clock_change=False,
            ),
            post_callback=lambda _: self._reset_tracks(),
        )

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model, and advertise the results."""
        return self._transition('configure', self._configure, self._cleanup)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker, and subscribe."""
        super().on_activate(state)
        return self._transition('activate', self._activate, self._deactivate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, and stop the worker."""
        super().on_deactivate(state)
        return self._transition('deactivate', self._deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Destroy the publishers, and release the model and its memory."""
        return self._transition('cleanup', self._cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything, from any state."""
        return self._transition('shutdown', self.stop)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything after an exception; the node can then be configured again."""
        return self._transition('clean up after an error', self.stop)

    def start(self) -> bool:
        """Configure and activate the node; return whether it is active."""
        return all(
            trigger() == TransitionCallbackReturn.SUCCESS
            for trigger in (self.trigger_configure, self.trigger_activate)
        )

    def stop(self) -> None:
        """Release everything, from any state."""
        self._deactivate()
        self._cleanup()

    def _transition(
        self, name: str, do: Callable[[], None], undo: Callable[[], None] = lambda: None
    ) -> TransitionCallbackReturn:
        # rclpy does not log what a transition raises.
        try:
            do()
        except ConfigurationError as error:
            self.get_logger().error(f'cannot {name}: {error}')
            undo()
            return TransitionCallbackReturn.FAILURE
        except Exception:
            if self.context.ok():  # otherwise a signal has shut it down during the transition
                self.get_logger().error(f'cannot {name}:\n{traceback.format_exc()}')
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        self.get_logger().info(f'starting with model {self.settings.model}: importing torch')
        try:
            import_torch()
            from gtr_ros.model.registry import RANDOM
            from gtr_ros.node.tracker.camera import STAGES
            from gtr_ros.node.tracker.outputs import Outputs
            from gtr_ros.node.tracker.pipeline import Pipeline
            from gtr_ros.node.tracker.sharing import sharing_of
        except ImportError as error:
            raise ConfigurationError(
                f'{sys.executable} cannot import what the model needs: {error}. Install torch and '
                'torchvision for this Python, or start the node from the environment that has them'
            ) from error
        settings = self.settings
        self.pipeline = Pipeline(settings, self.get_logger().info)
        if settings.checkpoint == RANDOM:
            self.get_logger().warning(
                f"checkpoint is '{RANDOM}': these untrained weights find nothing sensible; "
                'leave checkpoint empty for trained ones'
            )
        self._shared = sharing_of(settings)
        self._profiler = Profiler(STAGES, settings.profile)
        if settings.profile:
            self.pipeline.watch(self._profiler)
        with_index = settings.class_id_format == 'index'
        in_frame = bool(settings.target_frame)
        self._outputs = {
            name: Outputs(self, name, with_index, settings.depth, in_frame, settings.people)
            for name in settings.camera_names
        }
        self._diagnostics = self.create_publisher(
            DiagnosticArray, '/diagnostics', QoSProfile(depth=10)
        )

    def _activate(self) -> None:
        from gtr_ros.node.tracker.camera import Camera

        pipeline, profiler = self.pipeline, self._profiler
        if self.settings.needs_transforms:
            self._listener = TransformListener(self, self._reporter.warn)
        self.cameras = {
            name: Camera(
                self,
                name,
                outputs,
                pipeline,
                lambda: self.settings,
                self._submit,
                self._reporter.warn,
                profiler,
                self._listener,
                self._shared,
            )
            for name, outputs in self._outputs.items()
        }
        self._worker = Worker(
            self.cameras,
            pipeline.detect,
            self._reporter.failure,
            self._reporter.split,
            pipeline.warm_up,
        )
        self._worker.start()
        for camera in self.cameras.values():
            camera.inputs.open()
        warn_of_unused(self, ('depth', 'camera_info'), settings=self.settings)
        self._describe()
        self._reports = [
            CameraReport(camera, pipeline, profiler) for camera in self.cameras.values()
        ]
        self._profile_logged_at = monotonic()
        # Steady: it must also warn if use_sim_time is set but there is no /clock.
        self._timer = self.create_timer(
            1.0, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        topics = ', '.join(camera.inputs.topic for camera in self.cameras.values())
        other = self.settings.detections_topic or self.settings.detector
        boxes = f'boxes of {other}, features of ' if other else ''
        self.get_logger().info(
            f'tracking on {topics}: {boxes}model {self.settings.model} on {pipeline.place}, '
            f'association: {pipeline.association}'
        )

    def _describe(self) -> None:
        """Publish which model and classes are in use, on latched topics."""
        header, pipeline = Header(stamp=self.get_clock().now().to_msg()), self.pipeline
        for outputs in self._outputs.values():
            outputs.describe(
                header, pipeline.class_names, pipeline.description, pipeline.score_threshold
            )

    def _deactivate(self) -> None:
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        for camera in self.cameras.values():
            camera.inputs.close()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._worker is not None:
            if not self._worker.stop(_STOP_SECONDS):
                self.get_logger().error(
                    f'the worker is still busy after {_STOP_SECONDS:g} s, and is abandoned'
                )
            self._worker = None
            self._log_profile()
        for camera in self.cameras.values():
            camera.observers.close()
        self.cameras, self._reports = {}, []

    def _cleanup(self) -> None:
        for outputs in self._outputs.values():
            outputs.close()
        self._outputs = {}
        if self._diagnostics is not None:
            self.destroy_publisher(self._diagnostics)
            self._diagnostics = None
        if self.pipeline is not None:
            self.pipeline.close()
            self.pipeline = None

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        # rclpy itself refuses changes to read-only parameters; other libraries also declare
        # parameters.
        values = {
            change.name: from_message(change.value)
            for change in changes
            if hasattr(self.settings, change.name)
        }
        try:
            settings = replace(self.settings, **values)
            if self.pipeline is not None:
                self.pipeline.update(settings)
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if self.cameras and settings.score_threshold != self.settings.score_threshold:
            self._describe()
        said = without_effect(self.settings)
        for line in without_effect(settings):
            if line not in said:
                self.get_logger().warning(line)
        self.settings = settings
        return SetParametersResult(successful=True)

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self.pipeline is None:
            response.message = 'nothing to reset: the node is not configured'
            return response
        self._reset_tracks()
        response.success, response.message = True, 'all tracks ended; ids continue to count up'
        return response

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        response.success = True
        response.message = 'tracking' if request.data else 'images are ignored'
        self.get_logger().info(f'{"enabled" if request.data else "disabled"}: {response.message}')
        return response

    def _on_set_classes(
        self, request: SetClasses.Request, response: SetClasses.Response
    ) -> SetClasses.Response:
        names = [str(name) for name in request.class_names] or ['']
        [result] = self.set_parameters([Parameter('class_names', value=names)])
        response.success, response.message = result.successful, result.reason
        return response

    def _reset_tracks(self) -> None:
        if self.pipeline is None:
            return
        for camera in self.cameras.values():
            camera.clear()
        self.pipeline.reset()
        self.get_logger().warning(
            'all tracks ended: a reset was requested, or the clock was reset'
        )

    def _submit(self, camera: Camera, request: CameraRequest) -> None:
        if self._enabled:
            self._worker.submit(camera, request)
        else:
            camera.statistics.skipped += 1

    def _on_timer(self) -> None:
        name = self.get_fully_qualified_name().lstrip('/')
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        for report in self._reports:
            status, warning = report.make(name, self.settings, self._enabled)
            message.status.append(status)
            if warning:
                self._reporter.warn(warning)
        self._diagnostics.publish(message)
        for warning in (explain_namesakes(self), explain_clock(self)):
            if warning:
                self._reporter.warn(warning)
        if monotonic() - self._profile_logged_at >= _PROFILE_SECONDS:
            self._log_profile()

    def _log_profile(self) -> None:
        self._profile_logged_at = monotonic()
        if table := self._profiler.table():
            # After a signal the context is shut down, and the node's own logger cannot publish.
            logger = self.get_logger() if self.context.ok() else get_logger(f'{_NAME}.profile')
            logger.info(f'where the time of a frame goes, newest frames:\n{table}')


def main(args: list[str] | None = None) -> int:
    """
    Run the node until it is interrupted.

    :return: exit code of the process: 0 after SIGINT or SIGTERM, 1 if the node could not start
    """
    keep_freed_memory()
    sleep_soon()
    return run_node(_NAME, TrackerNode, _run, args)


def _run(node: TrackerNode, executor: SingleThreadedExecutor) -> int:
    if not node.settings.autostart:
        node.get_logger().info('waiting to be configured and activated (autostart is false)')
    elif not node.start():
        return 1 if rclpy.ok() else 0
    return spin(node, executor)


if __name__ == '__main__':
    sys.exit(main())
