"""What the reader of the two graph packages has to know first: words of TensorFlow 1, and what they mean."""

TITLE = "Words of TensorFlow 1, for those who know only Keras"

ENTRIES = {
    "`v1`": "`tf.compat.v1`, where TensorFlow 2 keeps the API of TensorFlow 1.",
    "graph": "In TensorFlow 1 a line of Python computes nothing. It adds an *operation* to a graph, and gives a "
    "*tensor*: the name of a result that is not there yet.",
    "session": "`session.run(fetches, feed)` computes tensors of a graph, with all that they need and nothing else. A "
    "*session* keeps the values of the variables.",
    "placeholder": "A tensor whose value is given with each `session.run`: fed.",
    "collection": "A list that the graph keeps under a name, such as all trainable variables, or `UPDATE_OPS`: "
    "operations that a training has to run, but that the loss does not need.",
    "`control_dependencies`": "What is made in this block runs after the operations it names. Without it only "
    "data decides on the order.",
    "variable scope": "A part of the names of the variables that are made in it; with `reuse` they are found "
    "again, and not made anew.",
    "global step": "A variable that counts updates. Checkpoints are named after it.",
    "slot": "What an optimizer remembers for a variable, a velocity for example.",
    "canonical name": "The name of a weight in this project, in all three: `encoder1/conv1/kernel`.",
    "Estimator": "The training loop of TensorFlow 1 as a class. TensorFlow dropped it in 2.16; "
    "`unet_highlevel/estimator_compat.py` brings the package back that holds its code.",
    "`tf.layers`": "Functions that make variables and operations of a layer: `v1.layers`. They live in the package "
    "`tf_keras` now, and want `TF_USE_LEGACY_KERAS=1`.",
}
