# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A browser without a screen, for tests of web pages."""

from __future__ import annotations

import base64
from io import BytesIO
import json
import os
import shutil
import subprocess
import threading
from time import monotonic
from time import sleep

from node_processes import ANSWER_SECONDS
from node_processes import START_SECONDS
from node_processes import STOP_SECONDS
from PIL import Image as Picture

#: path of the browser; None if there is none
CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'google-chrome', 'chrome'))), None)


class Chromium:
    """A headless Chromium, controlled through pipes with the DevTools protocol."""

    SIZE = (1000, 800)

    def __init__(self, profile: os.PathLike) -> None:
        read_ours, write_theirs = os.pipe()
        read_theirs, write_ours = os.pipe()
        options = [
            '--headless',
            '--no-sandbox',
            '--no-first-run',
            '--disable-gpu',
            '--remote-debugging-pipe',
            f'--user-data-dir={profile}',
        ]
        # The library path of ROS breaks browsers.
        environment = {k: v for k, v in os.environ.items() if k != 'LD_LIBRARY_PATH'}
        # Chromium reads from descriptor 3 and writes to 4.
        redirect = f'exec "$@" 3<&{read_theirs} 4>&{write_theirs}'
        self._popen = subprocess.Popen(
            ['bash', '-c', redirect, 'bash', CHROMIUM, *options],
            env=environment,
            pass_fds=(read_theirs, write_theirs),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_theirs)
        os.close(write_theirs)
        self._in, self._out = os.fdopen(write_ours, 'wb'), os.fdopen(read_ours, 'rb')
        self._timer = threading.Timer(START_SECONDS, self._popen.kill)
        self._timer.daemon = True
        self._timer.start()
        self._number, self._session = 0, None
        target = self._do('Target.createTarget', url='about:blank')['targetId']
        self._session = self._do('Target.attachToTarget', targetId=target, flatten=True)[
            'sessionId'
        ]
        width, height = self.SIZE
        self._do(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def open(self, url: str) -> None:
        self._do('Page.navigate', url=url)

    def evaluate(self, expression: str) -> object:
        result = self._do('Runtime.evaluate', expression=expression, returnByValue=True)
        assert 'exceptionDetails' not in result, result
        return result['result'].get('value')

    def click(self, x: float, y: float) -> None:
        """Click a point of the page, in its pixels."""
        for kind in ('mousePressed', 'mouseReleased'):
            self._do('Input.dispatchMouseEvent', type=kind, x=x, y=y, button='left', clickCount=1)

    def wait_for_status(self, text: str, selector: str = 'p') -> None:
        """Wait until an element of the page, the first paragraph, has this text."""
        deadline = monotonic() + ANSWER_SECONDS
        shown = ''
        while text not in shown:
            assert monotonic() < deadline, f'the page never showed {text!r}, but {shown!r}'
            sleep(0.1)
            shown = self.evaluate(
                f"(document.querySelector('{selector}') || {{}}).textContent || ''"
            )

    def screenshot(self) -> Picture.Image:
        data = self._do('Page.captureScreenshot')['data']
        return Picture.open(BytesIO(base64.b64decode(data))).convert('RGB')

    def close(self) -> None:
        self._timer.cancel()
        self._in.close()
        self._out.close()
        self._popen.terminate()
        self._popen.wait(STOP_SECONDS)

    def _do(self, method: str, **parameters: object) -> dict:
        self._number += 1
        message = {'id': self._number, 'method': method, 'params': parameters}
        if self._session:
            message['sessionId'] = self._session
        self._in.write(json.dumps(message).encode() + b'\0')
        self._in.flush()
        while True:
            # There may be events before the response.
            response = json.loads(self._read())
            if response.get('id') == self._number:
                assert 'result' in response, response
                return response['result']

    def _read(self) -> bytes:
        text = bytearray()
        while (byte := self._out.read(1)) != b'\0':
            assert byte, 'the browser ended'
            text += byte
        return bytes(text)
