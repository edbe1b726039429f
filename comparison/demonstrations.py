"""Defaults that differ, each in a few lines for each API: the page shows these functions and what they return.

A function for `lowlevel` or `highlevel` is called within a graph, its variables are initialised, and what it returns is
evaluated in a session. One for `keras` is simply called. `comparison/defaults.py` says what each shows.
"""

import keras
import numpy as np
import tensorflow as tf

from unet_lowlevel import optimizers

v1 = tf.compat.v1


def after(operation: tf.Operation, value: tf.Variable) -> tf.Tensor:
    """The value of a variable once `operation` has run: in a graph, the order of lines says nothing."""
    with tf.control_dependencies([operation]):
        return value.read_value()


# --- initial weights --------------------------------------------------------------------------


def twins_lowlevel():
    initialiser = v1.initializers.he_normal()
    v1.set_random_seed(1)
    first, second = (v1.get_variable(name, [1, 3], initializer=initialiser) for name in "ab")
    return first - second


def twins_highlevel():
    initialiser = v1.initializers.he_normal()
    v1.set_random_seed(1)
    for name in "ab":
        v1.layers.dense(tf.ones([1, 1]), 3, kernel_initializer=initialiser, name=name)
    first, second = v1.trainable_variables("./kernel")
    return first - second


def twins_keras():
    initialiser = keras.initializers.HeNormal(seed=1)
    first, second = (initialiser([1, 3]) for _name in "ab")
    return first - second


# --- tensors ----------------------------------------------------------------------------------


def equality_lowlevel():
    x = tf.constant([0.0, 1.0])
    return tf.constant(x == 0.0)


def equality_keras():
    x = tf.constant([0.0, 1.0])
    return x == 0.0


# --- layers -----------------------------------------------------------------------------------


def transposed_lowlevel():
    x, kernel = tf.ones([1, 4, 4, 1]), tf.ones([3, 3, 1, 1])
    return tf.shape(tf.nn.conv2d_transpose(x, kernel, [1, 8, 8, 1], strides=2))


def transposed_highlevel():
    x = tf.ones([1, 4, 4, 1])
    return tf.shape(v1.layers.conv2d_transpose(x, 1, kernel_size=3, strides=2))


def transposed_keras():
    x = tf.ones([1, 4, 4, 1])
    return tf.shape(keras.layers.Conv2DTranspose(1, kernel_size=3, strides=2)(x))


def stride_lowlevel():
    x, kernel = tf.reshape([1.0, 2, 3, 4], [1, 4, 1]), tf.ones([3, 1, 1])
    return tf.squeeze(tf.nn.convolution(x, kernel, strides=2, padding="SAME"))


def stride_highlevel():
    x, ones = tf.reshape([1.0, 2, 3, 4], [1, 4, 1]), v1.ones_initializer()
    return tf.squeeze(v1.layers.conv1d(x, 1, 3, strides=2, padding="same", kernel_initializer=ones))


def stride_keras():
    x = tf.reshape([1.0, 2, 3, 4], [1, 4, 1])
    layer = keras.layers.Conv1D(1, 3, strides=2, padding="same", kernel_initializer="ones")
    return tf.squeeze(layer(x))


def resize_lowlevel():
    x = tf.reshape([0.0, 1.0], [1, 1, 2, 1])
    return tf.squeeze(v1.image.resize_bilinear(x, [1, 4]))


def resize_keras():
    x = tf.reshape([0.0, 1.0], [1, 1, 2, 1])
    return tf.squeeze(keras.layers.UpSampling2D((1, 2), interpolation="bilinear")(x))


def slope_lowlevel():
    return tf.nn.leaky_relu([-1.0])


def slope_keras():
    layer = keras.layers.LeakyReLU()(tf.constant([-1.0]))
    function = keras.activations.leaky_relu(tf.constant([-1.0]))
    return np.concatenate([layer, function])


def dropout_lowlevel():
    x = tf.ones([10_000])
    return tf.math.zero_fraction(v1.nn.dropout(x, 0.1))


def dropout_highlevel():
    x = tf.ones([10_000])
    return tf.math.zero_fraction(v1.layers.dropout(x, 0.1, training=True))


def dropout_keras():
    x = tf.ones([10_000])
    return tf.math.zero_fraction(keras.layers.Dropout(0.1)(x, training=True))


# --- batch normalisation ----------------------------------------------------------------------


def mode_lowlevel():
    x = tf.reshape([4.0, 6.0], [1, 2, 1, 1])
    normalised, _mean, _variance = v1.nn.fused_batch_norm(x, scale=[1.0], offset=[0.0])
    return tf.squeeze(normalised)


def mode_highlevel():
    x = tf.reshape([4.0, 6.0], [1, 2, 1, 1])
    return tf.squeeze(v1.layers.batch_normalization(x))


def mode_keras():
    x = tf.reshape([4.0, 6.0], [1, 2, 1, 1])
    return tf.squeeze(keras.layers.BatchNormalization()(x))


def update_lowlevel():
    x = tf.reshape([4.0, 6.0], [1, 2, 1, 1])
    _normalised, mean, _variance = v1.nn.fused_batch_norm(x, scale=[1.0], offset=[0.0])
    return mean


