"""The whole comparison: train the three from the same weights, measure, and write the page."""

from pathlib import Path

from comparison.agreement import agreement, float64_groups
from comparison.concepts import concepts
from comparison.cost import cost
from comparison.defaults import shown
from comparison.features import shown_levels
from comparison.page import facts, write_page
from comparison.pictures import shown_cases
from comparison.steps import one_batch
from unet_common.experiment import Experiment, Optimizer
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.schedule import Schedule
from unet_common.training.run import Run

# Steps of the trainings, if nothing else is said: loss curves that can be told from noise, in minutes.
DEFAULT_STEPS = 200

# Trainings that prove that the loops do the same: in float64, with constants that float32 holds exactly, since
# `tf.train` and in part Keras take them through it. Few steps: in deep networks rounding grows tenfold with each.
PROOF_STEPS = 5
PROOF = {
    "precision": "float64",
    "optimizer": Optimizer(name="sgd", learning_rate=2.0**-6, momentum=0.875),
    "schedule": Schedule(),
}

PAGE = "compare.html"


def compare(experiment: Experiment, output: Path, command: str, code_only: bool = False) -> Path:
    """Write the page for `experiment` to the new folder `output`, and the three runs beside it.

    Args:
        experiment: its implementation does not matter. command: what was typed, for the page to say.
        code_only: the concepts alone; nothing is trained.

    Returns:
        the path of the page.

    Raises:
        UserError: the experiment or its data has mistakes.
    """
    page = output / PAGE
    known, sections = facts(experiment, command), concepts(experiment)
    if code_only:
        write_page(page, known, sections)
        return page
    if not experiment.training.steps and not experiment.training.epochs:
        experiment = with_steps(experiment, DEFAULT_STEPS)
    say("1. Three trainings, from the same weights, with the same batches.")
    runs = [train(experiment, output / "runs" / name, name) for name in IMPLEMENTATIONS]
    exact = with_steps(experiment, min(PROOF_STEPS, runs[0].steps)).model_copy(update=PROOF)
    say("2. A few steps in float64, where rounding hides nothing: how well they learn does not matter.")
    proofs = [train(exact, output / "float64" / name, name) for name in IMPLEMENTATIONS]
    batch = one_batch(runs[0])
    say("3. Weights, outputs and gradients in float64.")
    agreed = agreement(float64_groups(runs[0], batch), batch, runs, proofs)
    say("4. Predictions of validation cases.")
    pictures = shown_cases(runs)
    say("5. Feature maps of the three.")
    features = shown_levels(runs, batch)
    say("6. Time and memory of a step. The three take turns: a minute or more without a word.")
    costs = cost(runs, batch, sections)
    say("7. Defaults that differ.")
    known = facts(runs[0].experiment, command)
    parts = {"agreement": agreed, "cost": costs, "pictures": pictures, "features": features}
    write_page(page, known, sections, **parts, defaults=shown())
    return page


def with_steps(experiment: Experiment, steps: int) -> Experiment:
    """The experiment with another length."""
    training = experiment.training.model_copy(update={"steps": steps, "epochs": None})
    return experiment.model_copy(update={"training": training})


def train(experiment: Experiment, path: Path, implementation: str) -> Run:
    """A training of its own, by the implementation's own loop."""
    run = Run.create(path, experiment.model_copy(update={"implementation": implementation}))
    say(f"   {implementation}: {run.steps} steps in {experiment.precision}")
    load(implementation).train(run)
    return run


def say(text: str) -> None:
    """Progress, on the terminal."""
    print(text, flush=True)
