"""Set-up of all tests: numbers that do not depend on the processor, and a fixture for the devices."""

import os
import shutil

# oneDNN changes float32 results between calls of different layout; the tests compare to the last digits.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import unet_common  # noqa: F401, I001  (first: it sets TensorFlow up)
import pytest
import tensorflow as tf

tf.config.experimental.enable_tensor_float_32_execution(False)

DEVICES = ["CPU:0"] + [f"GPU:{index}" for index in range(len(tf.config.list_physical_devices("GPU")))]


class PlacedGraph(tf.Graph):
    """A graph on the device of the code around it; eager operations, and so Keras, go there by themselves."""

    device_of_all = ""

    def __init__(self):
        super().__init__()
        # Not `self.device(...)`: that is a scope, and tf.layers swaps the stack of scopes while it is open.
        self._add_device_to_stack(self.device_of_all)


@pytest.fixture(params=DEVICES)
def device(request, monkeypatch):
    """Run the test on the CPU and on every GPU there is."""
    monkeypatch.setattr(PlacedGraph, "device_of_all", request.param)
    monkeypatch.setattr(tf, "Graph", PlacedGraph)
    with tf.device(request.param):
        yield request.param


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium without a window, which asks the network for nothing."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no Chromium: on Debian, apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = binary
    for flag in (
        "headless", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(driver))
    yield made
    made.quit()


# Whole files go to one process or another: the longest come first, so that none is left for the end.
LONGEST = (
    "test_training_consistency", "test_resume", "test_consistency", "test_compare_browser", "test_docs", "test_golden",
    "test_run_folders", "test_parameter_counts", "test_medpatchnet", "test_accumulation", "test_features",
    "test_compare", "test_losses", "test_keras_settings", "test_kinds_of_masks", "test_unet_25d", "test_pretrained",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    position = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: position.get(item.path.stem, len(LONGEST)))
