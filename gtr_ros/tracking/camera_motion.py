# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Camera motion, estimated from the motion of the background between two images.

Both images are downscaled. Phase correlation finds the shift of the whole image, then the shift of
each of many overlapping patches with subpixel precision. The motion that most patches agree on, a
similarity transform (rotation, zoom and shift), is that of the background. Points of the
downscaled image are represented as complex numbers x + iy, so that a similarity transform is
`turn * point + shift`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import fftfreq
from scipy.fft import irfft2
from scipy.fft import rfft2
from scipy.fft import rfftfreq

_AREA = 160 * 120  # approximate area of the downscaled image, pixels
_PATCH, _SPACING = 24, 12  # side S of a patch, and distance between patches, pixels
_COVERED = 0.4  # fraction of a patch covered by objects above which it is not background
_TEXTURED = 0.3  # minimum fraction of a patch's spectrum above the noise for it to match
_WHOLE_WIDTH, _PATCH_WIDTH = 0.25, 0.2  # of the correlations' low-pass filters, cycles per pixel
_FARTHEST = 0.42  # maximum shift of the whole image, fractions of its sides
_PEAKS, _TRIES = 4, 2  # number of shifts compared, and of those tried for patches
_PASSES, _NEAR = 3, 2  # iterations of patch matching, and tolerance to stop, pixels
_FEWEST, _SPREAD = 8, 0.2  # patches that must agree; their spread, in mean image sides
_LARGEST_TURN = 0.25  # |turn - 1|: 14 degrees, or 25 % zoom
_GROWTH = 0.02  # growth of the tolerance, per pixel of displacement

_Similarity = tuple[complex, complex]  # turn and shift


class _Downscaled(NamedTuple):
    """
    A downscaled image, with sides of even length.

    :param size: (height, width) of the image as received, pixels
    :param grey: (h, w) float32, grey levels
    :param covered: (h, w) bool, True where objects are
    :param coarse: (h / 2, w / 2) float32, grey levels with zero mean; 0 where objects are
    :param corners: (P, 2) int64, x and y of the patches
    :param patches: (P, S, S / 2 + 1) complex64, spectra of the patches
    """

    size: tuple[int, int]
    grey: np.ndarray
    covered: np.ndarray
    coarse: np.ndarray
    corners: np.ndarray
    patches: np.ndarray


