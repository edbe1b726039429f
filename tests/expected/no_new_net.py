"""What the tests expect of `no_new_net`."""

COURSE = {
    "widths": (30, 60, 120, 240, 240),
    "groups": 15,
    "pooling": "average",
    "classes": 2,
    "multilabel": True,
}
BRATS = {"channels": 4, "classes": 3, "multilabel": True}

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    ({"widths": (2, 4), "groups": 2}, (4, 6, 8), 841),
    (
        {"widths": (2, 4), "groups": 2, "block": "residual", "pooling": "average", "dilated_levels": 1},
        (4, 6, 8),
        2_287,
    ),
    (
        {"widths": (4, 6, 8), "groups": 2, "block": "reversible", "channels": 2, "classes": 3},
        (4, 8, 12),
        3_603,
    ),
    ({"widths": (2, 4), "groups": 2, "block": "plain"}, (6, 4, 8), 2_287),
]

# Hyperparameters, all values, trained values.
COUNTS = [
    # github.com/RobinBruegger/PartiallyReversibleUnet, noNewNet.
    (BRATS, 12_425_253, 12_425_253),
    # github.com/Pamikk/rev-seg-mia: the baseline with as many weights as its reversible network, and dilated.
    ({**COURSE, "block": "plain"}, 14_681_102, 14_681_102),
    ({**COURSE, "block": "plain", "dilated_levels": 3}, 14_681_102, 14_681_102),
    # What it adds has no weights.
    ({**COURSE, "block": "residual"}, 14_681_102, 14_681_102),
    # Of twice the width its reversible network.
    (
        {**COURSE, "block": "reversible", "widths": (60, 120, 240, 480, 480), "groups": 30},
        15_255_482,
        15_255_482,
    ),
    # An older baseline of the course.
    (
        {"widths": (32, 64, 128, 256, 512), "groups": 32, "classes": 2, "multilabel": True},
        14_133_986,
        14_133_986,
    ),
]

KEPT = {"widths": (2, 4), "groups": 2}
