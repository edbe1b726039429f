"""What texts and the page say of TensorFlow and Keras, word for word, and what these do.

Each test names the file and the words. Who changes a sentence finds the test that it has to agree with; a TensorFlow
that changes its ways finds the sentence. What `comparison/demonstrations.py` demonstrates is tested with the page.
"""

import json
import os
import re
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import ROOT

from comparison import defaults, demonstrations
from unet_common import resizing

v1 = tf.compat.v1

BOTH_SLOPES = (
    "0.2 in `tf.nn` and in Keras's function, which `activation=\"leaky_relu\"` stands for, and 0.3 in Keras's"
)


def says(file, words):
    """A mark: the test holds up these words of the file, however its lines are broken."""
    return pytest.mark.says(file, words)


def in_graph(function):
    return defaults.run(function, graph=True)


@pytest.fixture(autouse=True)
def said(request):
    """The words stand where the test says."""
    marks = list(request.node.iter_markers("says"))
    assert marks
    for mark in marks:
        file, words = mark.args
        text = re.sub(r'"\n\s*"', "", (ROOT / file).read_text(encoding="utf-8"))  # strings of Python, joined
        assert " ".join(words.split()) in " ".join(text.split()), file


# --- layers -----------------------------------------------------------------------------------


@says("comparison/defaults.py", "pads `SAME` unless told otherwise, though `tf.nn.convolution` pads `VALID`")
def test_default_paddings():
    x, kernel = tf.ones([1, 4, 4, 1]), tf.ones([3, 3, 1, 1])
    assert tf.nn.convolution(x, kernel).shape == (1, 2, 2, 1)
    assert tf.nn.conv2d_transpose(x, kernel, [1, 8, 8, 1], strides=2).shape == (1, 8, 8, 1)
    with pytest.raises(tf.errors.InvalidArgumentError):  # that of VALID
        tf.nn.conv2d_transpose(x, kernel, [1, 9, 9, 1], strides=2)


@says("comparison/content/02_convolution.yaml", "`tf.nn.convolution` takes one, two or three spatial axes.")
def test_ranks_of_a_convolution():
    for rank in (1, 2, 3):
        assert tf.nn.convolution(tf.ones([1, *[4] * rank, 1]), tf.ones([*[2] * rank, 1, 1])).ndim == rank + 2
    with pytest.raises(ValueError, match="must be 1, 2, or 3"):
        tf.nn.convolution(tf.ones([1, 4, 4, 4, 4, 1]), tf.ones([2, 2, 2, 2, 1, 1]))


@says("comparison/content/03_transposed.yaml", "at run time, and forgets what was known of it before")
def test_the_shape_after_a_transposed_convolution_is_forgotten():
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [None, 4, 4, 3])
        shape = tf.concat([tf.shape(x)[:1], 2 * tf.shape(x)[1:3], [5]], 0)
        assert tf.nn.conv_transpose(x, tf.ones([2, 2, 5, 3]), shape, 2).shape.as_list() == [
            None,
            None,
            None,
            5,
        ]


@says("docs/developing.md", BOTH_SLOPES)
@says(
    "comparison/defaults.py",
    "0.2 in `tf.nn`. Keras's layer has 0.3, and its function of nearly the same name 0.2.",
)
def test_slopes_of_the_leaky_relu():
    x = tf.constant([-1.0])
    for function in (tf.nn.leaky_relu, keras.activations.leaky_relu, keras.ops.leaky_relu):
        assert float(function(x)[0]) == pytest.approx(-0.2)
    assert float(keras.layers.Activation("leaky_relu")(x)[0]) == pytest.approx(-0.2)
    dense = keras.layers.Dense(1, activation="leaky_relu", kernel_initializer="ones")
    assert float(dense(x[tf.newaxis])[0, 0]) == pytest.approx(-0.2)
    assert float(keras.layers.LeakyReLU()(x)[0]) == pytest.approx(-0.3)


