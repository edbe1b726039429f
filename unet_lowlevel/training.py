"""Training with a session: one graph for both modes, a loop, a Saver."""

from collections.abc import Callable

import tensorflow as tf

from unet_common import losses
from unet_common.experiment import Optimizer
from unet_common.graph_model import TrainingStep, assign, canonical_variables, count_batches
from unet_common.training import checkpoints
from unet_common.training.monitor import SUMMARY_EVERY, Monitor
from unet_common.training.preview import preview
from unet_common.training.run import Run
from unet_common.weights.initial import choose_initialisation
from unet_common.weights.interchange import save_weights
from unet_lowlevel import optimizers
from unet_lowlevel.model import build

v1 = tf.compat.v1


def train(run: Run) -> None:
    """Train, or go on with, the experiment of `run` until its last step or a reason to stop.

    Raises:
        UserError: the loss is no longer finite, or the checkpoints are damaged.
    """
    experiment = run.experiment
    latest = checkpoints.latest_intact(run.checkpoints)
    first_step = checkpoints.step_of(latest) if latest else 0

    with tf.Graph().as_default() as graph:
        v1.set_random_seed(experiment.seed)
        v1.train.get_or_create_global_step()

        # 1. Data: a tensor that is another batch every time it is evaluated.
        batches = v1.data.make_initializable_iterator(run.training_batches(first_step))
        images, targets = batches.get_next()

        # 2. One step: network, loss, and what changes the weights.
        step = training_step(images, targets, run)
        summary = v1.summary.merge(
            [v1.summary.scalar("loss", step.loss), v1.summary.scalar("learning_rate", step.rate)]
        )

        # 3. The same variables in inference mode, on the validation cases.
        validate = Validation(run) if run.split.validation else None

        # 4. The loop.
        variables = canonical_variables(graph)
        saver = v1.train.Saver(max_to_keep=experiment.training.keep)
        initialise = v1.global_variables_initializer()
        with v1.Session() as session, Monitor(run, first_step) as monitor:
            writer = v1.summary.FileWriter(str(run.logs), graph)
            if latest:
                saver.restore(session, latest)
                saver.recover_last_checkpoints(checkpoints.saved_checkpoints(run.checkpoints))
            else:
                session.run(initialise)
                assign(session, [(variables[name], value) for name, value in run.initial_weights.items()])
            session.run(batches.initializer)

            monitor.begin(v1.trainable_variables())
            while not monitor.should_stop:
                last = monitor.last_batch  # of the step: a step may have several
                fetches = [step.loss, step.update if last else step.accumulate]
                if last and (monitor.step + 1) % SUMMARY_EVERY == 0:
                    fetches.append(summary)
                value, _, *summaries = session.run(fetches, {step.rate: monitor.learning_rate()})
                monitor.batch_done(value)
                for text in summaries:
                    writer.add_summary(text, monitor.step)
                if validate and monitor.validation_due:
                    if monitor.record_validation(*validate(session, writer, monitor.step)):
                        save_weights(run.best_weights, session.run(variables), run.network)
                if monitor.checkpoint_due or monitor.should_stop:
                    saver.save(session, str(run.checkpoints / "model"), monitor.step, write_meta_graph=False)
            writer.close()
            save_weights(run.final_weights, session.run(variables), run.network)


def training_step(images: tf.Tensor, targets: tf.Tensor, run: Run) -> TrainingStep:
    """Add one step of a training to the current graph, which has a seed and a global step.

    Args:
        images: a batch `[batch, *size, channels]`. targets: `[batch, *size, classes]`.
        run: its network, loss, optimizer and rule for initial weights.
    """
    experiment, settings = run.experiment, run.experiment.optimizer
    choose_initialisation(experiment.initialisation)
    batches = experiment.training.accumulate
    if batches > 1:
        count_batches()
    loss = run.loss(targets, build(images, run.network, training=True))
    if settings.l2:
        loss += optimizers.penalty(v1.trainable_variables(), settings.l2)
    rate = v1.placeholder(tf.float64, [], "rate")
    update, accumulate = optimize(loss, rate, settings, batches)
    return TrainingStep(loss, update, rate, accumulate)


