"""What the tests expect of `unet_original`."""

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    ({"depth": 3, "filters": 3}, (44, 52), 4_186),
    ({"depth": 2, "filters": 4, "channels": 2, "classes": 3, "dropout": 0.25}, (24, 20), 1_691),
]

# Hyperparameters, all values, trained values: measured on unet_vnet_keras, with sigmoids or softmax left out.
COUNTS = [
    ({}, 31_030_593, 31_030_593),
    ({"classes": 2}, 31_030_658, 31_030_658),
    ({"channels": 3, "classes": 4}, 31_031_940, 31_031_940),
]

KEPT = {"depth": 2, "filters": 2}
