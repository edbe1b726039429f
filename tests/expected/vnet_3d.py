"""What the tests expect of `vnet_3d`."""

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    ({"depth": 3, "filters": 2, "kernel_size": 3}, (8, 4, 12), 10_987),
    # More channels than the first level has filters: its sum keeps them all.
    (
        {
            "depth": 2,
            "filters": 3,
            "channels": 4,
            "classes": 3,
            "kernel_size": 2,
            "normalisation": "instance",
            "upsampling": "linear",
        },
        (4, 6, 8),
        1_314,
    ),
    ({"depth": 2, "filters": 2, "normalisation": "none"}, (6, 4, 8), 6_403),
]

# Hyperparameters, all values, trained values: AmberzzZZ's unet_vnet_keras, origin/3d_vnet.py. Its counts without batch
# normalisation, 65,171,900 and 14,313,339, are those below and 42 values more: a scale and a shift of all channels
# together in each of 21 layers, which nothing else has, and which is not offered here.
COUNTS = [
    ({"classes": 2}, 65_182_802, 65_177_330),
    ({"kernel_size": 3, "upsampling": "linear"}, 14_324_241, 14_318_769),
    ({"kernel_size": 3}, 14_704_145, 14_698_673),
    ({"kernel_size": 3, "upsampling": "linear", "classes": 2}, 14_324_274, 14_318_802),
    ({"upsampling": "linear"}, 64_802_865, 64_797_393),
    ({"classes": 2, "filters": 8}, 16_299_818, 16_297_082),
    ({"classes": 2, "depth": 4}, 15_432_914, 15_430_514),
    ({"classes": 2, "depth": 3}, 2_993_426, 2_992_562),
    ({"classes": 2, "channels": 2}, 65_184_802, 65_179_330),
    ({"classes": 4, "channels": 4}, 65_188_868, 65_183_396),
    ({"classes": 2, "normalisation": "none"}, 65_171_900 - 42, 65_171_900 - 42),
    (
        {"kernel_size": 3, "upsampling": "linear", "normalisation": "none"},
        14_313_339 - 42,
        14_313_339 - 42,
    ),
]

KEPT = {"depth": 2, "filters": 2, "kernel_size": 3}
