# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node: images in, detections whose ids stay with their objects out."""

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
from rclpy.executors import ExternalShutdownException
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

from gtr_ros.media.pixels import ImageError
from gtr_ros.node.running import interrupt_once
from gtr_ros.node.tracker.diagnostics import CameraReport
from gtr_ros.node.tracker.diagnostics import Throttle
from gtr_ros.node.tracker.inputs import Inputs
from gtr_ros.node.tracker.inputs import Request
from gtr_ros.node.tracker.outputs import Outputs
from gtr_ros.node.tracker.parameters import ConfigurationError
from gtr_ros.node.tracker.parameters import declare_all
from gtr_ros.node.tracker.parameters import from_message
from gtr_ros.node.tracker.worker import Worker
from gtr_ros.profiling import Profiler
from gtr_ros.runtime.process import keep_freed_memory
from gtr_ros.runtime.process import sleep_soon
from gtr_ros.srv import SetClasses
from gtr_ros.stamps import CLOCK_JUMP

if TYPE_CHECKING:
    from rclpy.publisher import Publisher
    from rclpy.timer import Timer

    from gtr_ros.node.tracker.parameters import NodeParameters
    from gtr_ros.node.tracker.pipeline import Pipeline
    from gtr_ros.node.tracker.steps import Camera

_NAME = 'tracker'
_ERROR_SECONDS = 5.0
_STOP_SECONDS = 30.0
_PROFILE_SECONDS = 10.0


