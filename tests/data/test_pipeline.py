"""Samples by number, and the batches that TensorFlow gets."""

import gc

import numpy as np
import pytest
import tensorflow as tf

from data.errors import UserError
from data.labels.outputs import Outputs
from data.pipeline import training_batches, validation_batches
from data.preprocessing.borders import mirror, reflected
from data.preprocessing.preprocessor import Preprocessor
from data.preprocessing.statistics import statistics
from data.sampling.sampler import Sampler, check_crop
from data.settings import Augmentation, Preprocessing, Sampling
from data.source import Case, Source
from data.sources.generated.blobs3d import Blobs3d
from data.sources.generated.membranes import Membranes

EVERYTHING = Augmentation(rotation=180, scaling=0.2, elastic=3, brightness=0.1, contrast=0.2, noise=0.1)


def preparation(source, names=None, **settings):
    images = (source.read(name).image for name in names or source.names())
    return Preprocessor(Preprocessing(**settings), statistics(images, source.channels))


def sampler(size=(48, 40), crop=(32, 32), classes=1, images=3, seed=7, augmentation=EVERYTHING):
    source = Membranes(images=images, size=size)
    return Sampler(
        source,
        source.names(),
        Sampling(crop=crop, samples_per_image=2),
        augmentation,
        preparation(source),
        seed,
        Outputs(classes),
    )


class Labels(Source):
    """A source with three cases: classes 0 .. 3, 0 .. 1, and no label."""

    name: str = "labels"

    @property
    def rank(self) -> int:
        return 2

    @property
    def channels(self) -> int:
        return 1

    @property
    def classes(self) -> int:
        return 4

    def names(self) -> list[str]:
        return ["four", "two", "none"]

    def read(self, name: str) -> Case:
        image = np.random.default_rng(0).standard_normal((8, 9, 1)).astype(np.float32)
        label = np.arange(72).reshape(8, 9) % {"four": 4, "two": 2, "none": 1}[name]
        return Case(name, image, None if name == "none" else label.astype(np.uint8))


def test_labels_become_targets():
    label = np.array([[0, 1], [2, 0]])
    binary, onehot = Outputs(1).encode(label), Outputs(3).encode(label)
    assert binary.dtype == onehot.dtype == np.float32
    assert binary[..., 0].tolist() == [[0, 1], [1, 0]]
    assert onehot.tolist() == [[[1, 0, 0], [0, 1, 0]], [[0, 0, 1], [1, 0, 0]]]
    with pytest.raises(UserError, match="has class 2, but the network has only the classes 0 to 1"):
        Outputs(2).encode(label)


def test_mirrored_borders():
    row = np.array([[1, 2, 3]])
    assert mirror(row, [(0, 0), (2, 1)]).tolist() == [[3, 2, 1, 2, 3, 2]]
    assert mirror(row, [(0, 0), (0, 5)]).tolist() == [[1, 2, 3, 2, 1, 2, 3, 2]]
    assert mirror(row[..., np.newaxis], [(2, 2), (1, 0)]).shape == (5, 4, 1)
    assert (mirror(row, [(1, 3), (0, 0)]) == row).all()
    for side in (1, 2, 5):
        padded = mirror(np.arange(side), [(7, 9)])
        np.testing.assert_array_equal(reflected(np.arange(-7, side + 9), side), padded)


def test_an_epoch_visits_every_image_equally_often_in_its_own_order():
    # Without changes and with crops of the whole image, samples are the images themselves.
    whole = sampler(size=(32, 32), augmentation=Augmentation(flips=False))
    assert len(whole) == 6
    orders = []
    for epoch in range(4):
        means = [float(whole.sample(epoch * 6 + position)[0].mean()) for position in range(6)]
        assert sorted(np.unique(means, return_counts=True)[1]) == [2, 2, 2]
        orders.append(tuple(means))
    assert len(set(orders)) > 1


def test_a_sample_is_a_function_of_the_seed_and_its_number():
    one, two, other = sampler(), sampler(), sampler(seed=8)
    for number in (11, 0, 5):
        for first, second in zip(one.sample(number), two.sample(number), strict=True):
            np.testing.assert_array_equal(first, second)
        assert (one.sample(number)[0] != other.sample(number)[0]).any()
    assert (one.sample(0)[0] != one.sample(6)[0]).any()


def test_the_memory_limit_changes_nothing(monkeypatch):
    expected = sampler().sample(4)
    monkeypatch.setattr("data.sampling.sampler.CACHE_BYTES", 0)
    for first, second in zip(expected, sampler().sample(4), strict=True):
        np.testing.assert_array_equal(first, second)


