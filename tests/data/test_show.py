"""Which pictures of a data set are drawn, and of what."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

import data.commands.show
from data.commands.show import show
from data.errors import UserError
from data.settings import Augmentation, Preprocessing, Sampling
from data.source import Case
from data.sources.generated.blobs3d import Blobs3d
from data.sources.generated.membranes import Membranes


@pytest.fixture
def grids(monkeypatch):
    """The views of augmented crops, and the description below them."""
    found = []
    monkeypatch.setattr(
        data.commands.show, "_draw_grid", lambda views, title, text, path: found.append((views, title, text))
    )
    return found


def volumes(size=(24, 20, 16)):
    return Blobs3d(images=2, size=size, spacing=(1, 1, 2))


def test_a_picture_of_each_case_and_one_of_augmentation(tmp_path):
    paths = show(volumes(), ["blobs-1", "blobs-0"], tmp_path / "new", augmentation=Augmentation(noise=0.3))
    names = [path.relative_to(tmp_path / "new").as_posix() for path in paths]
    assert names == ["cases/blobs-1.png", "cases/blobs-0.png", "augmentation.png"]
    for path in paths:
        picture = imread(path)
        assert 500 < picture.shape[0] < 3000 and 500 < picture.shape[1] < 1500
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 3  # nothing temporary left


def test_the_keys_have_the_names_of_the_classes(tmp_path, monkeypatch):
    found = []
    save = Figure.savefig

    def spy(self, *arguments, **settings):
        legends = [axes.get_legend() for axes in self.axes if axes.get_legend()]
        found.append([text.get_text() for legend in legends for text in legend.get_texts()])
        save(self, *arguments, **settings)

    monkeypatch.setattr(Figure, "savefig", spy)
    show(volumes(), ["blobs-0"], tmp_path)
    assert found == [["front", "back"]] * 2


def test_images(tmp_path):
    source = Membranes(images=1, size=(40, 40))
    paths = show(source, source.names(), tmp_path)
    assert [imread(path).ndim for path in paths] == [3, 3]


def test_no_names_no_pictures(tmp_path):
    assert show(volumes(), [], tmp_path / "new") == []


def test_the_first_crop_is_unchanged_and_the_others_are_of_the_same_place(tmp_path, grids):
    noisy = Augmentation(flips=0, noise=0.2, gamma={"amount": 0.3, "probability": 0.5})
    show(volumes(), ["blobs-0"], tmp_path, Sampling(crop=(12, 10, 8)), noisy, seed=3)
    ((views, title, text),) = grids
    assert len(views) == 9 and title == "blobs-0: augmentation"
    assert text == "gamma 0.3 (50% of the samples), noise 0.2"
    assert [view.title for view in views] == ["unchanged", *[""] * 8]
    for view in views:
        assert view.picture.shape == (10, 12, 1) and view.pixel == (1, 1)  # upright: anterior up
        np.testing.assert_array_equal(view.truth, views[0].truth)
    assert views[0].truth.any()
    assert not np.array_equal(views[1].picture, views[2].picture)


def test_augmentation_is_a_function_of_the_seed(tmp_path, grids):
    for seed in (1, 1, 2):
        show(volumes(), ["blobs-0"], tmp_path, augmentation=Augmentation(rotation=20), seed=seed)
    first, same, other = ([view.truth for view in views] for views, _, _ in grids)
    np.testing.assert_array_equal(first, same)
    assert (np.array(first[1:]) != np.array(other[1:])).any()
    np.testing.assert_array_equal(first[0], other[0])


def test_brightness_can_be_seen(tmp_path, grids):
    """Each crop is not stretched by itself, which would undo what is to be shown."""
    show(volumes(), ["blobs-0"], tmp_path, augmentation=Augmentation(flips=0, brightness=1.0))
    means = [view.picture.mean() for view in grids[0][0]]
    assert np.ptp(means) > 50


@pytest.mark.parametrize(("size", "expected"), [((24, 20, 16), (20, 24)), ((80, 16, 16), (16, 64))])
def test_without_a_crop_it_is_the_image_up_to_a_limit(tmp_path, grids, size, expected):
    show(volumes(size), ["blobs-0"], tmp_path, preprocessing=Preprocessing(normalisation="case"))
    assert {view.picture.shape[:2] for view in grids[0][0]} == {expected}


def test_of_images_the_limit_is_128(tmp_path, grids):
    source = Membranes(images=1, size=(140, 140))
    show(source, source.names(), tmp_path)
    assert {view.picture.shape for view in grids[0][0]} == {(128, 128, 1)}
    assert grids[0][2] == "flips 0.5"


def test_a_crop_that_does_not_fit_is_refused_or_padded(tmp_path, grids):
    with pytest.raises(UserError, match="smaller than the training crop of 32 x 20 x 16"):
        show(volumes(), ["blobs-0"], tmp_path, Sampling(crop=(32, 20, 16)))
    show(volumes(), ["blobs-0"], tmp_path, Sampling(crop=(32, 20, 16), pad=True))
    assert grids[0][0][0].picture.shape == (20, 32, 1)


def test_a_case_with_a_label_is_the_example(tmp_path, grids, monkeypatch):
    read = Blobs3d.read

    def without_label(self, name):
        case = read(self, name)
        return Case(name, case.image) if name == "blobs-0" else case

    monkeypatch.setattr(Blobs3d, "read", without_label)
    show(volumes(), ["blobs-0", "blobs-1"], tmp_path)
    show(volumes(), ["blobs-0"], tmp_path)
    assert [title for _, title, _ in grids] == ["blobs-1: augmentation", "blobs-0: augmentation"]


def test_half_a_picture_is_never_left(tmp_path, monkeypatch):
    def fail(self, file, **_):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        show(volumes(), ["blobs-0"], tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
