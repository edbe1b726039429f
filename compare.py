"""Compare the three APIs: python compare.py.

Trains a network with each from the same weights, and writes one page, compare.html, that shows their source side by
side, how far they agree, what they cost, what they predict, and where their defaults differ. Without other flags: the
U-Net on the embedded data.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
import webbrowser
from pathlib import Path

from data.errors import UserError, run_command
from data.files import at_home
from unet_common.cli import add_experiment_flags, experiment_of


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_experiment_flags(parser, of_all_three=True)
    add = parser.add_argument
    add(
        "--output",
        type=at_home,
        metavar="DIR",
        help="a new folder for page and runs (default: comparisons/TIME_...)",
    )
    add("--code-only", action="store_true", help="the source side by side, and train nothing")
    add("--no-open", action="store_true", help="do not open the page in a browser")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if arguments.impl or arguments.fold == "all":
        raise UserError("compare.py trains all three implementations once: leave out --impl and --fold all.")
    experiment = experiment_of(arguments)
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    output = arguments.output or Path("comparisons") / f"{stamp}_{experiment.network.name}"
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output} exists already and is not empty: choose another --output.")
    if not arguments.code_only:
        from unet_common.training.run import complete

        complete(experiment)  # refuses what none of the three can be trained with
    # From here on nobody waits for a refusal: this imports TensorFlow.
    from comparison.report import compare

    command = shlex.join(["python", *sys.argv])
    page = compare(experiment, output, command, arguments.code_only)
    print(f"Page: {page}")
    if not arguments.no_open:
        open_page(page)


def open_page(page: Path) -> None:
    """Show the page, if there is a browser that has a screen."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    # In a terminal without a screen Python would start a text browser, and that would wait for its user.
    if not isinstance(browser, webbrowser.GenericBrowser) or isinstance(
        browser, webbrowser.BackgroundBrowser
    ):
        browser.open(page.resolve().as_uri())


if __name__ == "__main__":
    run_command(main)
