"""Charts as SVG within the page: colours of the style sheet, so that dark and light are one picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

# In units of the drawing, which is scaled to the page.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 320, 62, 12, 12, 44

_numbers = count(1)


@dataclass(frozen=True)
class Series:
    """A curve. `css_class` gives its colour; values that a logarithmic axis has no place for are left out."""

    label: str
    css_class: str
    x: np.ndarray
    y: np.ndarray
    width: float = 2.0
    dashed: bool = False


@dataclass(frozen=True)
class Axis:
    """From values to places on the drawing."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        value = math.log10(value) if self.logarithmic else value
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 2)


def line_chart(
    series: Sequence[Series],
    title: str,
    description: str,
    x_label: str,
    y_label: str,
    logarithmic: bool = False,
) -> Markup:
    """Curves in one picture, with a description for those who do not see it."""
    horizontal = linear_axis(np.concatenate([one.x for one in series]), LEFT, WIDTH - RIGHT, whole=True)
    values = np.concatenate([one.y for one in series])
    scale = _logarithmic if logarithmic else linear_axis
    vertical = scale(values, HEIGHT - BOTTOM, TOP)
    lines = [(one, _path(one, horizontal, vertical)) for one in series]
    return Markup(
        _template("chart.svg.j2").render(
            title=title,
            description=description,
            lines=lines,
            horizontal=horizontal,
            vertical=vertical,
            x_label=x_label,
            y_label=y_label,
            number=next(_numbers),
            box=(WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM),
            nothing=logarithmic and not (values > 0).any(),
        )
    )


@cache
def _template(name: str) -> Template:
    loader = PackageLoader("comparison")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template(name)


def linear_axis(
    values: np.ndarray, start: float, end: float, whole: bool = False, from_zero: bool = True
) -> Axis:
    """From place `start` to `end` of a drawing, with ticks at round numbers on both sides of all values."""
    low = min(0, values.min()) if from_zero else values.min()
    ticks = MaxNLocator(6, integer=whole).tick_values(low, max(values.max(), 1e-9))
    return Axis(ticks[0], ticks[-1], start, end, tuple((tick, f"{tick:g}") for tick in ticks))


def _logarithmic(values: np.ndarray, start: float, end: float) -> Axis:
    positive = values[values > 0]
    if not positive.size:
        positive = np.array([1e-16, 1.0])
    low, high = math.floor(np.log10(positive.min())), math.ceil(np.log10(positive.max()))
    high = max(high, low + 1)
    powers = range(low, high + 1, max(1, (high - low) // 6))
    return Axis(low, high, start, end, tuple((10.0**power, f"1e{power}") for power in powers), True)


def _path(one: Series, horizontal: Axis, vertical: Axis) -> tuple[str, list[tuple[float, float]]]:
    """The line, which is interrupted where there is no value; and its points if they are few."""
    command, parts, points = "M", [], []
    for x, y in zip(one.x.tolist(), one.y.tolist(), strict=True):
        if vertical.logarithmic and y <= 0:
            command = "M"
            continue
        points.append((horizontal(x), vertical(y)))
        parts.append(f"{command}{points[-1][0]} {points[-1][1]}")
        command = "L"
    return "".join(parts), points if len(points) <= 60 else []
