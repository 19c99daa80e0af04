# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One HTML file that shows an evaluation: tables, plots, timelines, and pictures of switches."""

from __future__ import annotations

import base64
from collections.abc import Sequence as SequenceOf
from html import escape
import io
from pathlib import Path

import numpy as np
from PIL import Image
from PIL import ImageDraw

from gtr_ros.data.sequence import Sequence
from gtr_ros.evaluation.curves import Point
from gtr_ros.evaluation.curves import UNITS
from gtr_ros.evaluation.metrics import ALPHAS
from gtr_ros.evaluation.run import Row
from gtr_ros.evaluation.table import headline
from gtr_ros.evaluation.table import SHOWN
from gtr_ros.evaluation.table import shown
from gtr_ros.evaluation.timeline import LOST
from gtr_ros.evaluation.timeline import make_timeline
from gtr_ros.evaluation.timeline import Switch
from gtr_ros.evaluation.timeline import Timeline
from gtr_ros.evaluation.trackers import ORACLE

#: switches of one tracker at one stride that are shown as pictures
GALLERY = 12
#: sequences of which timelines are drawn
TIMELINES = 8

_FEWER_IS_BETTER = ('IDSW', 'FP', 'FN', 'Frag')
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em;
       color: #222; background: #fff }
h1 { font-size: 1.5em } h2 { font-size: 1.2em; margin-top: 2em }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums }
th, td { padding: .2em .7em; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
.best { font-weight: 700 } .oracle td { color: #888 }
.plots { display: flex; flex-wrap: wrap; gap: 1em } .plots svg { max-width: 36em; height: auto }
figure { display: inline-block; margin: .4em; vertical-align: top }
figcaption { font-size: .85em; color: #555; max-width: 26em }
summary { cursor: pointer; margin: .3em 0 } dl { display: grid; grid-template-columns: 10em 1fr }
dt { color: #666 } dd { margin: 0 }
"""


def write_report(
    path: str | Path,
    rows: SequenceOf[Row],
    points: SequenceOf[Point],
    about: dict,
    gallery: SequenceOf[str] = (),
) -> None:
    """
    Write the report; it needs no other file and no network.

    :param points: of the synthetic curves; may be empty
    :param about: what was evaluated, and how; shown at the top
    :param gallery: trackers whose switches are shown as pictures, where there are images
    """
    title = 'Tracking evaluation'
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        f'<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>',
        '<dl>',
        *(f'<dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd>' for k, v in about.items()),
        '</dl>',
    ]
    if rows:
        parts += [_tables(rows), _plots(rows), _timelines(rows, gallery)]
    if points:
        parts.append(_curves(points))
    parts.append('</body></html>\n')
    Path(path).write_text('\n'.join(parts), encoding='utf-8')


def _tables(rows: SequenceOf[Row]) -> str:
    parts = ['<h2>Metrics</h2>']
    for stride in dict.fromkeys(row.stride for row in rows):
        mine = [row for row in rows if row.stride == stride]
        rivals = [headline(row) for row in mine if row.tracker != ORACLE]
        every = 'Every frame' if stride == 1 else f'Every {stride}th frame'
        with_map = any(row.track_map is not None for row in mine)
        names = [*SHOWN, *(['track mAP50'] if with_map else [])]
        head = ''.join(f'<th>{name}</th>' for name in ('tracker', *names))
        parts.append(f'<h3>{every}</h3><table><tr>{head}</tr>')
        for row in mine:
            scores = headline(row)
            cells = [f'<td>{escape(row.tracker)}</td>']
            for name in SHOWN:
                values = [shown(name, r[name]) for r in rivals]
                best = (min if name in _FEWER_IS_BETTER else max)(values, key=float, default='')
                text = shown(name, scores[name])
                is_best = name != 'IDs' and row.tracker != ORACLE and text == best
                cells.append(f'<td class="best">{text}</td>' if is_best else f'<td>{text}</td>')
            if with_map:
                cells.append(
                    f'<td>{"" if row.track_map is None else f"{100 * row.track_map:.1f}"}</td>'
                )
            kind = ' class="oracle"' if row.tracker == ORACLE else ''
            parts.append(f'<tr{kind}>{"".join(cells)}</tr>')
        parts.append('</table>')
    parts.append(
        '<p>Rates in percent. IDs is the number of different identities given. The oracle has the '
        'same boxes with the identities of the truth. The best of each column but the oracle is '
        'bold.</p>'
    )
    return '\n'.join(parts)


def _plots(rows: SequenceOf[Row]) -> str:
    strides = list(dict.fromkeys(row.stride for row in rows))
    trackers = list(dict.fromkeys(row.tracker for row in rows))
    images = []
    for stride in strides:
        lines = {
            row.tracker: (ALPHAS, 100 * headline(row).hota_by_alpha)
            for row in rows
            if row.stride == stride
        }
        images.append(_plot(lines, f'stride {stride}', 'localisation threshold α', 'HOTA, %'))
    if len(strides) > 1:
        for name in ('HOTA', 'IDF1', 'AssA'):
            lines = {}
            for tracker in trackers:
                mine = {row.stride: headline(row)[name] for row in rows if row.tracker == tracker}
                lines[tracker] = (list(mine), [100 * v for v in mine.values()])
            images.append(
                _plot(lines, f'{name} by frame rate', 'stride, frames', f'{name}, %', strides)
            )
    return f'<h2>Plots</h2><div class="plots">{"".join(images)}</div>'


def _curves(points: SequenceOf[Point]) -> str:
    parts = ['<h2>Synthetic scenes</h2><p>Identities kept through occlusions, % of them.</p>']
    parts.append('<div class="plots">')
    for factor in dict.fromkeys(p.factor for p in points):
        mine = [p for p in points if p.factor == factor]
        values = list(dict.fromkeys(p.value for p in mine))
        lines = {}
        for tracker in dict.fromkeys(p.tracker for p in mine):
            kept = [100 * p.kept / max(p.hidings, 1) for p in mine if p.tracker == tracker]
            lines[tracker] = (values, kept)
        counts = {v: next(p.hidings for p in mine if p.value == v) for v in values}
        label = f'{UNITS[factor]} (occlusions: {", ".join(map(str, counts.values()))})'
        parts.append(_plot(lines, factor, label, 'kept, %', values))
    return '\n'.join([*parts, '</div>'])


def _plot(lines: dict, title: str, x: str, y: str, ticks: SequenceOf | None = None) -> str:
    """Return an SVG of lines, {name: (xs, ys)}; ticks place the xs evenly."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.6), layout='constrained')
    axes = figure.add_subplot()
    styles = ('-', '--', ':', '-.')
    for i, (name, (xs, ys)) in enumerate(lines.items()):
        if ticks is not None:
            xs = [list(ticks).index(v) for v in xs]
        colour = '#999999' if name == ORACLE else f'C{i % 10}'
        width = 3 if name.lower().startswith('gtr') else 1.5
        axes.plot(xs, ys, styles[i // 10 % 4], color=colour, label=name, lw=width, marker='.')
    if ticks is not None:
        axes.set_xticks(range(len(ticks)), [f'{t:g}' for t in ticks])
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, handlelength=3, loc='center left', bbox_to_anchor=(1.0, 0.5))
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={'Date': None})
    text = buffer.getvalue()
    return text[text.index('<svg') :]


def _timelines(rows: SequenceOf[Row], gallery: SequenceOf[str]) -> str:
    parts = [
        '<h2>Identities over time</h2><p>A line for each true object, a colour for each identity '
        'that it was given; grey: not found; a black bar: it was taken for another. At strides '
        'above 1 the run that begins with the first frame is drawn; all are counted.</p>'
    ]
    for row in rows:
        stories = [make_timeline(s, r) for s, r in zip(row.sequences, row.results)]
        switches = sum(len(story.switches) for story in stories)
        opened = ' open' if row.tracker in gallery and row.stride == rows[0].stride else ''
        parts.append(
            f'<details{opened}><summary>{escape(row.tracker)}, stride {row.stride}: {switches} '
            'switches</summary>'
        )
        drawn = [i for i, phase in enumerate(row.phases) if phase == 0]
        for i in drawn[:TIMELINES]:
            name = escape(row.sequences[i].name)
            parts.append(f'<p>{name}</p>{_timeline(row.sequences[i], stories[i])}')
        if len(drawn) > TIMELINES:
            parts.append(f'<p>The first {TIMELINES} of {len(drawn)} sequences are drawn.</p>')
        if row.tracker in gallery:
            parts.append(_gallery(row, stories))
        parts.append('</details>')
    return '\n'.join(parts)


def _timeline(sequence: Sequence, story: Timeline) -> str:
    """Draw a line of coloured spans for each object, as SVG."""
    left, lane, width = 90, 16, 1000
    scale = width / max(len(sequence), 1)
    height = lane * len(story.spans) + 22
    marks = []
    for y, ((label, identity), spans) in enumerate(story.spans.items()):
        name = f'{sequence.class_names[label]} {identity}'
        marks.append(f'<text x="0" y="{y * lane + 12}" font-size="11">{escape(name)}</text>')
        for begin, end, taken in spans:
            x, w = left + begin * scale, max((end - begin) * scale, 0.5)
            who = 'not found' if taken == LOST else f'id {taken}'
            marks.append(
                f'<rect x="{x:.1f}" y="{y * lane + 2}" width="{w:.1f}" height="{lane - 4}" '
                f'fill="{_colour(taken)}"><title>{escape(name)}: {who}, frames {begin + 1} to '
                f'{end}</title></rect>'
            )
    lanes = {key: y for y, key in enumerate(story.spans)}
    for switch in story.switches:
        x, y = left + switch.frame * scale, lanes[switch.label, switch.object] * lane
        marks.append(f'<rect x="{x - 1:.1f}" y="{y}" width="2" height="{lane}" fill="#000"/>')
    for t in np.linspace(0, len(sequence), 6).astype(int):
        x = left + t * scale
        marks.append(f'<text x="{x:.0f}" y="{height - 6}" font-size="11">{t + 1}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 30}" height="{height}" '
        f'viewBox="0 0 {left + width + 30} {height}">{"".join(marks)}</svg>'
    )


def _colour(identity: int) -> str:
    """Return a colour that ids near each other do not share."""
    if identity == LOST:
        return '#ddd'
    hue, saturation, lightness = identity * 137.508 % 360, identity % 3 * 15, identity % 4 * 7
    return f'hsl({hue:.0f}, {60 + saturation}%, {42 + lightness}%)'


def _gallery(row: Row, stories: SequenceOf[Timeline]) -> str:
    """Show the first switches: the object under its old id, and under its new one."""
    parts, left = [], GALLERY
    for part, (sequence, story) in enumerate(zip(row.sequences, stories)):
        chosen = story.switches[:left]
        if not chosen or sequence.images is None:
            continue
        left -= len(chosen)
        wanted = {t for switch in chosen for t in (switch.before, switch.frame)}
        images = {}
        for t, image in enumerate(sequence.images()):
            if t in wanted:
                images[t] = image
            if t >= max(wanted):
                break
        for switch in chosen:
            parts.append(_figure(sequence, row.results[part], switch, images))
    total = sum(len(story.switches) for story in stories)
    if not parts:
        return ''
    return f'<p>The first {len(parts)} of {total} switches:</p>{"".join(parts)}'


def _figure(sequence: Sequence, results, switch: Switch, images: dict) -> str:
    """Draw two crops side by side, before and at a switch."""
    crops = []
    for t, own in ((switch.before, switch.old_id), (switch.frame, switch.new_id)):
        truth, result = sequence.truth[t], results[t]
        at = np.flatnonzero((truth.ids == switch.object) & (truth.labels == switch.label))[0]
        crops.append(_crop(images[t], truth.boxes[at], result, own))
    height = max(c.height for c in crops)
    both = Image.new('RGB', (sum(c.width for c in crops) + 4, height), 'white')
    both.paste(crops[0], (0, 0))
    both.paste(crops[1], (crops[0].width + 4, 0))
    buffer = io.BytesIO()
    both.save(buffer, 'JPEG', quality=80)
    name = f'{sequence.class_names[switch.label]} {switch.object}'
    caption = (
        f'{sequence.name}: {name} is {switch.old_id} in frame {switch.before + 1}, '
        f'{switch.new_id} in frame {switch.frame + 1}'
    )
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/jpeg;base64,{data}">'
        f'<figcaption>{escape(caption)}</figcaption></figure>'
    )


def _crop(image: np.ndarray, box: np.ndarray, result, own: int) -> Image.Image:
    """Cut out what is around a box, with the results' boxes and ids; its own is the thick one."""
    centre, side = (box[:2] + box[2:]) / 2, max(1.6 * float((box[2:] - box[:2]).max()), 60)
    zoom = 200 / side
    corner = centre - side / 2
    canvas = Image.fromarray(image).crop((*corner.tolist(), *(corner + side).tolist()))
    canvas = canvas.resize((200, 200), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(canvas)
    for identity, (x1, y1, x2, y2) in zip(result.ids.tolist(), result.boxes):
        place = [(x1 - corner[0]) * zoom, (y1 - corner[1]) * zoom]
        place += [(x2 - corner[0]) * zoom, (y2 - corner[1]) * zoom]
        if place[2] < 0 or place[3] < 0 or place[0] > 200 or place[1] > 200:
            continue
        colour = _colour(identity)
        thickness = 4 if identity == own else 1
        draw.rectangle([float(x) for x in place], outline=colour, width=thickness)
        at = (float(max(place[0], 0)) + 4, float(max(place[1], 0)) + 2)
        draw.text(at, str(identity), fill='white', stroke_width=2, stroke_fill=colour)
    return canvas
