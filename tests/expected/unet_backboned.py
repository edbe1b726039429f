"""What the tests expect of `unet_backboned`."""

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included. The ResNet of 34
# layers is tested with `unet_branch2`: these graphs are large.
CONFIGURATIONS = [
    ({"encoder": "unet", "filters": 4, "centre_filters": 8}, (64, 32), 88_661),
    (
        {
            "encoder": "vgg16",
            "filters": 4,
            "centre_filters": 8,
            "decoder": "upsampling",
            "skip": "concatenate",
            "channels": 2,
            "classes": 3,
        },
        (32, 64),
        70_551,
    ),
    ({"encoder": "resnet50", "filters": 4}, (64, 64), 131_191),
    ({"encoder": "darknet52", "filters": 4, "decoder": "upsampling"}, (64, 64), 168_838),
    # Logits of half, and of a quarter of the image's size.
    (
        {"encoder": "vgg16", "filters": 4, "centre_filters": 8, "decoder_blocks": 4, "classes": 2},
        (64, 32),
        64_874,
    ),
    (
        {
            "encoder": "unet",
            "filters": 4,
            "centre_filters": 8,
            "decoder_blocks": 3,
            "decoder": "upsampling",
            "skip": "concatenate",
        },
        (32, 64),
        99_573,
    ),
]

# Hyperparameters, all values, trained values: those of unet_vnet_keras (backboned_unet.py), whose pictures of the
# first and the third have an encoder of 16 channels and an older decoder, which concatenates.
COUNTS = [
    ({"encoder": "unet", "filters": 16, "classes": 2}, 5_210_898, 5_205_378),
    ({"encoder": "vgg16"}, 20_707_585, 20_701_633),
    ({"encoder": "resnet50", "skip": "concatenate", "classes": 2}, 36_605_042, 36_545_298),
    ({"encoder": "unet"}, 28_328_705, 28_313_537),
    ({"encoder": "unet", "channels": 2, "classes": 4}, 28_331_012, 28_315_844),
    ({"encoder": "unet", "channels": 3, "classes": 10}, 28_335_050, 28_319_882),
    ({"encoder": "vgg16", "classes": 2}, 20_708_162, 20_702_210),
    ({"encoder": "vgg16", "channels": 3, "classes": 10}, 20_713_930, 20_707_978),
    ({"encoder": "resnet50"}, 31_257_601, 31_198_785),
    ({"encoder": "resnet50", "channels": 2, "classes": 4}, 31_261_172, 31_202_356),
    ({"encoder": "resnet50", "channels": 3}, 31_263_873, 31_205_057),
    ({"encoder": "resnet50", "channels": 3, "classes": 10}, 31_265_178, 31_206_362),
    ({"encoder": "darknet52"}, 42_548_321, 42_509_665),
    ({"encoder": "darknet52", "classes": 2}, 42_548_466, 42_509_810),
    ({"encoder": "darknet52", "channels": 3}, 42_548_897, 42_510_241),
    ({"encoder": "darknet52", "channels": 3, "classes": 10}, 42_550_202, 42_511_546),
    ({"encoder": "unet", "decoder": "upsampling"}, 27_607_169, 27_590_785),
    ({"encoder": "vgg16", "decoder": "upsampling"}, 20_329_601, 20_322_689),
    ({"encoder": "resnet50", "decoder": "upsampling"}, 28_822_593, 28_761_825),
    ({"encoder": "darknet52", "decoder": "upsampling"}, 41_939_233, 41_899_585),
    ({"encoder": "unet", "decoder_blocks": 4}, 28_306_241, 28_291_265),
    ({"encoder": "unet", "decoder_blocks": 3}, 28_216_257, 28_201_665),
]

KEPT = {"encoder": "vgg16", "filters": 4, "centre_filters": 4}

# Numbers of configurations that take long.
SLOW = (2, 3)
