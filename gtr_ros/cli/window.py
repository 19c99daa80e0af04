# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A window that shows images as they are made, with tkinter."""

from __future__ import annotations

from importlib.util import find_spec
import os
import sys

import numpy as np
from PIL import Image


def check_display() -> None:
    """
    Check that a window can be opened here, as far as that is known without opening it.

    :raises ValueError: if there is no display, or nothing that draws on it
    """
    unix = sys.platform not in ('darwin', 'win32')
    if unix and not (os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')):
        raise ValueError(
            '--show needs a display, but neither DISPLAY nor WAYLAND_DISPLAY is set here. Over '
            'SSH connect with `ssh -X`, or use --video to write a video instead'
        )
    # Distributions package both apart from Python and Pillow.
    if find_spec('tkinter') is None or find_spec('PIL.ImageTk') is None:
        raise ValueError(
            '--show needs tkinter, which is not installed here (on Debian and Ubuntu: apt install '
            'python3-tk python3-pil.imagetk). Or use --video to write a video instead'
        )


class ImageWindow:
    """
    A window; a context manager.

    :raises ValueError: if it cannot be opened
    """

    def __init__(self, title: str) -> None:
        check_display()
        import tkinter

        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise ValueError(
                f'--show cannot open a window: {error}. Use --video to write a video instead'
            ) from error
        self._open = True
        self._root.title(title)
        self._root.protocol('WM_DELETE_WINDOW', self._end)
        for key in ('<q>', '<Escape>'):
            self._root.bind(key, lambda _: self._end())
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()

    def __enter__(self) -> ImageWindow:
        return self

    def __exit__(self, *_) -> None:
        self._root.destroy()

    def show(self, image: np.ndarray) -> bool:
        """
        Show an image, smaller if it does not fit the screen.

        :param image: (H, W, 3) uint8, RGB
        :return: False once the user has closed the window or pressed q or Escape
        """
        from PIL import ImageTk

        picture = Image.fromarray(image)
        # Leaves room for the frame of the window, and for the bars of the desktop.
        picture.thumbnail(
            (self._root.winfo_screenwidth() - 80, self._root.winfo_screenheight() - 120)
        )
        photo = ImageTk.PhotoImage(picture, master=self._root)
        self._label.configure(image=photo)
        self._label.image = photo  # tkinter does not keep it
        self._root.update()
        return self._open

    def _end(self) -> None:
        self._open = False
