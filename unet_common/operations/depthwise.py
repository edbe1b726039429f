"""Depthwise convolution of volumes, which TensorFlow has for images only."""

import tensorflow as tf


def depthwise_convolution3d(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve each channel with a kernel of its own, zeros beyond the borders: the shape of `x` is kept.

    A sum over the kernel's slices: each is a depthwise convolution of images, and the images are all slices of all
    volumes at once. One convolution a channel, as the programs have it that this replaces, takes several times as long
    (`benchmarks/depthwise.py`); grouped convolutions of volumes have no kernel for the CPU. The gradient is that of
    the operations. Slices are cut by `tf.slice` and not by brackets, since the gradient of these takes longer than
    all the rest.

    Args:
        x: `[batch, *size, channels]`, three axes of any size.
        kernel: `[*sides, 1, channels]`, as of a convolution whose filters see one channel each.
    """
    depth, height, width, _one, channels = kernel.shape
    size = tf.shape(x)
    images = tf.stack([size[0] * size[1], size[2], size[3], channels])
    padded = tf.pad(x, [[0, 0], [(depth - 1) // 2, depth // 2], [0, 0], [0, 0], [0, 0]])
    terms = []
    for start, of_slice in enumerate(tf.unstack(kernel)):
        seen = tf.reshape(tf.slice(padded, [0, start, 0, 0, 0], size), images)
        filters = tf.reshape(of_slice, [height, width, channels, 1])
        terms.append(tf.nn.depthwise_conv2d(seen, filters, strides=[1, 1, 1, 1], padding="SAME"))
    return tf.ensure_shape(tf.reshape(tf.add_n(terms), size), x.shape)
