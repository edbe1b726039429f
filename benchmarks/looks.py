"""The second look of `unet_fine_grained` in pictures: python -m benchmarks.looks --run RUN --output FIGURE.png

Validation images with the window around the largest object; in the window the image, the truth, and what either look
found of the small classes, with their Dice over all cases.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from data.drawing.images import PICTURE_STYLE, YELLOW, coloured, displayed, save_figure
from data.labels.label_maps import class_masks
from data.preprocessing.regions import Window, largest_object, window_around
from unet_common.metrics.pixels import pixel_scores
from unet_common.prediction.inputs import validation_cases
from unet_common.prediction.predictor import Prediction, Predictor
from unet_common.prediction.settings import PredictionSettings
from unet_common.training.run import Run

COLUMNS = ("image", "region", "truth", "first look", "second look")


def main(run: Run, output: Path, most: int) -> None:
    """Draw the first `most` cases that have an object of the small classes, and print the mean Dice of all."""
    predictor = Predictor([run])
    looks = [PredictionSettings(one_look=True), PredictionSettings()]
    both = [[predictor(case, look) for look in looks] for case in validation_cases(run)]
    regions = run.network.region_of_interest
    if regions is None:
        raise SystemExit(f"{run.network.name} does not look twice.")
    classes = run.network.foreground_classes + 1
    small = [f"dice_{number}" for number in range(classes - regions.classes, classes)]
    for number, look in enumerate(("first", "second")):
        scores = [
            pixel_scores(truth(pair[number]), pair[number].label, classes, True).per_class() for pair in both
        ]
        means = [np.nanmean([score[name] for score in scores]) for name in small]
        print(
            f"{look} look: {', '.join(f'{name} {mean:.3f}' for name, mean in zip(small, means, strict=True))}"
        )
    shown = [pair for pair in both if class_masks(truth(pair[0]), classes - 1, True)[..., -1].any()][:most]
    draw(shown, regions.margin, output)


def truth(prediction: Prediction) -> np.ndarray:
    """The label map of a validation case."""
    assert prediction.case.label is not None
    return prediction.case.label


def draw(pairs: Sequence[Sequence[Prediction]], margin: int, output: Path) -> None:
    """A row for each case: predictions of the first look and of both."""
    with rc_context(PICTURE_STYLE):
        figure = Figure(figsize=(2.4 * len(COLUMNS), 2.5 * len(pairs)), layout="constrained")
        rows = figure.subplots(len(pairs), len(COLUMNS), squeeze=False)
        for (first, second), row in zip(pairs, rows, strict=True):
            masks = class_masks(first.label, first.outputs.classes, True)
            window = window_around(largest_object(masks), margin)
            panels = dict(zip(COLUMNS, row, strict=True))
            image = displayed(first.case.image)
            panels["image"].imshow(image)
            frame(panels["image"], window)
            panels["region"].imshow(window.cut(image))
            for name, label in (
                ("truth", truth(first)),
                ("first look", first.label),
                ("second look", second.label),
            ):
                panels[name].imshow(window.cut(coloured(label, True, True)), interpolation="nearest")
            for name, axes in panels.items():
                axes.set_title(first.case.name if name == "image" else name)
                axes.set_axis_off()
        save_figure(figure, output, dpi=110)


def frame(axes: Axes, window: Window) -> None:
    """Draw the window's border in the picture of the whole image."""
    (top, left), (height, width) = window.start, window.sides
    axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=YELLOW, linewidth=1.5))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=4, help="rows of the figure")
    arguments = parser.parse_args()
    main(Run.open(arguments.run), arguments.output, arguments.cases)
