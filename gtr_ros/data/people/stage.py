# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What OpenGL holds: programs, meshes and what is drawn into."""

from __future__ import annotations

from typing import Any

import numpy as np

from gtr_ros.data.people import shaders
from gtr_ros.data.people.figures import Figures
from gtr_ros.data.people.materials import noise
from gtr_ros.data.people.materials import paint_materials
from gtr_ros.data.people.setting import Setting

#: people are drawn this much larger, and averaged
FINER = 2
#: side of the shadow map, pixels
SHADOW_MAP = 1024
#: smallest side of what the masks of whole bodies are drawn into, pixels
MASK = 1024

_UNITS = {
    'textures': 0,
    'materials': 1,
    'shadow_map': 2,
    'patch_map': 3,
    'panorama': 4,
    'behind': 5,
    'drawn': 6,
    'grain_map': 7,
}
_SHADERS = {
    'shadow': (shaders.POSITIONS, shaders.NOTHING),
    'mask': (shaders.POSITIONS, shaders.WHITE),
    'truth': (shaders.TRUTH_VERTEX, shaders.TRUTH_FRAGMENT),
    'figures': (shaders.FIGURE_VERTEX, shaders.LIGHTING + shaders.FIGURE_FRAGMENT),
    'things': (shaders.THING_VERTEX, shaders.LIGHTING + shaders.THING_FRAGMENT),
    'backdrop': (shaders.FLAT_VERTEX, shaders.LIGHTING + shaders.BACKDROP_FRAGMENT),
    'spots': (shaders.FLAT_VERTEX, shaders.SPOT_FRAGMENT),
    'behind': (shaders.SCREEN_VERTEX, shaders.BEHIND_FRAGMENT),
    'lens': (shaders.SCREEN_VERTEX, shaders.LENS_FRAGMENT),
}


