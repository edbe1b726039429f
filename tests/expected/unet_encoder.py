"""What the tests expect of `unet_encoder`."""

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
CONFIGURATIONS = [
    ({"encoder": "resnet18", "filters": 2, "decoder_filters": (4, 3, 3, 2, 2)}, (64, 32), 13_444),
    # Bottlenecks; logits coarser than the image; several channels and classes.
    (
        {
            "encoder": "resnet50",
            "filters": 2,
            "channels": 2,
            "classes": 3,
            "decoder_filters": (3, 2),
            "decoder_batch_norm": False,
        },
        (64, 32),
        29_530,
    ),
    # Logits finer than the image.
    (
        {"encoder": "vgg16", "filters": 3, "decoder": "transpose", "decoder_filters": (3, 3, 2, 2, 2, 2)},
        (32, 64),
        35_699,
    ),
    (
        {
            "rank": 3,
            "encoder": "resnet18",
            "filters": 2,
            "decoder": "transpose",
            "decoder_filters": (3, 3, 2, 2, 2),
            "decoder_batch_norm": False,
        },
        (64, 32, 32),
        40_259,
    ),
    # Features at 1/8, joined, then at 3/8 and 3/8, where the encoder has none.
    (
        {
            "encoder": "resnet18",
            "filters": 2,
            "decoder": "transpose",
            "decoder_filters": (4, 3, 2),
            "decoder_rates": (4, 3, 1),
        },
        (64, 32),
        13_402,
    ),
    # At 1/32, 1/8 and 1/4, both joined, and in the image's size.
    (
        {
            "encoder": "vgg16",
            "filters": 2,
            "classes": 2,
            "decoder_filters": (3, 3, 2, 2),
            "decoder_rates": (1, 4, 2, 4),
        },
        (32, 64),
        15_757,
    ),
    (
        {
            "rank": 3,
            "encoder": "resnet18",
            "filters": 2,
            "decoder": "transpose",
            "decoder_filters": (3, 2),
            "decoder_rates": (2, 3),
        },
        (32, 32, 64),
        38_188,
    ),
]

