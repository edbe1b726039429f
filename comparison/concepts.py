"""What the page's reading part shows: concepts, and for each the functions that play the same part.

A row holds references (see `comparison.source`) for the three implementations. A test cuts every one of them, for
every network of the catalogue: whoever renames a function is told to name it anew here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from comparison.source import imported_names, public_names
from unet_common import losses
from unet_common.experiment import Experiment
from unet_common.implementation import IMPLEMENTATIONS
from unet_common.networks import Network

LAYERS = {
    "lowlevel": "unet_lowlevel/ops.py",
    "highlevel": "unet_highlevel/layers.py",
    "keras": "unet_keras/layers.py",
}
GRAPH_MODEL = "unet_common/graph_model.py"
LOW, HIGH, KERAS = (f"unet_{name}/training.py" for name in IMPLEMENTATIONS)


@dataclass(frozen=True)
class Cell:
    """What one implementation has in a row: references, and words where there is nothing to cut, or more to say."""

    references: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Row:
    """Functions that play the same part, by implementation; `title` says which."""

    title: str
    cells: dict[str, Cell]


@dataclass(frozen=True)
class Concept:
    """A section of the page.

    key: unique, for links.
    look: what to look for. api: what each API did for you, or wanted to be told.
    shared: references to what all three use.
    """

    key: str
    title: str
    look: str
    api: dict[str, str]
    rows: tuple[Row, ...] = ()
    shared: tuple[str, ...] = field(default=())

    @property
    def references(self) -> list[str]:
        """All of them."""
        cells = (cell for row in self.rows for cell in row.cells.values())
        return [*(reference for cell in cells for reference in cell.references), *self.shared]


def row(title: str, *cells: str | Sequence[str] | Cell) -> Row:
    """A row of three cells, each given as a reference, as several, or as a `Cell`."""

    def cell(given: str | Sequence[str] | Cell) -> Cell:
        if isinstance(given, Cell):
            return given
        return Cell((given,) if isinstance(given, str) else tuple(given))

    return Row(title, dict(zip(IMPLEMENTATIONS, map(cell, cells), strict=True)))


def same(function: str, title: str = "", keras: str | None = None) -> Row:
    """The row of a function of `ops.py` and `layers.py`; Keras may have a class for it."""
    names = {name: function for name in IMPLEMENTATIONS} | ({"keras": keras} if keras else {})
    return row(title or function, *(f"{LAYERS[name]}:{names[name]}" for name in IMPLEMENTATIONS))


def both_graphs(method: str) -> list[str]:
    """The cells of the two graph packages, which inherit the same method."""
    return [f"{GRAPH_MODEL}:GraphModel.{method}"] * 2


def concepts(experiment: Experiment) -> list[Concept]:
    """The sections of the reading part, from a single weight to several machines."""
    network = experiment.network
    return [
        Concept(
            "weight",
            "A weight",
            "Where is a weight made, who names it, and who draws its first value? All three draw it with "
            "one shared function, keyed by the seed and the weight's name, so equal seeds give equal "
            "weights.",
            {
                "lowlevel": "The *graph* keeps things for you: the seed, the step, and a collection of all variables. "
                "A variable's name is the path of the *variable scopes* that are open around it.",
                "highlevel": "The same graph and scopes. `tf.layers` calls `get_variable` for you, in a scope called "
                "`name`. A layer that is given no initialiser takes that of the scope in which the network is built.",
                "keras": "No graph and no scopes: a *layer object* owns its weights, and they have its name, with dots "
                "for slashes. The seed has no home, so an object `Randomness` carries it, and one walk over the built "
                "model draws all kernels.",
            },
            (
                row(
                    "Where it is made",
                    Cell((f"{LAYERS['lowlevel']}:convolution~kernel",), "`get_variable` makes it."),
                    Cell(
                        ("unet_highlevel/model.py:build",),
                        "Within `tf.layers`, which asks the scope around it.",
                    ),
                    Cell(note="Within the layer, when it is first called and knows its input's shape."),
                ),
                row(
                    "How a weight gets its name",
                    "unet_common/weights/initial.py:canonical_name",
                    "unet_common/weights/initial.py:canonical_name",
                    f"{LAYERS['keras']}:canonical_name",
                ),
                row(
                    "Its first value",
                    "unet_common/weights/initial.py:kernel_initialiser",
                    (
                        f"{LAYERS['highlevel']}:initialise_kernel",
                        f"{LAYERS['highlevel']}:transposed_initialiser",
                    ),
                    ("unet_keras/model.py:initialise", "unet_keras/model.py:fans"),
                ),
                row(
                    "What the draws are keyed by",
                    Cell(note="`tf.set_random_seed`: the graph holds the seed."),
                    Cell(note="`RunConfig(tf_random_seed=...)`: the Estimator gives the graph its seed."),
                    f"{LAYERS['keras']}:Randomness",
                ),
                row("All weights at once", *both_graphs("weights"), "unet_keras/model.py:Model.weights"),
            ),
            (
                "unet_common/weights/initial.py:stateless_seed",
                "unet_common/weights/initial.py:initial_kernel",
            ),
        ),
        Concept(
            "convolution",
            "A convolution",
            "The first function that differs at a glance: two functions that add operations to a graph, and "
            "one that returns an object. Compare how many of the arguments are mathematics, and how many "
            "are bookkeeping.",
            {
                "lowlevel": "Nothing: the kernel's shape is worked out from the input, both weights are asked for by "
                "name, and the bias is added by hand. `tf.nn.convolution` takes any rank.",
                "highlevel": "The kernel's shape is *inferred* from the input, and weights are made in a scope called "
                "`name`. There is a function for each rank.",
                "keras": "Shape inference waits until the layer is first called. The rank must be known when the layer "
                "is made, since there is a class for each.",
            },
            (
                row(
                    "convolution",
                    f"{LAYERS['lowlevel']}:convolution",
                    Cell(
                        ("unet_highlevel/networks/unet.py:convolution_block~conv",),
                        "Nothing to write: the networks call `tf.layers`.",
                    ),
                    Cell(
                        ("unet_keras/networks/unet.py:convolution_block~Conv",),
                        "Nothing to write: the networks call Keras's layers.",
                    ),
                ),
            ),
        ),
        Concept(
            "transposed",
            "A transposed convolution",
            "It is the gradient of a convolution, hence the exchanged last two axes of the kernel. Look at "
            "who works out the shape of the result.",
            {
                "lowlevel": "It has to be told the output's shape, at run time, and forgets what was known of it "
                "before: `ensure_shape` says it again.",
                "highlevel": "The output's shape is inferred.",
                "keras": "The output's shape is inferred.",
            },
            (
                row(
                    "transposed_convolution",
                    f"{LAYERS['lowlevel']}:transposed_convolution",
                    Cell(
                        ("unet_highlevel/networks/unet.py:decoder_block~conv_transpose",),
                        "Nothing to write: the networks call `tf.layers`.",
                    ),
                    Cell(
                        ("unet_keras/networks/unet.py:decoder_block~ConvTranspose",),
                        "Nothing to write: the networks call Keras's layers.",
                    ),
                ),
            ),
        ),
        Concept(
            "normalisation",
            "Batch normalisation, and its updates",
            "Two things happen in training: the batch is normalised by its own statistics, and moving "
            "averages of them are kept for inference. The second is what people forget. Look for "
            "`training`, and for who runs the updates.",
            {
                "lowlevel": "Nothing: four variables, two formulae, and updates that are put into the collection "
                "`UPDATE_OPS` by hand. The training step has to run them.",
                "highlevel": "The formulae and the variables. But `training` is False unless one says otherwise, and "
                "the updates only lie in `UPDATE_OPS`: forget them, and inference uses means of zero and "
                "variances of one.",
                "keras": "Everything: `fit` says `training=True`, and the layer assigns its moving statistics itself.",
            },
            (
                same("batch_normalisation", keras="normalise"),
                row(
                    "Who runs the updates",
                    f"{LOW}:optimize",
                    "unet_highlevel/model.py:model_fn~UPDATE_OPS",
                    Cell(note="Nothing to write: they are a part of the layer's call in training mode."),
                ),
            ),
        ),
        Concept(
            "dropout",
            "Dropout",
            "The mask is a function of seed, name and step. So a training that was interrupted goes on with "
            "the masks it would have had, and the three implementations drop the same values.",
            {
                "lowlevel": "The graph knows seed and global step. The mask is drawn and applied by hand.",
                "highlevel": "The same keys. `v1.layers.dropout` exists, but draws from a generator with hidden state.",
                "keras": "`training` arrives as an argument of `call`, passed down by the model. A layer of our own, "
                "since `keras.layers.Dropout` keeps hidden state that its checkpoints leave out.",
            },
            (same("dropout", keras="Dropout"),),
        ),
        Concept(
            "block",
            "The blocks of the network",
            "One function for each box of the paper's figure, in the same order in all three. In graphs each call adds "
            "its operations again, for another mode for example; in Keras it makes layers and connects them, once.",
            {
                "lowlevel": "`variable_scope(name)` opens the path `encoder1/...` for the weights made inside. "
                "`training` is handed down by us.",
                "highlevel": "The same scopes: `tf.layers` joins in.",
                "keras": "No scopes: the name of a block is handed down and stands before those of its layers. "
                "`training` is not: the model tells its layers.",
            },
            tuple(_rows_of_blocks(network)),
        ),
        Concept(
            "network",
            f"The whole network: {network.name}",
            f"Read it beside the figure of the paper ({network.paper}), top to bottom. The three say the same in the "
            "same order. Where a line asks for the mode, Keras has none like it: a graph is built for one mode, and a "
            "Keras model for both.",
            {
                "lowlevel": "The result is a tensor in the current graph. A second call with `reuse` gives the "
                "inference network on the same variables.",
                "highlevel": "The same. The Estimator makes a graph of its own for each mode, and finds the variables "
                "by their names in the checkpoint.",
                "keras": "Called once, on a symbolic input. The model that comes of it holds both modes, and can be "
                "called on images at once.",
            },
            (row(network.name, *_network_references(network)),),
            (f"unet_common/networks/{network.name}.py:{type(network).__name__}",),
        ),
        Concept(
            "assembly",
            "From data to logits",
            "What stands around the network in a training: data, seed, initial weights, mode. Whoever builds the "
            "graph has to bring these together.",
            {
                "lowlevel": "Nothing: a graph is opened, and what is made within belongs to it. A batch is a tensor, "
                "which has another value each time it is evaluated.",
                "highlevel": "You hand over two functions: one that gives data, and one that builds the network from "
                "it, the *model function*. The Estimator calls both, for each mode in a new graph.",
                "keras": "The model is an object, made before any data is there. `fit` brings the two together.",
            },
            (
                row(
                    "Data and network",
                    (f"{LOW}:train#1", f"{LOW}:train#2"),
                    (f"{HIGH}:train#1", "unet_highlevel/model.py:model_fn#1", f"{HIGH}:train#2"),
                    f"{KERAS}:_train#1",
                ),
                row(
                    "Training or inference",
                    (f"{LOW}:train#4", f"{LOW}:Validation.__init__~variable_scope"),
                    Cell(
                        note="The Estimator calls `model_fn(features, labels, mode, params)` with another `mode`."
                    ),
                    Cell(note="Nothing to write: `fit` and `evaluate` say so to every layer."),
                ),
            ),
        ),
        Concept(
            "loss",
            "The loss",
            "A loss is a function of truth and logits, written once with plain TensorFlow operations. Look "
            "at how each API is given it.",
            {
                "lowlevel": "Nothing: the loss is a tensor.",
                "highlevel": "The Estimator wants the loss as a field of an `EstimatorSpec`, in TRAIN and EVAL.",
                "keras": "`compile` takes the function and `fit` calls it. Keras would want a loss and targets for "
                "each output, so a model with several outputs has `compute_loss` overridden.",
            },
            (
                row(
                    "How it is connected",
                    f"{LOW}:training_step~loss",
                    ("unet_highlevel/model.py:model_fn#3", "unet_highlevel/model.py:model_fn~EstimatorSpec"),
                    (f"{KERAS}:_train~compile", "unet_keras/model.py:SegmentationModel"),
                ),
            ),
            ("unet_common/losses/expression.py:loss", *_terms(experiment)),
        ),
        Concept(
            "step",
            "One step of the optimizer",
            f"The rule ({experiment.optimizer.name}), and what a single training step consists of: gradients, "
            "perhaps clipping, the rule, the moving statistics, the counter.",
            {
                "lowlevel": "`tf.gradients`, and nothing more. In a graph the order of lines means nothing: what must "
                "come first is said with `control_dependencies`.",
                "highlevel": "`tf.train` has the rules, keeps their memory in *slots*, and counts the step. The order "
                "is still ours to say.",
                "keras": "Everything: `fit` calls `train_step`, which takes the gradients and applies them. The "
                "optimizer clips, decays and counts.",
            },
            _optimizer_rows(experiment),
        ),
        Concept(
            "loop",
            "The training loop",
            "Who runs it? Look at where the same five things happen in each: a step, its report, a "
            "validation, a checkpoint, the end.",
            {
                "lowlevel": "Nothing: a session and a `while`. All that happens can be read from top to bottom; what "
                "is due when, the `Monitor` says to all three.",
                "highlevel": "The loop, sessions, a graph for each mode, evaluation after each checkpoint. What is to "
                "happen in between is a *hook*.",
                "keras": "The loop, the compiled step, the averages of metrics. What is to happen in between is a "
                "*callback*.",
            },
            (
                row(
                    "The loop", f"{LOW}:train#4", (f"{HIGH}:train#2", f"{HIGH}:train#3"), f"{KERAS}:_train#3"
                ),
                row(
                    "What happens at each step",
                    Cell(note="In the loop itself, above."),
                    f"{HIGH}:MonitorHook",
                    (
                        f"{KERAS}:MonitorCallback.on_train_batch_begin",
                        f"{KERAS}:MonitorCallback.on_train_batch_end",
                    ),
                ),
                row(
                    "A validation",
                    f"{LOW}:Validation",
                    ("unet_highlevel/model.py:pooled_dice", f"{HIGH}:BestWeights"),
                    (f"{KERAS}:PooledDice", f"{KERAS}:MonitorCallback.validate"),
                ),
            ),
            tuple(
                f"unet_common/training/monitor.py:Monitor.{name}"
                for name in ("learning_rate", "checkpoint_due", "validation_due", "should_stop")
            ),
        ),
        Concept(
            "checkpoints",
            "Checkpoints",
            "Weights, the optimizer's memory and the step. Each of the three writers makes new files before it names "
            "them the latest, so that a kill leaves the previous ones whole.",
            {
                "lowlevel": "`Saver` writes every variable of the graph, under its name.",
                "highlevel": "A hook that the Estimator would have added by itself. Here it is replaced, to save "
                "when the other two do.",
                "keras": "Keras's own `save_weights` writes in place, so TensorFlow's `Checkpoint` is used. It "
                "is told every weight by name. Slots of the optimizer have only numbers: their order is read from it.",
            },
            (
                row(
                    "Writing them",
                    f"{LOW}:train~Saver+save",
                    (f"{HIGH}:Checkpoints", f"{HIGH}:WhenDue"),
                    (f"{KERAS}:_train#2", f"{KERAS}:MonitorCallback.on_train_batch_end~manager"),
                ),
            ),
        ),
        Concept(
            "resume",
            "Resuming a training",
            "A resumed training ends with the weights of one that never stopped. Nothing random has a "
            "state, so it is enough to restore the variables and to start the batches at the right step.",
            {
                "lowlevel": "`Saver.restore`, in place of the initialisers.",
                "highlevel": "The Estimator restores by itself whatever lies in `model_dir`; only what was missed "
                "between a checkpoint and its evaluation is made up for.",
                "keras": "`restore`, and `assert_consumed`, since a restore that finds nothing is silent.",
            },
            (
                row(
                    "Going on",
                    f"{LOW}:train~latest+first_step",
                    f"{HIGH}:train~latest+first_step+model_dir",
                    (f"{KERAS}:_train~latest+first_step", f"{KERAS}:as_counted"),
                ),
            ),
            ("unet_common/training/checkpoints.py:latest_intact",),
        ),
        Concept(
            "prediction",
            "Prediction",
            "A trained network as a function from images to logits. Look at what stands between NumPy and "
            "the network.",
            {
                "lowlevel": "`session.run`, which is fed the images and asked for one tensor.",
                "highlevel": "`Estimator.predict` would build a new graph and read the checkpoint for every call. So "
                "the model function is called without an Estimator.",
                "keras": "`predict_on_batch`; and `stateless_call` where training mode must leave no trace.",
            },
            (
                row("predict", *both_graphs("_predict"), "unet_keras/model.py:Model.predict"),
                row(
                    "What it asks: the network, in both modes",
                    (f"{GRAPH_MODEL}:GraphModel.__init__", "unet_lowlevel/model.py:Model"),
                    (
                        f"{GRAPH_MODEL}:GraphModel.__init__",
                        "unet_highlevel/model.py:Model",
                        "unet_highlevel/model.py:model_fn#2",
                    ),
                    ("unet_keras/model.py:Model.__init__", "unet_keras/model.py:Model._training_logits"),
                ),
            ),
            ("unet_common/prediction/sliding_window.py:predict_probabilities",),
        ),
        Concept(
            "machines",
            "Running on several machines",
            "None of the three training programs does this: a run folder, with its log, its best weights and its "
            "exact resume, belongs to one process. Here is what each API has for it.",
            {
                "lowlevel": "All by hand: a `tf.train.Server` in each process, `replica_device_setter` to put "
                "variables on parameter servers, and `MonitoredTrainingSession` in place of `Session`, with one "
                "chief that initialises and saves.",
                "highlevel": "The nearest. `RunConfig` reads the environment variable `TF_CONFIG`: who is chief, "
                "worker, parameter server or evaluator. `train_and_evaluate` then starts servers and places variables "
                "itself; the model function stays as it is. `tf.distribute` strategies need code that is gone.",
                "keras": "On several GPUs of one machine, the model would be built and compiled within "
                "`tf.distribute.MirroredStrategy().scope()`. On several machines `fit` of Keras 3 does not "
                "run under `MultiWorkerMirroredStrategy`; a step of one's own with `strategy.run` does.",
            },
            (
                row(
                    "What comes nearest",
                    Cell((f"{LOW}:train~Session",), "The one line that ties the program to one process."),
                    f"{HIGH}:train~config+UserError",
                    Cell((f"{KERAS}:_train~fit",), "The one line that would become a loop of one's own."),
                ),
            ),
        ),
    ]


def _network_file(implementation: str, network: Network) -> str:
    return f"unet_{implementation}/networks/{network.name}.py"


def _network_references(network: Network) -> list[str]:
    """The assembled network comes last in its file."""
    files = [_network_file(name, network) for name in IMPLEMENTATIONS]
    return [f"{file}:{public_names(file)[-1]}" for file in files]


def _rows_of_blocks(network: Network) -> list[Row]:
    """The blocks of the network's file, or, if it has none, those that it imports from others."""
    columns = []
    for name in IMPLEMENTATIONS:
        file = _network_file(name, network)
        blocks = [(file, block) for block in public_names(file)[:-1]]
        columns.append(blocks or imported_names(file, f"unet_{name}.networks"))
    titles = [_snake_case(block) for _file, block in columns[0]]
    by_title = [{_snake_case(block): f"{file}:{block}" for file, block in column} for column in columns]
    return [row(title, *(column[title] for column in by_title)) for title in titles]


