"""A chart as SVG: lines over named places, with a bar from the lowest to the highest at each point.

It stands on a white card of its own, so that it reads the same on a light page and a dark one.
"""

import math
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 78, 214, 58, 62
INK, FAINT = "#24292f", "#d8dee4"

STYLE = f"""\
text {{ font: 13px system-ui, sans-serif; fill: {INK} }}
.title {{ font-size: 16px; font-weight: 600 }}
.tick {{ font-size: 12px; fill: #57606a }}
.grid {{ stroke: {FAINT}; stroke-width: 1 }}"""


@dataclass
class Line:
    name: str
    color: str
    # (place on the x axis, median, lowest, highest)
    points: list
    is_dashed: bool = False


@dataclass
class Chart:
    title: str
    x_label: str
    y_label: str
    # (number, name): the numbers that have points, spaced by their logarithm.
    places: list
    lines: list = field(default_factory=list)
    # Whether equal distances are equal factors; else the axis begins at zero.
    is_log: bool = False

    def render(self):
        self._scale()
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}"'
            f' height="{HEIGHT}" role="img" aria-label="{escape(self.title, {chr(34): "&quot;"})}">',
            f"<style>{STYLE}</style>",
            f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="6" fill="#ffffff" stroke="{FAINT}"/>',
            text(LEFT, 28, self.title, "start", "title"),
            *self._axes(),
        ]
        for line in self.lines:
            parts += self._line(line)
        parts += self._legend()
        return "\n".join(parts) + "\n</svg>\n"

    def _scale(self):
        lows = [low for line in self.lines for _, _, low, _ in line.points]
        highs = [high for line in self.lines for _, _, _, high in line.points]
        if self.is_log:
            self.ticks = log_ticks(min(lows), max(highs))
            self.bottom, self.top = self.ticks[0], self.ticks[-1]
        else:
            self.ticks = even_ticks(max(highs))
            self.bottom, self.top = 0.0, self.ticks[-1]

    def _x(self, number):
        first, last = math.log(self.places[0][0]), math.log(self.places[-1][0])
        inner = WIDTH - LEFT - RIGHT - 40
        return LEFT + 20 + inner * (math.log(number) - first) / ((last - first) or 1)

    def _y(self, value):
        if self.is_log:
            part = math.log(value / self.bottom) / math.log(self.top / self.bottom)
        else:
            part = value / self.top
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part

    def _axes(self):
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        for tick in self.ticks:
            y = self._y(tick)
            yield f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
            yield text(LEFT - 8, y + 4, f"{tick:,.10g}", "end", "tick")
        yield f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="{INK}"/>'
        for number, name in self.places:
            x = self._x(number)
            yield f'<line x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 5}" stroke="{INK}"/>'
            yield text(x, bottom + 20, name, "middle", "tick")
        yield text((LEFT + right) / 2, HEIGHT - 16, self.x_label, "middle")
        middle = (TOP + bottom) / 2
        yield text(20, middle, self.y_label, "middle", "", f' transform="rotate(-90 20 {middle})"')

    def _line(self, line):
        dash = ' stroke-dasharray="6 4"' if line.is_dashed else ""
        path = " ".join(f"{self._x(x):.1f},{self._y(median):.1f}" for x, median, _, _ in line.points)
        yield f'<polyline points="{path}" fill="none" stroke="{line.color}" stroke-width="2"{dash}/>'
        for x, median, lowest, highest in line.points:
            at, low, high = self._x(x), self._y(lowest), self._y(highest)
            yield (
                f'<path d="M{at - 5:.1f} {low:.1f}h10m-5 0V{high:.1f}m-5 0h10" fill="none"'
                f' stroke="{line.color}" stroke-width="1.5"/>'
            )
            said = f"{line.name}: {median:g} ({lowest:g}–{highest:g})"
            yield (
                f'<circle cx="{at:.1f}" cy="{self._y(median):.1f}" r="4" fill="{line.color}">'
                f"<title>{escape(said)}</title></circle>"
            )

    def _legend(self):
        x = WIDTH - RIGHT + 16
        for number, line in enumerate(self.lines):
            y = TOP + 12 + 24 * number
            dash = ' stroke-dasharray="6 4"' if line.is_dashed else ""
            yield f'<line x1="{x}" y1="{y}" x2="{x + 28}" y2="{y}" stroke="{line.color}" stroke-width="2"{dash}/>'
            yield f'<circle cx="{x + 14}" cy="{y}" r="4" fill="{line.color}"/>'
            yield text(x + 36, y + 4, line.name, "start")
        y = TOP + 20 + 24 * len(self.lines)
        yield text(x, y, "bars: lowest to highest", "start", "tick")
        yield text(x, y + 16, "of all rounds", "start", "tick")


def text(x, y, words, anchor, kind="", more=""):
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}{more}>{escape(words)}</text>'


def log_ticks(lowest, highest):
    """1, 2 and 5 times powers of ten (powers alone over a wide range) around both."""
    first, last = math.floor(math.log10(lowest)), math.ceil(math.log10(highest))
    steps = (1,) if last - first > 3 else (1, 2, 5)
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    below = max(tick for tick in ticks if tick <= lowest)
    above = min((tick for tick in ticks if tick >= highest and tick > below), default=ticks[-1])
    return [tick for tick in ticks if below <= tick <= above]


def even_ticks(highest):
    """From zero to above `highest` in four to eight steps of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(highest or 1))
    step = next(s * power / 10 for s in (1, 2, 5, 10, 20) if highest / (s * power / 10) <= 8)
    return [step * number for number in range(math.ceil(highest / step) + 1)]