# Of pytorch_segmentation_models, commit 3d44231, without its classifiers: trained values with interpolation and with
# transposed convolutions, and the moving statistics of both.
ENCODERS = [
    ("resnet18", 32, 4_961_329, 5_724_721, 6_784),
    ("vgg16", 32, 6_232_241, 6_995_633, 1_984),
    ("resnet50", 32, 10_985_777, 13_125_425, 28_544),
    ("resnet18", 64, 14_321_937, 15_544_081, 11_584),
    ("resnet34", 32, 7_490_225, 8_253_617, 10_496),
    ("resnet34", 64, 24_430_097, 25_652_241, 19_008),
    ("resnet50", 64, 32_514_833, 36_489_489, 55_104),
    ("resnet101", 32, 15_746_865, 17_886_513, 54_656),
    ("resnet101", 64, 51_506_961, 55_481_617, 107_328),
    ("resnet152", 32, 19_669_297, 21_808_945, 77_696),
    ("resnet152", 64, 67_150_609, 71_125_265, 153_408),
    ("vgg16", 64, 18_639_377, 19_861_521, 1_984),
    ("vgg19", 32, 7_559_985, 8_323_377, 1_984),
    ("vgg19", 64, 23_949_073, 25_171_217, 1_984),
]
VOLUMES = [
    ("resnet18", 32, 14_790_673, 18_825_745, 6_784),
    ("resnet34", 64, 72_920_753, 79_380_657, 19_008),
    ("resnet50", 32, 26_842_385, 38_151_953, 28_544),
    ("vgg16", 32, 18_688_529, 22_723_601, 1_984),
]
# Of resnet34 with 64 filters.
DECODERS = [
    ((256, 128, 64, 32), 24_423_265, 25_641_825, 18_944),
    ((256, 128, 64), 24_377_345, 25_581_569, 18_816),
    ((256,), 23_641_025, 24_558_529, 18_048),
    ((), 21_283_009, 21_283_009, 17_024),
    ((256, 128, 64, 32, 16, 8), 24_431_785, 25_654_825, 19_040),
    ((512, 256, 128, 64, 32), 29_936_481, 32_990_049, 20_992),
]
# Of resnet34 with 64 filters. A rate has no weights, and the transposed convolutions' kernels have 4 pixels along an
# axis whatever the rate: so where the same features are joined the counts are those of rate 2.
RATES = [
    *[((256, 128, 64, 32, 16), (2, 2, 2, 2, last), 24_430_097, 25_652_241, 19_008) for last in (1, 3, 4)],
    ((256, 128, 64, 32, 16, 8), (2,) * 6, 24_431_785, 25_654_825, 19_040),
    # By hand, as there it ends in an error: 128, 64 and 64 channels join, and those of 1/16 do not. In each block the
    # kernels and twice their filters; the encoder's 21,278,400 and the head's 289 values.
    (
        (256, 128, 64, 32),
        (4, 2, 2, 2),
        21_278_400
        + (9 * (512 + 128) * 256 + 9 * 256 * 256 + 4 * 256)
        + (9 * (256 + 64) * 128 + 9 * 128 * 128 + 4 * 128)
        + (9 * (128 + 64) * 64 + 9 * 64 * 64 + 4 * 64)
        + (9 * 64 * 32 + 9 * 32 * 32 + 4 * 32)
        + 289,
        21_278_400
        + (16 * 512 * 256 + 9 * (256 + 128) * 256 + 4 * 256)
        + (16 * 256 * 128 + 9 * (128 + 64) * 128 + 4 * 128)
        + (16 * 128 * 64 + 9 * (64 + 64) * 64 + 4 * 64)
        + (16 * 64 * 32 + 9 * 32 * 32 + 4 * 32)
        + 289,
        18_944,
    ),
]
# Of resnet18 and vgg16 with 32 filters and interpolation.
CHANGES = [
    ({"encoder": "resnet18", "decoder_batch_norm": False}, 4_961_329 - 992, 4_800),
    ({"encoder": "resnet18", "channels": 3}, 4_961_329 + 3_136, 6_784),
    ({"encoder": "vgg16", "channels": 3}, 6_232_241 + 576, 1_984),
    ({"encoder": "vgg16", "classes": 2}, 6_232_241 + 145, 1_984),
    ({"encoder": "vgg16", "classes": 4}, 6_232_241 + 435, 1_984),
]


def rows(hyperparameters, upsampling, transpose, moving):
    for decoder, trained in (("upsampling", upsampling), ("transpose", transpose)):
        yield {**hyperparameters, "decoder": decoder}, trained + moving, trained


# Hyperparameters, all values, trained values: first each kind of encoder once, as these are tested always.
COUNTS = [
    *[
        row
        for transpose in (False, True)
        for encoder, filters, *counts in ENCODERS
        for row in [list(rows({"encoder": encoder, "filters": filters}, *counts))[transpose]]
    ],
    *[
        row
        for encoder, filters, *counts in VOLUMES
        for row in rows({"rank": 3, "encoder": encoder, "filters": filters}, *counts)
    ],
    *[
        row
        for filters, *counts in DECODERS
        for row in rows({"encoder": "resnet34", "decoder_filters": filters}, *counts)
    ],
    *[({"filters": 32, **change}, trained + moving, trained) for change, trained, moving in CHANGES],
    *[
        row
        for filters, rates, *counts in RATES
        for row in rows({"encoder": "resnet34", "decoder_filters": filters, "decoder_rates": rates}, *counts)
    ],
]

KEPT = {"encoder": "vgg16", "filters": 1, "decoder_filters": (2,)}

# Numbers of configurations that take long.
SLOW = (1, 3, 6)
