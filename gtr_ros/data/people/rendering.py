# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frames of a scene."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from functools import cached_property
from hashlib import sha256

import numpy as np
from scipy import ndimage

from gtr_ros.boxes import clip_boxes
from gtr_ros.data.people import context
from gtr_ros.data.people.camera import Camera
from gtr_ros.data.people.cast import make_cast
from gtr_ros.data.people.drawing import draw_picture
from gtr_ros.data.people.drawing import draw_truth
from gtr_ros.data.people.drawing import Shot
from gtr_ros.data.people.effects import compress
from gtr_ros.data.people.effects import make_lens
from gtr_ros.data.people.effects import motion_of
from gtr_ros.data.people.figures import Figures
from gtr_ros.data.people.figures import make_figures
from gtr_ros.data.people.lighting import make_light
from gtr_ros.data.people.places import make_places
from gtr_ros.data.people.scene import PeopleScene
from gtr_ros.data.people.schedule import make_absences
from gtr_ros.data.people.setting import make_setting
from gtr_ros.data.people.setting import Setting
from gtr_ros.data.people.wardrobe import Dressed
from gtr_ros.data.people.wardrobe import TEXTURE
from gtr_ros.data.people.wardrobe import wardrobe_of
from gtr_ros.data.people.world import World
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Role
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.stamps import NANOSECONDS

#: a person of whom less is visible need not be found
VISIBLE = 0.25
#: nor one who is less high, pixels
HEIGHT = 20


@dataclass(frozen=True, eq=False)
class Frame:
    """
    One image of a scene, and what is in it. The N people are those whose full box is in the image.

    :param image: (H, W, 3) uint8 RGB; None: not drawn
    :param depth: (H, W) float32, metres along the optical axis; inf where nothing is
    :param owners: (H, W) uint16, 0: nobody; else the person's index + 1
    :param ids: (N,) int64, identities
    :param boxes: (N, 4) float64, xyxy, pixels; around the visible pixels; zeros if there are none
    :param full_boxes: (N, 4) float64, xyxy, pixels; of the whole body, may reach beyond the image
    :param visibility: (N,) float64 in [0, 1], visible share of the whole body's pixels
    :param distance: (N,) float64, metres along the optical axis to the middle of the body
    :param camera: (4, 4) float64, from the optical frame (x right, y down, z forward) to the
        world (x forward, y left, z up; the ground is z = 0), metres
    :param intrinsics: (3, 3) float64
    """

    image: np.ndarray | None
    depth: np.ndarray
    owners: np.ndarray
    ids: np.ndarray
    boxes: np.ndarray
    full_boxes: np.ndarray
    visibility: np.ndarray
    distance: np.ndarray
    camera: np.ndarray
    intrinsics: np.ndarray

    def labels(self) -> Truth:
        """
        Return the people in the image by their full boxes within it.

        People of whom less than a quarter is visible, or who are less than 20 pixels high, are
        distractors.
        """
        boxes = clip_boxes(self.full_boxes, self.owners.shape)
        counted = (self.visibility >= VISIBLE) & (boxes[:, 3] - boxes[:, 1] >= HEIGHT)
        return Truth.of(self.ids, boxes, roles=np.where(counted, Role.COUNTED, Role.DISTRACTOR))


