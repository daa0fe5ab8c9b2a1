"""Curves as small multiples: one row of panels for each axis, logarithmic both ways. And the tables under them."""

import math

from .growth import AXES, point, steps_of
from .report import escape

# What a panel shows: key of a point's figures, and its heading.
COLUMNS = (("per_second", "a second"), ("cpu_us", "server CPU, us each"), ("p50_ms", "p50, ms"), ("p99_ms", "p99, ms"))
COLOURS = {"etcd": "#c75b12", "kvd": "#1f5fa8"}
DASHES = {"put": "", "watch": "", "get": "5 3"}


def short(value):
    """A figure for an axis: 20k, 1.5M, 0.05."""
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def short_step(name, step):
    """A step for an axis: bytes in binary units, 64Ki."""
    for size, letter in ((2**20, "Mi"), (2**10, "Ki")):
        if name == "value" and step >= size and step % size == 0:
            return f"{step // size}{letter}"
    return short(step)


def ticks(low, high):
    """Round values from low to high: whole decades, or 1, 2, 5 where those are few."""
    def within(factors):
        decade = 10.0 ** math.floor(math.log10(low))
        found = []
        while decade <= high:
            found += [decade * f for f in factors if low * 0.999 <= decade * f <= high * 1.001]
            decade *= 10
        return found
    decades = within((1,))
    return decades if len(decades) >= 3 else within((1, 2, 5))


def bounds(values):
    """The decades' halves around what is to be shown."""
    low, high = min(values), max(values)
    if high / low < 4:
        middle = math.sqrt(low * high)
        low, high = middle / 2.5, middle * 2.5
    return low / 1.25, high * 1.25


class Scale:
    """Logarithmic, from [low, high] to [a, b]."""

    def __init__(self, low, high, a, b):
        self.low, self.high, self.a, self.b = low, high, a, b

    def __call__(self, value):
        part = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return self.a + part * (self.b - self.a)


def curves(axis, name, column):
    """(system, series, [(step, figure)]) of what was measured and is above nothing."""
    found = []
    for series in AXES[name].series:
        for system in ("etcd", "kvd"):
            line = [(step, figures[column]) for step in steps_of(axis)
                    if (figures := point(axis, system, step, series)) and figures[column] > 0]
            if line:
                found.append((system, series, line))
    return found


def panel(axis, name, column, left, top, width, height):
    lines = curves(axis, name, column)
    right, bottom = left + width, top + height
    out = [f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#bbb"/>']
    if not lines:
        return out
    steps = steps_of(axis)
    x = Scale(steps[0], max(steps[-1], steps[0] * 1.01), left + 12, right - 12)
    y = Scale(*bounds([value for _, _, line in lines for _, value in line]), bottom, top)
    for value in ticks(y.low, y.high):
        out.append(f'<line x1="{left}" x2="{right}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#e6e6e6"/>'
                   f'<text x="{left - 4}" y="{y(value) + 3.5:.1f}" text-anchor="end" fill="#555">{short(value)}</text>')
    for step in steps:
        out.append(f'<line x1="{x(step):.1f}" x2="{x(step):.1f}" y1="{bottom}" y2="{bottom + 3}" stroke="#888"/>'
                   f'<text x="{x(step):.1f}" y="{bottom + 14}" text-anchor="middle" fill="#555">{short_step(name, step)}</text>')
    for system, series, line in lines:
        places = [(x(step), y(value)) for step, value in line]
        dash = f' stroke-dasharray="{DASHES[series]}"' if DASHES[series] else ""
        out.append(f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in places)}" fill="none" '
                   f'stroke="{COLOURS[system]}" stroke-width="1.8"{dash}/>')
        out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.4" fill="{COLOURS[system]}"/>' for a, b in places]
    return out


def svg(axes, title):
    width, height, gap, row, left, top = 228, 130, 50, 196, 58, 92
    names = [name for name in AXES if name in axes]
    total = (left + len(COLUMNS) * (width + gap), top + row * len(names))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{total[0]}" height="{total[1]}" '
           f'viewBox="0 0 {total[0]} {total[1]}" font-family="sans-serif" font-size="11">',
           f'<rect width="{total[0]}" height="{total[1]}" fill="white"/>',
           f'<text x="{left}" y="24" font-size="15">{escape(title)}</text>']
    at = left
    for text, colour, dash in (("etcd put, watch event", COLOURS["etcd"], ""), ("etcd get", COLOURS["etcd"], "5 3"),
                               ("kvd put, watch event", COLOURS["kvd"], ""), ("kvd get", COLOURS["kvd"], "5 3")):
        out.append(f'<line x1="{at}" x2="{at + 28}" y1="44" y2="44" stroke="{colour}" stroke-width="1.8"'
                   + (f' stroke-dasharray="{dash}"' if dash else "") + f'/><text x="{at + 34}" y="48">{text}</text>')
        at += 190
    out.append(f'<text x="{at}" y="48" fill="#555">all scales logarithmic</text>')
    for r, name in enumerate(names):
        y = top + r * row
        out.append(f'<text x="{left}" y="{y - 8}" font-size="12" font-weight="bold">by {escape(AXES[name].title)}</text>')
        for c, (column, heading) in enumerate(COLUMNS):
            x = left + c * (width + gap)
            if c > 0:
                out.append(f'<text x="{x}" y="{y - 8}" fill="#333">{heading}</text>')
            else:
                out.append(f'<text x="{x + width}" y="{y - 8}" text-anchor="end" fill="#333">{heading}</text>')
            out += panel(axes[name], name, column, x, y, width, height)
    return "\n".join(out) + "\n</svg>\n"


def cell(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(axis, name):
    """Markdown: a row for each step and series."""
    lines = [f"| {AXES[name].title} | | etcd /s | kvd /s | times | etcd us | kvd us | etcd p99 ms | kvd p99 ms |",
             "|---:|---|---:|---:|---:|---:|---:|---:|---:|"]
    for step in steps_of(axis):
        for series in AXES[name].series:
            both = {system: point(axis, system, step, series) or {} for system in ("etcd", "kvd")}
            rates = [both[system].get("per_second") for system in ("etcd", "kvd")]
            times = f"{rates[1] / rates[0]:.1f}" if all(rates) else "-"
            cells = [cell(both[system].get(column)) for column in ("per_second", "cpu_us", "p99_ms")
                     for system in ("etcd", "kvd")]
            cells.insert(2, times)
            lines.append(f"| {step:,} | {series} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def markdown(axes, notes, command, plot):
    parts = [f"    {command}", "\n".join(f"- {note}" for note in notes)]
    if plot:
        parts.append(f"![Throughput, processor time and latencies, as each thing grows]({plot})")
    parts += [table(axes[name], name) for name in AXES if name in axes]
    return "\n\n".join(parts)
