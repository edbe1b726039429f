"""What the tests expect of `vnet`."""

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    ({"depth": 3, "filters": 2}, (8, 12), 10_039),
    # More channels than the first level has filters: its sum keeps them all.
    (
        {"depth": 2, "filters": 3, "channels": 4, "classes": 3, "kernel_size": 3, "prelu": "none"},
        (6, 8),
        1_473,
    ),
    ({"depth": 2, "filters": 2, "channels": 3, "prelu": "element", "input_size": (4, 6)}, (4, 6), 1_899),
    ({"rank": 3, "depth": 2, "filters": 2, "kernel_size": 3}, (4, 6, 8), 1_603),
]

# Hyperparameters, all values, trained values: AmberzzZZ's unet_vnet_keras, origin/vnet.py, with its slopes for each
# element, with the paper's for each channel, and with ReLU.
COUNTS = [
    ({}, 13_289_137, 13_282_225),
    ({"prelu": "none"}, 13_285_681, 13_278_769),
    ({"prelu": "element", "input_size": (64, 64)}, 14_096_689, 14_089_777),
    ({"prelu": "element", "input_size": (128, 128)}, 16_529_713, 16_522_801),
    ({"prelu": "element", "input_size": (256, 256)}, 26_261_809, 26_254_897),
    ({"prelu": "element", "input_size": (128, 128), "classes": 4}, 16_529_812, 16_522_900),
    ({"prelu": "element", "input_size": (128, 128), "channels": 16}, 16_535_713, 16_528_801),
]

KEPT = {"depth": 2, "filters": 2, "kernel_size": 3}
