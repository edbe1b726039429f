"""What the tests expect of `unet_fine_grained`."""

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    ({"encoder": "vgg16", "filters": 4, "centre_filters": 4}, (32, 64), 63_237),
    (
        {
            "encoder": "resnet34",
            "filters": 4,
            "last_filters": 5,
            "channels": 4,
            "classes": 5,
            "regions": {"classes": 2},
            "decoder": "upsampling",
            "skip": "concatenate",
        },
        (64, 64),
        88_417,
    ),
    ({"encoder": "vgg16", "filters": 4, "centre_filters": 8, "decoder_blocks": 4}, (64, 32), 64_947),
]

# Hyperparameters, all values, trained values: those of unet_vnet_keras (fine_grained_unet.py), whose numbers of
# channels and classes are those of one input, and of each head.
COUNTS = [
    ({}, 31_257_891, 31_199_075),
    ({"encoder": "unet"}, 28_329_859, 28_314_691),
    ({"encoder": "vgg16"}, 20_708_739, 20_702_787),
    ({"encoder": "darknet52"}, 42_548_611, 42_509_955),
    (
        {"encoder": "darknet52", "channels": 6, "classes": 5, "regions": {"classes": 2}},
        42_549_477,
        42_510_821,
    ),
]

KEPT = {"encoder": "vgg16", "filters": 4, "centre_filters": 4}

# Numbers of configurations that take long.
SLOW = (1,)