@says("docs/developing.md", "TensorFlow has no float64 kernel of 3D max pooling")
def test_no_max_pooling_of_volumes_in_float64():
    assert tf.nn.max_pool3d(tf.ones([1, 2, 2, 2, 1]), 2, 2, "VALID").shape == (1, 1, 1, 1, 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="double is not in the list of allowed values"):
        tf.nn.max_pool3d(tf.ones([1, 2, 2, 2, 1], tf.float64), 2, 2, "VALID")


@says(
    "docs/developing.md", "equals `unet_common.resizing` to the last bit, values and gradients, in float64;"
)
@says("docs/developing.md", '`"bilinear"` does not, as it computes in float32.')
def test_upsampling_of_keras():
    x = tf.constant(np.random.default_rng(0).standard_normal((1, 3, 4, 2)))
    weights = tf.constant(np.random.default_rng(1).standard_normal((1, 6, 8, 2)))

    def results(resize):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = resize(x)
            loss = tf.reduce_sum(weights * y)
        return y.numpy(), tape.gradient(loss, x).numpy()

    for kind, ours in (("nearest", "nearest"), ("bilinear", "linear")):
        layer = keras.layers.UpSampling2D(2, interpolation=kind, dtype="float64")
        pairs = list(
            zip(results(layer), results(lambda x, grid=ours: resizing.upsample(x, (2, 2), grid)), strict=True)
        )
        if kind == "nearest":
            assert all(np.array_equal(theirs, mine) for theirs, mine in pairs)
        else:
            (theirs, mine), _gradients = pairs
            np.testing.assert_allclose(theirs, mine, rtol=0, atol=1e-6)
            assert np.abs(theirs - mine).max() > 1e-9 and np.array_equal(theirs, theirs.astype(np.float32))


@says("docs/developing.md", "moving statistics would differ by a relative 2e-8")
def test_digits_of_the_momentum():
    assert in_graph(demonstrations.digits_highlevel) / 0.01 == pytest.approx(-2e-8, rel=0.2)


@says(
    "docs/migrating.md",
    "the fused kernel, which float64 does not have, keeps a variance that is N / (N - 1) times",
)
@pytest.mark.parametrize(
    "dtype, fused, kept", [("float64", {}, 1), ("float32", {}, 2), ("float32", {"fused": False}, 1)]
)
def test_the_variance_that_tf_layers_keeps(dtype, fused, kept):
    def moving_variance():
        x = tf.reshape(tf.constant([0, 2], dtype), [1, 2, 1, 1])
        v1.layers.batch_normalization(x, training=True, momentum=0.0, **fused)
        (variance,) = (v for v in v1.global_variables() if "moving_variance" in v.name)
        return demonstrations.after(tf.group(v1.get_collection(v1.GraphKeys.UPDATE_OPS)), variance)

    assert in_graph(moving_variance) == pytest.approx(kept)  # of 0 and 2: Keras keeps 1


# --- optimizers -------------------------------------------------------------------------------


@says("docs/developing.md", "root of 0.9 + 0.1 g², and Keras's by that of 0.1 g² + 1e-7.")
@says(
    "docs/developing.md",
    "That is 3 times for a gradient of 1, 2,100 times for one of 0.001, and 3,000 times for smaller",
)
@says(
    "comparison/defaults.py",
    "by a factor of 3 for a gradient of 1, 2,100 for this one, 3,000 for smaller ones",
)
@says("unet_highlevel/optimizers.py", "first steps up to 3,000 times smaller")
@pytest.mark.parametrize("g, factor", [(10.0, 1), (1.0, 3), (1e-3, 2100), (1e-4, 3000), (1e-8, 3000)])
def test_first_steps_of_rmsprop(g, factor):
    def step():
        weight = v1.get_variable("weight", initializer=0.0)
        return demonstrations.after(
            v1.train.RMSPropOptimizer(1.0).apply_gradients([(tf.constant(g), weight)]), weight
        )

    weight = keras.Variable(0.0)
    keras.optimizers.RMSprop(1.0).apply([tf.constant(g)], [weight])
    from_one, from_zero = float(in_graph(step)), float(weight)
    assert from_one == pytest.approx(-g / np.sqrt(0.9 + 0.1 * g**2 + 1e-10), rel=1e-5)
    assert from_zero == pytest.approx(-g / np.sqrt(0.1 * g**2 + 1e-7), rel=1e-5)
    assert from_zero / from_one == pytest.approx(factor, rel=0.06)


