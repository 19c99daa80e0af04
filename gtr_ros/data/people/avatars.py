# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Avatars: rigged people, read from GLB files, and their split by person."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.people.glb import Glb
from gtr_ros.data.people.skeleton import JOINTS
from gtr_ros.data.people.skeleton import PARENTS

#: the avatars that the package contains
INCLUDED = Path(__file__).parent / 'avatars'
#: values of `Avatar.parts`
SKIN, TOP, BOTTOM, SHOES, HAIR = 1, 2, 3, 4, 5
#: size of the body's texture, and of the hair's next to it, pixels
BODY, HAIR_SIZE = 512, 256
SPLITS = ('train', 'validation', 'test', 'all')

# One person of each group for testing and one for validation, of 42 persons in seven groups of
# six; among the women and men of each split nobody prevails by more than one. By name, so that a
# folder that lacks some persons has the same split. Persons that are not named are for training.
_TEST = (
    'AIAN_F_1',
    'Asian_M_2',
    'Black_F_2',
    'Hispanic_M_1',
    'MENA_M_3',
    'White_F_3',
    'X_NHPI_F_3',
)
_VALIDATION = (
    'AIAN_M_2',
    'Asian_F_2',
    'Black_M_1',
    'Hispanic_F_3',
    'NHPI_M_1',
    'White_M_2',
    'X_MENA_F_1',
)


@dataclass(frozen=True, eq=False)
class Avatar:
    """
    A person in one outfit, as a rigged mesh in the bind pose (arms to the sides).

    Coordinates are the person's own: metres, +Y up, +Z forward, +X to the person's left, origin on
    the ground between the feet.

    :param name: name of the file, without its extension
    :param person: name without the outfit; all outfits of a person have the same face and body
    :param outfit: 'Casual', 'Busi', ...
    :param positions: (V, 3) float32, metres
    :param normals: (V, 3) float32, unit vectors
    :param uv: (V, 2) float32 in 0..1 of `atlas`, v down
    :param triangles: (F, 3) int32, indices of vertices, counter-clockwise from outside
    :param joints: (V, 4) uint8, indices of the joints that move a vertex
    :param weights: (V, 4) float32, shares of these joints; their sum is 1
    :param parents: (69,) int64, index of each joint's parent, -1 for the hips
    :param rest: (69, 4, 4) float32, frame of each joint in the person's frame in the bind pose
    :param inverse_bind: (69, 4, 4) float32, the inverse of `rest`
    :param atlas: (512, 768, 3) uint8 RGB; left the body's texture, top right the hair's
    :param parts: (512, 768) uint8, 0 none, 1 skin, 2 top, 3 bottom, 4 shoes, 5 hair
    :param height: of the bind pose, metres
    """

    name: str
    person: str
    outfit: str
    positions: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    triangles: np.ndarray
    joints: np.ndarray
    weights: np.ndarray
    parents: np.ndarray
    rest: np.ndarray
    inverse_bind: np.ndarray
    atlas: np.ndarray
    parts: np.ndarray
    height: float

    @cached_property
    def derived(self) -> dict:
        """What other modules computed from this avatar; it lives as long as the avatar."""
        return {}

    @cached_property
    def heads(self) -> np.ndarray:
        """(69, 3) float64, the position of each joint in the bind pose, metres."""
        return self.rest[:, :3, 3].astype(np.float64)

    @cached_property
    def dense_weights(self) -> np.ndarray:
        """(V, 69) float32, the share of each joint in each vertex."""
        dense = np.zeros((len(self.positions), len(self.parents)), np.float32)
        rows = np.arange(len(dense))
        for column in range(self.joints.shape[1]):
            np.add.at(dense, (rows, self.joints[:, column]), self.weights[:, column])
        return dense


def read_avatar(file: Path) -> Avatar:
    """
    Read an avatar from its GLB file and the mask of its parts, `parts/NAME.png` next to it.

    :raises FormatError: if a file is not one of this kind; the message names file and rule
    :raises OSError: if a file cannot be read
    """
    file = Path(file)
    person, _, outfit = file.stem.rpartition('_')
    if not person:
        raise FormatError(file, 'expected a name such as White_F_1_Casual.glb: person_outfit')
    glb = Glb(file)
    inverse_bind = _skeleton(glb)
    fields = {key: [] for key in ('positions', 'normals', 'uv', 'joints', 'weights', 'triangles')}
    count = 0
    for name, mesh in glb.meshes():
        scale, offset = _place(name)
        fields['positions'].append(mesh.positions)
        fields['normals'].append(mesh.normals)
        fields['uv'].append(np.clip(mesh.uv, 0, 1) * scale + offset)
        fields['joints'].append(mesh.joints)
        fields['weights'].append(mesh.weights)
        fields['triangles'].append(mesh.triangles + count)
        count += len(mesh.positions)
    if not count:
        raise FormatError(file, 'has no meshes; expected body, eyes and perhaps hair')
    arrays = {key: np.concatenate(value) for key, value in fields.items()}
    sums = arrays['weights'].sum(axis=1, keepdims=True)
    if np.any(arrays['joints'] >= len(JOINTS)) or np.any(np.abs(sums - 1) > 0.01):
        raise FormatError(file, 'expected joints below 69, and weights that sum to 1')
    atlas, parts = _textures(glb)
    return Avatar(
        name=file.stem,
        person=person,
        outfit=outfit,
        positions=np.ascontiguousarray(arrays['positions'], np.float32),
        normals=np.ascontiguousarray(arrays['normals'], np.float32),
        uv=arrays['uv'].astype(np.float32),
        triangles=arrays['triangles'].astype(np.int32),
        joints=arrays['joints'].astype(np.uint8),
        weights=(arrays['weights'] / sums).astype(np.float32),
        parents=np.array(PARENTS),
        rest=np.linalg.inv(inverse_bind.astype(np.float64)).astype(np.float32),
        inverse_bind=inverse_bind,
        atlas=atlas,
        parts=parts,
        height=float(arrays['positions'][:, 1].max()),
    )


