"""What the tests expect of `vnet_3d_depthwise`."""

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    ({"depth": 3, "filters": 2}, (8, 4, 12), 2_215),
    (
        {
            "depth": 3,
            "filters": 2,
            "channels": 3,
            "classes": 3,
            "unit": "separable_narrow",
            "normalisation": "instance",
            "upsampling": "transpose",
        },
        (4, 8, 12),
        2_271,
    ),
    ({"depth": 2, "filters": 2, "kernel_size": 5, "unit": "depthwise"}, (4, 8, 6), 1_179),
    ({"depth": 2, "filters": 3, "channels": 2, "kernel_size": 2, "normalisation": "none"}, (6, 4, 8), 535),
]

PUBLISHED, NARROW = {"unit": "depthwise"}, {"unit": "separable_narrow"}

# Hyperparameters, all values, trained values: AmberzzZZ's unet_vnet_keras, origin/3d_vnet_depthwise.py, at commit
# 1e67b89, and as it is today with either mend. Its counts without batch normalisation (477,141, 807,977 and 989,753)
# are those below and two values more for each normalisation: a scale and a shift of all channels together, which is not
# offered here.
COUNTS = [
    ({}, 1_010_673, 1_000_177),
    (NARROW, 824_609, 816_257),
    (PUBLISHED, 487_601, 482_353),
    ({**PUBLISHED, "upsampling": "transpose"}, 867_505, 862_257),
    ({**PUBLISHED, "classes": 2}, 487_634, 482_386),
    ({**PUBLISHED, "channels": 2}, 488_033, 482_785),
    ({**PUBLISHED, "depth": 4}, 134_961, 132_785),
    ({**PUBLISHED, "filters": 8}, 143_193, 140_569),
    ({**PUBLISHED, "normalisation": "none"}, 477_141 - 36, 477_141 - 36),
    ({**NARROW, "upsampling": "transpose"}, 1_204_513, 1_196_161),
    ({**NARROW, "depth": 4}, 212_257, 208_769),
    ({**NARROW, "filters": 8}, 226_577, 222_401),
    ({**NARROW, "channels": 2}, 825_041, 816_689),
    ({**NARROW, "normalisation": "none"}, 807_977 - 72, 807_977 - 72),
    ({"upsampling": "transpose"}, 1_390_577, 1_380_081),
    ({"depth": 4}, 257_137, 252_785),
    ({"filters": 8}, 277_241, 271_993),
    ({"channels": 2}, 1_011_105, 1_000_609),
    ({"kernel_size": 5, "classes": 2}, 1_267_858, 1_257_362),
    ({"normalisation": "none"}, 989_753 - 72, 989_753 - 72),
]

KEPT = {"depth": 2, "filters": 2}