@says(
    "docs/developing.md", "Epsilon is 1e-7 for Adam and RMSprop everywhere (`tf.train` has 1e-8 and 1e-10)."
)
def test_epsilons():
    assert v1.train.AdamOptimizer()._epsilon == 1e-8 and v1.train.RMSPropOptimizer(1.0)._epsilon == 1e-10
    assert keras.optimizers.Adam().epsilon == keras.optimizers.RMSprop().epsilon == 1e-7


@says("docs/developing.md", "its first step is off by 6.7e-6 of itself")
def test_adams_decays():
    assert float(demonstrations.decays_keras()) == pytest.approx(6.7e-6, rel=0.01)
    assert abs(in_graph(demonstrations.decays_highlevel)) < 1e-12


@says("docs/developing.md", "with 0.9 a velocity would differ by 3e-8 of itself in every step")
def test_digits_of_momentum():
    def velocity():
        weight, one = v1.get_variable("weight", initializer=tf.zeros([], tf.float64)), tf.ones([], tf.float64)
        optimizer = v1.train.MomentumOptimizer(1.0, 0.9)
        first = optimizer.apply_gradients([(one, weight)])
        with tf.control_dependencies([first]):
            second = optimizer.apply_gradients([(0 * one, weight)])
        return demonstrations.after(second, optimizer.get_slot(weight, "momentum"))

    assert abs(in_graph(velocity) / 0.9 - 1) == pytest.approx(3e-8, rel=0.2)


# --- states, checkpoints, processes -----------------------------------------------------------


@says(
    "comparison/content/05_dropout.yaml",
    "`keras.layers.Dropout` keeps hidden state that its checkpoints leave out",
)
def test_the_state_of_keras_dropout_is_in_no_checkpoint(tmp_path):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    state = model.layers[0].seed_generator.state
    model.save_weights(tmp_path / "model.weights.h5")
    checkpoint = tf.train.Checkpoint(model)
    path = checkpoint.save(tmp_path / "checkpoint")
    before = state.numpy()
    model(np.ones((2, 8)), training=True)
    after = state.numpy()
    assert not np.array_equal(before, after)
    model.load_weights(tmp_path / "model.weights.h5")
    checkpoint.restore(path)
    np.testing.assert_array_equal(state.numpy(), after)


@says("comparison/content/12_checkpoints.yaml", "Keras's own `save_weights` writes in place")
def test_a_kill_in_keras_save_weights_costs_the_file_of_before(tmp_path):
    class Killed(keras.layers.Dense):
        def save_own_variables(self, store):
            raise KeyboardInterrupt

    path = tmp_path / "model.weights.h5"
    model, killed = (
        keras.Sequential([keras.Input((2,)), layer]) for layer in (keras.layers.Dense(1), Killed(1))
    )
    model.save_weights(path)
    model.load_weights(path)
    with pytest.raises(KeyboardInterrupt):
        killed.save_weights(path)
    with pytest.raises(Exception, match=r"(?i)layer|file"):
        model.load_weights(path)


@says("comparison/content/13_resume.yaml", "a restore that finds nothing is silent")
def test_a_restore_that_finds_nothing_is_silent(tmp_path, capfd):
    path = tf.train.Checkpoint(other=tf.Variable(1.0)).save(tmp_path / "checkpoint")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    capfd.readouterr()
    status = tf.train.Checkpoint(model=model).restore(path)
    assert capfd.readouterr() == ("", "")
    with pytest.raises(AssertionError):
        status.assert_consumed()