def in_eager_mode(*arguments, **options):
    return [(x.numpy(), y.numpy()) for x, y in training_batches(*arguments, **options)]


def in_a_graph(*arguments, **options):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        dataset = training_batches(*arguments, **options)
        iterator = tf.compat.v1.data.make_initializable_iterator(dataset)
        following = iterator.get_next()
        assert following[0].shape.is_fully_defined()
        gc.collect()  # the graph alone must keep the Python function alive
        session.run(iterator.initializer)
        batches = []
        while True:
            try:
                batches.append(session.run(following))
            except tf.errors.OutOfRangeError:
                return batches


@pytest.mark.parametrize(("size", "crop"), [((48, 40), (32, 32)), ((18, 16, 20), (16, 16, 16))])
def test_batches_are_the_same_everywhere(size, crop):
    """In a graph and eagerly, with one and four workers, from the start and after a resume."""
    expected = in_eager_mode(sampler(size, crop), 4, 0, 5, workers=1)
    assert len(expected) == 5
    others = [
        in_eager_mode(sampler(size, crop), 4, 0, 5, workers=4),
        in_a_graph(sampler(size, crop), 4, 0, 5, workers=4),
        in_eager_mode(sampler(size, crop), 4, 0, 2) + in_a_graph(sampler(size, crop), 4, 2, 5),
    ]
    by_number = [sampler(size, crop).sample(number) for number in range(20)]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in expected]), [x for x, _ in by_number])
    for other in others:
        assert len(other) == 5
        for (image, target), (same_image, same_target) in zip(expected, other, strict=True):
            np.testing.assert_array_equal(image, same_image)
            np.testing.assert_array_equal(target, same_target)


def test_batches_have_static_shapes_and_the_asked_type():
    images, targets = training_batches(sampler(classes=2), 4, 0, 1, dtype="float64").element_spec
    assert images == tf.TensorSpec((4, 32, 32, 1), tf.float64)
    assert targets == tf.TensorSpec((4, 32, 32, 2), tf.float64)


def test_validation_images_are_whole_padded_and_in_order():
    source = Membranes(images=3, size=(20, 24))
    names, prepare = source.names(), preparation(source)
    dataset = validation_batches(source, names, prepare, Outputs(2), lambda size: [(6, 6), (4, 4)], "float64")
    assert dataset.element_spec[0] == tf.TensorSpec((1, None, None, 1), tf.float64)
    batches = [(x.numpy(), y.numpy()) for x, y in dataset]
    assert len(batches) == 3
    for name, (image, target) in zip(names, batches, strict=True):
        case = source.read(name)
        assert image.shape == (1, 32, 32, 1)
        np.testing.assert_array_equal(image[0, 6:-6, 4:-4], prepare(case).image)
        np.testing.assert_array_equal(target[0, 6:-6, 4:-4, 1], case.label)
        np.testing.assert_array_equal(target[0, 5], target[0, 7])