class TrackerNode(LifecycleNode):
    """
    Follows the objects of one camera, or of several with one model.

    A lifecycle node: configuring loads the model, activating listens, and what undoes them leaves
    nothing behind. The executor's thread only receives; a worker's thread does the rest.
    """

    def __init__(self, **options: object) -> None:
        super().__init__(_NAME, **options)
        self.settings: NodeParameters = declare_all(self)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._pipeline: Pipeline | None = None
        self._outputs: dict[str, Outputs] = {}
        self._cameras: dict[str, Camera] = {}
        self._reports: list[CameraReport] = []
        self._worker: Worker | None = None
        self._profiler: Profiler | None = None
        self._profiled_at = 0.0
        self._diagnostics: Publisher | None = None
        self._timer: Timer | None = None
        self._enabled = True
        self._throttle = Throttle(_ERROR_SECONDS)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self.create_service(SetBool, '~/enable', self._on_enable)
        self.create_service(SetClasses, '~/set_classes', self._on_set_classes)
        self._jumps = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None,
                min_backward=Duration(nanoseconds=-CLOCK_JUMP),
                on_clock_change=False,
            ),
            post_callback=lambda _: self._begin_again(),
        )

    # --- lifecycle ---

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model onto its device, and create what is published."""
        return self._transition('configure', self._configure, self._cleanup)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker, and listen."""
        super().on_activate(state)
        return self._transition('activate', self._activate, self._deactivate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening, and end the worker."""
        super().on_deactivate(state)
        return self._transition('deactivate', self._deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop publishing, and let the model and its memory go."""
        return self._transition('cleanup', self._cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let everything go, whatever there is."""
        return self._transition('shutdown', self.stop)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let everything go after an exception: the node can be configured again."""
        return self._transition('clean up after an error', self.stop)

    def stop(self) -> None:
        """Undo everything, from whatever state."""
        self._deactivate()
        self._cleanup()

    def _transition(
        self, name: str, do: Callable[[], None], undo: Callable[[], None] = lambda: None
    ) -> TransitionCallbackReturn:
        # rclpy says nothing of what a transition raises.
        try:
            do()
        except ConfigurationError as error:
            self.get_logger().error(f'cannot {name}: {error}')
            undo()
            return TransitionCallbackReturn.FAILURE
        except Exception:
            if self.context.ok():  # a signal takes it away under whatever is being made
                self.get_logger().error(f'cannot {name}:\n{traceback.format_exc()}')
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        try:
            from gtr_ros.model.build import RANDOM
            from gtr_ros.node.tracker.pipeline import Pipeline
            from gtr_ros.node.tracker.steps import STAGES
        except ImportError as error:
            raise ConfigurationError(
                f'{sys.executable} cannot import what the model needs: {error}. Install torch and '
                'torchvision for this Python, or start the node from the environment that has them'
            ) from error
        settings = self.settings
        self._pipeline = Pipeline(settings, self.get_logger().info)
        if settings.checkpoint == RANDOM:
            self.get_logger().warning(
                f"checkpoint is '{RANDOM}': these untrained weights find nothing sensible; "
                'leave checkpoint empty for trained ones'
            )
        self._profiler = Profiler(STAGES, settings.profile)
        if settings.profile:
            self._pipeline.watch(self._profiler)
        with_index = settings.class_id_format == 'index'
        self._outputs = {
            camera: Outputs(self, camera, with_index, settings.depth)
            for camera in settings.camera_names
        }
        self._diagnostics = self.create_publisher(
            DiagnosticArray, '/diagnostics', QoSProfile(depth=10)
        )

    def _activate(self) -> None:
        from gtr_ros.node.tracker.steps import Camera
        from gtr_ros.node.tracker.steps import TrackingSteps

        pipeline, settings = self._pipeline, self.settings
        cameras = self._cameras = {}
        steps = TrackingSteps(
            pipeline, cameras, settings, self.get_clock(), self._warn, self._profiler
        )
        self._worker = Worker(settings.camera_names, steps, self._complain)
        self._worker.start()
        for name, outputs in self._outputs.items():
            cameras[name] = Camera(
                Inputs(self, name, lambda: self.settings, self._submit), outputs
            )
        self._describe()
        self._reports = [
            CameraReport(name, camera, self._worker, pipeline, self._profiler)
            for name, camera in cameras.items()
        ]
        self._profiled_at = monotonic()
        # Steady: with use_sim_time and no /clock, this timer is what tells the user.
        self._timer = self.create_timer(
            1.0, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        topics = ', '.join(camera.inputs.topic for camera in cameras.values())
        self.get_logger().info(
            f'tracking on {topics}: model {settings.model} on {pipeline.place}, association: '
            f'{pipeline.association}'
        )

    def _describe(self) -> None:
        """Say on latched topics what runs now."""
        header, pipeline = Header(stamp=self.get_clock().now().to_msg()), self._pipeline
        for outputs in self._outputs.values():
            outputs.describe(
                header, pipeline.class_names, pipeline.description, pipeline.score_threshold
            )

    def _deactivate(self) -> None:
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        for camera in self._cameras.values():
            camera.inputs.close()
        if self._worker is not None:
            if not self._worker.stop(_STOP_SECONDS):
                self.get_logger().error(
                    f'the worker is still busy after {_STOP_SECONDS:g} s; leaving it behind'
                )
            self._worker = None
            self._log_profile()
        self._cameras, self._reports = {}, []

    def _cleanup(self) -> None:
        for outputs in self._outputs.values():
            outputs.close()
        self._outputs = {}
        if self._diagnostics is not None:
            self.destroy_publisher(self._diagnostics)
            self._diagnostics = None
        if self._pipeline is not None:
            self._pipeline.close()
            self._pipeline = None

    # --- what users change while it runs ---

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        # Only live ones get here among our own: rclpy refuses to set those that are read-only.
        values = {
            change.name: from_message(change.value)
            for change in changes
            if hasattr(self.settings, change.name)
        }
        try:
            settings = replace(self.settings, **values)
            if self._pipeline is not None:
                self._pipeline.update(settings)
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if self._cameras and settings.score_threshold != self.settings.score_threshold:
            self._describe()
        self.settings = settings
        return SetParametersResult(successful=True)

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._pipeline is None:
            response.message = 'nothing to reset: the node is not configured'
            return response
        self._begin_again()
        response.success, response.message = True, 'every track is forgotten; ids go on counting'
        return response

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        response.success = True
        response.message = 'tracking' if request.data else 'images are not looked at'
        self.get_logger().info(f'{"enabled" if request.data else "disabled"}: {response.message}')
        return response

    def _on_set_classes(
        self, request: SetClasses.Request, response: SetClasses.Response
    ) -> SetClasses.Response:
        names = [str(name) for name in request.class_names] or ['']
        [result] = self.set_parameters([Parameter('class_names', value=names)])
        response.success, response.message = result.successful, result.reason
        return response

    def _begin_again(self) -> None:
        if self._pipeline is None:
            return
        for camera in self._cameras.values():
            camera.inputs.forget()
        self._pipeline.reset()
        self.get_logger().warning('every track was forgotten: a reset, or the clock began again')

    # --- while it runs ---

    def _submit(self, camera: str, request: Request) -> None:
        if self._enabled:
            self._worker.submit(camera, request)
        else:
            self._cameras[camera].inputs.arrivals.skipped += 1

    def _complain(self, camera: str, error: Exception) -> None:
        # Once the context is shut down nothing can be published, and that is no error.
        if not self.context.ok():
            return
        text = str(error)
        if not self._throttle.admits(f'{camera} {type(error).__name__}: {text}', monotonic()):
            return
        if not isinstance(error, ImageError):
            text = ''.join(traceback.format_exception(type(error), error, error.__traceback__))
        topic = self._cameras[camera].inputs.topic
        self.get_logger().error(f'skipped an image of {topic}: {text}')

    def _warn(self, text: str) -> bool:
        admitted = self._throttle.admits(text, monotonic())
        if admitted:
            self.get_logger().warning(text)
        return admitted

    def _on_timer(self) -> None:
        name = self.get_fully_qualified_name().lstrip('/')
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        for report in self._reports:
            status, warning = report.make(name, self.settings, self._enabled)
            message.status.append(status)
            if warning:
                self._warn(warning)
        self._diagnostics.publish(message)
        if monotonic() - self._profiled_at >= _PROFILE_SECONDS:
            self._log_profile()

    def _log_profile(self) -> None:
        self._profiled_at = monotonic()
        if table := self._profiler.table():
            # After a signal the context is gone, and with it what the node's own logger publishes.
            logger = self.get_logger() if self.context.ok() else get_logger(f'{_NAME}.profile')
            logger.info(f'where the time of a frame goes, newest frames:\n{table}')


def main(args: list[str] | None = None) -> int:
    """
    Run the node until it is told to stop.

    :return: the process's exit code: 0 after SIGINT or SIGTERM, 1 if the node could not start
    """
    end_begins = interrupt_once()
    keep_freed_memory()
    sleep_soon()
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
        if not node.settings.autostart:
            node.get_logger().info('waiting to be configured and activated (autostart is false)')
        elif not _start(node):
            return 1 if rclpy.ok() else 0
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
        end_begins()
        if node is not None:
            node.stop()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _start(node: TrackerNode) -> bool:
    """Configure and activate a node; return whether it is active now."""
    for trigger in (node.trigger_configure, node.trigger_activate):
        if trigger() != TransitionCallbackReturn.SUCCESS:
            return False
    return True


if __name__ == '__main__':
    sys.exit(main())
