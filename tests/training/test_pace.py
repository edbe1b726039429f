"""The time that a training still takes, by a clock of our own."""

import pytest

from unet_common.experiment import experiment_from
from unet_common.training.monitor import Monitor
from unet_common.training.pace import Pace, duration
from unet_common.training.run import Run


class Clock:
    """A clock that goes on when it is told to."""

    now = 1000.0

    def __call__(self):
        return self.now

    def __add__(self, seconds):
        self.now += seconds
        return self


def steps(pace, clock, first, last, seconds):
    """Make the steps first .. last; what was said, by step."""
    said = {}
    for step in range(first, last + 1):
        clock += seconds
        if text := pace.stepped(step):
            said[step] = text
    return said


def test_the_first_steps_do_not_count_and_it_is_said_once():
    clock = Clock()
    pace = Pace(0, 400, None, clock)
    assert steps(pace, clock, 1, 2, 60) == {}  # compiled
    assert steps(pace, clock, 3, 100, 2) == {5: "about 13 minutes for the remaining 395 steps"}
    assert pace.left == pytest.approx(600)


def test_quick_steps_wait_for_some_seconds():
    clock = Clock()
    assert steps(Pace(0, 1000, None, clock), clock, 1, 500, 0.125) == {
        42: "about 2 minutes for the remaining 958 steps"
    }
    clock = Clock()
    assert steps(Pace(0, 20, None, clock), clock, 1, 20, 0.1) == {}  # over before it could be told


def test_a_resumed_training_has_its_own_first_steps():
    clock = Clock()
    assert steps(Pace(100, 160, None, clock), clock, 101, 160, 2) == {
        105: "about 2 minutes for the remaining 55 steps"
    }


def test_validations_count():
    clock = Clock()
    pace = Pace(0, 400, 50, clock)
    assert list(steps(pace, clock, 1, 50, 1)) == [7]
    clock += 60
    assert pace.validated() == "about 13 minutes for the remaining 350 steps"  # 350 s, and 7 of 60 s
    assert steps(pace, clock, 51, 100, 1) == {}
    clock += 60
    assert pace.validated() is None
    assert pace.left == pytest.approx(300 + 6 * 60)


def test_a_validation_that_takes_no_time_changes_nothing():
    clock = Clock()
    pace = Pace(0, 400, 50, clock)
    steps(pace, clock, 1, 50, 1)
    clock += 1
    assert pace.validated() is None


def test_a_validation_before_there_is_an_estimate_is_in_it():
    clock = Clock()
    pace = Pace(0, 40, 4, clock)
    assert pace.validated() is None  # before any step, after a resume
    assert steps(pace, clock, 1, 4, 1) == {}
    clock += 100
    assert pace.validated() is None
    assert steps(pace, clock, 5, 12, 1) == {
        7: "about 16 minutes for the remaining 33 steps"
    }  # 33 s, 9 of 100 s


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "5 seconds"), (42, "40 seconds"), (89, "90 seconds"), (95, "2 minutes"), (720, "12 minutes"),
        (5390, "90 minutes"), (5400, "1.5 hours"), (36000, "10 hours"), (250000, "3 days"),
    ],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_log_without_a_terminal_gets_a_line_a_minute(tmp_path, capsys):
    settings = {
        "network": {"depth": 2, "filters": 2},
        "data": {"images": 3, "size": [16, 16]},
        "sampling": {"crop": [16, 16]},
        "training": {"steps": 100, "validate_every": 20},
    }
    clock = Clock()
    with Monitor(Run.create(tmp_path / "run", experiment_from(settings)), 0, clock) as monitor:
        for _step in range(20):
            clock += 10
            monitor.batch_done(0.5)
        clock += 10
        monitor.record_validation(0.5, 0.25, 0.125)
        for _step in range(7):
            clock += 10
            monitor.batch_done(0.25)
    assert capsys.readouterr().err.splitlines() == [
        "about 16 minutes for the remaining 95 steps",
        "step 11/100  loss 0.5000  about 15 minutes left",
        "step 17/100  loss 0.5000  about 14 minutes left",
        "step 20/100  validation loss 0.5000  Dice 0.2500",
        "step 26/100  loss 0.2500  about 13 minutes left",
    ]