def test_validation_images_in_tiles_lie_side_by_side_in_a_batch():
    source = Membranes(images=2, size=(20, 24))
    names, prepare = source.names(), preparation(source)
    dataset = validation_batches(source, names, prepare, Outputs(2), None, tile=lambda size: (8, 12))
    for name, (images, targets) in zip(names, dataset.as_numpy_iterator(), strict=True):
        assert images.shape == (6, 8, 12, 1) and targets.shape == (6, 8, 12, 2)
        case = source.read(name)
        whole = prepare(case).image
        for index, image in enumerate(images):
            row, column = 8 * (index // 2), 12 * (index % 2)
            there = whole[row : row + 8, column : column + 12]
            np.testing.assert_array_equal(image[: len(there)], there)
            labels = case.label[row : row + 8, column : column + 12]
            np.testing.assert_array_equal(targets[index, : len(labels), :, 1], labels)
        np.testing.assert_array_equal(images[4, 4], images[4, 2])  # beyond row 20 it is mirrored at the last


def test_tiles_of_a_smaller_output_overlap_and_their_middles_lie_side_by_side(monkeypatch):
    monkeypatch.setattr("data.pipeline.TOGETHER", 100)  # voxels: a tile has 96
    source = Membranes(images=1, size=(20, 18))
    names, prepare = source.names(), preparation(source)
    sizes = {"tile": lambda size: (8, 12), "output_size": lambda tile: (4, 6)}
    batches = validation_batches(source, names, prepare, Outputs(2), None, **sizes).as_numpy_iterator()
    images, targets = (np.concatenate(values) for values in zip(*batches, strict=True))
    case, middle = source.read(names[0]), (slice(None), slice(2, 6), slice(3, 9))
    assert images.shape == (15, 8, 12, 1)  # five of 4 rows, three of 6 columns
    for values, whole in ((images[..., 0], prepare(case).image[..., 0]), (targets[..., 1], case.label)):
        rows = values[middle].reshape(5, 3, 4, 6).transpose(0, 2, 1, 3).reshape(20, 18)
        np.testing.assert_array_equal(rows, whole)
    np.testing.assert_array_equal(
        images[0, 0], images[0, 4]
    )  # the border row is the third, and is not repeated
    np.testing.assert_array_equal(images[4, :, 3:], prepare(case).image[2:10, 6:15])


def test_crops_that_do_not_fit_are_refused_before_training():
    sizes = {"a": (64, 64), "b": (100, 40), "c": (30, 90)}
    check_crop(sizes, (30, 40))
    with pytest.raises(UserError, match=r"2 of 3 images are smaller than .* 64 x 64") as error:
        check_crop(sizes, (64, 64))
    assert "- b: 100 x 40\n  - c: 30 x 90\n" in str(error.value)
    assert "--set 'sampling.crop=[30, 40]'" in str(error.value)
    with pytest.raises(UserError, match="has 3 axes, but these images have another number"):
        check_crop(sizes, (16, 16, 16))
    with pytest.raises(UserError, match="are smaller than the training crop of 64 x 64"):
        sampler(crop=(64, 64))


def test_labels_that_do_not_fit_are_refused_before_training():
    source = Labels()
    prepare = preparation(source, ["two"])

    def make(names, classes):
        return Sampler(source, names, Sampling(crop=(4, 4)), Augmentation(), prepare, 0, Outputs(classes))

    with pytest.raises(UserError, match="four has the class 3"):
        make(["four", "two"], 3)
    with pytest.raises(UserError, match="'none' has no label"):
        make(["two", "none"], 4)
    assert make(["four", "two"], 4).sample(0)[1].shape == (4, 4, 4)
    assert make(["four", "two"], 1).sample(0)[1].shape == (4, 4, 1)


def test_crops_are_balanced_between_classes():
    """Of each image as many crops around a pixel of each class as asked; a class that is missing is no error."""
    source = Blobs3d(images=3, size=(32, 32, 24))
    counts = (1, 2, 0, 1)  # no volume has a class 3
    balanced = Sampler(
        source,
        source.names(),
        Sampling(crop=(4, 4, 4), samples_per_class=counts),
        Augmentation(flips=False),
        preparation(source, normalisation="case"),
        0,
        Outputs(4),
    )
    assert len(balanced) == 12
    front = 0
    for epoch in range(10):
        shares = [balanced.sample(12 * epoch + n)[1].mean((0, 1, 2)) for n in range(12)]
        with_front = sum(share[1] > 0 for share in shares)
        assert with_front >= 6  # two crops of each of the three volumes
        front += with_front
    assert front < 100  # the others lie elsewhere


def test_a_small_volume_is_refused_or_continued():
    source = Blobs3d(images=2, size=(20, 24, 16))
    arguments = Augmentation(), preparation(source), 0, Outputs(3)
    with pytest.raises(UserError, match=r"blobs-0: 20 x 24 x 16(.|\n)*sampling.pad=true"):
        Sampler(source, source.names(), Sampling(crop=(24, 24, 24)), *arguments)
    padded = Sampler(source, source.names(), Sampling(crop=(24, 24, 24), pad=True), *arguments)
    image, target = padded.sample(0)
    assert image.shape == (24, 24, 24, 1) and target.shape == (24, 24, 24, 3)


def test_positions_mean_the_same_in_training_and_prediction():
    """A network that sees positions gets those of the whole volume, in crops and in whole images."""
    source = Blobs3d(images=1, size=(20, 24, 16))
    prepare = preparation(source, positions=True)
    crops = Sampler(
        source, source.names(), Sampling(crop=(8, 8, 8)), Augmentation(flips=False), prepare, 0, Outputs(3)
    )
    whole = prepare.network_input(prepare(source.read("blobs-0")).image)
    assert whole.shape == (20, 24, 16, 4) and crops.channels == 4
    crop, _ = crops.sample(3)
    start = np.rint((crop[0, 0, 0, 1:] + 1) / 2 * [19, 23, 15]).astype(int)
    window = tuple(slice(at, at + 8) for at in start)
    np.testing.assert_allclose(whole[window], crop, atol=1e-6)