def update_highlevel():
    x = tf.reshape([4.0, 6.0], [1, 2, 1, 1])
    y = v1.layers.batch_normalization(x, training=True, name="norm")
    (moving_mean,) = [v for v in v1.global_variables() if "moving_mean" in v.name]
    return after(y.op, moving_mean)


def update_keras():
    x = tf.reshape([4.0, 6.0], [1, 2, 1, 1])
    layer = keras.layers.BatchNormalization()
    layer(x, training=True)
    return layer.moving_mean


def variance_lowlevel():
    x = tf.reshape([0.0, 2.0], [1, 2, 1, 1])
    _normalised, _mean, variance = v1.nn.fused_batch_norm(x, scale=[1.0], offset=[0.0])
    return variance


def variance_highlevel():
    x = tf.reshape([0.0, 2.0], [1, 2, 1, 1])
    v1.layers.batch_normalization(x, training=True, momentum=0.0)
    (moving_variance,) = [v for v in v1.global_variables() if "moving_variance" in v.name]
    return after(tf.group(*v1.get_collection(v1.GraphKeys.UPDATE_OPS)), moving_variance)


def variance_keras():
    x = tf.reshape([0.0, 2.0], [1, 2, 1, 1])
    layer = keras.layers.BatchNormalization(momentum=0.0)
    layer(x, training=True)
    return layer.moving_variance


def digits_lowlevel():
    moving_mean, mean = v1.get_variable("moving_mean", initializer=tf.zeros([], tf.float64)), 1.0
    return moving_mean.assign_sub((1 - 0.99) * (moving_mean - mean)) - 0.01


def digits_highlevel():
    x = tf.ones([1, 2, 1, 1], tf.float64)
    v1.layers.batch_normalization(x, training=True, momentum=0.99, fused=False)
    (moving_mean,) = [v for v in v1.global_variables() if "moving_mean" in v.name]
    return after(tf.group(*v1.get_collection(v1.GraphKeys.UPDATE_OPS)), moving_mean) - 0.01


def digits_keras():
    x = tf.ones([1, 2, 1, 1], tf.float64)
    layer = keras.layers.BatchNormalization(momentum=0.99, dtype="float64")
    layer(x, training=True)
    return layer.moving_mean - 0.01


def frozen_highlevel():
    x = tf.reshape([4.0, 6.0], [1, 2, 1, 1])
    return tf.squeeze(v1.layers.batch_normalization(x, training=True, trainable=False))


def frozen_keras():
    x = tf.reshape([4.0, 6.0], [1, 2, 1, 1])
    return tf.squeeze(keras.layers.BatchNormalization(trainable=False)(x, training=True))


# --- optimizers and losses --------------------------------------------------------------------


def adam_highlevel():
    weight = v1.get_variable("weight", initializer=0.0)
    step = v1.train.AdamOptimizer(1.0).apply_gradients([(tf.constant(1e-8), weight)])
    return after(step, weight)


def adam_keras():
    weight = keras.Variable(0.0)
    keras.optimizers.Adam(1.0).apply([tf.constant(1e-8)], [weight])
    return weight


def decays_lowlevel():
    weight, rate = v1.get_variable("weight", initializer=tf.zeros([], tf.float64)), tf.constant(1.0)
    step = optimizers.adam([tf.ones([], tf.float64)], [weight], rate, beta1=0.9, beta2=0.999, epsilon=0.0)
    return after(step, weight) + 1


def decays_highlevel():
    weight = v1.get_variable("weight", initializer=tf.zeros([], tf.float64))
    optimizer = v1.train.AdamOptimizer(1.0, beta1=0.9, beta2=0.999, epsilon=0.0)
    return after(optimizer.apply_gradients([(tf.ones([], tf.float64), weight)]), weight) + 1


def decays_keras():
    weight = keras.Variable(0.0, dtype="float64")
    optimizer = keras.optimizers.Adam(1.0, beta_1=0.9, beta_2=0.999, epsilon=0.0)
    optimizer.apply([tf.ones([], tf.float64)], [weight])
    return weight + 1


def rmsprop_highlevel():
    weight = v1.get_variable("weight", initializer=0.0)
    step = v1.train.RMSPropOptimizer(1.0).apply_gradients([(tf.constant(0.001), weight)])
    return after(step, weight)


def rmsprop_keras():
    weight = keras.Variable(0.0)
    keras.optimizers.RMSprop(1.0).apply([tf.constant(0.001)], [weight])
    return weight


def momentum_highlevel():
    weight, rate = v1.get_variable("weight", initializer=0.0), v1.get_variable("rate", initializer=1.0)
    optimizer = v1.train.MomentumOptimizer(rate, momentum=0.9)
    first = optimizer.apply_gradients([(tf.constant(1.0), weight)])
    with tf.control_dependencies([first]), tf.control_dependencies([rate.assign(0.1)]):
        return after(optimizer.apply_gradients([(tf.constant(1.0), weight)]), weight)


def momentum_keras():
    weight = keras.Variable(0.0)
    optimizer = keras.optimizers.SGD(1.0, momentum=0.9)
    optimizer.apply([tf.constant(1.0)], [weight])
    optimizer.learning_rate = 0.1
    optimizer.apply([tf.constant(1.0)])
    return weight


def l2_lowlevel():
    return tf.nn.l2_loss([3.0, 4.0])


def l2_keras():
    return keras.regularizers.L2(1.0)(tf.constant([3.0, 4.0]))
