"""What the tests expect of `unet_plus_plus`."""

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    ({"depth": 3, "filters": 3, "classes": 2}, (8, 12), 4_801),
    ({"depth": 4, "filters": 2, "level": 2, "normalisation": "none", "dropout": 0.25}, (8, 16), 2_068),
    ({"rank": 3, "depth": 3, "filters": 2, "deep_supervision": False, "convolutions": 1}, (4, 8, 4), 3_021),
    ({"depth": 2, "filters": 2, "classes": 3}, (4, 6), 485),  # one column, whose head is the mean of all
]

# Hyperparameters, all values, trained values.
COUNTS = [
    ({"normalisation": "none"}, 9_041_700, 9_041_700),  # the paper, table 2: 9.04 million
]

KEPT = {"depth": 3, "filters": 2}
