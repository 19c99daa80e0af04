# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where tracked objects are in space: their boxes, a depth image aligned to theirs, a pinhole."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import TYPE_CHECKING

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from geometry_msgs.msg import Pose
from geometry_msgs.msg import PoseWithCovariance
from geometry_msgs.msg import Vector3
import numpy as np
from scipy import ndimage
from std_msgs.msg import ColorRGBA
from vision_msgs.msg import BoundingBox3D
from vision_msgs.msg import Detection3D
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker
from visualization_msgs.msg import MarkerArray

from gtr_ros.media.drawing import colour_of
from gtr_ros.media.pixels import check_layout
from gtr_ros.media.pixels import ImageError
from gtr_ros.node.messages.tracks import detections_message

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header

    from gtr_ros.structures import Tracks

_ENCODINGS = {'32FC1': 'f4', '16UC1': 'u2'}

# How much the shapes of two images of the same view may differ: rounding, and sensors' formats
# such as 848x480 beside 1280x720, but not 4:3 beside 5:4.
_SHAPE_TOLERANCE = 0.02

# What counts as a surface; see find_surface.
_MIDDLE = 0.5
_BIN = math.log1p(0.05)
_STRAY = 0.02
_SURFACE = 0.2
_LEAST_PIXELS = 4
_LEAST_VALID = 0.1
_LEAST_EXTENT = 0.05  # metres
_LEAST_RELATIVE_EXTENT = 0.02
_SAMPLES = 64  # a side: more pixels of a box tell nothing more

_MARKER_LIFETIME = Duration(nanosec=500_000_000)
_MOST_MARKER_ID = 2**31 - 1


def depth_to_metres(message: Image) -> np.ndarray:
    """
    Read a depth image as REP-118 has it.

    :param message: 32FC1, metres, or 16UC1, millimetres, of either byte order, rows padded or not
    :return: (height, width) float32, metres along the optical axis, NaN where there is none (in
        the message: not finite, 0 or less); a view of the message's data, not to be written to,
        where that says the same already
    :raises ImageError: if the message holds no such image
    """
    height, width, step, encoding = message.height, message.width, message.step, message.encoding
    if encoding not in _ENCODINGS:
        raise ImageError(
            f'encoding {encoding!r} is not a depth image; expected 32FC1, metres, or 16UC1, '
            'millimetres (REP-118)'
        )
    kind = np.dtype(_ENCODINGS[encoding]).newbyteorder('>' if message.is_bigendian else '<')
    check_layout(message, kind.itemsize)
    values = np.ndarray((height, width), kind, message.data, strides=(step, kind.itemsize))
    if encoding == '16UC1':
        metres = np.divide(values, np.float32(1000), dtype=np.float32)
        metres[values == 0] = np.nan
        return metres
    metres = values.astype(np.float32, copy=False)
    invalid = (metres <= 0) | (metres == np.inf)
    return np.where(invalid, np.float32(np.nan), metres) if invalid.any() else metres


def detections_3d_message(
    tracks: Tracks,
    header: Header,
    class_names: Sequence[str],
    image_size: tuple[int, int],
    depth: np.ndarray,
    camera_info: CameraInfo,
) -> tuple[Detection3DArray, int]:
    """
    Say where in space the confirmed objects are, ids and classes as in `detections_message`.

    A box's middle and sides are those of the box in the image, at the depth that `find_surface`
    measures: it stands at the surface that the camera sees, not at the middle of the solid, and
    is as deep as that surface. An object whose depth was not measured is left out.

    :param tracks: the tracks of one image
    :param header: of that image; its frame is the camera's optical one: x right, y down, z forward
    :param class_names: the name of each label
    :param image_size: (height, width) of that image, pixels
    :param depth: (h, w) float32, metres, NaN where unknown: the same view in any resolution
    :param camera_info: of the image, or of the same view in another resolution. The image is
        taken to be rectified: P holds, and K where P is zero. P's shift to a stereo camera's
        other eye is left aside, the frame being this camera's own
    :return: the message, metres, nothing turned; how many objects were left out of it
    :raises ImageError: if the camera is not calibrated, or the views are not the same
    """
    focal, middle = _pinhole(camera_info, image_size)
    size = image_size[1], image_size[0]
    depth_size = depth.shape[1], depth.shape[0]
    scale = _scale(size, depth_size)
    if scale is None:
        raise ImageError(
            f'a depth image of {_text(depth_size)} pixels is not aligned to an image of '
            f'{_text(size)}: their shapes differ. Publish depth registered to this camera, in any '
            'resolution'
        )
    flat = detections_message(tracks, header, class_names).detections
    message = Detection3DArray(header=header)
    for detection, box in zip(flat, tracks.boxes[tracks.confirmed].astype(np.float64)):
        corners = box.reshape(2, 2)
        surface = find_surface(depth, (corners * scale).ravel())
        if surface is None:
            continue
        distance, extent = surface
        start, end = (corners - middle) / focal * distance
        x, y = (start + end) / 2
        width, height = end - start
        pose = Pose(position=Point(x=float(x), y=float(y), z=distance))
        for result in detection.results:
            result.pose = PoseWithCovariance(pose=pose)
        message.detections.append(
            Detection3D(
                header=header,
                id=detection.id,
                results=detection.results,
                bbox=BoundingBox3D(
                    center=pose, size=Vector3(x=float(width), y=float(height), z=extent)
                ),
            )
        )
    return message, len(flat) - len(message.detections)


