"""The surroundings of a training, whatever API does it: progress, history, best weights, reasons to stop.

The three training loops report to a `Monitor` and do what it says; so they behave alike on the outside.
"""

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

from tqdm import tqdm

from data.errors import UserError
from unet_common.schedule import moving_average
from unet_common.training.beginning import lines_on_training
from unet_common.training.history import History
from unet_common.training.owner import owning
from unet_common.training.pace import Pace, duration
from unet_common.training.run import Run

# TensorBoard gets the training loss of every so many steps.
SUMMARY_EVERY = 10

# Seconds after which a log without a bar gets another line.
QUIET = 60.0

# How the operating system says it, through whichever library was writing.
DISK_PROBLEMS = ("No space left on device", "File too large", "Disk quota exceeded")


class Monitor:
    """A context: use it around the training loop. Within it the process owns the run folder.

    Ctrl-C (or SIGTERM) does not break the loop in the middle of a step: it makes `should_stop` true, and the
    loop ends as it always does, with a checkpoint. A second Ctrl-C breaks it.
    """

    def __init__(self, run: Run, first_step: int, clock: Callable[[], float] = time.monotonic):
        self.run, self.step = run, first_step
        self.interrupted = False
        self._batches = run.experiment.training.accumulate
        self._losses: list[float] = []  # of the batches of a step that is not complete yet
        self._first_step = first_step
        self._plain = not sys.stderr.isatty()
        every = run.experiment.training.validate_every if run.split.validation else None
        self._pace, self._clock = Pace(first_step, run.steps, every, clock), clock
        self._said = clock()
        self._bar = tqdm(
            total=run.steps,
            initial=first_step,
            desc=run.experiment.implementation,
            unit="step",
            disable=self._plain,
        )
        self._handlers: dict[int, Any] = {}
        self._owning = contextlib.ExitStack()

    def __enter__(self) -> "Monitor":
        self._owning.enter_context(owning(self.run.path))
        self._history = History(self.run.history, self._first_step)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._interrupt)
        self.run.state.write("running")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: object) -> None:
        with self._owning:
            self._leave(kind, error)

    def _leave(self, kind: type | None, error: BaseException | None) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._bar.close()
        if kind is not None:
            with contextlib.suppress(OSError):  # the disk may be full
                self._history.close()
                self.run.state.write("failed")
            if any(reason in str(error) for reason in DISK_PROBLEMS):
                raise UserError(
                    f"{self.run.path} could not be written at step {self.step}: the disk is full. The previous "
                    f"checkpoint is intact. Make room, then: python train.py --resume {self.run.path}"
                ) from error
            return
        self._history.close()
        if self.step >= self.run.steps:
            self.run.state.write("finished")
        else:
            self.run.state.write("interrupted" if self.interrupted else "stopped early")

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = True
        signal.signal(number, self._handlers[number])
        self._say("Stopping after this step; once more to stop at once.")

    def begin(self, trainable: Iterable[Any]) -> None:
        """Say what is about to be trained, unless nothing is.

        Args:
            trainable: the variables that will be trained.
        """
        if not self.should_stop:
            for line in lines_on_training(self.run, trainable, self._first_step):
                tqdm.write(line)
            sys.stdout.flush()

    @property
    def dice_so_far(self) -> list[float]:
        """Validation Dice, oldest first, of the validations that have one: without foreground it is not defined."""
        return [dice for _step, dice in self._validations]

    @property
    def _validations(self) -> list[tuple[int, float]]:
        validations = [(row["step"], row["validation_dice"]) for row in self._history.validations]
        return [(step, dice) for step, dice in validations if not math.isnan(dice)]

    @property
    def _judged(self) -> list[tuple[int, float]]:
        """Steps and Dice of the validations as early stopping and the schedule see them."""
        steps, dice = [step for step, _dice in self._validations], self.dice_so_far
        return list(zip(steps, moving_average(dice, self.run.experiment.training.dice_average), strict=True))

    def learning_rate(self) -> float:
        """The rate of the next update."""
        experiment = self.run.experiment
        base = experiment.optimizer.learning_rate
        return experiment.schedule.rate(base, self.step, self.run.steps, self._judged)

    @property
    def last_batch(self) -> bool:
        """True if the next batch completes a step: with it the weights change."""
        return len(self._losses) == self._batches - 1

    @property
    def between_steps(self) -> bool:
        """True if no step is begun and not complete: then the loop may validate, save and stop."""
        return not self._losses

    def batch_done(self, loss: float) -> None:
        """Report a batch, and with the last of a step that. Raises UserError if the loss is not a finite number."""
        self._losses.append(float(loss))
        self._require_finite(loss, "loss", self.step + 1)
        if len(self._losses) == self._batches:
            mean = sum(self._losses) / self._batches
            self._losses = []
            self._stepped(mean)

    def _stepped(self, loss: float) -> None:
        rate = self.learning_rate()
        self.step += 1
        self._history.append(step=self.step, epoch=self.run.epoch(self.step), loss=loss, learning_rate=rate)
        self._bar.update()
        self._bar.set_postfix(loss=f"{loss:.4f}", **self._best(), refresh=False)
        if estimate := self._pace.stepped(self.step):
            self._say(estimate)
        elif self._plain and self._clock() - self._said >= QUIET:
            left = self._pace.left
            time_left = "" if left is None else f"  about {duration(left)} left"
            self._say(f"step {self.step}/{self.run.steps}  loss {loss:.4f}{time_left}")

    @property
    def checkpoint_due(self) -> bool:
        """True if a checkpoint belongs after the step reported last, and the next is not begun."""
        every = self.run.experiment.training.validate_every
        return self.between_steps and (self.step % every == 0 or self.step >= self.run.steps)

    @property
    def validation_due(self) -> bool:
        """True if a validation belongs there too: there are cases, and it was not done before a resume."""
        validations = self._history.validations
        done = bool(validations) and validations[-1]["step"] == self.step
        return self.checkpoint_due and bool(self.run.split.validation) and not done

    def record_validation(self, loss: float, dice: float, iou: float) -> bool:
        """Report a validation after the step reported last; true if it is the best so far."""
        self._require_finite(loss, "validation loss", self.step)
        best = max(self.dice_so_far, default=-math.inf)
        self._history.append(
            step=self.step,
            epoch=self.run.epoch(self.step),
            validation_loss=float(loss),
            validation_dice=float(dice),
            validation_iou=float(iou),
        )
        if self._plain:
            self._say(f"step {self.step}/{self.run.steps}  validation loss {loss:.4f}  Dice {dice:.4f}")
        self._bar.set_postfix(**self._best())
        if estimate := self._pace.validated():
            self._say(estimate)
        return dice > best

    @property
    def should_stop(self) -> bool:
        """True if interrupted, at the end, or without a better Dice for as long as the experiment allows.

        Never within a step, which would be lost.
        """
        if not self.between_steps:
            return False
        if self.interrupted or self.step >= self.run.steps:
            return True
        patience = self.run.experiment.training.early_stopping
        dice = [dice for _step, dice in self._judged]
        return patience is not None and len(dice) - 1 - _index_of_best(dice) >= patience

    def _require_finite(self, loss: float, what: str, step: int) -> None:
        if not math.isfinite(loss):
            raise UserError(
                f"The {what} became {loss} at step {step}; the weights of this step are not kept. "
                f"Try a smaller --learning-rate (now {self.run.experiment.optimizer.learning_rate:g}) or "
                "--set optimizer.clip_norm=1 in a new run. The last good checkpoint is still in "
                f"{self.run.checkpoints}."
            )

    def _best(self) -> dict[str, str]:
        dice = self.dice_so_far
        return {"dice": f"{dice[-1]:.4f}", "best": f"{max(dice):.4f}"} if dice else {}

    def _say(self, text: str) -> None:
        self._said = self._clock()
        tqdm.write(text, file=sys.stderr)


def _index_of_best(values: list[float]) -> int:
    return values.index(max(values)) if values else 0
