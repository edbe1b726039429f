"""Overlays by their pixels, slices of volumes by voxels at known places, panels by their sizes."""

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from data.drawing.images import (
    BOTH_COLOUR,
    CLASS_COLOURS,
    PICTURE_STYLE,
    PREDICTION_COLOUR,
    TRUTH_COLOUR,
    coloured,
    displayed,
    grey_limits,
    outlines,
    overlay,
    save_figure,
)
from data.drawing.layout import (
    GAP,
    WIDTH,
    classes,
    draw_key,
    draw_view,
    key_size,
    panels,
    row_of,
    view_figure,
)
from data.drawing.slices import View, foreground_windows, middle, orthogonal_views, picture, slice_view


def rgb(colour):
    return tuple(round(255 * part) for part in to_rgb(colour))


def square(first, last, size=12):
    labels = np.zeros((size, size), np.uint8)
    labels[first:last, first:last] = 1
    return labels


# --- pixels -----------------------------------------------------------------------------------


def test_contours_have_the_colour_of_whose_they_are():
    picture = overlay(np.zeros((12, 12, 1)), square(2, 8), square(2, 10))
    assert picture.shape == (12, 12, 3) and picture.dtype == np.uint8
    assert tuple(picture[2, 4]) == rgb(BOTH_COLOUR)
    assert tuple(picture[7, 4]) == rgb(TRUTH_COLOUR)
    assert tuple(picture[9, 4]) == rgb(PREDICTION_COLOUR)
    assert tuple(picture[5, 5]) == tuple(picture[0, 0]) == (0, 0, 0)


def test_without_truth_there_is_one_contour():
    picture = overlay(np.zeros((12, 12, 1)), None, square(2, 10))
    assert {tuple(pixel) for pixel in picture.reshape(-1, 3)} == {(0, 0, 0), rgb(PREDICTION_COLOUR)}


def test_several_classes_are_tinted():
    prediction = np.repeat(np.arange(3, dtype=np.uint8), 6)[None].repeat(9, 0)
    picture = overlay(np.zeros((9, 18, 3)), prediction, prediction)
    expected = [round(0.35 * part * 255) for part in to_rgb(CLASS_COLOURS[1])]
    np.testing.assert_array_equal(picture[4, 15], expected)


def test_image_and_labels_must_be_of_one_size():
    with pytest.raises(ValueError, match=r"truth has shape \(12, 12\), the image \(8, 8\)"):
        overlay(np.zeros((8, 8, 1)), square(2, 4), square(2, 4, size=8))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_displayed_images_are_stretched_whatever_their_range(channels):
    image = np.linspace(-3000, 60000, 400 * channels).reshape(20, 20, channels)
    shown = displayed(image)
    assert shown.shape == (20, 20, 3) and shown.min() == 0 and shown.max() == 1
    assert np.isfinite(displayed(np.full((4, 4, channels), 7.0))).all()


def test_colours_of_label_maps():
    np.testing.assert_array_equal(coloured(np.array([[0, 1]]))[0], [(0, 0, 0), (1, 1, 1)])
    many = coloured(np.array([[0, 1, 2, len(CLASS_COLOURS) + 1]]))[0]
    np.testing.assert_allclose(many[1], to_rgb(CLASS_COLOURS[0]))
    np.testing.assert_allclose(many[3], many[1])
    # The data decides, not the image: a class has one colour in all of them.
    np.testing.assert_allclose(coloured(np.array([[0, 1]]), several=True)[0], many[:2])
    np.testing.assert_allclose(coloured(np.array([[0, 1]]), True, several=True)[0], many[:2])
    np.testing.assert_allclose(coloured(np.array([[0, 2]]), several=False)[0, 1], (1, 1, 1))
    image = np.zeros((2, 2, 1))
    tinted = overlay(image, None, np.ones((2, 2), np.uint8), several=True)
    assert (
        tinted.shape == (2, 2, 3)
        and (overlay(image, None, np.zeros((2, 2), np.uint8), True, True) == 0).all()
    )


def test_limits_of_the_greys():
    image = np.arange(1001.0)[:, None, None]
    assert grey_limits(image) == pytest.approx((10, 990))
    assert grey_limits(image, 0.0) == (0, 1000)
    ramp = np.tile(np.arange(512.0), 8000).reshape(2000, 2048, 1)  # large: a sample of it, of all columns
    assert grey_limits(ramp) == pytest.approx((5, 506), abs=2)
    assert displayed(image, (0, 500))[[0, 250, 500, 1000], 0, 0].tolist() == [0, 0.5, 1, 1]


def test_outlines_run_just_inside_of_the_border_and_close():
    (line,) = outlines(square(2, 8))
    np.testing.assert_array_equal(line[0], line[-1])
    np.testing.assert_allclose([line.min(0), line.max(0)], [[1.6, 1.6], [7.4, 7.4]])
    (line,) = outlines(np.ones((3, 5)))  # along the border of the image, too
    np.testing.assert_allclose([line.min(0), line.max(0)], [[-0.4, -0.4], [4.4, 2.4]])
    assert outlines(np.zeros((4, 4))) == []
    assert len(outlines(np.pad(square(0, 2, 4), 1))) == 1


