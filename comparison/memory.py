"""The memory that a training takes at most: `python -m comparison.memory RUN`, in a process of its own.

It prints JSON: bytes that are resident before anything is built, and at most while some steps are made. Both are those
of the whole process, of which Python and TensorFlow are a large part. Only Linux tells.
"""

import json
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")
STEPS = 3


def resident(key: str) -> int:
    """Bytes of this process: now (`VmRSS`), or at most so far (`VmHWM`)."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return 1024 * int(lines[key].split()[0])


def main() -> None:
    from comparison.steps import build, one_batch
    from unet_common.implementation import load
    from unet_common.training.run import Run

    run = Run.open(Path(sys.argv[1]))
    load(run.experiment.implementation)
    batch = one_batch(run)
    before = resident("VmRSS")
    step = build(run, batch)
    for _ in range(STEPS):
        step.run()
    print(json.dumps({"before": before, "peak": resident("VmHWM")}))


if __name__ == "__main__":
    main()
