"""The network in its scope; the model function, which the Estimator calls once for each mode; and a `Model` that calls
it without one.
"""

from typing import Any

import tensorflow as tf

from unet_common import losses
from unet_common.experiment import Optimizer
from unet_common.graph_model import GraphModel, TrainingStep, count_batches
from unet_common.networks import Network
from unet_common.training.preview import preview
from unet_common.training.run import Run
from unet_common.weights.initial import choose_initialisation
from unet_highlevel import optimizers
from unet_highlevel.estimator_compat import estimator
from unet_highlevel.layers import initialise_kernel
from unet_highlevel.networks import NETWORKS

v1 = tf.compat.v1


def build(images: tf.Tensor, network: Network, training: bool) -> tf.Tensor | list[tf.Tensor]:
    """Add the network to the current graph: images `[batch, *size, channels]` -> logits `[batch, *size, classes]`.

    A list if there are more outputs than these: logits of deep supervision, or of attention maps. The scope says how
    kernels are initialised whose layers do not say it themselves.
    """
    with v1.variable_scope(v1.get_variable_scope(), initializer=initialise_kernel):
        return NETWORKS[network.name](images, network, training)


def model_fn(
    features: tf.Tensor,
    labels: tf.Tensor | None,
    mode: str,
    params: dict,
    config: estimator.RunConfig | None = None,
) -> estimator.EstimatorSpec:
    """Build the graph of one mode and say which of its tensors are what.

    Args:
        features: images `[batch, *size, channels]`.
        labels: targets `[batch, *size, classes]`; None in PREDICT.
        mode: TRAIN, EVAL or PREDICT of `ModeKeys`.
        params: `network`; for TRAIN and EVAL also the function `loss` and what the `outputs` mean; for TRAIN also the
            settings `optimizer` and `initialisation`, and the `batches` of a step.
        config: the Estimator's; EVAL asks it where TensorBoard looks.
    """
    # 1. The network. Nobody but us tells it whether it is being trained.
    network = params["network"]
    if mode == estimator.ModeKeys.TRAIN:
        choose_initialisation(params["initialisation"])
        if params["batches"] > 1:
            count_batches()
    training = mode == estimator.ModeKeys.TRAIN
    outputs = build(features, network, training)
    logits = losses.finest(outputs)

    # 2. Predictions, which an Estimator has by name.
    if mode == estimator.ModeKeys.PREDICT:
        predictions = {"logits": logits}
        if network.attention_weight is not None:
            predictions |= {f"attention{level}": of_level for level, of_level in enumerate(outputs[1:], 1)}
        return estimator.EstimatorSpec(mode, predictions=predictions)

    # 3. Loss: of all outputs in training.
    loss = params["loss"](labels, outputs if training else logits)

    # 4. Metrics of an evaluation: each a value and an operation that takes another batch in.
    if mode == estimator.ModeKeys.EVAL:
        assert config is not None
        dice, iou = pooled_scores(losses.confusion(labels, logits, params["outputs"]))
        picture = v1.summary.image("validation", preview(features, labels, logits, network.multilabel))
        return estimator.EstimatorSpec(
            mode,
            loss=loss,
            eval_metric_ops={"validation_dice": dice, "validation_iou": iou},
            evaluation_hooks=[FirstCase(picture, f"{config.model_dir}/eval")],
        )

    # 5. One step. What has to come first is one group: every operation that waited for hundreds of others would have an
    # edge to each, and TensorFlow would plan such a graph for minutes.
    rate = v1.placeholder(tf.float64, [], "rate")
    v1.summary.scalar("learning_rate", rate)
    settings = params["optimizer"]
    if settings.l2:
        loss += optimizers.penalty(v1.trainable_variables(), settings.l2)
    optimizer = make_optimizer(tf.cast(rate, loss.dtype), settings)
    gradients, variables = map(list, zip(*optimizer.compute_gradients(loss), strict=True))
    # The moving statistics of batch normalisation are updated because we say so.
    first, accumulate = v1.get_collection(v1.GraphKeys.UPDATE_OPS), None
    if params["batches"] > 1:
        gradients, accumulate = optimizers.accumulate(gradients, params["batches"], first)
        first = [accumulate]
    if settings.clip_norm is not None:
        gradients = optimizers.clip(gradients, settings.clip_norm)
    with tf.control_dependencies([tf.group(gradients)]):  # these belong to the weights as they are
        decayed = optimizers.decay(variables, rate, settings.weight_decay) if settings.weight_decay else []
    with tf.control_dependencies([tf.group(decayed, first)]):
        step = v1.train.get_global_step()
        update = optimizer.apply_gradients(zip(gradients, variables, strict=True), step, name="update")
    return estimator.EstimatorSpec(mode, loss=loss, train_op=accumulate or update)


def params_of(run: Run) -> dict[str, Any]:
    """The parameters that tell the model function of a training."""
    experiment = run.experiment
    return {
        "network": run.network,
        "outputs": run.outputs,
        "loss": run.loss,
        "optimizer": experiment.optimizer,
        "initialisation": experiment.initialisation,
        "batches": experiment.training.accumulate,
    }


def training_step(images: tf.Tensor, targets: tf.Tensor, run: Run) -> TrainingStep:
    """Add one step of a training to the current graph: what the Estimator's loop runs of the model function."""
    spec = model_fn(images, targets, estimator.ModeKeys.TRAIN, params_of(run))
    graph = v1.get_default_graph()
    update, rate = graph.get_operation_by_name("update"), graph.get_tensor_by_name("rate:0")
    return TrainingStep(spec.loss, update, rate, spec.train_op)


def make_optimizer(rate: tf.Tensor, settings: Optimizer) -> v1.train.Optimizer:
    """The optimizer with the name and constants of the experiment."""
    if settings.name == "sgd":
        return optimizers.sgd(rate, settings.momentum, settings.nesterov)
    return {"adam": optimizers.adam, "rmsprop": optimizers.rmsprop}[settings.name](rate)


def pooled_scores(counts: tf.Tensor) -> list[tuple[tf.Tensor, tf.Operation]]:
    """Streaming metrics in the manner of `tf.metrics`: values, and the operation that adds a batch's `counts`."""
    collections = [v1.GraphKeys.LOCAL_VARIABLES, v1.GraphKeys.METRIC_VARIABLES]
    zeros = v1.zeros_initializer()
    total = v1.get_variable(
        "counts", counts.shape, counts.dtype, zeros, trainable=False, collections=collections
    )
    update = total.assign_add(counts)
    return [(losses.pooled_dice(total), update), (losses.pooled_iou(total), update)]


class FirstCase(v1.train.SessionRunHook):
    """A hook that writes the picture of an evaluation's first case: in EVAL the Estimator itself runs no summaries."""

    def __init__(self, picture, directory):
        self.picture, self.directory = picture, directory

    def after_create_session(self, session, coordinator):
        self.done = False

    def before_run(self, context):
        if not self.done:
            return v1.train.SessionRunArgs([self.picture, v1.train.get_global_step()])

    def after_run(self, context, values):
        if not self.done:
            v1.summary.FileWriterCache.get(self.directory).add_summary(*values.results)
            self.done = True


class Model(GraphModel):
    """The model function's predictions without an Estimator, which would build a new graph for every call."""

    def logits(self, images, training):
        if training:
            return build(images, self.network, training)
        spec = model_fn(images, None, estimator.ModeKeys.PREDICT, {"network": self.network})
        return list(spec.predictions.values())
