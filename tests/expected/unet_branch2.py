"""What the tests expect of `unet_branch2`."""

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    (
        {
            "encoder": "vgg16",
            "filters": 4,
            "centre_filters": 4,
            "classes": 4,
            "branch_class": 2,
            "freeze": True,
        },
        (32, 64),
        63_344,
    ),
    (
        {
            "encoder": "resnet34",
            "filters": 4,
            "last_filters": 5,
            "classes": 2,
            "decoder": "upsampling",
            "skip": "concatenate",
            "branch_level": 2,
        },
        (64, 64),
        89_117,
    ),
    (
        {
            "encoder": "vgg16",
            "filters": 4,
            "centre_filters": 4,
            "classes": 2,
            "decoder_blocks": 3,
            "branch_level": 2,
        },
        (64, 32),
        62_954,
    ),
]

# Hyperparameters, all values, trained values: those of unet_vnet_keras (branch2_unet.py). The last but one is its
# network for one class, which it built with four outputs.
COUNTS = [
    ({"encoder": "vgg16", "channels": 2, "classes": 4}, 20_710_022, 20_704_070),
    ({"encoder": "unet", "classes": 4, "freeze": True}, 28_330_566, 99_462),
    ({"encoder": "unet", "classes": 4}, 28_330_566, 28_315_398),
    ({"encoder": "unet"}, 28_328_835, 28_313_667),
    ({"encoder": "unet", "channels": 2, "classes": 4}, 28_331_142, 28_315_974),
]

KEPT = {"encoder": "vgg16", "filters": 4, "centre_filters": 4}

# Numbers of configurations that take long.
SLOW = (1,)
