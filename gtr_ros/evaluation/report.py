# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HTML report of an evaluation: tables, plots, timelines, and images of id switches."""

from __future__ import annotations

import base64
from collections.abc import Sequence as SequenceOf
from html import escape
import io
from pathlib import Path

import numpy as np
from PIL import Image
from PIL import ImageDraw

from gtr_ros.data.sequence import read_images
from gtr_ros.data.sequence import Sequence
from gtr_ros.evaluation.curves import CurvePoint
from gtr_ros.evaluation.curves import name_of_value
from gtr_ros.evaluation.metrics import ALPHAS
from gtr_ros.evaluation.metrics import Result
from gtr_ros.evaluation.metrics import Scores
from gtr_ros.evaluation.names import ORACLE
from gtr_ros.evaluation.run import TableRow
from gtr_ros.evaluation.table import format_metric
from gtr_ros.evaluation.table import headline
from gtr_ros.evaluation.table import sequences_of
from gtr_ros.evaluation.table import SHOWN
from gtr_ros.evaluation.timeline import LOST
from gtr_ros.evaluation.timeline import make_timeline
from gtr_ros.evaluation.timeline import Switch
from gtr_ros.evaluation.timeline import Timeline
from gtr_ros.media.drawing import colour_of
from gtr_ros.media.pixels import encode_jpeg

#: maximum number of id switches shown as images, for each tracker and stride
SWITCHES = 12
#: maximum number of sequences whose timelines are drawn
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
    rows: SequenceOf[TableRow],
    points: SequenceOf[CurvePoint],
    about: dict,
    pictured: SequenceOf[str] = (),
) -> None:
    """
    Write the report, a single file.

    :param points: of the curves; may be empty
    :param about: description of the evaluation, shown at the top
    :param pictured: trackers whose id switches are shown as images, if the sequences have images
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
        parts += [_tables(rows), _plots(rows), _timelines(rows, pictured)]
    if points:
        parts.append(_curves(points))
    parts.append('</body></html>\n')
    Path(path).write_text('\n'.join(parts), encoding='utf-8')


def _tables(rows: SequenceOf[TableRow]) -> str:
    parts = ['<h2>Metrics</h2>']
    for stride in dict.fromkeys(row.stride for row in rows):
        mine = [row for row in rows if row.stride == stride]
        every = 'Every frame' if stride == 1 else f'Every {_ordinal(stride)} frame'
        parts.append(f'<h3>{every}</h3>')
        with_map = any(row.track_map is not None for row in mine)
        maps = [row.track_map for row in mine] if with_map else None
        parts.append(_table([(row.tracker, headline(row)) for row in mine], maps))
        found = {row.tracker: sequences_of(row) for row in mine}
        names = list(dict.fromkeys(name for scores in found.values() for name in scores))
        if names:
            parts.append(f'<details><summary>By sequence ({len(names)})</summary>')
        for name in names:
            parts.append(f'<h4>{escape(name)}</h4>')
            parts.append(_table([(tracker, scores[name]) for tracker, scores in found.items()]))
        if names:
            parts.append('</details>')
    parts.append(
        '<p>Rates in percent. IDs is the number of different ids. The oracle has the same boxes '
        'with the ids of the ground truth. The best value of each column, except for the oracle, '
        'is bold.</p>'
    )
    return '\n'.join(parts)


def _table(
    rows: SequenceOf[tuple[str, Scores]], maps: SequenceOf[float | None] | None = None
) -> str:
    """
    Return a table with a row for each tracker; the best value of each column is bold.

    :param rows: name and scores
    :param maps: track mAP50 of each; None: no such column
    """
    others = [scores for tracker, scores in rows if tracker != ORACLE]
    names = [*SHOWN, *([] if maps is None else ['track mAP50'])]
    parts = [f'<table><tr>{"".join(f"<th>{name}</th>" for name in ("tracker", *names))}</tr>']
    for index, (tracker, scores) in enumerate(rows):
        cells = [f'<td>{escape(tracker)}</td>']
        for name in SHOWN:
            values = [format_metric(name, r[name]) for r in others]
            best = (min if name in _FEWER_IS_BETTER else max)(values, key=float, default='')
            text = format_metric(name, scores[name])
            is_best = name != 'IDs' and tracker != ORACLE and text == best
            cells.append(f'<td class="best">{text}</td>' if is_best else f'<td>{text}</td>')
        if maps is not None:
            text = '' if maps[index] is None else f'{100 * maps[index]:.1f}'
            cells.append(f'<td>{text}</td>')
        kind = ' class="oracle"' if tracker == ORACLE else ''
        parts.append(f'<tr{kind}>{"".join(cells)}</tr>')
    parts.append('</table>')
    return '\n'.join(parts)


def _ordinal(number: int) -> str:
    """Return 2nd, 3rd, 4th, ..."""
    teen = number // 10 % 10 == 1
    return f'{number}{"th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")}'


def _plots(rows: SequenceOf[TableRow]) -> str:
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


def _curves(points: SequenceOf[CurvePoint]) -> str:
    parts = [
        '<h2>Curves</h2><p>Identities kept: gaps after which a person has the same id as before. '
        'False joins: track ids that went on to another person. Percent; in brackets, for the '
        'tracker of the first line, the number of gaps or ids.</p><div class="plots">'
    ]
    for factor in dict.fromkeys(p.factor for p in points):
        mine = [p for p in points if p.factor == factor]
        values = list(dict.fromkeys(p.value for p in mine))
        trackers = dict.fromkeys(p.tracker for p in mine)
        own = {t: [p for p in mine if p.tracker == t] for t in trackers}
        first = next(iter(own.values()))
        for measure, share, count in (
            ('identities kept', 'kept_share', 'gaps'),
            ('false joins', 'joined_share', 'ids'),
        ):
            lines = {t: (values, [100 * getattr(p, share) for p in ps]) for t, ps in own.items()}
            counts = ', '.join(str(getattr(p, count)) for p in first)
            label = f'{first[0].unit} ({counts})'
            parts.append(_plot(lines, f'{factor}: {measure}', label, f'{measure}, %', values))
    return '\n'.join([*parts, '</div>'])


def _plot(lines: dict, title: str, x: str, y: str, ticks: SequenceOf | None = None) -> str:
    """
    Return an SVG plot of lines, {name: (xs, ys)}; with ticks, the xs are evenly spaced.

    Points are not connected if the xs are names.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.6), layout='constrained')
    axes = figure.add_subplot()
    styles = ('-', '--', ':', '-.')
    named = any(isinstance(tick, str) for tick in ticks or ())
    for i, (name, (xs, ys)) in enumerate(lines.items()):
        if ticks is not None:
            xs = [list(ticks).index(v) for v in xs]
        colour = '#999999' if name == ORACLE else f'C{i % 10}'
        width = 3 if name.lower().startswith('gtr') else 1.5
        style = 'None' if named else styles[i // 10 % 4]
        marker = 'o' if named else '.'
        axes.plot(xs, ys, marker, linestyle=style, color=colour, label=name, lw=width)
    if ticks is not None:
        axes.set_xticks(range(len(ticks)), [name_of_value(t) for t in ticks])
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, handlelength=3, loc='center left', bbox_to_anchor=(1.0, 0.5))
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={'Date': None})
    text = buffer.getvalue()
    return text[text.index('<svg') :]


