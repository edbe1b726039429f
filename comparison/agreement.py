"""Do the three agree? Weights, outputs of layers and gradients in float64, and the loss curves of real trainings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from markupsafe import Markup

from comparison.chart import Series, line_chart
from comparison.explanations import ROUNDED, Kind, is_explained, reason, reason_of_curves
from comparison.steps import Batch
from unet_common.figures.history import HistoryRow
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.training.history import read_history
from unet_common.training.run import Run
from unet_common.weights.interchange import Weights, load_weights

PAIRS = tuple(combinations(IMPLEMENTATIONS, 2))

# Samples of the batch in float64: batch normalisation needs some, and large networks much memory for each.
SAMPLES = 2


@dataclass(frozen=True)
class Difference:
    """Between two implementations: largest absolute difference; that as a share of the largest value; and why."""

    largest: float
    relative: float
    reason: str

    @property
    def heat(self) -> float:
        """0 for none, then from 1e-17 to 1 on a logarithmic scale, as a share of 1."""
        return 0.0 if self.relative == 0 else float(np.clip((np.log10(self.relative) + 17) / 17, 0.05, 1))


@dataclass(frozen=True)
class Compared:
    """One weight, output or gradient in all three.

    ranges: smallest and largest value by implementation. differences: in the order of `PAIRS`.
    """

    name: str
    shape: tuple[int, ...]
    ranges: dict[str, tuple[float, float]]
    differences: tuple[Difference, ...]

    @property
    def worst(self) -> Difference:
        """The largest relative difference."""
        return max(self.differences, key=lambda difference: difference.relative)


@dataclass(frozen=True)
class Group:
    """A heat map."""

    kind: Kind
    title: str
    text: str
    rows: tuple[Compared, ...]

    @property
    def worst_row(self) -> Compared:
        """Where the largest relative difference is."""
        return max(self.rows, key=lambda row: row.worst.relative)

    @property
    def worst(self) -> Difference:
        """The largest relative difference."""
        return self.worst_row.worst

    @property
    def unexplained(self) -> int:
        return sum(not is_explained(d.reason) for row in self.rows for d in row.differences)


@dataclass(frozen=True)
class Agreement:
    """What the page shows of it.

    groups: heat maps. samples: of what. loss: its largest difference from that of the first, in the trainings, by
    implementation; and the reason. proved: that of the trainings in float64, the largest. curves, apart: charts of the
    losses and of their differences; exact: the latter for the trainings in float64, if the others are in float32.
    """

    groups: tuple[Group, ...]
    samples: str
    loss: dict[str, float]
    reason: str
    proved: float
    curves: Markup
    apart: Markup
    exact: Markup | None
    proof_steps: int
    precision: str

    @property
    def unexplained(self) -> int:
        return sum(group.unexplained for group in self.groups)

    @property
    def same(self) -> bool:
        """Whether the networks are: apart from training, all differences are rounding."""
        return not any(group.unexplained for group in self.groups if group.kind != "trained")


def float64_groups(run: Run, batch: Batch) -> list[Group]:
    """Initial weights, outputs of layers and gradients of the three, built from the experiment's seed."""
    images, targets = (array[:SAMPLES].astype(np.float64) for array in batch)
    experiment = run.experiment
    weights, outputs, gradients = {}, {}, {}
    for name in IMPLEMENTATIONS:
        model = load(name).Model(run.network, experiment.seed, "float64", experiment.initialisation)
        model.set_weights({**model.weights(), **run.initial_weights})
        weights[name] = model.weights()
        outputs[name] = model.layer_outputs(images, training=True)
        outputs[name]["logits in inference mode"] = model.predict(images)
        outputs[name]["loss"], gradients[name] = model.loss_and_gradients(images, targets, experiment.loss)
    return [
        group("initial", "Initial weights", "Drawn from the seed and each weight's name.", weights),
        group(
            "output",
            "Outputs of layers",
            "In training mode, for one batch, in the order of computation; then logits in inference mode, "
            "and the loss.",
            outputs,
        ),
        group("gradient", "Gradients", "Of that loss, with respect to every trained weight.", gradients),
    ]


def group(kind: Kind, title: str, text: str, values: Mapping[str, Mapping[str, np.ndarray]]) -> Group:
    """Compare what all three have under the same name.

    Args:
        values: arrays by name, by implementation.
    """
    rows = []
    first, *others = values.values()
    largest = max(float(np.abs(array).max()) for array in first.values())
    for name in first:
        if all(name in other and np.shape(other[name]) == np.shape(first[name]) for other in others):
            arrays = {implementation: np.asarray(of_one[name]) for implementation, of_one in values.items()}
            rows.append(_compared(kind, name, arrays, largest))
    return Group(kind, title, text, tuple(rows))


