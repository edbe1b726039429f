"""What the tests expect of `reversible_unet`."""

BRATS = {"channels": 4, "classes": 3, "multilabel": True}
COURSE = {"widths": (60, 120, 240, 480, 480), "pooling": "average", "classes": 2, "multilabel": True}

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    ({"widths": (4, 6), "groups": 2}, (4, 6, 8), 1_615),
    (
        {
            "widths": (4, 6, 8),
            "groups": 2,
            "encoder_blocks": 3,
            "decoder_blocks": 2,
            "pooling": "average",
            "dilated_levels": 1,
            "channels": 2,
            "classes": 3,
        },
        (4, 8, 12),
        8_409,
    ),
    ({"widths": (4, 6), "groups": 1, "encoder_blocks": 2, "recompute": False}, (6, 4, 8), 2_337),
]

# Hyperparameters, all values, trained values.
COUNTS = [
    # github.com/RobinBruegger/PartiallyReversibleUnet, noNewReversible and noNewReversibleFat.
    (BRATS, 12_365_283, 12_365_283),
    ({**BRATS, "encoder_blocks": 2}, 18_248_403, 18_248_403),
    # github.com/Pamikk/rev-seg-mia.
    (COURSE, 15_255_482, 15_255_482),
    ({**COURSE, "dilated_levels": 3}, 15_255_482, 15_255_482),
    # Older, without a limit to the widths.
    ({**COURSE, "widths": (64, 128, 256, 512, 1024), "groups": 32}, 39_117_186, 39_117_186),
]

KEPT = {"widths": (4, 6), "groups": 2}
