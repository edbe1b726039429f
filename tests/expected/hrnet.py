"""What the tests expect of `hrnet`."""

# Hyperparameters, a size that is accepted, and the number of values, moving statistics included.
SMALL = {"width": 2, "modules": (1, 1, 1), "blocks": 1, "stem_filters": 4}
CONFIGURATIONS = [
    (SMALL, (37, 45), 16_829),
    ({**SMALL, "rank": 3, "channels": 2, "classes": 3, "head": "transpose"}, (17, 22, 35), 52_335),
    ({**SMALL, "head": "mixed", "classes": 2}, (37, 45), 17_760),
    ({**SMALL, "rank": 3, "head": "mixed"}, (17, 22, 35), 46_727),
]

# Of pytorch_segmentation_models, commit 3d44231, with the one head that is used. Width, channels, classes, trained
# values with interpolation (there the logits are a quarter as large as the image, and the loss enlarges them) and with
# transposed convolutions; and both's moving statistics by width.
IMAGES = [
    (18, 1, 2, 9_635_360, 9_839_830),
    (18, 1, 4, 9_635_902, 9_841_880),
    (18, 3, 2, 9_636_512, 9_840_982),
    (32, 1, 2, 29_537_186, 29_798_146),
    (32, 1, 4, 29_538_148, 29_800_196),
    (32, 3, 2, 29_538_338, 29_799_298),
    (48, 1, 2, 65_845_970, 66_063_490),
    (48, 1, 4, 65_847_412, 66_065_540),
    (48, 3, 2, 65_847_122, 66_064_642),
]
VOLUMES = [(18, 1, 2, 28_245_704, 29_285_758), (48, 3, 2, 194_823_890, 197_259_394)]
MOVING = {18: (34_476, 34_064), 32: (58_304, 57_472), 48: (85_536, 84_224)}


def rows(rank, width, channels, classes, *trained):
    """Hyperparameters, all values, trained values."""
    hyperparameters = {"rank": rank, "width": width, "channels": channels, "classes": classes}
    for head, of_head, moving in zip(("interpolation", "transpose"), trained, MOVING[width], strict=True):
        yield {**hyperparameters, "head": head}, of_head + moving, of_head


def mixed(rank, width, channels, classes, interpolation, _transpose):
    """The head that is no program's: the last 1 x 1 convolution's kernel has 4 pixels along each axis."""
    trained = interpolation + (4**rank - 1) * 15 * width * classes
    hyperparameters = {"rank": rank, "width": width, "channels": channels, "classes": classes}
    return {**hyperparameters, "head": "mixed"}, trained + MOVING[width][0], trained


COUNTS = [
    *[row for image in IMAGES for row in rows(2, *image)],
    *[row for volume in VOLUMES for row in rows(3, *volume)],
    mixed(2, *IMAGES[0]),
    mixed(3, *VOLUMES[0]),
]

KEPT = {"width": 1, "modules": (1, 1, 1), "blocks": 1, "stem_filters": 1}

# Numbers of configurations that take long.
SLOW = (1, 2, 3)