# --- views ------------------------------------------------------------------------------------

SIZE, SPACING = (4, 6, 8), (1.0, 2.0, 3.0)


def lit(place):
    volume = np.zeros((*SIZE, 1), np.float32)
    volume[place] = 1
    return volume


@pytest.mark.parametrize(
    ("axis", "name", "sides", "pixel", "shape", "corner"),
    [
        # A voxel far Right, Anterior and Superior is always up on the left.
        (2, "axial, slice 8 of 8", "RLAP", (2, 1), (6, 4), (0, 0)),
        (1, "coronal, slice 6 of 6", "RLSI", (3, 1), (8, 4), (0, 0)),
        (0, "sagittal, slice 4 of 4", "APSI", (3, 2), (8, 6), (0, 0)),
    ],
)
def test_slices_are_the_right_way_up(axis, name, sides, pixel, shape, corner):
    volume = lit((-1, -1, -1))
    view = slice_view(volume, volume[..., 0].astype(int), None, axis, SIZE[axis] - 1, SPACING, limits=(0, 1))
    assert (view.title, view.sides, view.pixel, view.picture.shape[:2]) == (name, sides, pixel, shape)
    assert view.picture[corner] == 255 and view.picture.sum() == 255
    assert view.truth[corner] == 1 and view.truth.sum() == 1 and view.prediction is None
    assert view.size == (shape[0] * pixel[0], shape[1] * pixel[1])


def test_left_is_on_the_right_and_posterior_down():
    view = slice_view(lit((0, 0, 3)), None, None, 2, 3, SPACING, limits=(0, 1))
    assert view.picture[-1, -1] == 255
    assert slice_view(lit((0, 0, 3)), None, None, 2, 4, SPACING, limits=(0, 1)).picture.sum() == 0


def test_without_orientation_a_slice_is_as_it_is():
    view = slice_view(lit((1, 2, 3)), None, None, 0, 1, SPACING, oriented=False, limits=(0, 1))
    assert view.picture[2, 3] == 255 and view.pixel == (2, 3) and view.sides == ""
    assert view.title == "axis 0, slice 2 of 4"


def test_the_middle_has_foreground():
    labels = np.zeros(SIZE, int)
    assert middle(labels) == (2, 3, 4)
    labels[1, :, 2] = labels[3, :, 7] = 1  # like two kidneys; their centre of mass is in neither
    place = middle(labels)
    assert all(np.take(labels, index, axis).any() for axis, index in enumerate(place))
    assert middle(labels == 2) == (2, 3, 4)


@pytest.mark.parametrize(("truth", "expected"), [((1, 2, 6), 7), (None, 2)])
def test_slices_go_through_the_truth_else_through_the_prediction(truth, expected):
    labels, predicted = np.zeros(SIZE, int), np.zeros(SIZE, int)
    predicted[0, 0, 1] = 2
    if truth is not None:
        labels[truth] = 1
    for known in (labels, None) if truth is None else (labels,):  # an empty truth is as none
        axial, coronal, sagittal = orthogonal_views(lit((0, 0, 0)), known, predicted, SPACING)
        assert axial.title == f"axial, slice {expected} of 8"
        assert coronal.title.startswith("coronal") and sagittal.title.startswith("sagittal")
    flat = orthogonal_views(lit((0, 0, 0)), None, None, SPACING, oriented=False)
    assert [view.title for view in flat] == [
        f"axis {i}, slice {n} of {SIZE[i]}" for i, n in enumerate((3, 4, 5))
    ]


def test_a_view_does_not_keep_the_volume():
    labels = np.zeros(SIZE, int)
    for view in orthogonal_views(lit((0, 0, 0)), labels, labels, SPACING):
        for array in (view.picture, view.truth, view.prediction):
            base = array if array.base is None else array.base
            assert base.size <= 3 * array.size and not np.shares_memory(array, labels)


def test_windows_around_the_foreground_are_equally_large_in_mm():
    small, large = np.zeros((100, 100), int), np.zeros((100, 50), int)
    small[40:50, 90:94], large[20:28, 20:30] = 1, 2
    views = [
        View(np.zeros((*small.shape, 1), np.uint8), small),
        View(np.zeros((*large.shape, 1), np.uint8), None, large, pixel=(1, 2)),
        View(np.zeros((7, 9, 1), np.uint8), np.zeros((7, 9), int)),
    ]
    windows = foreground_windows(views)
    assert windows[0] == (slice(30, 60), slice(70, 100))  # 1.5 times 20 mm, shifted into the image
    assert windows[1] == (slice(9, 39), slice(17, 32))
    assert windows[2] == (slice(0, 7), slice(0, 9))  # no foreground: all of it
    part = views[0].crop(*windows[0])
    assert part.picture.shape == (30, 30, 1) and part.truth.sum() == 40


# --- figures of views -------------------------------------------------------------------------