def _skeleton(glb: Glb) -> np.ndarray:
    """Return the inverse bind matrices (69, 4, 4), after a check of the joints' names."""
    names = glb.joint_names()
    if names != JOINTS:
        wrong = next((n for n, j in zip(names, JOINTS) if n != j), f'{len(names)} joints')
        raise FormatError(glb.file, f'{wrong}: expected the 69 joints of the VALID avatars')
    return glb.inverse_bind()


def _place(mesh: str) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and offset that take a mesh's (u, v) to those of the atlas."""
    width, height = BODY + HAIR_SIZE, BODY
    if mesh == 'hair':
        return np.array([HAIR_SIZE / width, HAIR_SIZE / height]), np.array([BODY / width, 0.0])
    return np.array([BODY / width, 1.0]), np.zeros(2)


def _textures(glb: Glb) -> tuple[np.ndarray, np.ndarray]:
    """Return `atlas` and `parts`."""
    atlas = np.zeros((BODY, BODY + HAIR_SIZE, 3), np.uint8)
    parts = np.zeros(atlas.shape[:2], np.uint8)
    atlas[:, :BODY] = glb.texture('body', BODY)
    path = glb.file.parent / 'parts' / f'{glb.file.stem}.png'
    with Image.open(path) as image:
        mask = np.asarray(image)
    if mask.shape != (BODY, BODY) or mask.max() > HAIR:
        raise FormatError(path, f'expected a mask of {BODY} x {BODY} pixels with values 0 to 5')
    parts[:, :BODY] = mask
    if any(name == 'hair' for name, _ in glb.meshes()):
        atlas[:HAIR_SIZE, BODY:] = glb.texture('hair', HAIR_SIZE)
        parts[:HAIR_SIZE, BODY:] = HAIR
    return atlas, parts


class Avatars:
    """
    The avatars of a folder.

    :param folder: with GLB files and the masks in `parts`; None: the avatars that the package
        contains, all of the split 'test'
    :param kept: number of avatars that stay in memory (some 4 MB each)
    :raises FormatError: if the folder has none
    """

    def __init__(self, folder: Path | None = None, kept: int = 64) -> None:
        self.folder = INCLUDED if folder is None else Path(folder)
        self.kept = kept
        self._all = tuple(sorted(path.stem for path in self.folder.glob('*_*.glb')))
        self._read: OrderedDict[str, Avatar] = OrderedDict()
        if not self._all:
            raise FormatError(self.folder, 'has no avatars; expected files NAME.glb')

    def names(self, split: str = 'all') -> tuple[str, ...]:
        """
        Return the names of a split's avatars, sorted; all outfits of a person are in one split.

        :param split: 'train', 'validation', 'test' or 'all'
        :raises ValueError: if the split is unknown, or the folder has nobody of it
        """
        if split not in SPLITS:
            raise ValueError(f'split is {split!r}; expected one of {", ".join(SPLITS)}')
        names = tuple(n for n in self._all if split in ('all', split_of(person_of(n))))
        if not names:
            raise ValueError(
                f'{self.folder} has no avatars of the split {split!r}; the package contains '
                f"those of 'test' only: name a folder with all of them"
            )
        return names

    def read(self, name: str) -> Avatar:
        """
        Return an avatar; the newest ones stay in memory.

        :raises FormatError: if its files are invalid
        :raises ValueError: if the folder does not have it
        """
        if name not in self._all:
            raise ValueError(f'{self.folder} has no avatar {name!r}')
        if name not in self._read:
            self._read[name] = read_avatar(self.folder / f'{name}.glb')
        self._read.move_to_end(name)
        while len(self._read) > self.kept:
            self._read.popitem(last=False)
        return self._read[name]


def person_of(name: str) -> str:
    """Return the person of an avatar's name: White_F_1 of White_F_1_Casual."""
    return name.rpartition('_')[0]


def split_of(person: str) -> str:
    """Return the split of a person: 'train', 'validation' or 'test'."""
    if person in _TEST:
        return 'test'
    return 'validation' if person in _VALIDATION else 'train'
