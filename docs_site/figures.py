"""Figures of the networks' structure, drawn as SVG from their hyperparameters.

A box is called like the scopes of the weights in it, and tells how many channels it gives; a row is a resolution.
The tests compare names and channels with the weights of the network. Colours come from the page's style sheet.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatch
from html import escape
from itertools import pairwise

from unet_common.networks import (
    HRNet,
    MedPatchNet,
    Network,
    NoNewNet,
    ReversibleUNet,
    UNet,
    UNet3D,
    UNet25D,
    UNetBackboned,
    UNetBranch2,
    UNetEncoder,
    UNetFineGrained,
    UNetOriginal,
    UNetPadding,
    UNetPlusPlus,
    VNet,
    VNet3D,
    VNet3DBottleneck,
    VNet3DDepthwise,
)
from unet_common.networks.backbones import BLOCKS, DARKNET52, POOLED, SKIPS
from unet_common.networks.encoders import BOTTLENECKS, VGGS
from unet_common.networks.medpatchnet import LEVELS

# Pixels: size of a box, distance of rows, shift of a column to the next, margin with the names of the rows.
WIDTH, HEIGHT, ROW, SHIFT, MARGIN = 124, 40, 66, 34, 44


@dataclass(frozen=True)
class Box:
    """A rectangle. scopes: the weights in it; channels: of what it gives, None if it has no weights of its own."""

    scopes: tuple[str, ...]
    channels: int | None
    left: float
    row: float
    width: float = WIDTH
    title: str = ""

    @property
    def top(self) -> float:
        return self.row * ROW + 8

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def middle(self) -> tuple[float, float]:
        return self.left + self.width / 2, self.top + HEIGHT / 2


@dataclass
class Figure:
    """Boxes, arrows between them as (kind, points), and words for who cannot see it."""

    rows: list[str]
    description: str
    boxes: list[Box] = field(default_factory=list)
    arrows: list[tuple[str, str]] = field(default_factory=list)

    def box(self, *arguments, **options) -> Box:
        self.boxes.append(Box(*arguments, **options))
        return self.boxes[-1]

    def across(self, start: Box, end: Box, kind: str = "skip") -> None:
        """An arrow from the right side of one box to the left side of another."""
        self.arrows.append((kind, f"M{start.right},{start.middle[1]} L{end.left - 3},{end.middle[1]}"))

    def vertical(self, start: Box, end: Box, kind: str) -> None:
        """An arrow to the row below, or above, where the two boxes overlap."""
        x = (max(start.left, end.left) + min(start.right, end.right)) / 2
        down = end.top > start.top
        first, last = (start.top + HEIGHT, end.top - 3) if down else (start.top, end.top + HEIGHT + 3)
        self.arrows.append((kind, f"M{x},{first} L{x},{last}"))

    def arc(self, start: Box, end: Box) -> None:
        """A skip that passes above the boxes between."""
        (x, _), (to, _) = start.middle, end.middle
        self.arrows.append(
            ("skip", f"M{x + 20},{start.top} Q{(x + to) / 2},{start.top - 26} {to - 20},{end.top - 2}")
        )

    def svg(self) -> str:
        width = max(box.right for box in self.boxes) + 8
        height = max(box.top for box in self.boxes) + HEIGHT + 8
        top = min(0, min(box.top for box in self.boxes) - 12)
        parts = [
            f'<figure class="network"><svg viewBox="0 {top:g} {width:g} {height - top:g}" '
            f'style="width:{width:g}px" role="img" aria-label="{escape(self.description)}">',
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0 L8,4 L0,8 z"/></marker></defs>',
        ]
        for index, name in enumerate(self.rows):
            parts.append(f'<text class="row" x="0" y="{index * ROW + 8 + HEIGHT / 2 + 4:g}">{name}</text>')
        parts += [
            f'<path class="{kind}" d="{points}" marker-end="url(#head)"/>' for kind, points in self.arrows
        ]
        for box in self.boxes:
            x, y = box.middle
            title = escape(box.title or " ".join(scope for scope in box.scopes if "/norm" not in scope))
            parts.append(
                f'<rect x="{box.left:g}" y="{box.top:g}" width="{box.width:g}" height="{HEIGHT}" rx="4"/>'
            )
            if box.channels is None:
                parts.append(f'<text x="{x:g}" y="{y + 4:g}">{title}</text>')
            else:
                parts.append(f'<text x="{x:g}" y="{y - 3:g}">{title}</text>')
                parts.append(f'<text class="channels" x="{x:g}" y="{y + 13:g}">{box.channels}</text>')
        return "\n".join([*parts, "</svg></figure>"])


@singledispatch
def figure(network: Network) -> Figure | None:
    """The structure of a network; None of one that nobody has drawn yet."""
    return None


def letter_u(network: Network, down: Sequence[tuple], up: Sequence[tuple], skips: Sequence[int]) -> Figure:
    """Boxes of (scopes, channels, row): down on the left, the last of `down` in the middle, up on the right.

    skips: of each box of `up`, the index of the box of `down` that joins it; -1 if none does.
    """
    deepest = max(row for _, _, row in (*down, *up))
    drawn = Figure([f"1/{2**row}" if row else "1/1" for row in range(int(deepest) + 1)], _words(network))
    right = MARGIN + (2 * deepest + 1.2) * SHIFT + WIDTH
    left = [drawn.box(scopes, channels, MARGIN + row * SHIFT, row) for scopes, channels, row in down]
    if down[-1][2] == deepest and len(down) > 1:
        left[-1] = drawn.boxes[-1] = Box(*down[-1][:2], (MARGIN + right) / 2, deepest)
    others = [drawn.box(scopes, channels, right - row * SHIFT, row) for scopes, channels, row in up]
    for start, end in pairwise(left):
        drawn.vertical(start, end, "down")
    for start, end in pairwise([left[-1], *others]):
        drawn.vertical(start, end, "up")
    for box, index in zip(others, skips, strict=True):
        if index >= 0:
            drawn.across(left[index], box)
    head = drawn.box(("head",), network.classes, others[-1].right + 24, others[-1].row, 56)
    drawn.across(others[-1], head, "same")
    return drawn


def _words(network: Network) -> str:
    return f"{network.name}: boxes are groups of layers with the channels they give, rows are resolutions."


@figure.register(UNet)
@figure.register(UNet25D)
@figure.register(UNetOriginal)
@figure.register(UNetPadding)
def _unet(network: UNet | UNet25D) -> Figure:
    levels = range(1, network.depth)
    down = [((f"encoder{level}",), network.filters_at(level), level - 1) for level in levels]
    down.append((("bottleneck",), network.filters_at(network.depth), network.depth - 1))
    up = [((f"decoder{level}",), network.filters_at(level), level - 1) for level in reversed(levels)]
    return letter_u(network, down, up, list(reversed(range(network.depth - 1))))


@figure.register
def _unet_3d(network: UNet3D) -> Figure:
    drawn = _unet(network)
    # The second convolution of a level has twice as many channels as the first.
    drawn.boxes = [
        box if box.scopes == ("head",) else replace(box, channels=2 * box.channels) for box in drawn.boxes
    ]
    return drawn


@figure.register(VNet)
@figure.register(VNet3D)
def _vnet(network: VNet | VNet3D) -> Figure:
    down = [(("encoder1",), network.filters, 0)]
    for level in range(2, network.depth + 1):
        name = "bottleneck" if level == network.depth else f"encoder{level}"
        down.append(((f"down{level - 1}", name), network.filters_at(level), level - 1))
    up = [
        ((f"up{level}", f"decoder{level}"), 2 * network.filters_at(level), level - 1)
        for level in reversed(range(1, network.depth))
    ]
    return letter_u(network, down, up, list(reversed(range(network.depth - 1))))


@figure.register
def _vnet_3d_bottleneck(network: VNet3DBottleneck) -> Figure:
    down = [(("encoder1",), network.filters_at(1), 0)]
    for level in range(2, network.depth + 1):
        name = "bottleneck" if level == network.depth else f"encoder{level}"
        down.append(((f"down{level - 1}", name), network.filters_at(level), level - 1))
    up = [
        ((f"up{level}", f"decoder{level}"), network.filters_at(level), level - 1)
        for level in reversed(range(1, network.depth))
    ]
    return letter_u(network, down, up, list(reversed(range(network.depth - 1))))


@figure.register
def _vnet_3d_depthwise(network: VNet3DDepthwise) -> Figure:
    drawn = _vnet(network)
    drawn.boxes[0] = replace(drawn.boxes[0], scopes=("stem",))
    return drawn


@figure.register(NoNewNet)
@figure.register(ReversibleUNet)
def _levels(network: NoNewNet | ReversibleUNet) -> Figure:
    levels = range(1, network.depth)
    if network.block == "published":
        down = [((f"encoder{level}",), network.filters_at(level), level - 1) for level in levels]
        down.append((("bottleneck",), network.filters_at(network.depth - 1), network.depth - 1))
        # A level of the decoder gives the channels of the level above.
        up = [((f"decoder{n}",), network.filters_at(max(n - 1, 1)), n - 1) for n in reversed(levels)]
        return letter_u(network, down, up, list(reversed(range(network.depth - 1))))
    down = [(("encoder1", "stem"), network.filters_at(1), 0)]
    down += [((f"encoder{n}", f"down{n - 1}"), network.filters_at(n), n - 1) for n in levels if n > 1]
    last = network.depth
    scopes = (f"encoder{last}", f"down{last - 1}", f"decoder{last}", f"up{last - 1}")
    down.append((scopes, network.filters_at(last - 1), last - 1))
    up = [
        ((f"decoder{n}", f"up{n - 1}"), network.filters_at(n - 1), n - 1) for n in reversed(levels) if n > 1
    ]
    up.append((("decoder1",), network.filters_at(1), 0))
    drawn = letter_u(network, down, up, list(reversed(range(network.depth - 1))))
    drawn.boxes = [
        replace(box, title=f"encoder{last} decoder{last}") if box.scopes == scopes else box
        for box in drawn.boxes
    ]
    return drawn


@figure.register
def _medpatchnet(network: MedPatchNet) -> Figure:
    down = [(("encoder1",), network.filters, 0)]
    for level in (*LEVELS[1:], LEVELS[-1] + 1):
        name = f"encoder{level}" if level in LEVELS else "bottleneck"
        down.append(((f"down{level - 1}", name), network.filters_at(level), level - 1))
    up = [
        ((f"up{level}", f"decoder{level}"), network.filters_at(level), level - 1)
        for level in reversed(LEVELS)
    ]
    return letter_u(network, down, up, [level - 1 for level in reversed(LEVELS)])


@figure.register
def _unet_plus_plus(network: UNetPlusPlus) -> Figure:
    columns = network.columns
    drawn = Figure([f"1/{2**row}" if row else "1/1" for row in range(columns + 1)], _words(network))
    nodes = {
        (i, j): drawn.box((f"x{i}_{j}",), network.filters_at(i + 1), MARGIN + (i + 2 * j) * 66, i, 86)
        for i in range(columns + 1)
        for j in range(columns + 1 - i)
    }
    for (i, j), node in nodes.items():
        if j:
            drawn.vertical(nodes[i + 1, j - 1], node, "up")
            drawn.across(nodes[i, j - 1], node)
            for earlier in range(j - 1):
                drawn.arc(nodes[i, earlier], node)
        elif i:
            drawn.vertical(nodes[i - 1, 0], node, "down")
    for j in range(1, columns + 1) if network.deep_supervision else [columns]:
        head = drawn.box((f"head{j}",), network.classes, nodes[0, j].left + 11, -1.1, 64)
        drawn.vertical(nodes[0, j], head, "same")
    return drawn


@figure.register
def _unet_encoder(network: UNetEncoder) -> Figure:
    vgg = network.encoder in VGGS
    widths = [network.filters * min(2**stage, 8) for stage in range(5)]
    if vgg:
        down = [((f"encoder/group{i}",), width, i) for i, width in enumerate(widths, 1)]
    else:
        widest = 4 if network.encoder in BOTTLENECKS else 1
        down = [(("encoder/norm1", "encoder/conv1"), network.filters, 1)]
        down += [
            ((f"encoder/layer{i}",), network.filters * 2 ** (i - 1) * widest, i + 1) for i in range(1, 5)
        ]
    # Blocks beyond the image's resolution stay in its row.
    up = [((f"decoder{i}",), filters, max(5 - i, 0)) for i, filters in enumerate(network.decoder_filters, 1)]
    return letter_u(network, down, up, [max(4 - i, -1) for i in range(1, len(up) + 1)])


def _encoder_of(network: UNetBackboned) -> list[tuple]:
    """Boxes of the backbone; the features that join the decoder are those of `SKIPS`."""
    filters = network.filters
    if network.encoder in POOLED:
        scope, growth = ("level", 16) if network.encoder == "unet" else ("group", 8)
        boxes = [
            ((f"encoder/{scope}{level}",), filters * min(2 ** (level - 1), growth), level - 1)
            for level in range(1, 6)
        ]
        return [*boxes, (("centre",), network.centre_filters, 5)]
    if network.encoder == "darknet52":
        stages = [
            ((f"encoder/stage{stage}",), filters * 2 ** (stage - 1), stage)
            for stage in range(1, len(DARKNET52) + 1)
        ]
        return [(("encoder/stem",), filters // 2, 0), *stages]
    if network.encoder == "resnet34":
        boxes = [((f"encoder/layer{i}",), filters * 2 ** (i - 1), i + 1) for i in range(1, 5)]
    else:
        boxes = [((f"encoder/conv{i}",), filters * 2**i, i) for i in range(2, 6)]
    return [(("encoder/conv1",), filters, 1), *boxes]


@figure.register
def _unet_backboned(network: UNetBackboned) -> Figure:
    down = _encoder_of(network)
    by_row = {row: index for index, (_, _, row) in enumerate(down)}
    up, skips = [], []
    for block, skip in enumerate(SKIPS[network.encoder], 1):
        row = BLOCKS - block
        skips.append(by_row[row] if skip else -1)
        channels = down[by_row[row]][1] if skip else network.last_filters
        twice = 2 if skip and network.skip == "concatenate" else 1
        up.append(((f"reduce{block}", f"enlarge{block}"), channels * twice, row))
    return letter_u(network, down, up, skips)


@figure.register
def _unet_branch2(network: UNetBranch2) -> Figure:
    drawn = _unet_backboned(network)
    head = drawn.boxes[-1]
    start = next(box for box in drawn.boxes if f"reduce{network.branch_level}" in box.scopes)
    branch = drawn.box(("branch",), 1, head.left - 8, start.row, 72)
    drawn.across(start, branch, "same")
    drawn.vertical(branch, head, "up")
    return drawn


@figure.register
def _unet_fine_grained(network: UNetFineGrained) -> Figure:
    drawn = _unet_backboned(network)
    head = drawn.boxes.pop()
    drawn.arrows.pop()
    last = drawn.boxes[-1]
    for scope, channels, row in (
        ("whole_head", network.foreground_classes, 0),
        ("region_head", network.regions.classes, 0.75),
    ):
        box = drawn.box((scope,), channels, head.left + 10, row, 96)
        if row == 0:
            drawn.across(last, box, "same")
        else:
            drawn.arrows.append(
                ("same", f"M{last.right},{last.middle[1] + 12} L{box.left - 3},{box.middle[1]}")
            )
    return drawn


@figure.register
def _hrnet(network: HRNet) -> Figure:
    drawn = Figure(["1/4", "1/8", "1/16", "1/32"], _words(network))
    width, pitch = 88, 116
    stem = drawn.box(("stem",), network.stem_filters, MARGIN, 0, width)
    before = [drawn.box(("stage1",), 4 * network.stem_filters, MARGIN + pitch, 0, width)]
    drawn.across(stem, before[0], "same")
    for stage, modules in enumerate(network.modules, 2):
        scopes = (
            f"transition{stage - 1}",
            *[f"stage{stage}_module{module}" for module in range(1, modules + 1)],
        )
        title = f"stage{stage}" + (f" × {modules}" if modules > 1 else "")
        left = MARGIN + stage * pitch
        boxes = [
            drawn.box(scopes, network.filters_at(branch), left, branch - 1, width, title)
            for branch in range(1, stage + 1)
        ]
        for start in before:
            for end in boxes:
                kind = "same" if start.row == end.row else "down" if start.row < end.row else "up"
                drawn.across(start, end, kind)
        before = boxes
    collected = sum(network.filters_at(branch) for branch in range(1, len(before) + 1))
    head = drawn.box(("head",), network.classes, MARGIN + 5 * pitch, 0, 56)
    for box in before:
        drawn.across(box, head, "same" if box.row == 0 else "up")
    drawn.description += f" All branches, {collected} channels together, go to the head."
    return drawn
