"""What the tests expect of `unet_3d`."""

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    ({"depth": 2, "filters": 2}, (4, 6, 8), 3_325),
    (
        {
            "depth": 3,
            "filters": 2,
            "channels": 3,
            "classes": 3,
            "normalisation": "batch",
            "upsampling": "transpose",
        },
        (4, 8, 12),
        18_427,
    ),
    ({"depth": 2, "filters": 2, "channels": 2, "normalisation": "instance"}, (6, 4, 8), 3_431),
]

# Hyperparameters, all values, trained values: AmberzzZZ's unet_vnet_keras, origin/3d_unet.py.
COUNTS = [
    ({}, 16_315_585, 16_315_585),
    # As in the paper, whose 19,069,955 are without the biases of the transposed convolutions.
    ({"channels": 3, "classes": 3, "upsampling": "transpose"}, 19_070_851, 19_070_851),
    (
        {"channels": 3, "classes": 3, "normalisation": "batch", "upsampling": "transpose"},
        19_080_195,
        19_075_523,
    ),
    ({"normalisation": "batch", "upsampling": "transpose"}, 19_078_337, 19_073_665),
    ({"normalisation": "batch"}, 16_324_929, 16_320_257),
    ({"upsampling": "transpose"}, 19_068_993, 19_068_993),
    ({"channels": 4, "classes": 4}, 16_318_372, 16_318_372),
    ({"filters": 16}, 4_079_713, 4_079_713),
    ({"depth": 3}, 3_928_001, 3_928_001),
    ({"depth": 5, "normalisation": "batch"}, 65_882_945, 65_873_153),
]

KEPT = {"depth": 2, "filters": 2}
