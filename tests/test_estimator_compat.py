"""The contract with tensorflow-estimator: what the high-level implementation relies on.

If a new release of TensorFlow, Keras or tensorflow-estimator breaks one of these, it shows here and
not in the middle of a training. The model is one convolution, so a step takes milliseconds.
"""

import importlib.metadata
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import data.tensorflow_setup  # noqa: F401  isort: skip  (before TensorFlow)

import keras
import tensorflow as tf

from data.errors import UserError
from unet_common.experiment import experiment_from
from unet_common.training.run import Run
from unet_highlevel import estimator_compat
from unet_highlevel.estimator_compat import estimator
from unet_highlevel.training import train

v1 = tf.compat.v1

pytestmark = pytest.mark.filterwarnings("ignore:.*tf.layers.*is deprecated:UserWarning")

IMAGES = np.random.default_rng(0).normal(size=(8, 6, 6, 1)).astype(np.float32)
TARGETS = np.roll(IMAGES, 1, axis=1)


def model_fn(features, labels, mode):
    logits = v1.layers.conv2d(features, 1, 3, kernel_initializer=v1.ones_initializer(), name="conv")
    if mode == estimator.ModeKeys.PREDICT:
        outputs = {"serving_default": estimator.export.PredictOutput({"logits": logits})}
        return estimator.EstimatorSpec(mode, predictions={"logits": logits}, export_outputs=outputs)
    loss = tf.reduce_mean(tf.square(logits - labels[:, 1:-1, 1:-1]))
    if mode == estimator.ModeKeys.EVAL:
        error = v1.metrics.mean(loss)
        return estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops={"error": error})
    step = v1.train.get_global_step()
    train_op = v1.train.AdamOptimizer(0.01).minimize(loss, global_step=step)
    return estimator.EstimatorSpec(mode, loss=loss, train_op=train_op)


def training_input():
    """Batch `s` belongs to step `s`: the data start at the step that the checkpoint restored."""
    steps = tf.data.Dataset.range(v1.train.get_global_step(), 1000)
    images, targets = tf.constant(IMAGES), tf.constant(TARGETS)
    return steps.map(lambda s: (images[s % 4 : s % 4 + 2], targets[s % 4 : s % 4 + 2]))


def validation_input():
    return tf.data.Dataset.from_tensor_slices((IMAGES, TARGETS)).batch(4)


def prediction_input():
    return tf.data.Dataset.from_tensor_slices(IMAGES).batch(4)


def new_estimator(folder, save_every=100):
    config = estimator.RunConfig(
        model_dir=str(folder),
        tf_random_seed=1,
        save_checkpoints_steps=save_every,
        save_summary_steps=None,
        log_step_count_steps=None,
    )
    return estimator.Estimator(model_fn, config=config)


def variables(model):
    return {name: model.get_variable_value(name) for name in model.get_variable_names()}


def convolved(kernel, bias):
    return keras.ops.convert_to_numpy(keras.ops.conv(IMAGES, kernel)) + bias


class StepCounter(v1.train.SessionRunHook):
    """Counts steps; after `stop` of them asks for a stop, or raises `error`."""

    def __init__(self, stop=None, error=None):
        self.steps, self.ended = 0, False
        self._stop, self._error = stop, error

    def after_run(self, run_context, run_values):
        self.steps += 1
        if self.steps == self._stop:
            if self._error is not None:
                raise self._error
            run_context.request_stop()

    def end(self, session):
        self.ended = True


class Recorder(estimator.Exporter):
    """Keeps what `train_and_evaluate` hands to an exporter after every evaluation."""

    name = "recorder"

    def __init__(self):
        self.seen = []

    def export(self, estimator, export_path, checkpoint_path, eval_result, is_the_final_export):
        kernel = tf.train.load_variable(checkpoint_path, "conv/kernel")
        self.seen.append((eval_result, kernel, is_the_final_export))


def train_and_evaluate(model, steps, exporter, hooks=()):
    return estimator.train_and_evaluate(
        model,
        estimator.TrainSpec(training_input, max_steps=steps, hooks=hooks),
        estimator.EvalSpec(validation_input, steps=None, exporters=exporter, throttle_secs=0),
    )