def _compared(kind: Kind, name: str, arrays: dict[str, np.ndarray], largest_of_all: float) -> Compared:
    scale = max(float(np.abs(array).max()) for array in arrays.values())
    noise = scale <= ROUNDED * largest_of_all
    if noise:  # shares of noise say nothing
        scale = largest_of_all
    differences = []
    for pair in PAIRS:
        largest = float(np.abs(arrays[pair[0]] - arrays[pair[1]]).max())
        relative = largest / (scale or 1.0)
        overall = largest / (largest_of_all or 1.0)
        differences.append(Difference(largest, relative, reason(kind, relative, overall, noise)))
    ranges = {of: (float(array.min()), float(array.max())) for of, array in arrays.items()}
    return Compared(name, arrays[IMPLEMENTATIONS[0]].shape, ranges, tuple(differences))


def trained_weights(runs: Sequence[Run], order: Sequence[str]) -> dict[str, Weights]:
    """The final weights of each run, by implementation; a file has them by the alphabet."""
    trained = {}
    for run in runs:
        weights = load_weights(run.final_weights, run.network)
        trained[run.experiment.implementation] = {name: weights[name] for name in order}
    return trained


def agreement(groups: Sequence[Group], batch: Batch, runs: Sequence[Run], proofs: Sequence[Run]) -> Agreement:
    """Put together what was compared.

    Args:
        groups: heat maps, first that of the initial weights. batch: from which those of `float64_groups` were made.
        runs: the trainings. proofs: shorter ones in float64.
    """
    curves = {run.experiment.implementation: losses_of(run) for run in runs}
    exact = {run.experiment.implementation: losses_of(run) for run in proofs}
    trained = group(
        "trained",
        f"Weights after {proofs[0].steps} steps",
        "By the three training loops, with all that surrounds them; SGD with momentum, whose constants "
        "float32 holds exactly.",
        trained_weights(proofs, [row.name for row in groups[0].rows]),
    )
    images, largest = batch[0][:SAMPLES], apart(curves)
    return Agreement(
        (*groups, trained),
        f"{len(images)} sample{'s' * (len(images) > 1)} of {' × '.join(map(str, images.shape[1:-1]))} pixels",
        largest,
        reason_of_curves(runs[0].experiment, max(largest.values())),
        max(apart(exact).values()),
        curves_chart(curves),
        apart_chart(curves, runs[0].experiment.precision),
        None if runs[0].experiment.precision == "float64" else apart_chart(exact, "float64"),
        proofs[0].steps,
        runs[0].experiment.precision,
    )


def losses_of(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Steps, and the training loss of each."""
    rows: list[HistoryRow] = [row for row in read_history(run.history) if row["loss"] is not None]
    return np.array([row["step"] for row in rows]), np.array([row["loss"] for row in rows])


Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]


def distances(curves: Curves) -> Curves:
    """How far the loss of each is from that of the first, at all steps that both have."""
    _, reference = curves[IMPLEMENTATIONS[0]]
    found = {}
    for name in IMPLEMENTATIONS[1:]:
        steps, loss = curves[name]
        count = min(len(loss), len(reference))
        found[name] = steps[:count], np.abs(loss[:count] - reference[:count])
    return found


def apart(curves: Curves) -> dict[str, float]:
    """The largest of these distances, by implementation."""
    return {name: float(distance.max()) for name, (_steps, distance) in distances(curves).items()}


def curves_chart(curves: Curves) -> Markup:
    """The loss curves on top of each other: each is thinner than the one below it, so that all are seen."""
    styled = zip(curves.items(), (7.0, 3.4, 1.8), strict=True)
    series = [
        Series(name, name, steps, loss, width, dashed=width < 2) for (name, (steps, loss)), width in styled
    ]
    last = ", ".join(f"{name} {loss[-1]:.4f}" for name, (_steps, loss) in curves.items())
    return line_chart(
        series, "Training loss", f"The loss of each step. At the last step: {last}.", "step", "loss"
    )


def apart_chart(curves: Curves, precision: str) -> Markup:
    """How far the losses are from those of the first, on a logarithmic scale."""
    series = [
        Series(f"{name}, {precision}", name, steps, distance, 1.8)
        for name, (steps, distance) in distances(curves).items()
    ]
    told = "; ".join(f"{one.label}: at most {one.y.max():.1e}" for one in series)
    return line_chart(
        series,
        f"Difference of the loss from that of {IMPLEMENTATIONS[0]}",
        f"Logarithmic. {told}. Steps without any difference have no point.",
        "step",
        "difference",
        logarithmic=True,
    )


def for_script(groups: Sequence[Group]) -> dict[str, object]:
    """What the page's script tells of a cell that is pressed, without saying a reason twice."""
    reasons = list(dict.fromkeys(d.reason for one in groups for row in one.rows for d in row.differences))
    return {
        "implementations": IMPLEMENTATIONS,
        "pairs": PAIRS,
        "reasons": reasons,
        "groups": [
            [
                [
                    row.name,
                    row.shape,
                    [row.ranges[name] for name in IMPLEMENTATIONS],
                    [[d.largest, d.relative, reasons.index(d.reason)] for d in row.differences],
                ]
                for row in one.rows
            ]
            for one in groups
        ],
    }
