"""Training with the Estimator: it makes graphs, sessions, checkpoints and evaluations; hooks do the rest."""

import tensorflow as tf

from data.errors import UserError
from unet_common.graph_model import assign, canonical_variables
from unet_common.training import checkpoints
from unet_common.training.monitor import SUMMARY_EVERY, Monitor
from unet_common.training.run import Run
from unet_common.weights.interchange import save_weights
from unet_highlevel.estimator_compat import estimator
from unet_highlevel.model import model_fn, params_of

v1 = tf.compat.v1


def train(run: Run) -> None:
    """Train, or go on with, the experiment of `run` until its last step or a reason to stop.

    Raises:
        UserError: the loss is no longer finite, the checkpoints are damaged, or there is a cluster.
    """
    experiment = run.experiment
    latest = checkpoints.latest_intact(run.checkpoints)
    first_step = checkpoints.step_of(latest) if latest else 0

    # 1. Where, and what the model function gets. `Checkpoints` below decides when, not the configuration.
    config = estimator.RunConfig(
        model_dir=str(run.checkpoints),
        tf_random_seed=experiment.seed,
        save_checkpoints_steps=None,
        save_checkpoints_secs=None,
        save_summary_steps=SUMMARY_EVERY,
        keep_checkpoint_max=experiment.training.keep,
        log_step_count_steps=None,
    )
    if config.num_worker_replicas > 1 or config.num_ps_replicas:
        raise UserError(
            "TF_CONFIG in the environment describes a cluster, but a run folder belongs to one process. Unset it to "
            "train here. For an Estimator on several machines see docs/migrating.md."
        )
    v1.summary.FileWriterCache.clear()  # it would know the folder of another run that lay here, and not make this one
    unet = estimator.Estimator(model_fn, config=config, params=params_of(run))

    with Monitor(run, first_step) as monitor:
        # 2. Data, and what happens at every step: the hooks run in this order.
        hooks = [MonitorHook(monitor), Checkpoints(monitor, run)]
        if not latest and run.initial_weights:
            hooks.insert(0, InitialWeights(run))
        train_spec = estimator.TrainSpec(
            lambda: run.training_batches(first_step), max_steps=run.steps, hooks=hooks
        )

        # 3. The loop, which is not ours.
        if run.split.validation:
            best = BestWeights(monitor)
            eval_spec = estimator.EvalSpec(
                run.validation_batches, steps=None, exporters=best, start_delay_secs=0, throttle_secs=0
            )
            if latest and monitor.validation_due:  # killed between a checkpoint and its evaluation
                best.export(unet, None, latest, unet.evaluate(run.validation_batches), False)
            if not monitor.should_stop:
                estimator.train_and_evaluate(unet, train_spec, eval_spec)
        elif not monitor.should_stop:
            unet.train(train_spec.input_fn, hooks=hooks, max_steps=run.steps)
        save_weights(run.final_weights, checkpoints.weights_in(unet.latest_checkpoint()), run.network)


class MonitorHook(v1.train.SessionRunHook):
    """A hook that reports what is trained, feeds the learning rate to every step, and reports its loss.

    Of a step of several batches the Estimator runs the operation that takes in one; with the last one the hook asks
    for the update, too.
    """

    def __init__(self, monitor):
        self.monitor = monitor

    def begin(self):
        graph = v1.get_default_graph()
        self.rate = graph.get_tensor_by_name("rate:0")
        (self.loss,) = graph.get_collection(v1.GraphKeys.LOSSES)
        self.update = graph.get_operation_by_name("update")
        self.monitor.begin(v1.trainable_variables())

    def before_run(self, context):
        fetches = [self.loss, self.update] if self.monitor.last_batch else [self.loss]
        return v1.train.SessionRunArgs(fetches, {self.rate: self.monitor.learning_rate()})

    def after_run(self, context, values):
        self.monitor.batch_done(values.results[0])


class Checkpoints(v1.train.CheckpointSaverHook):
    """A hook that saves where the other two implementations save, and stops when they stop.

    The Estimator evaluates after every checkpoint, so this is also what decides on evaluations.
    """

    def __init__(self, monitor, run):
        super().__init__(str(run.checkpoints), save_steps=1, save_graph_def=False)
        self._timer = WhenDue(monitor)
        self.monitor = monitor

    def after_run(self, context, values):
        super().after_run(context, values)
        if self.monitor.interrupted:
            self._listeners.clear()  # the checkpoint at the end comes without an evaluation
        if self.monitor.should_stop:
            context.request_stop()


class WhenDue(v1.train.SecondOrStepTimer):
    """A timer that asks the monitor; that of `tf.train` counts from where the process started."""

    def __init__(self, monitor):
        super().__init__(every_steps=1)
        self.monitor = monitor

    def should_trigger_for_step(self, step):
        return self.monitor.checkpoint_due and step != self.last_triggered_step()


class InitialWeights(v1.train.SessionRunHook):
    """A hook that starts from an interchange file in place of the initialisers' weights."""

    def __init__(self, run):
        self.weights = run.initial_weights

    def after_create_session(self, session, coordinator):
        variables = canonical_variables(session.graph)
        assign(session, [(variables[name], value) for name, value in self.weights.items()])


class BestWeights(estimator.Exporter):
    """An exporter, which the Estimator calls after every evaluation: the place to report it and to keep the best."""

    name = "best"

    def __init__(self, monitor):
        self.monitor = monitor

    def export(self, estimator, export_path, checkpoint_path, eval_result, is_the_final_export):
        if self.monitor.validation_due and self.monitor.record_validation(
            eval_result["loss"], eval_result["validation_dice"], eval_result["validation_iou"]
        ):
            run = self.monitor.run
            save_weights(run.best_weights, checkpoints.weights_in(checkpoint_path), run.network)