class Programs:
    """The compiled shaders, by name."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._compiled: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._compiled:
            vertex, fragment = _SHADERS[name]
            program = self._context.program(
                vertex_shader=shaders.HEAD + vertex, fragment_shader=shaders.HEAD + fragment
            )
            for texture, unit in _UNITS.items():
                if texture in program:
                    program[texture] = unit
            self._compiled[name] = program
        return self._compiled[name]


class Paints:
    """Textures that all scenes use, and a triangle that covers the screen."""

    def __init__(self, context: Any, programs: Programs) -> None:
        painted = paint_materials()
        layers, height, width, _ = painted.shape
        self.materials = context.texture_array((width, height, layers), 3, painted.tobytes())
        smooth(self.materials)
        bright = noise(np.random.default_rng(0), (256, 256), 64, 1.3)
        bright = np.clip(0.55 + 0.75 * bright, 0, 1.35) / 1.35
        self.patches = context.texture((256, 256), 1, (255 * bright).astype(np.uint8).tobytes())
        smooth(self.patches)
        corners = np.array([-1, -1, 3, -1, -1, 3], np.float32)
        content = [(context.buffer(corners.tobytes()), '2f', 'in_position')]
        self.screen = {
            name: context.vertex_array(programs[name], content) for name in ('behind', 'lens')
        }
        # 0.125 is the standard deviation; the lens divides by it.
        grain = 127.5 + 31.9 * np.random.default_rng(1).standard_normal((512, 512, 4))
        grain = np.clip(np.round(grain), 0, 255).astype(np.uint8)
        self.grain = context.texture((512, 512), 4, grain.tobytes())
        self.grain.filter = (context.NEAREST, context.NEAREST)


class Targets:
    """
    What is drawn into. People are drawn larger, and averaged; what is behind them is not.

    :param size: (height, width) of the image, pixels
    """

    def __init__(self, context: Any, size: tuple[int, int]) -> None:
        self._context, self._size = context, size
        height, width = size
        self.truth = context.framebuffer(
            [context.texture((width, height), 2, dtype='u4')],
            context.depth_renderbuffer((width, height)),
        )
        self.mask = context.framebuffer([context.renderbuffer((MASK, MASK), 1)])
        self.picture: Any = None

    def prepare_pictures(self) -> None:
        """Make what only pictures need."""
        if self.picture is not None:
            return
        height, width = self._size
        large = (FINER * width, FINER * height)
        samples = min(4, self._context.max_samples)
        self.behind = self._context.framebuffer(
            [self._context.renderbuffer((width, height), 4, samples=samples)],
            self._context.depth_renderbuffer((width, height), samples=samples),
        )
        self.resolved = self._context.texture((width, height), 4)
        self.resolved.repeat_x = self.resolved.repeat_y = False
        self.averaged = self._context.framebuffer([self.resolved])
        self.drawn = self._context.texture(large, 4)
        self.drawn.repeat_x = self.drawn.repeat_y = False
        self.picture = self._context.framebuffer(
            [self.drawn], self._context.depth_renderbuffer(large)
        )
        self.image = self._context.framebuffer([self._context.renderbuffer((width, height), 4)])
        self.shadow_map = self._context.depth_texture((SHADOW_MAP, SHADOW_MAP))
        self.shadow_map.compare_func = '<='
        self.shadow_map.repeat_x = self.shadow_map.repeat_y = False
        self.shadow = self._context.framebuffer([], self.shadow_map)


class Solids:
    """The meshes of a setting."""

    def __init__(self, context: Any, programs: Programs, setting: Setting) -> None:
        self._context, self._programs = context, programs
        self._nobody = context.buffer(np.zeros(1, np.int32).tobytes())
        self._buffers = {
            name: context.buffer(np.ascontiguousarray(mesh).tobytes()) if len(mesh) else None
            for name, mesh in (
                ('things', setting.things),
                ('flats', setting.flats),
                ('backdrop', setting.backdrop),
            )
        }
        self._arrays: dict[tuple[str, str], Any] = {}

    def render(self, name: str, program: str) -> None:
        """
        Draw a mesh.

        :param name: 'things', 'flats' or 'backdrop'
        :param program: 'truth', 'shadow' or the one that gives it colours
        """
        if self._buffers[name] is None:
            return
        if (name, program) not in self._arrays:
            self._arrays[name, program] = self._array(name, program)
        self._arrays[name, program].render()

    def _array(self, name: str, program: str) -> Any:
        if program in ('truth', 'shadow'):
            rest = 8 if name == 'backdrop' else 36
            content = [(self._buffers[name], f'3f {rest}x', 'in_position')]
            if program == 'truth':
                content.append((self._nobody, '1i/r', 'in_owner'))
        elif name == 'backdrop':
            content = [(self._buffers[name], '3f 2f', 'in_position', 'in_uv')]
        else:
            names = ('in_position', 'in_normal', 'in_uv', 'in_layer', 'in_tint')
            content = [(self._buffers[name], '3f 3f 2f 1f 3f', *names)]
        return self._context.vertex_array(self._programs[program], content)

    def release(self) -> None:
        for made in (*self._arrays.values(), *self._buffers.values(), self._nobody):
            if made is not None:
                made.release()


class Coats:
    """The textures of a visit: of its people, and of what is behind them."""

    def __init__(self, context: Any, people: np.ndarray, panorama: np.ndarray) -> None:
        count, height, width, _ = people.shape
        self.people = context.texture_array(
            (width, height, max(count, 1)), 3, people.tobytes() if count else None
        )
        smooth(self.people)
        height, width, _ = panorama.shape
        self.panorama = context.texture((width, height), 3, panorama.tobytes())
        smooth(self.panorama)
        self.panorama.repeat_y = False

    def release(self) -> None:
        self.people.release()
        self.panorama.release()


class Bodies:
    """The meshes of the people of a moment."""

    def __init__(self, context: Any, programs: Programs, figures: Figures) -> None:
        self._context, self._programs, self._figures = context, programs, figures
        counts = np.diff(figures.vertices)
        owners = np.repeat(np.arange(1, len(counts) + 1, dtype=np.int32), counts)
        layers = np.repeat(figures.people.astype(np.float32), counts)
        self.empty = not len(figures.triangles)
        if self.empty:
            return
        self._index = self._buffer(figures.triangles)
        self._content = {
            'in_position': (self._buffer(figures.positions), '3f'),
            'in_owner': (self._buffer(owners), '1i'),
            'in_layer': (self._buffer(layers), '1f'),
            'in_uv': (self._buffer(figures.uv), '2f'),
            'in_normal': (self._buffer(figures.normals), '3f'),
        }
        self._arrays: dict[str, Any] = {}

    def render(self, program: str, which: int | None = None) -> None:
        """
        Draw people.

        :param which: position of one person in `Figures.people`; None: all
        """
        if self.empty:
            return
        if program not in self._arrays:
            compiled = self._programs[program]
            content = [(b, f, name) for name, (b, f) in self._content.items() if name in compiled]
            self._arrays[program] = self._context.vertex_array(compiled, content, self._index)
        if which is None:
            self._arrays[program].render()
        else:
            first, end = self._figures.faces[which : which + 2].tolist()
            self._arrays[program].render(vertices=3 * (end - first), first=3 * first)

    def release(self) -> None:
        if not self.empty:
            buffers = (buffer for buffer, _ in self._content.values())
            for made in (*self._arrays.values(), *buffers, self._index):
                made.release()

    def _buffer(self, values: np.ndarray) -> Any:
        return self._context.buffer(np.ascontiguousarray(values).tobytes())


def smooth(texture: Any) -> None:
    """Let a texture be averaged where it looks small."""
    import moderngl

    texture.build_mipmaps()
    texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
    texture.repeat_x = texture.repeat_y = True
