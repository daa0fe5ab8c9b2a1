"""What was found, as a table for people, as Markdown and as a plot."""

import math
import statistics

from .rows import ROWS


def number(value, digits):
    return f"{value:,.{digits}f}"


class Summary:
    """Median, spread and ratio of one row."""

    def __init__(self, name, found):
        self.name, self.row = name, ROWS[name]
        self.etcd, self.kvd = found.get("etcd", []), found.get("kvd", [])
        self.ratio = None
        if self.etcd and self.kvd:
            ours, theirs = statistics.median(self.kvd), statistics.median(self.etcd)
            if min(ours, theirs) > 0:
                self.ratio = ours / theirs if self.row.more_is_better else theirs / ours

    def cell(self, values):
        if not values:
            return "-"
        text = number(statistics.median(values), self.row.digits)
        if len(values) > 1:
            text += f" [{number(min(values), self.row.digits)} - {number(max(values), self.row.digits)}]"
        return text

    def target(self):
        if self.row.target:
            return f"{self.row.target:g}x"
        return f"< {self.row.limit:g}" if self.row.limit else ""

    def reached(self):
        """True, False, or None when nothing was promised or measured."""
        if self.row.target:
            return None if self.ratio is None else self.ratio >= self.row.target
        if self.row.limit and self.kvd:
            return statistics.median(self.kvd) < self.row.limit
        return None

    def cells(self):
        reached = self.reached()
        return [f"{self.row.what}, {self.row.unit}", self.cell(self.etcd), self.cell(self.kvd),
                "-" if self.ratio is None else f"{self.ratio:.1f}x", self.target(),
                "" if reached is None else ("yes" if reached else "no")]


HEADS = ["what", "etcd", "kvd", "better", "target", "reached"]
WIDTHS = [64, 34, 34, 9, 8, 8]


def line(cells):
    return " ".join(f"{c:<{w}}" if i == 0 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(cells, WIDTHS))).rstrip()


def summaries(results):
    return [Summary(name, results[name]) for name in ROWS if results.get(name)]


def table(results):
    return "\n".join([line(HEADS)] + [line(s.cells()) for s in summaries(results)])


def markdown(results, notes, command, plot):
    lines = [f"    {command}", ""]
    lines += [f"- {note}" for note in notes]
    lines += ["", "| " + " | ".join(HEADS) + " |", "|---|---:|---:|---:|---:|---|"]
    lines += ["| " + " | ".join(s.cells()) + " |" for s in summaries(results)]
    if plot:
        lines += ["", f"![How many times better than etcd, with the targets]({plot})"]
    return "\n".join(lines)


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def svg(results, title):
    """Ratios as bars on a logarithmic axis, and a mark where each should reach."""
    rows = [s for s in summaries(results) if s.ratio is not None]
    left, right, top, step = 400, 70, 56, 22
    width, height = 1000, top + step * len(rows) + 34
    low = min([0.5] + [s.ratio for s in rows])
    high = max([10] + [max(s.ratio, s.row.target) for s in rows]) * 1.3

    def x(ratio):
        part = (math.log(ratio) - math.log(low)) / (math.log(high) - math.log(low))
        return left + part * (width - left - right)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="10" y="22" font-size="15">{escape(title)}</text>',
           f'<text x="10" y="40" fill="#666">times better than etcd, logarithmic; the black mark is the target</text>']
    tick = 10 ** math.floor(math.log10(low))
    while tick <= high:
        for factor in (1, 2, 5):
            value = tick * factor
            if low <= value <= high:
                out.append(f'<line x1="{x(value):.1f}" y1="{top - 6}" x2="{x(value):.1f}" y2="{height - 26}" '
                           f'stroke="{"#888" if value == 1 else "#ddd"}"/>'
                           f'<text x="{x(value):.1f}" y="{height - 10}" text-anchor="middle" fill="#666">'
                           f'{value:g}</text>')
        tick *= 10
    for i, s in enumerate(rows):
        y = top + i * step
        reached = s.reached()
        colour = "#2e7d32" if reached else "#c62828" if reached is False else "#607d8b"
        a, b = sorted((x(1), x(s.ratio)))
        out.append(f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{escape(s.row.what)}</text>'
                   f'<rect x="{a:.1f}" y="{y + 2}" width="{max(b - a, 1):.1f}" height="{step - 8}" fill="{colour}"/>'
                   f'<text x="{b + 5:.1f}" y="{y + 13}">{s.ratio:.1f}</text>')
        if s.row.target:
            out.append(f'<line x1="{x(s.row.target):.1f}" y1="{y - 1}" x2="{x(s.row.target):.1f}" '
                       f'y2="{y + step - 3}" stroke="black" stroke-width="2"/>')
    return "\n".join(out) + "\n</svg>\n"


def marks(name):
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


BEGIN, END = marks("compare")


def put_into(text, section, name="compare"):
    """`text` with what stands between the marks of `name` replaced."""
    begin, finish = marks(name)
    start, end = text.find(begin), text.find(finish)
    if start < 0 or end < start:
        raise ValueError(f"the document has no {begin} and {finish}")
    return text[:start + len(begin)] + "\n" + section + "\n" + text[end:]
