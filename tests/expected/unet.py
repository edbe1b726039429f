"""What the tests expect of `unet`."""

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    ({}, (32, 16), 1_945_233),
    ({"depth": 3, "filters": 5, "channels": 3, "classes": 4, "dropout": 0.25}, (16, 24), 11_924),
    ({"depth": 3, "filters": 4, "activation": "relu", "convolutions": 1}, (8, 16), 3_733),
    (
        {
            "depth": 3,
            "filters": 4,
            "padding": "valid",
            "normalisation": "none",
            "activation": "leaky_relu",
        },
        (44, 52),
        7_397,
    ),
    ({"rank": 3, "depth": 2, "filters": 3, "classes": 2, "dropout": 0.25}, (8, 4, 6), 2_762),
    ({"rank": 3, "depth": 2, "filters": 2, "padding": "valid", "kernel_size": 2}, (14, 16, 18), 469),
    (
        {
            "depth": 4,
            "filters": 4,
            "normalisation": "instance",
            "activation": "leaky_relu",
            "deep_supervision": 2,
            "classes": 3,
        },
        (16, 24),
        30_557,
    ),
    (
        {
            "rank": 3,
            "depth": 3,
            "filters": 4,
            "max_filters": 8,
            "normalisation": "group",
            "groups": 2,
            "kernel_size": ((1, 3, 3), (3, 3, 3), (3, 3, 3)),
            "pooling": ((1, 2, 2), (2, 2, 2)),
            "deep_supervision": 1,
            "dropout": 0.25,
        },
        (4, 8, 12),
        12_638,
    ),
    # With attention; the last blocks are at the bottom.
    ({"depth": 3, "filters": 4, "attention_gates": (1, 2), "non_local": (2, 3)}, (8, 12), 8_531),
    (
        {
            "depth": 2,
            "filters": 4,
            "convolutions": 1,
            "padding": "valid",
            "attention_gates": (1,),
            "non_local": (1,),
        },
        (14, 18),
        898,
    ),
    (
        {
            "rank": 3,
            "depth": 2,
            "filters": 4,
            "convolutions": 1,
            "pooling": (1, 2, 2),
            "attention_gates": (1,),
            "non_local": (1, 2),
        },
        (3, 4, 6),
        2_250,
    ),
    # Strides in place of poolings, and kernels that see further. Of the first, 368 values are those of the strides:
    # 2 x 2 x 4 x 4 + 4 x 4 of the norm, 2 x 2 x 8 x 8 + 4 x 8.
    (
        {"depth": 3, "filters": 4, "downsampling": "convolution", "dilation": (2, 1, 1)},
        (8, 12),
        7_637 + 368,
    ),
    (
        {
            "rank": 3,
            "depth": 2,
            "filters": 3,
            "downsampling": "convolution",
            "dilation": 2,
            "normalisation": "none",
            "pooling": (1, 2, 2),
        },
        (4, 8, 6),
        2_614 + 39,
    ),
    (
        {"depth": 2, "filters": 2, "padding": "valid", "downsampling": "convolution", "dilation": 2},
        (38, 42),
        503,
    ),
]

# Hyperparameters, all values, trained values. Without normalisation and with valid or same convolutions the paper's
# network, with one input and two output channels as it has: 31,030,658 (a kernel does not know its padding).
COUNTS = [
    (
        {"filters": 64, "normalisation": "none", "padding": "valid", "activation": "relu", "classes": 2},
        31_030_658,
        31_030_658,
    ),
    ({"filters": 64, "normalisation": "none", "activation": "relu"}, 31_030_593, 31_030_593),
]

KEPT = {"depth": 2, "filters": 2}