def fresh(program, *arguments, **environment):
    """What a program prints in a fresh interpreter, without this project's set-up."""
    kept = {
        name: value for name, value in os.environ.items() if name not in ("TF_USE_LEGACY_KERAS", "TF_CONFIG")
    }
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], env=kept | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


LEGACY = """
import os, sys
import tensorflow as tf
import keras
if sys.argv[1] == "late":
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
modules = [getattr(tf, name).__name__.partition(".")[0] for name in ("losses", "metrics", "optimizers")]
print(hasattr(tf.compat.v1.layers, "conv2d"), tf.keras.__name__.partition(".")[0], *modules, keras.__version__[0])
"""


@says(
    "docs/migrating.md",
    "`TF_USE_LEGACY_KERAS=1` brings `v1.layers`, and with it `tf.keras`, `tf.losses`, `tf.metrics`",
)
@says("docs/migrating.md", "It is read when one of these is first used")
def test_what_the_variable_of_the_environment_changes():
    started = fresh(LEGACY, "never"), fresh(LEGACY, "late")
    without, late = (process.communicate(timeout=120)[0].split() for process in started)
    assert late == ["True", *["tf_keras"] * 4, "3"]
    assert without == ["False", *["keras"] * 4, "3"]


OLD = """\
import tensorflow as tf
x = tf.placeholder(tf.float32, [None, 4, 4, 1])
y = tf.layers.conv2d(x, 1, 3)
y = tf.layers.dense(y, 1)
y = tf.layers.dropout(y)
y = tf.layers.max_pooling2d(y, 2, 2)
z = tf.reduce_sum(y, keep_dims=True)
r = tf.image.resize_bilinear(x, [8, 8])
e = tf.estimator.Estimator(None)
s = tf.contrib.slim.conv2d(x)
"""


@says(
    "docs/migrating.md",
    "It leaves `tf.estimator` and most of `tf.layers` as they are, without a word, and turns",
)
def test_what_the_upgrade_script_does(tmp_path):
    (tmp_path / "old.py").write_text(OLD)
    program = "from tensorflow.tools.compatibility.tf_upgrade_v2_main import main; main()"
    files = ["--infile", "old.py", "--outfile", "new.py", "--reportfile", "report.txt"]
    subprocess.run([sys.executable, "-c", program, *files], cwd=tmp_path, check=True, capture_output=True)
    old, new = OLD.splitlines(), (tmp_path / "new.py").read_text().splitlines()
    report = (tmp_path / "report.txt").read_text()
    for before, after in zip(old[2:6] + old[8:], new[2:6] + new[8:], strict=True):
        assert before == after
    assert "tf.compat.v1.placeholder" in new[1] and "keepdims" in new[6]
    assert new[7].startswith("r = tf.image.resize(x")
    assert "tf.contrib" in report and "estimator" not in report and "tf.layers" not in report


FIT = """
import sys
import numpy as np, tensorflow as tf
import keras
if sys.argv[1] == "one machine":
    configuration = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], configuration)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
else:
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
try:
    model.fit(tf.data.Dataset.from_tensors((np.ones((8, 3)), np.ones((8, 1)))).repeat(4), verbose=0)
    print("fits")
except ValueError as error:
    print("PerReplica" in str(error))
"""


@pytest.mark.slow
@says("comparison/content/15_machines.yaml", "On several machines `fit` of Keras 3 does not run under")
def test_strategies_under_which_keras_fits():
    assert fresh(FIT, "one machine").communicate(timeout=120)[0] == "fits\n"
    sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
    workers = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    tasks = [
        {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}} for index in range(2)
    ]
    started = [fresh(FIT, "several", TF_CONFIG=json.dumps(task)) for task in tasks]
    try:
        assert [process.communicate(timeout=120)[0] for process in started] == ["True\n"] * 2
    finally:
        for process in started:
            process.kill()
