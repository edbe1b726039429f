"""What several tests need: commands, series of slices, operations in graphs, trainings of all three."""

import re
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from comparison.page import MAX_BYTES
from unet_common.experiment import experiment_from
from unet_common.graph_model import assign, canonical_variables
from unet_common.implementation import IMPLEMENTATIONS, load
from unet_common.networks import CATALOGUE
from unet_common.training.history import read_history
from unet_common.training.run import Run
from unet_common.weights.interchange import load_weights

v1 = tf.compat.v1


def slow(*values):
    """Parameters of a test for `-m slow`: what they vary is in the others, too."""
    return pytest.param(*values, marks=pytest.mark.slow)


def first_quickly(names, *values):
    """A parametrisation whose first value is in every run of the tests, and the others are for `-m slow`.

    For what the values vary in the default run elsewhere: the three loops, for one, in tests of the folder of a run.
    """
    first, *others = values
    others = [slow(*(one if isinstance(one, tuple) else (one,))) for one in others]
    return pytest.mark.parametrize(names, [first, *others])


EACH = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
ONE = first_quickly("implementation", *IMPLEMENTATIONS)

ROOT = Path(__file__).resolve().parent.parent


def command(module, *arguments):
    """Run a command's `main` as if it had been typed; returns its status."""
    before, sys.argv = sys.argv, [module.__name__, *map(str, arguments)]
    try:
        return module.main()
    finally:
        sys.argv = before


VALUES = np.random.default_rng(0).integers(-1000, 3000, (4, 6, 5)).astype(np.int16)  # slices, rows, columns


AXIAL = [1, 0, 0, 0, 1, 0]


SERIES = generate_uid()


def write_slice(path, pixels, position, orientation=AXIAL, series=SERIES, **tags):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    file.SeriesInstanceUID, file.Modality = series, "CT"
    file.Rows, file.Columns = pixels.shape
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit = 16, 16, 15
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    file.PixelData = pixels.tobytes()
    file.PixelSpacing, file.SliceThickness = [0.8, 0.6], 2.5
    file.ImagePositionPatient, file.ImageOrientationPatient = [float(x) for x in position], orientation
    for tag, value in tags.items():
        if value is None:
            delattr(file, tag)
        else:
            setattr(file, tag, value)
    file.save_as(path, enforce_file_format=True)


def write_series(folder, values=VALUES, orientation=AXIAL, origin=(10, -20, 30), step=2.5, skip=(), **tags):
    """Slices under shuffled names."""
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(orientation[:3], orientation[3:])
    order = np.random.default_rng(1).permutation(len(values))
    for index, pixels in enumerate(values):
        if index not in skip:
            position = np.array(origin) + index * step * normal
            write_slice(folder / f"IM{order[index]:03d}", pixels, position, orientation, **tags)
    return folder


SIZES = {2: (5, 6), 3: (4, 3, 5)}


RANKS = pytest.mark.parametrize("rank", SIZES)


def images(rank, channels=3, size=None):
    """Two images of random values."""
    return np.random.default_rng(10 + rank).standard_normal((2, *(size or SIZES[rank]), channels))


class Operation:
    """`build(x)` in a graph of its own, with weights that are not their initial values."""

    def __init__(self, build, x, seed=0, step=0, initial=False):
        with tf.Graph().as_default() as graph:
            v1.set_random_seed(seed)
            global_step = v1.train.get_or_create_global_step()
            self.x = v1.placeholder(x.dtype, [None] * (x.ndim - 1) + [x.shape[-1]])
            self.y = build(self.x)
            self.updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
            self.trainable = {v.op.name: v for v in v1.trainable_variables()}
            self.variables = canonical_variables(graph)
            self.session = v1.Session(graph=graph)
            self.session.run(v1.global_variables_initializer())
        assign(self.session, [(global_step, step)])
        if not initial:
            generator = np.random.default_rng(1)
            for variable in self.variables.values():
                assign(self.session, [(variable, generator.uniform(0.5, 1.5, variable.shape))])

    def __call__(self, x):
        return self.session.run(self.y, {self.x: x})

    def weights(self):
        return self.session.run(self.variables)

    def check_gradients(self, x):
        """Those of the input and of every weight, element by element, against central differences."""
        direction = np.random.default_rng(2).standard_normal(self(x).shape)
        with self.session.graph.as_default():
            value = tf.reduce_sum(self.y * direction)
            gradients = tf.gradients(value, [self.x, *self.trainable.values()])
        of_x, *of_weights = self.session.run(gradients, {self.x: x})

        def at(point):
            return self.session.run(value, {self.x: point})

        np.testing.assert_allclose(of_x, central_differences(at, x), rtol=0, atol=1e-7)
        for (name, variable), gradient in zip(self.trainable.items(), of_weights, strict=True):
            before = self.session.run(variable)

            def at_weight(point, variable=variable):
                assign(self.session, [(variable, point)])
                return at(x)

            np.testing.assert_allclose(
                gradient, central_differences(at_weight, before), rtol=0, atol=1e-7, err_msg=name
            )
            assign(self.session, [(variable, before)])


