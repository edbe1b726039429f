"""What the tests expect of `medpatchnet`."""

BACKBONE = {"esp": False, "dynamic_middle": False}
PUBLISHED = {"dynamic_kernel": "generated"}

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    ({**BACKBONE, "filters": 2, "channels": 1}, (56, 56, 64), 16_844),
    # Of five channels two are the image's; the patch differs along its axes.
    (
        {"filters": 1, "channels": 5, "classes": 3, "dynamic_end": True, "patch_size": (56, 64, 56)},
        (56, 64, 56),
        30_877,
    ),
    ({**PUBLISHED, "filters": 1, "classes": 2, "patch_size": (56, 56, 56)}, (56, 56, 56), 21_981),
]

# Hyperparameters, all values, trained values: those of medseg_dl, with what is left out of its graph. Two channels of
# an image, and three of the position where there is a dynamic convolution.
COUNTS = [
    ({**PUBLISHED, "channels": 5, "classes": 6, "dynamic_end": True}, 13_359_624, 13_354_920),
    ({"channels": 2, "classes": 6, **BACKBONE}, 4_171_264, 4_168_448),
    ({"channels": 2, "classes": 6, "dynamic_middle": False}, 4_756_232, 4_751_528),
    ({**PUBLISHED, "channels": 5, "classes": 6}, 13_218_952, 13_214_248),
    ({"channels": 1, "classes": 5, **BACKBONE}, 4_167_232, 4_164_416),
    ({"channels": 1, "classes": 5, "dynamic_middle": False}, 4_752_200, 4_747_496),
    ({**PUBLISHED, "classes": 5}, 13_214_920, 13_210_216),
    ({**PUBLISHED, "classes": 5, "dynamic_end": True}, 13_355_592, 13_350_888),
    # With the static kernels of 256 x 256 and 32 x 32, which were not there.
    (
        {"channels": 5, "classes": 6, "dynamic_end": True},
        13_359_624 + 256**2 + 32**2,
        13_354_920 + 256**2 + 32**2,
    ),
]

KEPT = {**BACKBONE, "filters": 1, "dynamic_end": True, "patch_size": (56, 56, 56)}