def _timelines(rows: SequenceOf[TableRow], pictured: SequenceOf[str]) -> str:
    parts = [
        '<h2>Ids over time</h2><p>A line for each ground truth object, a colour for each track '
        'id; grey: no track; black bar: id switch. At strides above 1, only the run that starts '
        'at the first frame is drawn; the numbers cover all runs.</p>'
    ]
    for row in rows:
        timelines = [make_timeline(s, r) for s, r in zip(row.sequences, row.results)]
        switches = sum(len(timeline.switches) for timeline in timelines)
        opened = ' open' if row.tracker in pictured and row.stride == rows[0].stride else ''
        parts.append(
            f'<details{opened}><summary>{escape(row.tracker)}, stride {row.stride}: {switches} '
            'switches</summary>'
        )
        drawn = [i for i, phase in enumerate(row.phases) if phase == 0]
        for i in drawn[:TIMELINES]:
            name = escape(row.sequences[i].name)
            parts.append(f'<p>{name}</p>{_timeline(row.sequences[i], timelines[i])}')
        if len(drawn) > TIMELINES:
            parts.append(f'<p>The first {TIMELINES} of {len(drawn)} sequences are drawn.</p>')
        if row.tracker in pictured:
            parts.append(_switches(row, timelines))
        parts.append('</details>')
    return '\n'.join(parts)