def rendered(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


@pytest.mark.parametrize("panel", [(2.0, 2.0), (2.0, 4.0), (4.0, 2.0)])
def test_a_voxel_is_as_long_as_its_spacing_says(panel):
    view = View(np.full((10, 20, 1), 255, np.uint8), pixel=(4.0, 1.0))  # 40 high, 20 wide
    figure, (((axes),),) = panels([[panel]], "")
    draw_view(axes, view)
    box = axes.get_window_extent()
    across = box.width / abs(np.subtract(*axes.get_xlim()))
    down = box.height / abs(np.subtract(*axes.get_ylim()))
    assert across == pytest.approx(down)  # pixels on the screen per mm
    white = (rendered(figure) == 255).all(-1)
    left, bottom, right, top = (int(side) for side in box.extents)
    inside = white[::-1][bottom + 2 : top - 2, left + 2 : right - 2]
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    assert len(rows) / len(columns) == pytest.approx(2, rel=0.05)


def test_truth_is_a_line_and_prediction_a_tint():
    truth, prediction = np.zeros((9, 9), int), np.zeros((9, 9), int)
    truth[2:7, 2:7], prediction[4:7, 2:7] = 1, 2
    figure = Figure(figsize=(1, 1), dpi=450)
    axes = figure.add_axes((0, 0, 1, 1))
    view = View(np.zeros((9, 9, 1), np.uint8), truth, prediction)
    draw_view(axes, view)
    shown = rendered(figure)
    assert shown.shape == (450, 450, 3)  # a pixel of the view is 50 x 50

    def assert_is(row, column, colour, strength=1.0):
        wanted = np.multiply(rgb(colour), strength)
        assert np.abs(shown[round(50 * row), round(50 * column)] - wanted).max() < 3

    assert_is(2.1, 4.5, CLASS_COLOURS[0])
    assert_is(4.5, 6.9, CLASS_COLOURS[0])
    assert_is(3.5, 4.5, "black")  # inside of the truth, not predicted
    assert_is(5.5, 4.5, CLASS_COLOURS[1], 0.4)
    axes.clear()
    draw_view(axes, view, contours=False)
    assert not rendered(figure).any()


def test_rows_of_panels_have_one_scale_and_the_width_of_the_figure():
    views = [View(np.zeros((4, 6, 1), np.uint8)), View(np.zeros((8, 10, 1), np.uint8), pixel=(1.0, 0.5))]
    sizes = row_of(views, most=99)
    assert sum(size[1] for size in sizes) + GAP == pytest.approx(WIDTH)
    assert sizes[0][1] / 6 == pytest.approx(sizes[1][1] / 5)  # inches per mm
    assert [size[0] for size in row_of(views, most=2.0)] == [2.0, 2.0]


def test_the_key_names_the_classes_that_are_seen():
    labels = np.array([[0, 1], [3, 3]])
    view = View(np.zeros((2, 2, 1), np.uint8), labels, labels)
    figure, (((axes),),) = panels([[key_size([view])]], "")
    draw_key(axes, [view])
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["class 1", "class 3", "prediction", "truth"]
    assert classes([View(view.picture, labels > 0, labels == 3)]) == [1]
    many = View(np.zeros((4, 5, 1), np.uint8), np.arange(20).reshape(4, 5))
    assert key_size([many])[0] > 2 * key_size([view])[0]
    empty = View(np.zeros((2, 2, 1), np.uint8))
    draw_key(figure.add_axes((0, 0, 1, 1)), [empty])


def test_the_key_has_the_names_of_the_classes_and_room_for_them():
    labels = np.array([[0, 1], [2, 3]])
    names = ("Anterior", "$1 to $2_")  # such a text would not be a formula
    view = View(np.zeros((2, 2, 1), np.uint8), labels, class_names=names).crop(slice(2), slice(2))
    with rc_context(PICTURE_STYLE):
        figure, (((axes),),) = panels([[key_size([view])]], "")
        draw_key(axes, [view])
        rendered(figure)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [*names, "class 3"]
    long = View(view.picture, labels, class_names=("a" * 60, "b" * 60))
    assert key_size([long])[0] == pytest.approx(3 * key_size([view])[0])  # one below the other


def test_a_part_is_framed_in_its_view():
    labels = square(20, 24, 60)
    view = View(picture(np.eye(60)[..., None]), labels, None, (1, 1), "a slice", "RLAP")
    figure, more = view_figure([view], "case", more=[[(0.5, 1.0)]])
    whole, part = figure.axes[:2]
    assert [axes.get_title(loc="center") or axes.get_title(loc="left") for axes in (whole, part)] == [
        "a slice",
        "",
    ]
    (frame,) = whole.patches
    assert frame.get_bbox().bounds == (16, 16, 12, 12) and not part.patches
    assert sorted(text.get_text() for text in whole.texts) == sorted("RLAP")
    assert len(more) == 1 and len(more[0]) == 1


def test_figures_replace_files_as_a_whole(tmp_path, monkeypatch):
    path = tmp_path / "new" / "figure.png"
    save_figure(Figure(figsize=(1, 1)), path)
    before = path.read_bytes()

    def fail(self, file, **_):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        save_figure(Figure(), path)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1