def find_surface(depth: np.ndarray, box: np.ndarray) -> tuple[float, float] | None:
    """
    Measure the nearest surface of some size in the middle of a box.

    Background shows at a box's edges, so only the middle half of its width and of its height
    counts. Its depths go into bins 5 % of the distance wide. Bins side by side that hold 2 % of
    the depths or more each are one surface; what lies between surfaces (edges blur) is dropped.
    The object is the nearest surface with a fifth of the depths, or else the largest one. So a
    pole before the object or specks of noise do not count, nor does the wall that shows through
    its gaps; what hides more than a fifth of its middle is taken for the object, and what is
    closer behind it than about 5 % of the distance for a part of it.

    :param depth: (h, w) float32, metres, NaN where unknown
    :param box: (4,) float64, xyxy, pixels of the depth image, from the edge of its first pixel
    :return: the median of the surface's depths, and its extent: the range of the middle 90 % of
        its depths, but at least 5 cm and 2 % of the distance, which depth cameras do not resolve;
        metres. None: fewer than 4 pixels, or fewer than a tenth, have a depth, or there is no
        surface
    """
    corners = box.reshape(2, 2)
    inwards = (corners[1] - corners[0]) * (1 - _MIDDLE) / 2
    # The pixels whose middle is inside.
    x1, y1 = np.ceil(corners[0] + inwards - 0.5).clip(0).astype(int)
    x2, y2 = np.ceil(corners[1] - inwards - 0.5).clip(0).astype(int)
    pixels = depth[y1:y2, x1:x2]
    pixels = pixels[:: 1 + pixels.shape[0] // _SAMPLES, :: 1 + pixels.shape[1] // _SAMPLES]
    depths = pixels[~np.isnan(pixels)].astype(np.float64)
    if len(depths) < max(_LEAST_PIXELS, _LEAST_VALID * pixels.size):
        return None
    bins = np.floor(np.log(depths) / _BIN).astype(int)
    bins -= bins.min()
    counts = np.bincount(bins)
    surfaces, _ = ndimage.label(counts >= _STRAY * len(depths))  # from 1; 0: in none
    sizes = np.bincount(surfaces, counts)[1:]
    if not len(sizes):
        return None
    large = np.flatnonzero(sizes >= _SURFACE * len(depths))
    chosen = 1 + (large[0] if len(large) else sizes.argmax())
    near, median, far = np.percentile(depths[surfaces[bins] == chosen], (5, 50, 95))
    extent = max(far - near, _LEAST_EXTENT, _LEAST_RELATIVE_EXTENT * median)
    return float(median), float(extent)


def markers_message(detections: Detection3DArray) -> MarkerArray:
    """
    Draw objects for rviz: of each its box and, above it, id and class, in its id's colour.

    The first marker deletes those of the message before.

    :param detections: as `detections_3d_message` makes them
    """
    message = MarkerArray(markers=[Marker(header=detections.header, action=Marker.DELETEALL)])
    for detection in detections.detections:
        identity = int(detection.id)
        red, green, blue = (channel / 255 for channel in colour_of(identity))
        middle, size = detection.bbox.center.position, detection.bbox.size
        letters = min(max(size.y / 5, 0.05), 0.3)
        above = Point(x=middle.x, y=middle.y - size.y / 2 - letters, z=middle.z)
        message.markers += [
            Marker(
                header=detection.header,
                ns=name,
                id=identity % _MOST_MARKER_ID,
                type=kind,
                action=Marker.ADD,
                pose=pose,
                scale=scale,
                color=ColorRGBA(r=red, g=green, b=blue, a=alpha),
                lifetime=_MARKER_LIFETIME,
                text=text,
            )
            for name, kind, pose, scale, alpha, text in (
                ('boxes', Marker.CUBE, detection.bbox.center, size, 0.4, ''),
                (
                    'labels',
                    Marker.TEXT_VIEW_FACING,
                    Pose(position=above),
                    Vector3(z=letters),
                    1.0,
                    f'{detection.id} {detection.results[0].hypothesis.class_id}',
                ),
            )
        ]
    return message


def _pinhole(info: CameraInfo, image_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """
    Return focal lengths and the optical axis, each (2,) float64, x and y, pixels of the image.

    Boxes count pixels from the edge of the first one, calibrations from its middle.
    """
    matrix = info.p.reshape(3, 4) if info.p[0] else info.k.reshape(3, 3)
    focal, middle = matrix[(0, 1), (0, 1)], matrix[:2, 2] + 0.5
    if not (np.isfinite([focal, middle]).all() and (focal > 0).all()):
        raise ImageError(
            f'camera_info has the focal lengths {focal.tolist()} and the middle '
            f'{matrix[:2, 2].tolist()}, so objects cannot be placed; expected finite numbers, and '
            'lengths above 0. Calibrate the camera and let its driver publish K and P, or set '
            'the parameter depth to false'
        )
    # K and P are of the whole sensor, of which binning and region make the image; what scales
    # images afterwards often leaves them as they are. The image's own size tells of both.
    roi = info.roi
    size = roi.width or info.width, roi.height or info.height
    if 0 in size:
        scale = 1 / np.array([info.binning_x or 1, info.binning_y or 1])
    else:
        scale = _scale(size, (image_size[1], image_size[0]))
        if scale is None:
            raise ImageError(
                f'camera_info is of an image of {_text(size)} pixels, but the image has '
                f'{_text((image_size[1], image_size[0]))}: one is a part of the other. Publish '
                'the camera_info that belongs to the image, its roi set if it is cropped'
            )
    return focal * scale, (middle - (roi.x_offset, roi.y_offset)) * scale


def _scale(size: tuple[int, int], other: tuple[int, int]) -> np.ndarray | None:
    """Return other / size, both (width, height); None: their shapes differ."""
    x, y = np.divide(other, size)
    return np.array([x, y]) if abs(x / y - 1) <= _SHAPE_TOLERANCE else None


def _text(size: tuple[int, int]) -> str:
    return f'{size[0]}x{size[1]}'
