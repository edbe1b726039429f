"""`tf.estimator`, the high-level API of TensorFlow 1, on a TensorFlow that no longer carries it.

TensorFlow dropped `tf.estimator` in 2.16, and the releases that had it do not exist for current
Pythons. The code did not vanish: it is the package `tensorflow-estimator`, whose last release
(2.15.0) still runs on a current TensorFlow, with sessions, hooks and TF_CONFIG clusters. It only
fails to import, because TensorFlow also dropped a few internals that it names. This module puts
those back and nothing else: what is missing is added, nothing that exists is changed.

    from estimator_compat import estimator

    estimator.Estimator(model_fn, config=estimator.RunConfig(model_dir=...))

The file needs nothing else of this project: copy it into a program that wants its Estimator back.

`estimator` is the public namespace that was `tf.estimator` in TensorFlow 1: `Estimator`,
`EstimatorSpec`, `RunConfig`, `TrainSpec`, `EvalSpec`, `ModeKeys`, `Exporter`, `train_and_evaluate`,
`export`, `experimental`, ...

`tf.compat.v1.layers`, the other half of such programs, needs the package `tf_keras`, and
TF_USE_LEGACY_KERAS=1 in the environment before TensorFlow is imported. So do most Estimators that
come with their model, as `DNNClassifier` and `LinearRegressor`, which are made of Keras 2;
`BaselineClassifier`, `BaselineRegressor` and `experimental.KMeans` do without.

What needs TensorFlow code that is gone stays out: TPUs, boosted trees, and `tf.distribute` strategies
inside an Estimator. Several machines work through TF_CONFIG, with chief, workers and parameter servers.
"""

import importlib.metadata
import sys
import types

import tensorflow as tf
from tensorflow.python.util import tf_export

# What has to be put back was found out for these two series; other releases lack more, or less.
_TENSORFLOW = "2.21"
_ESTIMATOR = "2.15"


def check_versions() -> None:
    """Raise `ImportError` unless TensorFlow and tensorflow-estimator are of the supported series."""
    needed = f'pip install "tensorflow=={_TENSORFLOW}.*" "tensorflow-estimator=={_ESTIMATOR}.*"'
    try:
        estimator_version = importlib.metadata.version("tensorflow-estimator")
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(f"The Estimator needs the package tensorflow-estimator: {needed}") from None
    for package, version, series in (
        ("tensorflow", tf.__version__, _TENSORFLOW),
        ("tensorflow-estimator", estimator_version, _ESTIMATOR),
    ):
        if version.split(".")[:2] != series.split("."):
            raise ImportError(
                f"The Estimator runs on {package} {series}, but {version} is installed: {needed}"
            )


def install_missing_internals() -> None:
    """Add what tensorflow-estimator 2.15 imports and TensorFlow 2.21 lacks. Safe to repeat."""
    # `@estimator_export` records the public name of every class under an API called "estimator".
    if not hasattr(tf_export, "ESTIMATOR_API_NAME"):
        tf_export.ESTIMATOR_API_NAME = "estimator"
    for table, suffix in ((tf_export.API_ATTRS, ""), (tf_export.API_ATTRS_V1, "_v1")):
        names = f"_estimator_api_names{suffix}"
        constants = f"_estimator_api_constants{suffix}"
        table.setdefault(tf_export.ESTIMATOR_API_NAME, tf_export._Attributes(names, constants))

    # The bridge to `tf.distribute`, asked whether it takes over (no), and to set up a strategy.
    _add_module(
        "tensorflow.python.distribute.estimator_training",
        init_run_config=_refuse_strategy,
        should_run_distribute_coordinator=lambda config: False,
    )

    # TPU support is imported along, but only `TPUEstimator` would use it: names are enough.
    optimizers = ("Adagrad", "Adam", "Ftrl", "Momentum", "ProximalAdagrad", "RMSProp")
    parameters = [f"{name}Parameters" for name in (*optimizers, "StochasticGradientDescent")]
    _add_module("tensorflow.python.tpu.tpu_embedding", **{name: type(name, (), {}) for name in parameters})
    _add_module("tensorflow.python.tpu.tpu_embedding_gradient")
    _add_module("tensorflow.python.tpu.session_support")


def _add_module(name: str, **attributes: object) -> None:
    """Make `import name` find these attributes, unless a module of that name is there already."""
    if name not in sys.modules:
        sys.modules[name] = types.ModuleType(name, "Stand-in for a module that TensorFlow dropped.")
        vars(sys.modules[name]).update(attributes)


def _refuse_strategy(config: object, tf_config: dict) -> None:
    """Refuse the `tf.distribute` strategy that `RunConfig` is given."""
    raise ValueError(
        "RunConfig: train_distribute, eval_distribute and experimental_distribute need TensorFlow "
        "code that is gone. For several machines set TF_CONFIG; for several GPUs use Keras 3."
    )


check_versions()
install_missing_internals()

from tensorflow_estimator import estimator  # noqa: E402  (the internals above must come first)

__all__ = ["estimator"]