def _snake_case(name: str) -> str:
    """A Keras layer class plays the part of a function."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _terms(experiment: Experiment) -> list[str]:
    """The functions that the experiment's loss is made of."""
    functions = [losses.TERMS[term.name] for term in losses.parse(experiment.loss)]
    return [f"{function.__module__.replace('.', '/')}.py:{function.__name__}" for function in functions]


# Where an API's rule had to be changed, the class that does it.
_CHANGED = {
    "sgd": {"keras": ["unet_keras/optimizers.py:SGD"]},
    "rmsprop": {"highlevel": ["unet_highlevel/optimizers.py:RMSPropFromZero"]},
}


def _optimizer_rows(experiment: Experiment) -> tuple[Row, ...]:
    rule = experiment.optimizer.name
    changed = _CHANGED.get(rule, {})
    return (
        row(
            f"The rule: {rule}",
            *([*changed.get(name, []), f"unet_{name}/optimizers.py:{rule}"] for name in IMPLEMENTATIONS),
        ),
        row(
            "A step",
            (f"{LOW}:optimize", f"{LOW}:train#3"),
            "unet_highlevel/model.py:model_fn#5",
            Cell(
                (
                    f"{KERAS}:make_optimizer",
                    f"{KERAS}:_train~penalty+decay",
                    f"{KERAS}:MonitorCallback.on_train_batch_begin",
                ),
                "The rest of the step is Keras's `train_step`.",
            ),
        ),
        row(
            "What the rule remembers, and the counter",
            ("unet_lowlevel/optimizers.py:slot", "unet_lowlevel/optimizers.py:counted"),
            Cell(note="Nothing to write: `apply_gradients` makes slots and counts the global step."),
            Cell(
                note="Nothing to write: the optimizer makes its variables in `build` and counts `iterations`."
            ),
        ),
    )