class People:
    """
    A generated scene of rendered people.

    :raises FormatError: if a folder that the scene names is not valid
    :raises ValueError: if its avatars have nobody of the split
    """

    def __init__(self, scene: PeopleScene) -> None:
        self.scene = scene
        self._observer: tuple[Camera, int] | None = None  # another camera, and its visit
        self._wardrobe = wardrobe_of(scene.avatars)
        self.camera = Camera(scene)
        self.people = make_cast(scene, self._wardrobe.avatars)
        self.places = make_places(scene, self.camera)
        self.world = World(scene, self.camera, self.people, self.places, make_absences(scene))
        self.light = make_light(scene)
        self.lens = make_lens(scene, self.light)
        self.stamps = regular_stamps(max(1, round(scene.duration * scene.rate)), scene.rate)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.stamps)

    def __reduce__(self) -> tuple:
        """Pickle the scene only: it is generated again, as it was."""
        if self._observer is not None:
            return _generate_seen_by, (self.scene, *self._observer)
        return People, (self.scene,)

    def seen_by(self, camera: Camera, visit: int) -> People:
        """
        Return the same people and things at the same times, as another camera sees them.

        People go where the scene's own camera sees them, and keep away from it only. Beside its
        view somebody may be put elsewhere, so the other camera should look at what it sees, too.

        :param visit: whose lens and exposure the other camera has; the light stays
        """
        other = People.__new__(People)
        # What is drawn once for all cameras is made before it is shared.
        vars(other).update(vars(self), _setting=self._setting, _dressed=self._dressed)
        vars(other).pop('sequence', None)
        other.camera, other._observer = camera, (camera, visit)
        other.lens = make_lens(replace(self.scene, visit=visit), self.light)
        return other

    def frame(self, t: int) -> Frame:
        """
        Draw frame t, in any order.

        :raises IndexError: if there is no such frame
        :raises DrawingError: if OpenGL is not available
        """
        figures, camera = self._figures(self._seconds(t))
        return self._measured(figures, camera, self._picture(t, figures, camera))

    def image(self, t: int) -> np.ndarray:
        """Draw only the image of frame t, (H, W, 3) uint8 RGB; raises as `frame`."""
        return self._picture(t, *self._figures(self._seconds(t)))

    def _picture(self, t: int, figures: Figures, camera: np.ndarray) -> np.ndarray:
        seconds = self._seconds(t)
        motion, taps = motion_of(self.camera, seconds, self.lens.shutter)
        shot = Shot(
            view=self.camera.view,
            setting=self._setting,
            light=self.light,
            figures=figures,
            camera=camera,
            textures=self._textures,
            exposure=self.light.exposure * self.lens.exposure(seconds),
            motion=motion,
            taps=taps,
            blur=self.lens.blur,
            vignette=self.lens.vignette,
            balance=self.lens.balance,
            noise=self.lens.noise,
            frame=(int(self.stamps[t]) // 1000 + 7919 * self.scene.seed) % 2**32,
        )
        return compress(context.draw(draw_picture, shot), self.lens.quality)

    def truth(self, t: int) -> Frame:
        """Return frame t without its image, which is faster."""
        return self._measured(*self._figures(self._seconds(t)), None)

    @cached_property
    def sequence(self) -> Sequence:
        """
        The scene as a labelled video; its images are drawn when they are read.

        Boxes are the full ones within the image. People of whom less than a quarter is visible,
        or who are less than 20 pixels high, are distractors.
        """
        name, key = str(self.scene), self.scene.image_key
        if self._observer is not None:
            camera, visit = self._observer
            seen = f'{camera.place(0.0).tolist()} {camera.view} {visit}'
            name, key = f'{name} from {seen}', sha256(f'{key} {seen}'.encode()).hexdigest()
        return Sequence(
            name=name,
            class_names=('person',),
            image_size=self.scene.size,
            frame_rate=self.scene.rate,
            truth=tuple(self.truth(t).labels() for t in range(len(self))),
            stamps=self.stamps,
            images=_Images(self),
            image_key=key,
        )

    def _seconds(self, t: int) -> float:
        if not 0 <= t < len(self):
            raise IndexError(f'frame {t}; expected 0 to {len(self) - 1}')
        return int(self.stamps[t]) / NANOSECONDS

    @cached_property
    def _setting(self) -> Setting:
        return make_setting(self.scene, self.camera, self.places, self.light)

    @cached_property
    def _dressed(self) -> list[Dressed]:
        return [self._wardrobe.dress(person.look) for person in self.people]

    @property
    def _textures(self) -> np.ndarray:
        shape = (len(self._dressed), TEXTURE, TEXTURE * 3 // 2, 3)
        return np.array([dressed.texture for dressed in self._dressed], np.uint8).reshape(shape)

    def _figures(self, seconds: float) -> tuple[Figures, np.ndarray]:
        camera = self.camera.pose(seconds)
        figures = make_figures(
            self.people,
            self._dressed,
            self.world.at(seconds),
            seconds,
            camera,
            self.camera.view,
        )
        return figures, camera

    def _measured(self, figures: Figures, camera: np.ndarray, image: np.ndarray | None) -> Frame:
        owners, depth, areas = context.draw(
            draw_truth, self.camera.view, self._setting, figures, camera
        )
        count = len(figures.people)
        visible = np.bincount(owners.ravel(), minlength=count + 1)[1:]
        boxes = np.zeros((count, 4))
        for i, found in enumerate(ndimage.find_objects(owners, max_label=count)):
            if found is not None:
                rows, columns = found
                boxes[i] = columns.start, rows.start, columns.stop, rows.stop
        seen = np.flatnonzero(figures.seen)
        renumbered = np.zeros(count + 1, np.uint16)
        renumbered[seen + 1] = np.arange(1, len(seen) + 1)
        return Frame(
            image=image,
            depth=depth,
            owners=renumbered[owners],
            ids=np.array([self.people[i].identity for i in figures.people[seen]], np.int64),
            boxes=boxes[seen],
            full_boxes=figures.full_boxes[seen],
            visibility=np.minimum(1, visible / np.maximum(areas, 1))[seen],
            distance=figures.distances[seen],
            camera=camera,
            intrinsics=self.camera.view.intrinsics,
        )


class _Images:
    """The images of a scene; see `gtr_ros.data.sequence.Images`."""

    def __init__(self, people: People) -> None:
        self._people = people

    def __call__(self) -> Iterator[np.ndarray]:
        return map(self.at, range(len(self._people)))

    def at(self, t: int) -> np.ndarray:
        """Draw the image of frame t."""
        return self._people.image(t)


def _generate_seen_by(scene: PeopleScene, camera: Camera, visit: int) -> People:
    return People(scene).seen_by(camera, visit)


def generate(scene: PeopleScene) -> People:
    """Generate a scene; the same parameters always produce the same scene on one machine."""
    return People(scene)