def test_train_evaluate_and_predict_agree_with_each_other(tmp_path):
    model = new_estimator(tmp_path)
    untrained = model.evaluate(validation_input)
    model.train(training_input, max_steps=5)
    result = model.evaluate(validation_input)
    predictions = np.stack([p["logits"] for p in model.predict(prediction_input)])

    assert model.latest_checkpoint().endswith("model.ckpt-5")
    assert result["global_step"] == 5
    assert result["error"] < untrained["error"]
    error = np.mean((predictions - TARGETS[:, 1:-1, 1:-1]) ** 2)
    np.testing.assert_allclose(result["error"], error, rtol=1e-5)
    weights = variables(model)
    expected = convolved(weights["conv/kernel"], weights["conv/bias"])
    np.testing.assert_allclose(predictions, expected, rtol=1e-4, atol=1e-5)


def test_checkpoint_holds_weights_optimizer_and_step(tmp_path):
    model = new_estimator(tmp_path)
    model.train(training_input, max_steps=1)
    slots = {f"conv/{name}{slot}" for name in ("kernel", "bias") for slot in ("/Adam", "/Adam_1")}
    others = {"conv/kernel", "conv/bias", "beta1_power", "beta2_power", "global_step"}
    assert set(model.get_variable_names()) == slots | others


def test_resume_continues_to_the_last_bit(tmp_path):
    straight = new_estimator(tmp_path / "straight")
    straight.train(training_input, max_steps=7)
    new_estimator(tmp_path / "resumed").train(training_input, max_steps=3)
    resumed = new_estimator(tmp_path / "resumed")
    resumed.train(training_input, max_steps=7)

    expected, found = variables(straight), variables(resumed)
    assert found["global_step"] == 7
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_train_and_evaluate_evaluates_and_exports_after_every_checkpoint(tmp_path):
    recorder = Recorder()
    model = new_estimator(tmp_path, save_every=2)
    metrics, _ = train_and_evaluate(model, steps=5, exporter=recorder)

    results, kernels, final = zip(*recorder.seen, strict=True)
    assert [result["global_step"] for result in results] == [2, 4, 5]
    assert list(final) == [False, False, True]
    assert metrics == results[-1]
    np.testing.assert_array_equal(kernels[-1], model.get_variable_value("conv/kernel"))
    assert not np.array_equal(kernels[0], kernels[-1])


def test_train_and_evaluate_does_nothing_when_the_last_step_is_saved(tmp_path):
    model = new_estimator(tmp_path)
    model.train(training_input, max_steps=2)
    recorder = Recorder()
    assert train_and_evaluate(model, steps=2, exporter=recorder) == (None, None)
    assert recorder.seen == []


def test_hook_stops_training_with_a_checkpoint_and_an_evaluation(tmp_path):
    counter, recorder = StepCounter(stop=3), Recorder()
    model = new_estimator(tmp_path)
    train_and_evaluate(model, steps=50, exporter=recorder, hooks=[counter])

    assert counter.steps == 3
    assert counter.ended
    assert model.latest_checkpoint().endswith("model.ckpt-3")
    assert [result["global_step"] for result, _, _ in recorder.seen] == [3]


@pytest.mark.parametrize("error", [UserError("the loss is not a number"), KeyboardInterrupt()])
def test_exception_of_a_hook_leaves_training_without_a_checkpoint(tmp_path, error):
    counter, recorder = StepCounter(stop=3, error=error), Recorder()
    model = new_estimator(tmp_path)
    with pytest.raises(type(error)) as caught:
        train_and_evaluate(model, steps=50, exporter=recorder, hooks=[counter])

    assert caught.value is error
    assert not counter.ended
    assert model.latest_checkpoint().endswith("model.ckpt-0")
    assert recorder.seen == []


def test_exported_model_computes_the_same_numbers(tmp_path):
    model = new_estimator(tmp_path / "run")
    model.train(training_input, max_steps=2)

    def receiver():
        images = v1.placeholder(tf.float32, [None, None, None, 1], name="images")
        return estimator.export.TensorServingInputReceiver(images, {"images": images})

    folder = model.export_saved_model(str(tmp_path / "export"), receiver).decode()
    exported = tf.saved_model.load(folder).signatures["serving_default"]
    predictions = np.stack([p["logits"] for p in model.predict(prediction_input)])
    found = exported(images=tf.constant(IMAGES))["logits"].numpy()
    np.testing.assert_allclose(found, predictions, rtol=1e-5, atol=1e-6)


