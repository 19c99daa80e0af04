# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The viewer shows a running tracker in a browser, and costs nothing while there is none.

Run as a program, this file is what the viewer listens to: a camera and a tracker.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from io import BytesIO
from itertools import permutations
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from time import monotonic
from time import sleep
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request
from urllib.request import urlopen
import weakref

import numpy as np
from PIL import Image as Picture
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from node_processes import ANSWER_SECONDS
from node_processes import executable
from node_processes import Process
from node_processes import process
from node_processes import ros_environment
from node_processes import START_SECONDS
from node_processes import STOP_SECONDS
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import ObjectHypothesisWithPose

from gtr_ros.media.drawing import colour_of
from gtr_ros.msg import Trajectory
from gtr_ros.msg import TrajectoryArray
from gtr_ros.msg import TrajectoryBox
from gtr_ros.node.messages.images import array_to_image
from gtr_ros.node.messages.images import compress
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.node.viewer.node import Matching
from gtr_ros.node.viewer.node import objects_of
from gtr_ros.node.viewer.server import FrameEncoder

pytestmark = pytest.mark.ros

WIDTH, HEIGHT = 320, 240
QUADRANTS = (40, 90, 140, 190)
# Of an image that the tracker never answers.
UNANSWERED = (255, 0, 0)
# Id, class, score, xyxy.
OBJECTS = ((7, 'person', 0.91, (100, 60, 160, 180)), (12, 'car', 0.55, (190, 110, 300, 200)))
TENTATIVE = (31, (200, 20, 260, 60))
# The lower middles of the boxes before.
TRAIL = ((20, 220), (60, 220), (100, 210))

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'google-chrome', 'chrome'))), None)


# --- the other side: a camera, and a tracker that answers every second image, later ---


