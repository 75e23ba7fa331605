"""The plot: requests a second of Firefly and its peers, as an SVG that needs no library."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import attrs

from benchmarks.results import Results

__all__ = ["plot"]

WIDTH, MARGIN, GAP = 960, 28, 36
BAR, STEP, TITLE = 20, 27, 46
LABEL = 178
INK, QUIET, RULE = "#1c2330", "#667085", "#e4e7ec"
OURS, THEIRS, LIMIT = "#e8590c", "#9db2ce", "#c9ced6"
FONT = "font-family='Inter, Segoe UI, Helvetica, Arial, sans-serif'"


@attrs.frozen
class Panel:
    """One case under one load."""

    title: str
    case: str
    load: str


PANELS = (
    Panel("Gate echo, 100 clients, 1 in flight", "gate-echo", "100 x 1"),
    Panel("Gate echo, 100 clients, 16 in flight", "gate-echo", "100 x 16"),
    Panel("Routed echo: gate, node and back", "routed-echo", "100 x 1"),
    Panel("Routed echo, 16 in flight", "routed-echo", "100 x 16"),
    Panel("WebSocket echo", "websocket-echo", "100 x 1"),
    Panel("Handlers that yield once", "yielding-echo", "100 x 1"),
    Panel("Calls, 1 in flight", "rpc", "1 in flight"),
    Panel("Calls, 100 in flight", "rpc", "100 in flight"),
)


@attrs.frozen
class Bar:
    """One subject's bar."""

    name: str
    value: float
    cpu: float | None

    @property
    def colour(self) -> str:
        """The colour: ours, the limit's, or a peer's."""
        if self.name.startswith("Firefly"):
            return OURS
        return LIMIT if self.name.startswith("C,") else THEIRS


def _bars(results: Results, panel: Panel) -> list[Bar]:
    bars = []
    for subject in results.plain["cases"].get(panel.case, {}):
        rate = results.spread(panel.case, subject, panel.load, "rate")
        cpu = results.spread(panel.case, subject, panel.load, "cpu_us")
        if rate is not None:
            bars.append(Bar(subject, rate.middle, cpu.middle if cpu is not None else None))
    return sorted(bars, key=lambda bar: -bar.value)


def _text(x: float, y: float, words: str, *, size: int = 13, colour: str = INK, more: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' fill='{colour}' {FONT} {more}>{escape(words)}</text>"


def _draw(panel: Panel, bars: list[Bar], x: float, y: float, width: float) -> Iterator[str]:
    yield _text(x, y + 16, panel.title, size=15, more="font-weight='600'")
    yield _text(x, y + 33, "messages a second · server CPU a message", size=11, colour=QUIET)
    room = width - LABEL - 118
    most = max(bar.value for bar in bars)
    for number, bar in enumerate(bars):
        top = y + TITLE + number * STEP
        middle = top + BAR / 2 + 4.5
        weight = "font-weight='600'" if bar.colour == OURS else ""
        long = max(2.0, room * bar.value / most)
        yield _text(x + LABEL - 10, middle, bar.name, size=12, more=f"text-anchor='end' {weight}")
        yield f"<rect x='{x + LABEL}' y='{top}' width='{long:.1f}' height='{BAR}' rx='3' fill='{bar.colour}'/>"
        words = f"{bar.value:,.0f}" + (f" · {bar.cpu:.3g} us" if bar.cpu is not None else "")
        yield _text(x + LABEL + long + 7, middle, words, size=12, colour=QUIET, more=weight)


def plot(results: Results) -> str:
    """Give the picture of what was measured; panels without figures are left out."""
    drawn = [(panel, bars) for panel in PANELS if (bars := _bars(results, panel))]
    width = (WIDTH - 2 * MARGIN - GAP) / 2
    parts: list[str] = []
    y: float = MARGIN
    for first in range(0, len(drawn), 2):
        row = drawn[first : first + 2]
        for column, (panel, bars) in enumerate(row):
            parts += _draw(panel, bars, MARGIN + column * (width + GAP), y, width)
        y += TITLE + max(len(bars) for _, bars in row) * STEP + 24
        if first + 2 < len(drawn):
            line = f"x1='{MARGIN}' x2='{WIDTH - MARGIN}' y1='{y - 10:.0f}' y2='{y - 10:.0f}'"
            parts.append(f"<line {line} stroke='{RULE}'/>")
            y += 10
    height = y + 10
    words = " · ".join(str(value) for value in (results.plain["machine"]["processor"], results.plain["date"]))
    parts.append(_text(MARGIN, height - 8, words, size=11, colour=QUIET))
    frame = f"<rect width='{WIDTH}' height='{height:.0f}' rx='10' fill='#ffffff'/>"
    size = f"viewBox='0 0 {WIDTH} {height:.0f}' width='{WIDTH}' height='{height:.0f}'"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' {size} role='img'>"
    return "\n".join([head, "<title>Messages a second</title>", frame, *parts, "</svg>", ""])