def optimize(
    loss: tf.Tensor, rate: tf.Tensor, settings: Optimizer, batches: int
) -> tuple[tf.Operation, tf.Operation | None]:
    """The operation that makes one step: gradients, clipping, moving statistics, the optimizer's rule.

    And that which takes in a batch, if a step has several. What has to come first is one group: every operation that
    waited for hundreds of others would have an edge to each, and TensorFlow would plan such a graph for minutes.
    """
    variables = v1.trainable_variables()
    gradients = tf.gradients(loss, variables)
    # The moving statistics of batch normalisation are updated because we say so.
    first, accumulate = v1.get_collection(v1.GraphKeys.UPDATE_OPS), None
    if batches > 1:
        sums = [optimizers.slot(variable, "sum") for variable in variables]
        gradients, accumulate = optimizers.accumulate(gradients, sums, batches, first)
        first = [accumulate]
    if settings.clip_norm is not None:
        gradients = optimizers.clip(gradients, settings.clip_norm)
    with tf.control_dependencies([tf.group(gradients)]):  # these belong to the weights as they are
        decayed = optimizers.decay(variables, rate, settings.weight_decay) if settings.weight_decay else []
    with tf.control_dependencies([tf.group(decayed, first)]):
        update = apply(gradients, variables, rate, settings)
    if batches > 1:
        with tf.control_dependencies([update]):
            update = optimizers.begin_anew(sums)
    return update, accumulate


def apply(
    gradients: list[tf.Tensor], variables: list[tf.Variable], rate: tf.Tensor, settings: Optimizer
) -> tf.Operation:
    """The operation of the optimizer with the name and constants of the experiment."""
    if settings.name == "sgd":
        return optimizers.sgd(gradients, variables, rate, settings.momentum, settings.nesterov)
    rules: dict[str, Callable[..., tf.Operation]] = {"adam": optimizers.adam, "rmsprop": optimizers.rmsprop}
    return rules[settings.name](gradients, variables, rate)


class Validation:
    """The network in inference mode on the validation cases; shares the variables of the training network."""

    def __init__(self, run: Run):
        self.iterator = v1.data.make_initializable_iterator(run.validation_batches())
        images, targets = self.iterator.get_next()
        with v1.variable_scope("", reuse=True):
            logits = losses.finest(build(images, run.network, training=False))
        self.loss = run.loss(targets, logits)
        self.counts = losses.confusion(targets, logits, run.outputs)
        self.picture = v1.summary.image(
            "validation", preview(images, targets, logits, run.outputs.multilabel)
        )

        self.mean_loss = v1.placeholder(self.loss.dtype, [])
        self.all_counts = v1.placeholder(self.counts.dtype, self.counts.shape)
        self.dice, self.iou = losses.pooled_dice(self.all_counts), losses.pooled_iou(self.all_counts)
        scalars = {
            "validation_loss": self.mean_loss,
            "validation_dice": self.dice,
            "validation_iou": self.iou,
        }
        self.scalars = v1.summary.merge([v1.summary.scalar(*item) for item in scalars.items()])

    def __call__(
        self, session: v1.Session, writer: v1.summary.FileWriter, step: int
    ) -> tuple[float, float, float]:
        """Mean loss of the cases, Dice and IoU of all their pixels together; they go to TensorBoard, too."""
        session.run(self.iterator.initializer)
        loss, counts, *pictures = session.run([self.loss, self.counts, self.picture])
        batches = 1
        while True:  # a case that goes through in tiles may be several batches
            try:
                of_batch = session.run([self.loss, self.counts])
            except tf.errors.OutOfRangeError:
                break
            loss, counts, batches = loss + of_batch[0], counts + of_batch[1], batches + 1
        results = {self.mean_loss: loss / batches, self.all_counts: counts}
        dice, iou, scalars = session.run([self.dice, self.iou, self.scalars], results)
        for text in (*pictures, scalars):
            writer.add_summary(text, step)
        return results[self.mean_loss], dice, iou