def scene() -> np.ndarray:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    halves = slice(None, HEIGHT // 2), slice(HEIGHT // 2, None)
    sides = slice(None, WIDTH // 2), slice(WIDTH // 2, None)
    for i, grey in enumerate(QUADRANTS):
        picture[halves[i // 2], sides[i % 2]] = grey
    return picture


def set_box(message: Detection2D | TrajectoryBox, box: tuple[float, ...]) -> None:
    x1, y1, x2, y2 = map(float, box)
    message.bbox.size_x, message.bbox.size_y = x2 - x1, y2 - y1
    message.bbox.center.position.x, message.bbox.center.position.y = (x1 + x2) / 2, (y1 + y2) / 2


def detection(identity: str, name: str, score: float, box: tuple[float, ...]) -> Detection2D:
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = name, score
    message = Detection2D(id=identity, results=[hypothesis])
    set_box(message, box)
    return message


def trajectory(identity: str, boxes: list[tuple[float, ...]], confirmed: bool) -> Trajectory:
    message = Trajectory(id=identity, confirmed=confirmed)
    for box in boxes:
        message.boxes.append(TrajectoryBox(probability=1.0))
        set_box(message.boxes[-1], box)
    return message


def answer(header: Header) -> tuple[Detection2DArray, TrajectoryArray]:
    detections = Detection2DArray(header=header)
    trajectories = TrajectoryArray(header=header)
    for identity, name, score, box in OBJECTS:
        detections.detections.append(detection(str(identity), name, score, box))
        earlier = [(x - 20, y - 100, x + 20, y) for x, y in TRAIL] if identity == 7 else []
        trajectories.trajectories.append(trajectory(str(identity), [*earlier, box], True))
    trajectories.trajectories.append(trajectory(str(TENTATIVE[0]), [TENTATIVE[1]], False))
    return detections, trajectories


class Publisher(Node):
    """Publishes, and says how many subscribe to its images."""

    def __init__(self, encoding: str) -> None:
        super().__init__('publisher')
        self._encoding = encoding
        self._images = self.create_publisher(Image, 'image', qos_profile_sensor_data)
        self._compressed = self.create_publisher(
            CompressedImage, 'image/compressed', qos_profile_sensor_data
        )
        self._detections = self.create_publisher(Detection2DArray, 'tracker/detections', 10)
        self._trajectories = self.create_publisher(TrajectoryArray, 'tracker/trajectories', 10)
        self._waits: Header | None = None
        self._count, self._heard = 0, -1
        self.create_timer(0.05, self._on_timer)

    def _on_timer(self) -> None:
        subscribers = self._images.get_subscription_count()
        if subscribers != self._heard:
            self._heard = subscribers
            print(f'subscribers: {subscribers}', flush=True)
        self._count += 1
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id='camera')
        picture = scene()
        if self._waits:
            picture[:] = UNANSWERED
        image = array_to_image(picture, header)
        image.encoding = self._encoding
        self._images.publish(image)
        self._compressed.publish(compress(picture, header))
        if self._waits:
            detections, trajectories = answer(self._waits)
            self._detections.publish(detections)
            self._trajectories.publish(trajectories)
        self._waits = None if self._waits else header


def publish() -> None:
    rclpy.init(args=sys.argv)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(Publisher(sys.argv[1]))


@contextmanager
def publisher(namespace: str, encoding: str = 'rgb8') -> Iterator[Process]:
    rule = f'__ns:=/{namespace}'
    with process(sys.executable, __file__, encoding, '--ros-args', '-r', rule) as running:
        running.wait_for_output('subscribers: 0')
        yield running


# --- the viewer, and who looks at it ---


class Viewer:
    """The viewer's process, and a browser without eyes."""

    def __init__(self, running: Process) -> None:
        self.process = running
        running.wait_for_output('showing ')
        self.url = re.search(r' at (http://\S+)', running.output)[1]
        self.port = urlsplit(self.url).port

    def get(self, path: str, host: str = '') -> tuple[int, bytes]:
        request = Request(self.url + path, headers={'Host': host} if host else {})
        try:
            with urlopen(request, timeout=ANSWER_SECONDS) as answered:
                return answered.status, answered.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()

    def ask(self, after: int = 0) -> tuple[dict, bytes]:
        """Ask for a frame once; return what is said of it, and its JPEG."""
        status, body = self.get(f'/frame?after={after}')
        assert status == 200, body
        end = 4 + int.from_bytes(body[:4], 'big')
        return json.loads(body[4:end]), body[end:]

    def frame(self) -> tuple[dict, np.ndarray]:
        """Ask until there is a frame; return what is said of it, and its pixels."""
        deadline = monotonic() + ANSWER_SECONDS
        while monotonic() < deadline:
            head, jpeg = self.ask()
            if jpeg:
                return head, np.asarray(Picture.open(BytesIO(jpeg)))
        raise AssertionError(f'no frame: {head}\n{self.process.output}')

    def wait_for_status(self, text: str) -> None:
        deadline = monotonic() + ANSWER_SECONDS
        head = {}
        while text not in head.get('status', ''):
            assert monotonic() < deadline, f'never said {text!r}, but {head}'
            head, _ = self.ask()


@contextmanager
def web_viewer(*words: str, **parameters: object) -> Iterator[Viewer]:
    settings = [word for name, value in parameters.items() for word in ('-p', f'{name}:={value}')]
    command = [*executable('web_viewer'), '--ros-args', '-p', 'port:=0', *settings, *words]
    with process(*command) as running:
        yield Viewer(running)


class Chromium:
    """A real browser without a screen, told what to do through pipes."""

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
        # What ROS needs on the library path is not for browsers.
        environment = {k: v for k, v in os.environ.items() if k != 'LD_LIBRARY_PATH'}
        # It reads from 3 and writes to 4.
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

    def wait_for_status(self, text: str) -> None:
        deadline = monotonic() + ANSWER_SECONDS
        shown = ''
        while text not in shown:
            assert monotonic() < deadline, f'the page never said {text!r}, but {shown!r}'
            sleep(0.1)
            shown = self.evaluate("(document.querySelector('p') || {}).textContent || ''")

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
            # Events come in between.
            answered = json.loads(self._read())
            if answered.get('id') == self._number:
                assert 'result' in answered, answered
                return answered['result']

    def _read(self) -> bytes:
        text = bytearray()
        while (byte := self._out.read(1)) != b'\0':
            assert byte, 'the browser ended'
            text += byte
        return bytes(text)


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def source() -> Iterator[Process]:
    with process(sys.executable, __file__, 'rgb8') as running:
        running.wait_for_output('subscribers: 0')
        yield running


@pytest.fixture(scope='module')
def viewer(source: Process) -> Iterator[Viewer]:
    with web_viewer() as running:
        yield running


@pytest.fixture
def chromium(tmp_path) -> Iterator[Chromium]:
    if CHROMIUM is None:
        pytest.skip('no Chromium here (Debian: apt-get install chromium)')
    browser = Chromium(tmp_path)
    yield browser
    browser.close()


# --- what a browser shows ---


def near(pixels: np.ndarray, colour: tuple[int, ...], tolerance: int = 30) -> np.ndarray:
    return (np.abs(pixels.astype(int) - colour) <= tolerance).all(axis=-1)


def test_a_browser_shows_boxes_labels_and_trails_where_they_are(viewer, chromium, tmp_path):
    chromium.open(viewer.url)
    chromium.wait_for_status('/image: 2 objects')
    left, top, width, height = chromium.evaluate(
        "(() => { const r = document.querySelector('canvas').getBoundingClientRect();"
        'return [r.left, r.top, r.width, r.height] })()'
    )
    screenshot = chromium.screenshot()
    screenshot.save(tmp_path / 'viewer.png')
    pixels = np.asarray(screenshot)
    assert width / height == pytest.approx(WIDTH / HEIGHT, rel=0.01)
    scale = width / WIDTH
    assert scale > 2  # it fills the window

    def at(x: float, y: float) -> np.ndarray:
        """Show the 3 x 3 pixels of the screen around a point of the image."""
        column, row = round(left + x * scale), round(top + y * scale)
        return pixels[row - 1 : row + 2, column - 1 : column + 2]

    def outline(box: tuple[float, ...]) -> Iterator[np.ndarray]:
        x1, y1, x2, y2 = box
        for part in np.linspace(0.05, 0.95, 19):
            x, y = x1 + part * (x2 - x1), y1 + part * (y2 - y1)
            yield from (at(x, y1), at(x, y2), at(x1, y), at(x2, y))

    for i, grey in enumerate(QUADRANTS):
        assert near(at(10 + 300 * (i % 2), 10 + 220 * (i // 2)), (grey,) * 3, 6).all(), i
    shown = [(identity, box) for identity, *_, box in OBJECTS] + [TENTATIVE]
    for identity, box in shown:
        colour = colour_of(identity)
        assert all(near(point, colour).any() for point in outline(box)), identity
        # The label: a plate of the colour above the box, with dark or light letters on it.
        x1, y1, x2, y2 = box
        row, column = round(top + y1 * scale) - 10, round(left + x1 * scale)
        plate = pixels[row - 5 : row + 6, column + 2 : column + 18]
        assert near(plate, colour).mean() > 0.3, identity
        assert (~near(plate, colour, 90)).any(), identity
        # Within the box there is the image.
        inside = at(x1 + 0.3 * (x2 - x1), y1 + 0.4 * (y2 - y1))
        assert (np.ptp(inside.astype(int), axis=-1) < 12).all(), identity

    # The plates are as wide as their texts.
    def plate_width(identity: int, box: tuple[float, ...]) -> int:
        row = round(top + box[1] * scale) - 15
        column = round(left + box[0] * scale)
        return int(near(pixels[row, column:], colour_of(identity)).sum())

    assert plate_width(*shown[0]) > 2 * plate_width(*TENTATIVE)
    for (x1, y1), (x2, y2) in zip(TRAIL, (*TRAIL[1:], (130, 180))):
        middle = at((x1 + x2) / 2, (y1 + y2) / 2).astype(float)
        # Older parts are fainter: from the image's grey towards the colour.
        towards = np.array(colour_of(7)) - QUADRANTS[2]
        share = ((middle - QUADRANTS[2]) @ towards / (towards @ towards)).max()
        assert share > 0.25, (x1, y1)


def test_a_browser_says_why_there_is_no_picture(chromium):
    with web_viewer(tracker='/nowhere') as viewer:
        chromium.open(viewer.url)
        chromium.wait_for_status('no Detection2DArray on /nowhere/detections: nobody publishes')


# --- what it serves ---


def test_a_frame_is_the_image_that_the_detections_are_of(viewer):
    head, pixels = viewer.frame()
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(pixels, scene(), atol=25)
    assert head['topic'] == '/image'
    assert [each['label'] for each in head['objects']] == ['7 person 0.91', '12 car 0.55', '31']
    person, car, tentative = head['objects']
    assert person['box'] == list(OBJECTS[0][3])
    assert person['trail'] == [list(map(float, point)) for point in (*TRAIL, (130, 180))]
    assert tuple(car['colour']) == colour_of(12)
    assert (person['confirmed'], tentative['confirmed']) == (True, False)


def test_compressed_images_are_shown_too(source):
    with web_viewer(image_transport='compressed') as viewer:
        head, pixels = viewer.frame()
        np.testing.assert_allclose(pixels, scene(), atol=30)
        assert head['topic'] == '/image/compressed'
        assert len(head['objects']) == 3


def test_an_image_that_cannot_be_shown_is_explained():
    with publisher('broken', '16UC1'), web_viewer('-r', '__ns:=/broken') as viewer:
        viewer.wait_for_status("cannot show an image of /broken/image: encoding '16UC1'")
        assert 'Traceback' not in viewer.process.output


def test_a_tracker_of_other_images_is_explained(source):
    with publisher('other'), web_viewer('-r', 'image:=/other/image') as viewer:
        viewer.wait_for_status('all arrive, but never with the same stamp')


def test_without_a_browser_nothing_is_received_or_encoded():
    with publisher('idle') as source, web_viewer('-r', '__ns:=/idle') as viewer:
        sleep(2.0)
        viewer.process.send(signal.SIGINT)
        assert viewer.process.wait(STOP_SECONDS) == 0
        assert 'encoded 0 images' in viewer.process.output
        assert 'subscribers: 1' not in source.output


def test_the_camera_is_listened_to_from_the_first_browser_to_the_last():
    with publisher('busy') as source, web_viewer('-r', '__ns:=/busy') as viewer:
        viewer.frame()
        source.wait_for_output('subscribers: 1', ANSWER_SECONDS)
        source.wait_for_output('subscribers: 1\nsubscribers: 0', ANSWER_SECONDS)
        # What was seen before is not shown as new to whoever comes then.
        source.end()
        head, jpeg = viewer.ask()
        assert (head['status'], jpeg) == ('waiting for the next image', b'')


def test_a_browser_that_does_not_read_holds_up_nobody(viewer):
    viewer.frame()
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(('127.0.0.1', viewer.port))
        stuck.sendall(b'GET /frame?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n' * 2000)
        number = 0
        for _ in range(10):
            head, jpeg = viewer.ask(number)
            assert jpeg
            assert head['number'] > number
            number = head['number']


def test_ctrl_c_ends_it_in_order_while_browsers_wait(source):
    with web_viewer() as viewer:
        viewer.frame()
        with socket.create_connection(('127.0.0.1', viewer.port)) as waiting:
            waiting.sendall(b'GET /frame?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n')
            viewer.process.send(signal.SIGINT)
            assert viewer.process.wait(STOP_SECONDS) == 0
        assert 'Traceback' not in viewer.process.output
        encoded = re.search(r'encoded (\d+) images', viewer.process.output)
        assert int(encoded[1]) > 0


# --- who can see it ---


def own_address() -> str:
    """Return an address of this machine that others reach, or another of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(('192.0.2.1', 9))  # sends nothing
            return probe.getsockname()[0]
        except OSError:
            return '127.0.0.2'


def test_by_default_other_machines_cannot_connect(viewer):
    assert viewer.url == f'http://127.0.0.1:{viewer.port}'
    assert 'no authentication' not in ' '.join(viewer.process.output.split())
    for address in ('127.0.0.2', own_address()):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, viewer.port), ANSWER_SECONDS)


@pytest.mark.parametrize('host', ['localhost:1', '127.0.0.1', '[::1]:80'])
def test_the_page_is_served_under_this_machines_names(viewer, host):
    status, body = viewer.get('/', host)
    assert status == 200
    assert b'<canvas' in body


@pytest.mark.parametrize('host', ['evil.example', 'localhost.evil.example:80', '10.0.0.1', '[::'])
def test_another_name_is_refused(viewer, host):
    for path in ('/', '/frame?after=0'):
        status, body = viewer.get(path, host)
        assert (status, body) == (
            403,
            b'Only as localhost: this viewer listens for this machine alone.\n',
        )


def test_an_address_that_others_reach_is_warned_of_and_served():
    with web_viewer(address='0.0.0.0') as viewer:
        viewer.process.wait_for_output('there is no authentication: everybody who reaches it')
        with socket.create_connection((own_address(), viewer.port), ANSWER_SECONDS):
            pass
        assert viewer.get('/', 'robot.example')[0] == 200


@pytest.mark.parametrize(
    ('path', 'status'), [('/other', 404), ('/frame?after=-1', 400), ('/frame?after=x', 400)]
)
def test_what_there_is_not_is_refused(viewer, path, status):
    assert viewer.get(path)[0] == status


# --- how it is started ---


@pytest.mark.parametrize(
    ('parameter', 'text'),
    [
        ('port:=70000', 'Expected a value from 0 to 65535'),
        ('max_rate:=0.0', 'Expected a value from 0.1 to 1000.0'),
        ('jpeg_quality:=high', 'Expected a value from 1 to 95, such as 80'),
        ('image_transport:=h264', "image_transport is 'h264'; expected one of raw, compressed"),
        ('address:=nowhere.invalid', "cannot serve on address 'nowhere.invalid'"),
        ('tracker:="not a name"', "tracker is 'not a name'; expected the name of a node"),
    ],
)
def test_a_wrong_parameter_is_one_clear_error(parameter, text):
    command = [*executable('web_viewer'), '--ros-args', '-p', parameter]
    with process(*command) as viewer:
        assert viewer.wait() == 1
        assert text in viewer.output
        assert 'Traceback' not in viewer.output


def test_a_taken_port_is_one_clear_error(viewer):
    command = [*executable('web_viewer'), '--ros-args', '-p', f'port:={viewer.port}']
    with process(*command) as second:
        assert second.wait() == 1
        assert f"cannot serve on address '127.0.0.1', port {viewer.port}" in second.output
        assert 'Traceback' not in second.output


# --- its parts ---


class Item:
    """Something to make a frame of."""


@contextmanager
def frames(complaints: list[Exception], max_rate: float = 1000.0) -> Iterator[FrameEncoder]:
    def make(item: object) -> tuple[dict, bytes]:
        if isinstance(item, Exception):
            raise item
        return {}, str(item).encode()

    running = FrameEncoder(make, complaints.append, max_rate)
    yield running
    running.close()


def test_frames_are_made_only_for_who_waits_and_of_the_newest():
    with frames([]) as stream:
        assert not stream.wanted
        for i in range(100):
            stream.put(i)
        sleep(0.2)
        assert stream.made == 0
        frame = stream.wait(0, ANSWER_SECONDS)
        assert (frame.number, frame.picture) == (1, b'99')
        assert stream.wanted
        stream.put('more')
        # One who has seen none is not made to wait, and costs nothing.
        assert stream.wait(0, ANSWER_SECONDS) == frame
        assert stream.wait(1, ANSWER_SECONDS).picture == b'more'
        assert stream.made == 2


def test_nothing_but_the_newest_is_kept():
    with frames([]) as stream:
        items = [Item() for _ in range(5)]
        kept = [weakref.ref(item) for item in items]
        while items:
            stream.put(items.pop(0))
        assert [ref() is not None for ref in kept] == [False] * 4 + [True]
        stream.clear()
        assert kept[-1]() is None
        assert stream.wait(0, 0.0) is None


def test_no_more_frames_are_made_than_max_rate():
    with frames([], max_rate=0.1) as stream:
        stream.put('first')
        assert stream.wait(0, ANSWER_SECONDS).number == 1
        stream.put('second')
        # Due in ten seconds.
        assert stream.wait(1, 0.3) is None
        assert stream.made == 1


def test_an_item_that_fails_is_told_of_and_the_next_one_shown():
    complaints: list[Exception] = []
    with frames(complaints) as stream:
        stream.put(ValueError('bad'))
        assert stream.wait(0, 0.2) is None
        stream.put('good')
        assert stream.wait(0, ANSWER_SECONDS).picture == b'good'
    assert [str(error) for error in complaints] == ['bad']


@pytest.mark.parametrize('order', list(permutations(range(3))))
def test_messages_of_one_moment_are_matched_in_any_order(order):
    matching = Matching(3)
    early, late = (Header(stamp=nanoseconds_to_stamp(t)) for t in (1_000, 2_000))
    messages = [Image(header=late), *answer(late)]
    assert matching.add(0, Image(header=early)) is None
    *first, last = order
    for topic in first:
        assert matching.add(topic, messages[topic]) is None
    assert matching.add(last, messages[last]) == tuple(messages)
    # What came before will get no answer any more.
    assert matching.add(1, answer(early)[0]) is None
    assert matching.add(2, answer(early)[1]) is None


def test_objects_of_other_trackers_are_shown_too():
    nameless = Detection2D(id='')
    set_box(nameless, (1, 2, 3, 4))
    detections = Detection2DArray(
        detections=[
            detection('cup-a', 'cup', 0.5, (0, 0, 10, 10)),
            nameless,
            detection('9', 'cup', 0.5, (0, 0, float('nan'), 10)),
        ]
    )
    shown = objects_of(detections, TrajectoryArray(trajectories=[Trajectory(id='gone')]))
    assert [each['label'] for each in shown] == ['cup-a cup 0.50', '']
    assert shown[0]['colour'] != shown[1]['colour']
    assert shown[1]['box'] == [1, 2, 3, 4]
    assert [each['trail'] for each in shown] == [[], []]


if __name__ == '__main__':
    publish()