class CameraMotion:
    """
    Estimates how the background moved from one image to the next, for one camera.

    Between two images, it may move by a third of the width, rotate by 5 degrees and zoom by 5 %.
    Objects with known boxes are masked; other objects disturb the estimate if they have more
    texture than the background.

    :param still: a motion smaller than this everywhere in the image is considered noise, image
        widths
    :param agreement: in (0, 1], fraction of the textured patches that must agree
    :param tolerance: of a patch's position, pixels of a 160 x 120 image
    :param clarity: in (0, 1), minimum correlation peak for a patch to match
    :param grain: standard deviation of the image noise, grey levels
    """

    def __init__(
        self,
        still: float = 0.0015,
        agreement: float = 0.35,
        tolerance: float = 0.75,
        clarity: float = 0.25,
        grain: float = 1.5,
    ) -> None:
        self.still = still
        self.agreement = agreement
        self.tolerance = tolerance
        window = np.hanning(_PATCH + 2)[1:-1]
        self._window = np.outer(window, window).astype(np.float32)
        self._noise = np.float32(grain**2 * (self._window**2).sum())  # power at each frequency
        self._filter = _low_pass((_PATCH, _PATCH), _PATCH_WIDTH)
        self._least_peak = clarity * irfft2(self._filter)[0, 0]
        self._previous: _Downscaled | None = None

    def reset(self) -> None:
        """Forget the previous image."""
        self._previous = None

    def update(self, image: np.ndarray, boxes: np.ndarray | None = None) -> np.ndarray | None:
        """
        Estimate how the background moved from the previous image to this one.

        :param image: (H, W, 3) uint8, RGB, of any strides
        :param boxes: (N, 4), xyxy, pixels of the image: objects, which are not background
        :return: (2, 3) float64, maps (x, y, 1) in pixels of the previous image to pixels of this
            one, exactly the identity if the camera did not move; None if unknown (first image,
            different image size, no texture, or too few patches that agree)
        :raises ValueError: if the shape or type of the image or the boxes is wrong
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f'image is {image.dtype} {image.shape}; expected uint8 (H, W, 3), RGB'
            )
        boxes = np.zeros((0, 4)) if boxes is None else np.asarray(boxes)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f'boxes have shape {boxes.shape}; expected (N, 4), xyxy')
        before, self._previous = self._previous, None
        step = max(1, round((image.shape[0] * image.shape[1] / _AREA) ** 0.5))
        if min(image.shape[:2]) // step < _PATCH:
            return None
        self._previous = now = self._shrink(image, boxes, step)
        if before is None or before.size != now.size:
            return None
        motions = (self._motion(before, now, place) for place in _whole_shifts(before, now))
        turn, shift = next((motion for motion in motions if motion), (None, None))
        if turn is None:
            return None
        middle = step / 2 * (1 + 1j)  # approximate centre of the first downscaled pixel
        shift = step * shift + middle * (1 - turn)
        return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])

    def _shrink(self, image: np.ndarray, boxes: np.ndarray, step: int) -> _Downscaled:
        """Downscale an image by the factor `step`."""
        height, width = (side // step // 2 * 2 for side in image.shape[:2])
        # Green is close to grey, and the mean of four pixels in a square is close to the square's
        # mean, so only few pixels are read.
        green = image[: height * step, : width * step, 1]
        low, high = step // 4, step * 3 // 4
        samples = [green[y::step, x::step] for y in (low, high) for x in (low, high)]
        grey = np.sum(samples, axis=0, dtype=np.float32) / 4

        covered = np.zeros((height, width), bool)
        rounded = np.rint(boxes / step).clip(0, [width, height, width, height]).astype(int)
        for x1, y1, x2, y2 in rounded.tolist():
            covered[y1:y2, x1:x2] = True

        coarse = (grey[::2, ::2] + grey[1::2, ::2] + grey[::2, 1::2] + grey[1::2, 1::2]) / 4
        coarse -= coarse.mean()
        coarse[covered[::2, ::2]] = 0
        y, x = np.mgrid[0 : height - _PATCH + 1 : _SPACING, 0 : width - _PATCH + 1 : _SPACING]
        corners = np.stack([x, y], axis=-1).reshape(-1, 2)
        patches = self._spectra(grey, corners)
        return _Downscaled(image.shape[:2], grey, covered, coarse, corners, patches)

    def _spectra(self, grey: np.ndarray, corners: np.ndarray) -> np.ndarray:
        """Return (P, S, S / 2 + 1) complex64, the spectra of the patches at (P, 2) corners."""
        patches = sliding_window_view(grey, (_PATCH, _PATCH))[corners[:, 1], corners[:, 0]]
        patches -= patches.mean(axis=(1, 2), keepdims=True)
        patches *= self._window
        return rfft2(patches)

    def _motion(
        self, before: _Downscaled, now: _Downscaled, place: np.ndarray
    ) -> _Similarity | None:
        """Match patches at their corners displaced by `place`, (2,) int64, x and y; refine."""
        height, width = now.grey.shape
        points = (before.corners + _PATCH / 2 - 0.5) @ [1, 1j]
        background = _covered_fractions(before, before.corners) < _COVERED
        offsets = np.tile(place, (len(points), 1))
        for _ in range(_PASSES):
            places = before.corners + offsets
            inside = (places >= 0) & (places <= [width - _PATCH, height - _PATCH])
            rows = np.flatnonzero(background & inside.all(axis=1))
            rows = rows[_covered_fractions(now, places[rows]) < _COVERED]
            shifted = offsets.any()
            spectra = self._spectra(now.grey, places[rows]) if shifted else now.patches[rows]
            moves, found, textured = self._displacements(before.patches[rows], spectra)
            if found.sum() < _FEWEST:
                return None
            # If the camera does not move, patches with slightly moving objects would bias the fit.
            if not shifted and 2 * (np.abs(moves[found]) < self.still * width).sum() > textured:
                return 1, 0
            starts = points[rows[found]]
            ends = starts + offsets[rows[found]] @ [1, 1j] + moves[found]
            turn, shift, agreed = _fit_similarity(starts, ends, self.tolerance)
            if agreed.sum() < _FEWEST:
                return None
            wanted = turn * points + shift - points
            wanted = np.rint(np.stack([wanted.real, wanted.imag], axis=1)).astype(int)
            if np.abs(wanted - offsets).max() <= _NEAR:
                break
            offsets = wanted
        # The patches of one moving object also agree, but they are close together.
        together = starts[agreed].std() < _SPREAD * (height * width) ** 0.5
        if together or agreed.sum() < self.agreement * textured:
            return None
        borders = np.array([0, width, 1j * height, width + 1j * height])
        moved = np.abs(turn * borders + shift - borders).max() >= self.still * width
        return (turn, shift) if moved else (1, 0)

    def _displacements(
        self, before: np.ndarray, now: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """
        Correlate the phases of patches; frequencies that are mostly noise have little weight.

        From spectra, (P, S, S / 2 + 1) complex64, return the displacements, (P,) complex; whether
        each patch matched, (P,) bool; and the number of patches with enough texture to match.
        """
        cross = now * before.conj()
        power = np.abs(cross)
        weights = self._filter / (power + self._noise)
        texture = np.einsum('pyx,pyx->p', weights, power) / self._filter.sum()
        cross *= weights
        values = irfft2(cross, s=(_PATCH, _PATCH)).reshape(-1, _PATCH**2)
        patch, best = np.arange(len(values)), values.argmax(axis=1)
        y, x = np.divmod(best, _PATCH)
        top = values[patch, best]
        left, right = (values[patch, y * _PATCH + (x + i) % _PATCH] for i in (-1, 1))
        above, below = (values[patch, (y + i) % _PATCH * _PATCH + x] for i in (-1, 1))
        x = _signed_shift(x, _PATCH) + _subpixel_offset(left, top, right)
        y = _signed_shift(y, _PATCH) + _subpixel_offset(above, top, below)
        found = top > self._least_peak
        return x + 1j * y, found, int((found | (texture > _TEXTURED)).sum())


def _whole_shifts(before: _Downscaled, now: _Downscaled) -> list[np.ndarray]:
    """Return the most likely shifts, best first, each (2,) int64, x and y, downscaled pixels."""
    height, width = now.coarse.shape
    cross = rfft2(now.coarse) * rfft2(before.coarse).conj()
    power = np.abs(cross)
    cross *= _low_pass((height, width), _WHOLE_WIDTH) / (power + 0.02 * power.mean() + 1e-6)
    correlation = irfft2(cross, s=(height, width))
    shifts = {(0, 0)}
    for _ in range(_PEAKS):
        y, x = divmod(int(correlation.argmax()), width)
        around = np.ix_(np.arange(y - 1, y + 2) % height, np.arange(x - 1, x + 2) % width)
        correlation[around] = -np.inf
        x, y = _signed_shift(x, width), _signed_shift(y, height)
        if abs(x) < _FARTHEST * width and abs(y) < _FARTHEST * height:
            shifts.add((x, y))

    def overlap(image: np.ndarray, x: int, y: int) -> np.ndarray:
        return image[max(0, y) : height + min(0, y), max(0, x) : width + min(0, x)].ravel()

    def normalised_correlation(shift: tuple[int, int]) -> float:
        x, y = shift
        one, two = overlap(before.coarse, -x, -y), overlap(now.coarse, x, y)
        return float(one @ two / np.sqrt((one @ one) * (two @ two) + 1e-6))

    best = sorted(shifts, key=normalised_correlation, reverse=True)
    return [2 * np.array(shift) for shift in best[:_TRIES]]


def _fit_similarity(
    starts: np.ndarray, ends: np.ndarray, tolerance: float
) -> tuple[complex, complex, np.ndarray]:
    """
    Fit a similarity from (P,) complex starts to ends; return it and its inliers, (P,) bool.

    Each pair of points whose indices differ by one half or one third of P proposes a similarity,
    and each point proposes a shift. The proposal with the most votes is refined by reweighted
    least squares.
    """
    count = len(starts)
    tolerances = tolerance + _GROWTH * np.abs(ends - starts)
    first = np.tile(np.arange(count), 2)
    second = np.concatenate([np.roll(np.arange(count), k) for k in (count // 2, count // 3)])
    turns = (ends[first] - ends[second]) / (starts[first] - starts[second])
    turns = np.concatenate([turns, np.ones(count)])
    shifts = np.tile(ends, 3) - turns * np.tile(starts, 3)
    proposals = np.stack([turns, shifts], axis=1)[np.abs(turns - 1) < _LARGEST_TURN]
    errors = proposals @ np.stack([starts, np.ones(count)]) - ends  # [proposals,P]
    votes = 1 - (errors.real**2 + errors.imag**2) / tolerances**2
    turn, shift = proposals[np.maximum(votes, 0).sum(axis=1).argmax()]
    for _ in range(3):
        errors = np.abs(turn * starts + shift - ends)
        weights = np.maximum(1 - (errors / (2 * tolerances)) ** 2, 0) ** 2
        weights /= weights.sum()
        start, end = weights @ starts, weights @ ends
        # This is 0 if only one point has weight; then the turn is 0, and no other point agrees.
        spread = max(weights @ np.abs(starts - start) ** 2, 1e-9)
        turn = (weights * (starts - start).conj()) @ (ends - end) / spread
        shift = end - turn * start
    return complex(turn), complex(shift), np.abs(turn * starts + shift - ends) < tolerances


def _subpixel_offset(left: np.ndarray, top: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return (P,) in [-0.5, 0.5], the offset of a Gaussian's peak through three values."""
    left, top, right = (np.log(np.maximum(values, 1e-6)) for values in (left, top, right))
    return np.clip((left - right) / (2 * np.minimum(left + right - 2 * top, -1e-6)), -0.5, 0.5)


def _signed_shift(index, size: int):
    """Return the shift that belongs to an index of a circular correlation."""
    return (index + size // 2) % size - size // 2


def _low_pass(shape: tuple[int, int], width: float) -> np.ndarray:
    """Return float32, a Gaussian filter over the frequencies of rfft2."""
    squares = fftfreq(shape[0])[:, None] ** 2 + rfftfreq(shape[1])[None] ** 2
    return np.exp(-squares / (2 * width**2)).astype(np.float32)


def _covered_fractions(image: _Downscaled, corners: np.ndarray) -> np.ndarray:
    """Return (P,) in [0, 1], the fraction of each patch that objects cover."""
    views = sliding_window_view(image.covered, (_PATCH, _PATCH))
    return views[corners[:, 1], corners[:, 0]].mean(axis=(1, 2))