def test_keras_3_and_eager_mode_stay_usable(tmp_path):
    new_estimator(tmp_path).train(training_input, max_steps=1)
    assert tf.executing_eagerly()
    layer = keras.layers.Conv2D(1, 3, kernel_initializer="ones")
    expected = convolved(np.ones((3, 3, 1, 1), np.float32), 0)
    np.testing.assert_allclose(layer(IMAGES).numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("task", "chief"), [("chief", True), ("worker", False), ("ps", False)])
def test_run_config_reads_the_cluster(monkeypatch, task, chief):
    cluster = {"chief": ["one:2222"], "worker": ["two:2222"], "ps": ["three:2222", "four:2222"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": task, "index": 0}}))
    config = estimator.RunConfig()
    assert config.cluster_spec.as_dict() == cluster
    assert (config.task_type, config.task_id, config.is_chief) == (task, 0, chief)
    assert (config.num_worker_replicas, config.num_ps_replicas) == (2, 2)
    assert config.master == f"grpc://{cluster[task][0]}"


def test_a_run_folder_belongs_to_one_process(monkeypatch, tmp_path):
    run = Run.create(tmp_path / "run", experiment_from({"implementation": "highlevel"}))
    cluster = {"chief": ["one:2222"], "worker": ["two:2222"], "ps": ["three:2222"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "chief", "index": 0}}))
    with pytest.raises(UserError, match="TF_CONFIG in the environment describes a cluster"):
        train(run)


def test_strategy_is_refused():
    with pytest.raises(ValueError, match="set TF_CONFIG"):
        estimator.RunConfig(train_distribute=tf.distribute.OneDeviceStrategy("/cpu:0"))


# A process of its own, since this one has imported the module already.
CHANGES = """
import sys
import data.tensorflow_setup
import tensorflow as tf
from tensorflow.python.util import tf_export

def state():
    modules = {name: vars(module) for name, module in list(sys.modules.items())
               if name.split(".")[0] == "tensorflow" and module is not None}
    tables = {"API_ATTRS": tf_export.API_ATTRS, "API_ATTRS_V1": tf_export.API_ATTRS_V1}
    return {(owner, name): value for owner, names in {**modules, **tables}.items()
            for name, value in names.items()}

(tf.keras.layers, tf.losses.get)  # these load at first use, whoever uses them
before = state()
import unet_highlevel.estimator_compat as compat
once = state()
compat.install_missing_internals()
twice = state()
print("changed", [key for key in before if once.get(key) is not before[key]])
print("repeated", [key for key in twice if once.get(key) is not twice[key]])
print("tables", sorted(name for owner, name in once if owner.startswith("API") and
                       (owner, name) not in before))
print("export", sorted(name for owner, name in once if owner == tf_export.__name__ and
                       (owner, name) not in before))
"""