def central_differences(function, point, distance=1e-5):
    """The gradient of a scalar function at `point`: two evaluations for each of its elements."""
    gradient = np.empty_like(point)
    for index in np.ndindex(point.shape):
        shift = np.zeros_like(point)
        shift[index] = distance
        gradient[index] = (function(point + shift) - function(point - shift)) / (2 * distance)
    return gradient


def cases(float32: bool = False):
    """Every configuration; those that `SLOW` lists by number, and most of the smoke tests, are for `-m slow`."""
    for name in CATALOGUE:
        expected = import_module(f"expected.{name}")
        for index, configuration in enumerate(expected.CONFIGURATIONS):
            deep = getattr(expected, "SLOW", ())
            slow = index in deep or (float32 and (index > 0 or deep))
            marks = [pytest.mark.slow] if slow else []
            yield pytest.param(name, *configuration, id=f"{name}-{index}", marks=marks)


CASES = list(cases())


SEED, STEP, LOSS = 3, 7, "dice + cross_entropy"


SETTINGS = {
    "network": {"depth": 3, "filters": 3},
    "data": {"images": 6, "size": [48, 48]},
    "sampling": {"crop": [32, 32]},
    "augmentation": {"flips": True, "rotation": 30, "noise": 0.1},
    "optimizer": {"name": "sgd", "learning_rate": 2.0**-4, "momentum": 0.875},
    "training": {"steps": 10, "validate_every": 4, "batch_size": 2},
    "precision": "float64",
}


def train_all(directory, implementations=IMPLEMENTATIONS, **changes):
    """History, final weights and run of each implementation, trained by its own loop."""
    results = []
    for name in implementations:
        run = Run.create(directory / name, experiment_from({**SETTINGS, **changes, "implementation": name}))
        load(name).train(run)
        assert run.state.name == "finished"
        results.append((read_history(run.history), load_weights(run.final_weights, run.network), run))
    return results


def assert_equal_courses(results, loss, weights):
    """Compare with the first; bounds are absolute."""
    (history, final, _), *others = results
    for other_history, other_final, run in others:
        name = run.experiment.implementation
        assert [row["step"] for row in other_history] == [row["step"] for row in history]
        for column, bound in (("loss", loss), ("validation_loss", max(loss, 1e-6)), ("learning_rate", 0)):
            here, there = ([row[column] or 0 for row in rows] for rows in (history, other_history))
            np.testing.assert_allclose(there, here, rtol=0, atol=bound, err_msg=f"{name}: {column}")
        for weight, value in final.items():
            np.testing.assert_allclose(
                other_final[weight], value, rtol=0, atol=weights, err_msg=f"{name}: {weight}"
            )


class Links(HTMLParser):
    """What a page loads, and where it leads."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.led, self.ids = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for key, value in attributes:
            if key == "id":
                self.ids.append(value)
            elif tag == "a" and key == "href":
                self.led.append(value)
            elif key in ("src", "srcset", "href", "xlink:href", "poster", "action"):
                self.loaded.append(value)


def assert_self_contained(path):
    """Below 10 MiB; loads nothing; links lead within the page."""
    text = path.read_text()
    assert len(text.encode()) < MAX_BYTES
    links = Links(text)
    assert all(value.startswith("data:") for value in links.loaded)
    assert not re.search(r"@import|url\(", text)
    assert len(set(links.ids)) == len(links.ids)
    assert {target[:1] for target in links.led} == {"#"}
    assert {target[1:] for target in links.led} <= set(links.ids)
