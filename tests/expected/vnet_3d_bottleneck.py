"""What the tests expect of `vnet_3d_bottleneck`."""

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    ({"depth": 3, "bottom_filters": 16}, (8, 4, 12), 5_776),
    # As many channels as the first level: its first unit needs no projection.
    ({"depth": 2, "bottom_filters": 16, "channels": 8, "classes": 3}, (4, 6, 8), 6_323),
]

# Hyperparameters, all values, trained values: AmberzzZZ's unet_vnet_keras, vnet3d.py. Its 684,325 for depth 3 or 6 is
# that of a network of three levels with another number of channels, which was not asked for.
COUNTS = [
    ({}, 1_280_649, 1_273_289),
    ({"channels": 2}, 1_280_689, 1_273_329),
    ({"channels": 4, "classes": 4}, 1_280_868, 1_273_508),
    ({"depth": 5}, 1_361_061, 1_352_133),
    ({"depth": 5, "channels": 2, "classes": 3}, 1_361_115, 1_352_187),
]

KEPT = {"depth": 2, "bottom_filters": 8}
