"""What the tests expect of `unet_padding`."""

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    ({"depth": 3, "filters": 3}, (12, 16), 4_426),
    ({"depth": 2, "filters": 4, "channels": 2, "classes": 3, "residual": True}, (8, 10), 1_907),
]

# Hyperparameters, all values, trained values: measured on unet_vnet_keras.
COUNTS = [
    ({}, 31_054_145, 31_042_369),
    ({"channels": 2, "classes": 4}, 31_054_916, 31_043_140),
    ({"channels": 3}, 31_055_297, 31_043_521),
    ({"classes": 4}, 31_054_340, 31_042_564),
]

KEPT = {"depth": 2, "filters": 2}
