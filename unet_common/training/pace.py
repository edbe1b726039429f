"""The pace of a training: how long the rest of it will take, told from its steps and validations so far."""

import time
from collections.abc import Callable
from math import ceil

SKIPPED = 2
"""The first steps of a process say nothing about the others: graphs are compiled and kernels chosen in them."""

ENOUGH_STEPS, ENOUGH_SECONDS = 3, 5.0
"""As long as this goes on behind them before there is an estimate."""

MUCH = 1.5
"""An estimate that is wrong by this factor, and by `ENOUGH_TO_MATTER` seconds, is replaced after a validation."""

ENOUGH_TO_MATTER = 30.0


class Pace:
    """A stopwatch for steps and validations."""

    def __init__(
        self,
        step: int,
        steps: int,
        validate_every: int | None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Begin at `step` of `steps`.

        validate_every: steps between validations, and there is one at the end; None: there are none.
        clock: gives seconds, from any moment on.
        """
        self._step, self._steps, self._every, self._clock = step, steps, validate_every, clock
        self._warm = step + SKIPPED
        self._since: float | None = None  # when the step `_warm` was made
        self._validating = 0.0  # seconds of that time that went into validations
        self._last: float | None = None  # when the last step was made
        self._validation = 0.0  # seconds of the last validation
        self._end: float | None = None  # the moment that was promised

    def stepped(self, step: int) -> str | None:
        """Take note of a step; returns the estimate once there is one, and None ever after."""
        self._step, self._last = step, self._clock()
        if step == self._warm:
            self._since = self._last
        return self._promise() if self._end is None else None

    def validated(self) -> str | None:
        """Take note of a validation after the last step; returns an estimate if the first one was much wrong."""
        now = self._clock()
        if self._last is None:  # before the first step, after a resume
            return None
        known, self._validation = bool(self._validation), now - self._last
        if self._since is not None:
            self._validating += self._validation
        left = self.left
        if known or left is None or self._end is None:
            return None
        promised = max(self._end - now, 0.0)
        wrong = abs(left - promised) > ENOUGH_TO_MATTER and not promised / MUCH < left < promised * MUCH
        return self._promise() if wrong else None

    @property
    def left(self) -> float | None:
        """Seconds to the end, validations included; None as long as too little is known."""
        if self._since is None:
            return None
        made, stepping = self._step - self._warm, self._clock() - self._since - self._validating
        if made < ENOUGH_STEPS or stepping < ENOUGH_SECONDS:
            return None
        of_a_step = stepping / made
        validations = ceil(self._steps / self._every) - self._step // self._every if self._every else 0
        return (self._steps - self._step) * of_a_step + validations * self._validation

    def _promise(self) -> str | None:
        left, steps = self.left, self._steps - self._step
        if left is None or steps <= 0:
            return None
        self._end = self._clock() + left
        return f"about {duration(left)} for the remaining {steps} steps"


def duration(seconds: float) -> str:
    """A length of time as people say it: '40 seconds', '12 minutes', '2.5 hours', '3 days'."""
    if seconds < 90:
        return _times(max(5 * round(seconds / 5), 5), "second")
    if seconds < 90 * 60:
        return _times(round(seconds / 60), "minute")
    if seconds < 48 * 3600:
        return _times(round(seconds / 3600, 1), "hour")
    return _times(round(seconds / 86400), "day")


def _times(number: float, unit: str) -> str:
    return f"{number:g} {unit}{'' if number == 1 else 's'}"
