# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Place tracked objects in 3D, from their boxes, an aligned depth image and a pinhole camera."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import TYPE_CHECKING

from geometry_msgs.msg import Point
from geometry_msgs.msg import Pose
from geometry_msgs.msg import PoseWithCovariance
from geometry_msgs.msg import Vector3
import numpy as np
from scipy import ndimage
from vision_msgs.msg import BoundingBox3D
from vision_msgs.msg import Detection3D
from vision_msgs.msg import Detection3DArray

from gtr_ros.media.pixels import check_layout
from gtr_ros.media.pixels import ImageError
from gtr_ros.node.messages.tracks import detections_message
from gtr_ros.tracking.placement import Pinhole

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header

    from gtr_ros.structures import Tracks

_ENCODINGS = {'32FC1': 'f4', '16UC1': 'u2'}

# Maximum difference between the aspect ratios of two images of the same view: it allows for
# rounding and for sensor formats such as 848x480 with 1280x720, but not for 4:3 with 5:4.
_ASPECT_TOLERANCE = 0.02

# Constants of find_surface.
_CENTRAL = 0.5
_BIN = math.log1p(0.05)
_STRAY = 0.02
_SURFACE = 0.2
_MIN_PIXELS = 4
_MIN_VALID = 0.1
_MIN_EXTENT = 0.05  # metres
_MIN_RELATIVE_EXTENT = 0.02
_SAMPLES = 64  # for each side of a box: more pixels add no information

# Of a calibration, pixels.
_LEAST_FOCAL, _LARGEST_PIXELS = 1e-3, 1e9


