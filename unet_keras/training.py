"""Training with `compile` and `fit`: the loop is Keras's, callbacks do the rest."""

import keras
import tensorflow as tf

from data.tensorflow_setup import keras_settings
from unet_common import losses
from unet_common.experiment import Optimizer
from unet_common.training import checkpoints
from unet_common.training.monitor import SUMMARY_EVERY, Monitor
from unet_common.training.preview import preview
from unet_common.training.run import Run
from unet_keras import optimizers
from unet_keras.model import Model


def train(run: Run) -> None:
    """Train, or go on with, the experiment of `run` until its last step or a reason to stop.

    Raises:
        UserError: the loss is no longer finite, or the checkpoints are damaged.
    """
    with keras_settings(run.experiment.precision):
        _train(run)


def _train(run):
    experiment = run.experiment
    latest = checkpoints.latest_intact(run.checkpoints)
    first_step = checkpoints.step_of(latest) if latest else 0

    # 1. One step: network, loss and optimizer. Keras builds no graph until it sees data.
    model = training_step(run, latest)
    unet = model.keras_model
    if not latest:
        for name, value in run.initial_weights.items():
            model.variables[name].assign(value)

    # 2. Checkpoints of TensorFlow: Keras's own are not written atomically. They are told every weight by name, since a
    # functional model would call them by the numbers of its layers.
    checkpoint = tf.train.Checkpoint(weights=model.variables, optimizer=unet.optimizer)
    if latest:
        checkpoint.restore(latest).assert_consumed()
    manager = tf.train.CheckpointManager(
        checkpoint, str(run.checkpoints), experiment.training.keep, checkpoint_name="model"
    )

    # 3. The loop, which is not ours. It is one long epoch: ours end where Keras cannot see it.
    with Monitor(run, first_step) as monitor:
        if not monitor.should_stop:
            report = MonitorCallback(monitor, run, model, manager)
            unet.fit(run.training_batches(first_step), callbacks=[report], verbose=0, shuffle=False)
        model.save(run.final_weights)


def training_step(run: Run, checkpoint: str | None = None) -> Model:
    """The model of a training, compiled: `fit` runs its `train_step`, which makes one step.

    checkpoint: what the training goes on from; its optimizer says in which order it counts the weights.
    """
    experiment, settings = run.experiment, run.experiment.optimizer
    model = Model(run.network, experiment.seed, experiment.precision, experiment.initialisation)
    unet = model.keras_model
    unet.compile(
        make_optimizer(settings, experiment.training.accumulate),
        run.loss,
        metrics=[PooledScores(run.outputs)],
        jit_compile=False,  # the same kernels as in the other two
    )
    if settings.l2:
        optimizers.penalty(unet.trainable_variables, settings.l2)
    if settings.weight_decay:
        optimizers.decay(unet.optimizer, unet.trainable_variables, settings.weight_decay)
    counted = as_counted(checkpoint, model.variables) if checkpoint else unet.trainable_variables
    unet.optimizer.build(counted)
    return model


def make_optimizer(settings: Optimizer, batches: int) -> keras.optimizers.Optimizer:
    """The optimizer with the name and constants of the experiment, which takes in so many batches for a step."""
    options = {
        "global_clipnorm": settings.clip_norm,
        "gradient_accumulation_steps": batches if batches > 1 else None,
    }
    if settings.name == "sgd":
        return optimizers.sgd(settings.momentum, settings.nesterov, **options)
    return {"adam": optimizers.adam, "rmsprop": optimizers.rmsprop}[settings.name](**options)


def as_counted(checkpoint: str, variables: dict[str, keras.Variable]) -> list[keras.Variable]:
    """Weights in the order in which the optimizer of a checkpoint counts them.

    Its slots have numbers there and no names. So a run keeps the order it began with, whatever that of the layers is by
    now: slots would be mixed up, and those of equal shape without a word.
    """
    view = tf.train.CheckpointView(checkpoint)
    root = view.children(0)
    names = {node: name for name, node in view.children(root["weights"]).items()}
    trained = view.children(view.children(root["optimizer"])["_trainable_variables"])
    return [variables[names[trained[str(number)]]] for number in range(len(trained))]


class PooledScores(keras.metrics.Metric):
    """Dice and IoU of all pixels of an evaluation together, the means of the foreground classes."""

    def __init__(self, outputs):
        super().__init__(name="scores", dtype="float64")
        self.outputs, shape = outputs, [outputs.judged, 3]
        self.counts = self.add_variable(shape, "zeros", dtype="float64", name="counts")

    def update_state(self, targets, logits, sample_weight=None):
        self.counts.assign_add(losses.confusion(targets, logits, self.outputs))

    def result(self):
        counts = tf.convert_to_tensor(self.counts)
        return {"dice": losses.pooled_dice(counts), "iou": losses.pooled_iou(counts)}


class MonitorCallback(keras.callbacks.Callback):
    """A callback: before a step its learning rate; after it the report, validation and checkpoint that are due."""

    def __init__(self, monitor, run, model, manager):
        super().__init__()
        self.monitor, self.run, self.unet, self.manager = monitor, run, model, manager
        self.validation = run.validation_batches() if run.split.validation else None
        self.writer = tf.summary.create_file_writer(str(run.logs))

    def on_train_begin(self, logs=None):
        self.monitor.begin(self.model.trainable_variables)
        # `keras.callbacks.TensorBoard` has other names for the values.
        images = tf.TensorSpec(self.model.input.shape, self.model.input.dtype)
        call = tf.function(self.model).get_concrete_function(images, training=False)
        with self.writer.as_default():
            tf.summary.graph(call.graph)

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = self.monitor.learning_rate()
        self.model.reset_metrics()  # `logs` holds means since the last reset; we want this step's loss

    def on_train_batch_end(self, batch, logs=None):
        monitor = self.monitor
        rate = monitor.learning_rate()
        monitor.batch_done(logs["loss"])
        if not monitor.between_steps:  # the optimizer waits for the other batches
            return
        if monitor.step % SUMMARY_EVERY == 0:
            with self.writer.as_default(monitor.step):
                tf.summary.scalar("loss", logs["loss"])
                tf.summary.scalar("learning_rate", rate)
        if self.validation is not None and monitor.validation_due:
            self.validate(self.validation)
        if monitor.checkpoint_due or monitor.should_stop:
            self.manager.save(checkpoint_number=monitor.step)
        if monitor.should_stop:
            self.model.stop_training = True

    def validate(self, cases):
        """Report the scores of the validation cases, show the first, and keep the best weights."""
        results = self.model.evaluate(cases, verbose=0, return_dict=True)
        if self.monitor.record_validation(results["loss"], results["dice"], results["iou"]):
            self.unet.save(self.run.best_weights)
        images, targets = next(iter(cases))
        with self.writer.as_default(self.monitor.step):
            tf.summary.scalar("validation_loss", results["loss"])
            tf.summary.scalar("validation_dice", results["dice"])
            tf.summary.scalar("validation_iou", results["iou"])
            logits = losses.finest(self.model(images, training=False))
            picture = preview(images, targets, logits, self.run.network.multilabel)
            tf.summary.image("validation", picture)
