"""What the tests expect of `unet_25d`."""

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    ({"depth": 3, "in_plane_levels": 1, "filters": 2}, (4, 8, 5), 7_202),
    # Slices across the first axis, as the pages of a stack have them; the maps are not judged.
    (
        {
            "depth": 3,
            "filters": 2,
            "channels": 2,
            "classes": 3,
            "slice_axis": 0,
            "attention_loss": 0.0,
        },
        (3, 4, 8),
        4_738,
    ),
    (
        {"depth": 4, "in_plane_levels": 2, "filters": 2, "classes": 2, "attention_loss": 0.5},
        (8, 8, 3),
        28_342,
    ),
]

# Hyperparameters, all values, trained values: AmberzzZZ's unet_vnet_keras, unet25d.py.
COUNTS = [
    ({}, 7_687_862, 7_684_918),
    ({"classes": 2}, 7_688_007, 7_685_063),
    ({"channels": 3, "classes": 3}, 7_688_440, 7_685_496),
]

KEPT = {"depth": 2, "in_plane_levels": 1, "filters": 2}