def depth_to_metres(message: Image) -> np.ndarray:
    """
    Convert a depth image (REP-118).

    :param message: 32FC1, metres, or 16UC1, millimetres; in either byte order, with or without row
        padding
    :return: (height, width) float32, metres along the optical axis, NaN where the message has no
        depth (not finite, 0 or less). If nothing needs to be converted, a view of the message's
        data, not to be written to
    :raises ImageError: if the message has no such image
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
    surfaces: np.ndarray | None = None,
) -> tuple[Detection3DArray, int]:
    """
    Place the confirmed objects in 3D, with ids and classes as in `detections_message`.

    The 3D box has the centre and the sides of the box in the image, at the depth measured by
    `find_surface`: it is at the surface facing the camera, not at the centre of the solid, and
    its depth is the extent of that surface. Objects without a measured depth are left out.

    :param tracks: of one image
    :param header: of that image, in the camera's optical frame: x right, y down, z forward
    :param class_names: the name of each label
    :param image_size: (height, width) of that image, pixels
    :param depth: (h, w) float32, metres, NaN where unknown: the same view in any resolution
    :param camera_info: of the image, or of the same view in another resolution. The image is
        assumed to be rectified, so P applies, or K if P is zero. The baseline of a stereo camera
        in P is ignored, because the frame is that of this camera
    :param surfaces: of the confirmed objects, from `find_surfaces`; None: they are looked for
    :return: the message (metres, boxes without rotation), and the number of objects left out
    :raises ImageError: if the camera is not calibrated, or the views differ
    """
    focal, centre = _pinhole(camera_info, image_size)
    if surfaces is None:
        surfaces = find_surfaces(depth, tracks.boxes[tracks.confirmed], image_size)
    flat = detections_message(tracks, header, class_names).detections
    message = Detection3DArray(header=header)
    boxes = tracks.boxes[tracks.confirmed].astype(np.float64)
    for detection, box, (distance, extent) in zip(flat, boxes, surfaces.tolist()):
        if math.isnan(distance):
            continue
        corners = box.reshape(2, 2)
        start, end = (corners - centre) / focal * distance
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


def find_surfaces(depth: np.ndarray, boxes: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """
    Measure the surfaces in boxes, see `find_surface`.

    :param depth: as in `detections_3d_message`
    :param boxes: (N, 4) float, xyxy, pixels of the image
    :param image_size: (height, width) of the image, pixels
    :return: (N, 2) float64, median and extent, metres; nan where there is no surface
    :raises ImageError: if the depth image does not have the shape of the image
    """
    size = image_size[1], image_size[0]
    depth_size = depth.shape[1], depth.shape[0]
    scale = _scale(size, depth_size)
    if scale is None:
        raise ImageError(
            f'a depth image of {_format_size(depth_size)} pixels is not aligned to an image of '
            f'{_format_size(size)}: their aspect ratios differ. Publish depth registered to this '
            'camera, in any resolution'
        )
    scaled = boxes.astype(np.float64) * np.tile(scale, 2)
    found = [find_surface(depth, box) or (math.nan, math.nan) for box in scaled]
    return np.array(found, np.float64).reshape(-1, 2)


def find_surface(depth: np.ndarray, box: np.ndarray) -> tuple[float, float] | None:
    """
    Measure the nearest surface of sufficient size in the centre of a box.

    The edges of a box often show background, so only the central half of its width and height is
    used. Its depths are sorted into bins whose width is 5 % of the distance. Adjacent bins with at
    least 2 % of the depths each form a surface; depths between surfaces (blurred edges) are
    discarded. The object is the nearest surface with at least a fifth of the depths, or otherwise
    the largest one. This ignores a pole in front of the object, specks of noise, and a wall
    visible through gaps. But anything that hides more than a fifth of the centre is mistaken for
    the object, and anything less than about 5 % of the distance behind it for a part of it.

    :param depth: (h, w) float32, metres, NaN where unknown
    :param box: (4,) float64, xyxy, pixels of the depth image, counted from the edge of its first
        pixel
    :return: the median of the surface's depths, and its extent: the range of the central 90 % of
        its depths, but at least 5 cm and 2 % of the distance, the resolution of depth cameras;
        metres. None if fewer than 4 pixels, or fewer than a tenth, have a depth, or if there is
        no surface
    """
    corners = box.reshape(2, 2)
    inwards = (corners[1] - corners[0]) * (1 - _CENTRAL) / 2
    # The pixels whose centres are inside the box.
    x1, y1 = np.ceil(corners[0] + inwards - 0.5).clip(0).astype(int)
    x2, y2 = np.ceil(corners[1] - inwards - 0.5).clip(0).astype(int)
    pixels = depth[y1:y2, x1:x2]
    pixels = pixels[:: 1 + pixels.shape[0] // _SAMPLES, :: 1 + pixels.shape[1] // _SAMPLES]
    depths = pixels[~np.isnan(pixels)].astype(np.float64)
    if len(depths) < max(_MIN_PIXELS, _MIN_VALID * pixels.size):
        return None
    bins = np.floor(np.log(depths) / _BIN).astype(int)
    bins -= bins.min()
    counts = np.bincount(bins)
    surfaces, _ = ndimage.label(counts >= _STRAY * len(depths))  # from 1; 0: not in a surface
    sizes = np.bincount(surfaces, counts)[1:]
    if not len(sizes):
        return None
    large = np.flatnonzero(sizes >= _SURFACE * len(depths))
    chosen = 1 + (large[0] if len(large) else sizes.argmax())
    near, median, far = np.percentile(depths[surfaces[bins] == chosen], (5, 50, 95))
    extent = max(far - near, _MIN_EXTENT, _MIN_RELATIVE_EXTENT * median)
    return float(median), float(extent)


def pinhole_of(info: CameraInfo, image_size: tuple[int, int]) -> Pinhole:
    """
    Return the camera of an image, with the assumptions of `detections_3d_message`.

    :raises ImageError: if the camera is not calibrated, or is that of another view
    """
    return Pinhole(*_pinhole(info, image_size), image_size)


def _pinhole(info: CameraInfo, image_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """
    Return focal lengths and principal point, each (2,) float64, x and y, pixels of the image.

    In boxes, pixels are counted from the edge of the first pixel; in calibrations, from its
    centre.
    """
    matrix = info.p.reshape(3, 4) if info.p[0] else info.k.reshape(3, 3)
    focal, centre = matrix[(0, 1), (0, 1)], matrix[:2, 2] + 0.5
    # Also if one is not a number. With smaller focal lengths, positions would be infinite.
    if not (focal.min() >= _LEAST_FOCAL and np.abs([focal, centre]).max() <= _LARGEST_PIXELS):
        raise ImageError(
            f'camera_info has the focal lengths {focal.tolist()} and the principal point '
            f'{matrix[:2, 2].tolist()}, so objects cannot be placed; expected finite numbers, and '
            'focal lengths above 0. Calibrate the camera and let its driver publish K and P, or '
            'set the parameter depth to false'
        )
    # K and P refer to the full sensor; binning and region of interest lead to the image. Nodes
    # that resize images often do not adapt camera_info. Scaling by the size of the image covers
    # both.
    roi = info.roi
    size = roi.width or info.width, roi.height or info.height
    if 0 in size:
        scale = 1 / np.array([info.binning_x or 1, info.binning_y or 1])
    else:
        scale = _scale(size, (image_size[1], image_size[0]))
        if scale is None:
            raise ImageError(
                f'camera_info is of an image of {_format_size(size)} pixels, but the image has '
                f'{_format_size((image_size[1], image_size[0]))}: one is a crop of the other. '
                'Publish the camera_info that belongs to the image, with its roi set if it is '
                'cropped'
            )
    return focal * scale, (centre - (roi.x_offset, roi.y_offset)) * scale


def _scale(size: tuple[int, int], other: tuple[int, int]) -> np.ndarray | None:
    """Return other / size, both (width, height); None if their aspect ratios differ."""
    x, y = np.divide(other, size)
    return np.array([x, y]) if abs(x / y - 1) <= _ASPECT_TOLERANCE else None


def _format_size(size: tuple[int, int]) -> str:
    return f'{size[0]}x{size[1]}'