def _timeline(sequence: Sequence, timeline: Timeline) -> str:
    """Draw a line of coloured spans for each object, as SVG."""
    left, lane, width = 90, 16, 1000
    scale = width / max(len(sequence), 1)
    height = lane * len(timeline.spans) + 22
    marks = []
    for y, ((label, identity), spans) in enumerate(timeline.spans.items()):
        name = f'{sequence.class_names[label]} {identity}'
        marks.append(f'<text x="0" y="{y * lane + 12}" font-size="11">{escape(name)}</text>')
        for begin, end, track in spans:
            x, w = left + begin * scale, max((end - begin) * scale, 0.5)
            state = 'no track' if track == LOST else f'id {track}'
            marks.append(
                f'<rect x="{x:.1f}" y="{y * lane + 2}" width="{w:.1f}" height="{lane - 4}" '
                f'fill="{_colour(track)}"><title>{escape(name)}: {state}, frames {begin + 1} to '
                f'{end}</title></rect>'
            )
    lanes = {key: y for y, key in enumerate(timeline.spans)}
    for switch in timeline.switches:
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
    """Return the colour of a track id, as CSS."""
    return '#dddddd' if identity == LOST else '#{:02x}{:02x}{:02x}'.format(*colour_of(identity))


def _switches(row: TableRow, timelines: SequenceOf[Timeline]) -> str:
    """Show the first id switches as images of the object, before and after."""
    parts, left = [], SWITCHES
    for part, (sequence, timeline) in enumerate(zip(row.sequences, timelines)):
        chosen = timeline.switches[:left]
        if not chosen or sequence.images is None:
            continue
        left -= len(chosen)
        wanted = {t for switch in chosen for t in (switch.before, switch.frame)}
        try:
            images = dict(zip(sorted(wanted), read_images(sequence, sorted(wanted))))
        except (ValueError, OSError) as error:  # stored boxes are evaluated without the images
            return f'<p>The images cannot be read: {escape(str(error))}</p>'
        for switch in chosen:
            parts.append(_figure(sequence, row.results[part], switch, images))
    total = sum(len(timeline.switches) for timeline in timelines)
    if not parts:
        return ''
    return f'<p>The first {len(parts)} of {total} switches:</p>{"".join(parts)}'


def _figure(
    sequence: Sequence, results: SequenceOf[Result], switch: Switch, images: dict[int, np.ndarray]
) -> str:
    """Draw two crops side by side: before the switch, and at it."""
    crops = []
    for t, own in ((switch.before, switch.old_id), (switch.frame, switch.new_id)):
        truth, result = sequence.truth[t], results[t]
        at = np.flatnonzero((truth.ids == switch.object) & (truth.labels == switch.label))[0]
        crops.append(_crop(images[t], truth.boxes[at], result, own))
    height = max(c.height for c in crops)
    both = Image.new('RGB', (sum(c.width for c in crops) + 4, height), 'white')
    both.paste(crops[0], (0, 0))
    both.paste(crops[1], (crops[0].width + 4, 0))
    name = f'{sequence.class_names[switch.label]} {switch.object}'
    caption = (
        f'{sequence.name}: {name} is {switch.old_id} in frame {switch.before + 1}, '
        f'{switch.new_id} in frame {switch.frame + 1}'
    )
    data = base64.b64encode(encode_jpeg(np.asarray(both), 80)).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/jpeg;base64,{data}">'
        f'<figcaption>{escape(caption)}</figcaption></figure>'
    )


def _crop(image: np.ndarray, box: np.ndarray, result: Result, own: int) -> Image.Image:
    """Crop the image around a box, and draw the results; the box with the object's id is thick."""
    centre, side = (box[:2] + box[2:]) / 2, max(1.6 * float((box[2:] - box[:2]).max()), 60)
    zoom = 200 / side
    corner = centre - side / 2
    canvas = Image.fromarray(image).crop((*corner.tolist(), *(corner + side).tolist()))
    canvas = canvas.resize((200, 200), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(canvas)
    for identity, (x1, y1, x2, y2) in zip(result.ids.tolist(), result.boxes):
        drawn = [(x1 - corner[0]) * zoom, (y1 - corner[1]) * zoom]
        drawn += [(x2 - corner[0]) * zoom, (y2 - corner[1]) * zoom]
        if drawn[2] < 0 or drawn[3] < 0 or drawn[0] > 200 or drawn[1] > 200:
            continue
        colour = _colour(identity)
        thickness = 4 if identity == own else 1
        draw.rectangle([float(x) for x in drawn], outline=colour, width=thickness)
        at = (float(max(drawn[0], 0)) + 4, float(max(drawn[1], 0)) + 2)
        draw.text(at, str(identity), fill='white', stroke_width=2, stroke_fill=colour)
    return canvas