def test_nothing_of_tensorflow_is_changed_and_repeating_changes_nothing():
    run = subprocess.run(
        [sys.executable, "-c", CHANGES],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines() == [
        "changed []",
        "repeated []",
        "tables ['estimator', 'estimator']",
        "export ['ESTIMATOR_API_NAME']",
    ]


def test_other_tensorflow_is_refused(monkeypatch):
    monkeypatch.setattr(estimator_compat.tf, "__version__", "2.20.1")
    with pytest.raises(ImportError, match=r"runs on tensorflow 2\.21, but 2\.20\.1 is installed"):
        estimator_compat.check_versions()


def test_other_estimator_is_refused(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda package: "2.14.0")
    with pytest.raises(ImportError, match=r"runs on tensorflow-estimator 2\.15, but 2\.14\.0"):
        estimator_compat.check_versions()


def test_missing_estimator_is_refused(monkeypatch):
    def missing(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(ImportError, match=r'pip install "tensorflow==2\.21\.\*" "tensorflow-estimator'):
        estimator_compat.check_versions()


def test_a_missing_estimator_is_a_sentence_for_who_trains():
    program = "import sys; sys.modules['tensorflow_estimator'] = None\n"
    program += "import importlib.metadata as metadata\n"
    program += "find = metadata.version\n"
    program += "metadata.version = lambda name: '2.14.0' if name == 'tensorflow-estimator' else find(name)\n"
    program += "from data.errors import UserError\n"
    program += "try: import unet_highlevel\n"
    program += "except UserError as error: print(error)\n"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "runs on tensorflow-estimator 2.15, but 2.14.0 is installed: pip install" in done.stdout


# A program of somebody else's, beside which the file was copied. Prints for each Estimator, or for those of
# the arguments, whether it becomes better, or the kind of its error.
COPIED = """
import sys, tempfile
import numpy as np
import tensorflow as tf
from estimator_compat import estimator
from tensorflow_estimator.python.estimator.api._v2 import estimator as estimator_2

assert not any(name.split(".")[0] in ("data", "unet_common", "unet_highlevel") for name in sys.modules)
v1 = tf.compat.v1
inputs = np.random.default_rng(0).normal(size=[64, 2]).astype(np.float32)
columns = [tf.feature_column.numeric_column("x", shape=[2])]
combined = dict(linear_feature_columns=columns, dnn_feature_columns=columns, dnn_hidden_units=[4])
features = {"x": inputs, "id": np.arange(64).astype(str)}

def data(targets, features=features):
    return lambda: tf.data.Dataset.from_tensor_slices((features, targets)).repeat().batch(16)

def model_fn(features, labels, mode):
    slope = v1.get_variable("slope", [], initializer=v1.zeros_initializer())
    loss = tf.reduce_mean((slope * features["x"][:, :1] - labels) ** 2)
    step = v1.train.GradientDescentOptimizer(0.1).minimize(loss, v1.train.get_global_step())
    return estimator.EstimatorSpec(mode, loss=loss, train_op=step)

def learns(made, targets):
    losses = [made.train(targets, steps=count).evaluate(targets, steps=4)["loss"] for count in (1, 20)]
    return losses[1] < losses[0]

def k_means():
    made = estimator.experimental.KMeans(2, use_mini_batch=False, model_dir=tempfile.mkdtemp())
    points = lambda: tf.data.Dataset.from_tensors(inputs).repeat(20)
    return made.train(points).score(points) < np.square(inputs).sum() * 20

def linear_sdca():
    rule = estimator.experimental.LinearSDCA(example_id_column="id", symmetric_l2_regularization=0.1)
    return learns(estimator.LinearClassifier(columns, optimizer=rule, model_dir=tempfile.mkdtemp()), classes)

def model_to_estimator():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,), name="dense")])
    model.compile("sgd", "mse")
    made = tf.keras.estimator.model_to_estimator(model, model_dir=tempfile.mkdtemp())
    return learns(made, data(inputs[:, :1], {"dense_input": inputs}))

classes, values = data((inputs[:, :1] > 0).astype(np.int32)), data(inputs[:, :1])
attempts = {"KMeans": k_means, "LinearSDCA": linear_sdca, "model_to_estimator": model_to_estimator}

def add(name, targets, *arguments, of=estimator, head=False, **keywords):
    def attempt():
        heads = [estimator.BinaryClassHead()] if head else []
        folder = tempfile.mkdtemp()
        return learns(getattr(of, name)(*heads, *arguments, model_dir=folder, **keywords), targets)
    attempts[("v2." if of is estimator_2 else "") + name] = attempt

add("Estimator", values, model_fn)
for kind, targets in (("Classifier", classes), ("Regressor", values)):
    add("Baseline" + kind, targets)
    add("Linear" + kind, targets, columns)
    add("DNN" + kind, targets, [4], columns)
    add("DNNLinearCombined" + kind, targets, **combined)
add("BaselineEstimator", classes, head=True)
for of in (estimator, estimator_2):
    add("LinearEstimator", classes, columns, of=of, head=True)
    add("DNNEstimator", classes, [4], columns, of=of, head=True)
    add("DNNLinearCombinedEstimator", classes, of=of, head=True, **combined)
for name in sys.argv[1:] or attempts:
    try:
        print(name, attempts[name]())
    except Exception as error:
        print(name, type(error).__name__)
print("v1.layers", hasattr(v1.layers, "dense"))
print("BoostedTreesClassifier", hasattr(estimator, "BoostedTreesClassifier"))
"""

WITHOUT_KERAS_2 = {"Estimator", "BaselineClassifier", "BaselineRegressor", "KMeans"}
HEADS_OF_BEFORE = {"LinearEstimator", "DNNEstimator"}


@pytest.mark.parametrize(
    "legacy, names",
    [
        (False, []),
        (True, ["Estimator", "BaselineClassifier", "LinearClassifier", "DNNRegressor", "DNNEstimator"]),
        pytest.param(True, [], marks=pytest.mark.slow),
    ],
)
def test_the_file_can_be_copied_and_brings_the_canned_estimators(legacy, names, tmp_path):
    """As docs/migrating.md has them in a table. Without names, all of them."""
    shutil.copy(estimator_compat.__file__, tmp_path)
    (tmp_path / "program.py").write_text(COPIED)
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    environment |= {"TF_USE_LEGACY_KERAS": "1"} if legacy else {}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "program.py", *names], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = dict(line.split() for line in done.stdout.splitlines())
    assert found.pop("v1.layers") == str(legacy) and found.pop("BoostedTreesClassifier") == "False"
    assert len(found) == (len(names) or 19)
    works = {name for name, what in found.items() if what == "True"}
    assert works == (found.keys() - HEADS_OF_BEFORE if legacy else WITHOUT_KERAS_2)
    assert all(found[name].endswith("Error") for name in found.keys() - works)


# One program for all processes of a cluster. The chief, which would be through before the worker has started, waits
# for the worker's first step.
MEMBER = """
import json, os, sys, time
from pathlib import Path
import data.tensorflow_setup
import tensorflow as tf
from unet_highlevel.estimator_compat import estimator

v1 = tf.compat.v1
role = json.loads(os.environ["TF_CONFIG"])["task"]["type"]
folder = Path(sys.argv[1])

def input_fn():
    return tf.data.Dataset.from_tensors(([1.0, 2.0], [3.0, 6.0])).repeat()

def model_fn(features, labels, mode):
    slope = v1.get_variable("slope", [], initializer=v1.zeros_initializer())
    loss = tf.reduce_mean((slope * features - labels) ** 2)
    step = v1.train.GradientDescentOptimizer(0.01).minimize(loss, v1.train.get_global_step())
    (folder / f"{role}.device").write_text(slope.device)
    return estimator.EstimatorSpec(mode, loss=loss, train_op=step)

class Steps(v1.train.SessionRunHook):
    made = 0

    def after_run(self, context, values):
        self.made += 1
        (folder / f"{role}.steps").write_text(str(self.made))
        while not (folder / "worker.steps").exists():
            time.sleep(0.1)

trained = estimator.Estimator(model_fn, config=estimator.RunConfig(model_dir=str(folder / "model")))
estimator.train_and_evaluate(
    trained,
    estimator.TrainSpec(input_fn, max_steps=300, hooks=[Steps()]),
    estimator.EvalSpec(input_fn, steps=1, start_delay_secs=0, throttle_secs=0),
)
"""


@pytest.mark.slow
def test_a_cluster_trains_one_model_and_evaluates_it(tmp_path):
    roles = ("chief", "worker", "ps")
    sockets = [socket.create_server(("localhost", 0)) for _ in roles]
    cluster = {role: [f"localhost:{s.getsockname()[1]}"] for role, s in zip(roles, sockets, strict=True)}
    for free in sockets:
        free.close()
    members = {}
    try:
        for role in (*roles, "evaluator"):
            task = {"cluster": cluster, "task": {"type": role, "index": 0}}
            members[role] = subprocess.Popen(
                [sys.executable, "-c", MEMBER, tmp_path],
                cwd=Path(__file__).parent.parent,
                env=os.environ | {"TF_CONFIG": json.dumps(task)},
            )
        assert [members[role].wait(timeout=300) for role in ("chief", "worker", "evaluator")] == [0, 0, 0]
        assert members["ps"].poll() is None  # a parameter server is there until it is stopped
    finally:
        for member in members.values():
            member.kill()
            member.wait()

    made = {role: int((tmp_path / f"{role}.steps").read_text()) for role in ("chief", "worker")}
    assert min(made.values()) > 0
    assert sum(made.values()) >= 300
    assert (tmp_path / "worker.device").read_text() == "/job:ps/task:0"
    assert tf.train.load_variable(str(tmp_path / "model"), "slope") == pytest.approx(3.0, abs=1e-3)
    assert tf.train.load_variable(str(tmp_path / "model"), "global_step") >= 300
    assert list((tmp_path / "model" / "eval").iterdir())
