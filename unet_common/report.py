"""What is said and drawn at the end of a training."""

from unet_common.figures import history_figure
from unet_common.history import read_history
from unet_common.run import Run


def report_training(run: Run) -> None:
    """Write the curves and say how it went and what to do next."""
    rows = read_history(run.history)
    history_figure(rows, run.figures / "history.png", title=run.path.name)
    state = run.state()
    validations = [row for row in rows if row["validation_dice"] is not None]
    print(f"{state.capitalize()} after step {rows[-1]['step']} of {run.steps}." if rows else state)
    if validations:
        best = max(validations, key=lambda row: row["validation_dice"])
        print(f"Best validation Dice {best['validation_dice']:.4f} at step {best['step']}.")
    print(f"Curves: {run.figures / 'history.png'}")
    if state == "interrupted":
        print(f"Go on with: python train.py --resume {run.path}")
    print(f"Next: python predict.py --run {run.path}")
