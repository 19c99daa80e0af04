# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Global Tracking Transformer for ROS 2: detections in, persistent track ids out.

The names below are imported when they are first used, so that `import gtr_ros` imports neither
torch nor ROS.
"""

from importlib import import_module
from pkgutil import extend_path
from typing import Any
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gtr_ros.media.drawing import annotate
    from gtr_ros.media.image_files import ImageFilesReader
    from gtr_ros.media.pixels import read_picture
    from gtr_ros.media.video import VideoReader
    from gtr_ros.media.video import VideoWriter
    from gtr_ros.model.options import ModelOptions
    from gtr_ros.runtime.loading import load_model
    from gtr_ros.runtime.pipeline import TrackingPipeline
    from gtr_ros.runtime.results import confirmed_only
    from gtr_ros.runtime.results import to_supervision
    from gtr_ros.structures import Detections
    from gtr_ros.structures import Tracks
    from gtr_ros.tracking import Tracker

# The generated messages (gtr_ros.msg) may be installed in another folder than these sources.
__path__ = extend_path(__path__, __name__)

__version__ = '1.0.0'

__all__ = [
    'Detections',
    'ImageFilesReader',
    'ModelOptions',
    'Tracker',
    'TrackingPipeline',
    'Tracks',
    'VideoReader',
    'VideoWriter',
    'annotate',
    'confirmed_only',
    'load_model',
    'read_picture',
    'to_supervision',
]

# The module of each name; a test compares it with the imports for type checkers.
_MODULES = {
    'Detections': 'gtr_ros.structures',
    'ImageFilesReader': 'gtr_ros.media.image_files',
    'ModelOptions': 'gtr_ros.model.options',
    'Tracker': 'gtr_ros.tracking',
    'TrackingPipeline': 'gtr_ros.runtime.pipeline',
    'Tracks': 'gtr_ros.structures',
    'VideoReader': 'gtr_ros.media.video',
    'VideoWriter': 'gtr_ros.media.video',
    'annotate': 'gtr_ros.media.drawing',
    'confirmed_only': 'gtr_ros.runtime.results',
    'load_model': 'gtr_ros.runtime.loading',
    'read_picture': 'gtr_ros.media.pixels',
    'to_supervision': 'gtr_ros.runtime.results',
}


if not TYPE_CHECKING:  # to a type checker, a misspelt name would be one of type Any

    def __getattr__(name: str) -> Any:
        """Import a name of this package when it is first used (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
        value = getattr(import_module(_MODULES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Return the names, including those that have not been imported yet."""
    return sorted({*globals(), *__all__})
