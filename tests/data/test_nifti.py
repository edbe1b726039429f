"""NIfTI files: values, places, orientation, and everything that can be wrong with them."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from data.errors import UserError
from data.formats.geometry import Geometry
from data.formats.images import write_mask
from data.formats.nifti import write_nifti
from data.formats.volumes import check_pair, read_label, read_volume

SIZE = (5, 6, 7)
VALUES = np.arange(210, dtype=np.int16).reshape(SIZE)
OBLIQUE = np.array([[0, -1.5, 0.1, 3], [2, 0, 0, -4], [0, 0.12, 1.25, 5], [0, 0, 0, 1.0]])
OBLIQUE[:3, 2] = np.cross(OBLIQUE[:3, 0], OBLIQUE[:3, 1]) / 3 * 0.8  # at right angles to the others


def save(path, values=VALUES, affine=None, dtype=None, slope=None):
    image = nib.Nifti1Image(values, np.eye(4) if affine is None else affine, dtype=dtype or values.dtype)
    if slope:
        image.header.set_slope_inter(*slope)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR", "IPL", "ALS"])
def test_every_orientation_is_turned_to_the_same_volume_and_back(tmp_path, codes):
    """The same body stored in another order of axes reads as the same voxels at the same places."""
    reference = nib.Nifti1Image(VALUES, np.diag([1.0, 2.0, 3.0, 1.0]))
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(codes)
    )
    nib.save(reference.as_reoriented(turn), tmp_path / "a.nii.gz")
    image, geometry = read_volume(tmp_path / "a.nii.gz")
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image[..., 0], VALUES)
    np.testing.assert_allclose(geometry.affine, reference.affine, atol=1e-6)
    assert geometry.spacing == pytest.approx((1.0, 2.0, 3.0))

    write_nifti(tmp_path / "b.nii.gz", (VALUES > 100).astype(np.uint8), geometry)
    written, origin = nib.load(tmp_path / "b.nii.gz"), nib.load(tmp_path / "a.nii.gz")
    assert nib.aff2axcodes(written.affine) == tuple(codes)
    np.testing.assert_array_equal(written.affine, origin.affine)
    np.testing.assert_array_equal(np.asarray(written.dataobj), np.asarray(origin.dataobj) > 100)
    for code in ("qform_code", "sform_code", "xyzt_units"):
        assert written.header[code] == origin.header[code]


def test_labels_keep_the_integer_type_of_the_input(tmp_path):
    label = np.zeros(SIZE, np.uint8)
    label[2] = 3
    for dtype, expected in ((np.int16, np.int16), (np.uint8, np.uint8), (np.float32, np.uint8)):
        _, geometry = read_volume(save(tmp_path / "a.nii", VALUES.astype(dtype) % 100))
        file = nib.load(write_nifti(tmp_path / "b.nii.gz", label, geometry))
        assert file.get_data_dtype() == expected
        np.testing.assert_array_equal(np.asarray(file.dataobj), label)
    _, geometry = read_volume(save(tmp_path / "a.nii", VALUES.astype(np.uint8)))
    many = label.astype(np.int32) * 100
    assert nib.load(write_nifti(tmp_path / "b.nii", many, geometry)).get_data_dtype() == np.uint16
    fractions = nib.load(write_nifti(tmp_path / "b.nii", label / np.float32(3), geometry))
    assert fractions.get_data_dtype() == np.float32


def test_a_volume_without_header_gets_one(tmp_path):
    geometry = Geometry(np.diag([-2.0, -2.0, 1.0, 1.0]), SIZE)
    file = nib.load(write_nifti(tmp_path / "b.nii.gz", np.ones(SIZE, np.uint8), geometry))
    np.testing.assert_allclose(file.affine, geometry.stored)
    assert file.header.get_xyzt_units()[0] == "mm"


def test_scaled_integers_do_not_overflow(tmp_path):
    values = np.full(SIZE, 32767, np.int16)
    path = save(tmp_path / "a.nii.gz", values)
    image = nib.load(path)
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[112:120] = np.array([10.0, -5.0], "<f4").tobytes()  # scl_slope and scl_inter
    path.write_bytes(gzip.compress(bytes(raw)))
    np.testing.assert_array_equal(read_volume(path)[0], 327665.0)
    extremes = np.array([-32768, 32767], np.int16)[np.indices(SIZE).sum(0) % 2]
    np.testing.assert_array_equal(read_volume(save(path, extremes))[0][..., 0], extremes)
    large = np.full(SIZE, 65535, np.uint16)
    np.testing.assert_array_equal(read_volume(save(path, large))[0], 65535)
    assert image.shape == SIZE


def test_channels_are_the_fourth_axis(tmp_path):
    image, _ = read_volume(save(tmp_path / "a.nii", np.stack([VALUES, -VALUES], -1)))
    assert image.shape == (*SIZE, 2)
    single, _ = read_volume(save(tmp_path / "b.nii", VALUES[..., np.newaxis]))
    assert single.shape == (*SIZE, 1)


def test_bad_files_are_named(tmp_path):
    path = save(tmp_path / "a.nii.gz")
    content = path.read_bytes()
    for length in (0, 30, len(content) // 2, len(content) - 4):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match=r"a\.nii\.gz: cannot be read as NIfTI"):
            read_volume(path)
    path.write_bytes(b"no NIfTI at all")
    with pytest.raises(UserError, match=r"a\.nii\.gz: cannot be read as NIfTI"):
        read_volume(path)
    with pytest.raises(UserError, match="there is no such file"):
        read_volume(tmp_path / "missing.nii")
    plain = save(tmp_path / "plain.nii")
    plain.write_bytes(plain.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"plain\.nii: cannot be read as NIfTI"):
        read_volume(plain)


@pytest.mark.parametrize(
    "values, affine, message",
    [
        (np.where(VALUES == 7, np.nan, VALUES).astype(np.float32), None, "1 voxels are NaN or infinite"),
        (np.zeros((0, 4, 4), np.int16), None, "cannot be read|has no voxels"),
        (np.zeros((2, 2, 2, 2, 2), np.int16), None, r"has the axes \(2, 2, 2, 2, 2\)"),
        (VALUES, [[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], "not at right angles"),
        (VALUES, np.diag([1, 1, 0, 1]), "gives no voxel spacing"),
    ],
)
def test_bad_volumes_are_named(tmp_path, values, affine, message):
    path = tmp_path / "a.nii"
    image = nib.Nifti1Image(values, None)
    if affine is not None:
        image.header.set_sform(np.array(affine, float), code=1)
        image = nib.Nifti1Image(values, None, image.header)
    nib.save(image, path)
    with pytest.raises(UserError, match=message) as error:
        read_volume(path)
    assert "a.nii" in str(error.value)


def test_labels_must_be_whole_and_on_the_same_voxels(tmp_path):
    image, geometry = read_volume(save(tmp_path / "image.nii", VALUES, OBLIQUE))

    def check(values, affine=OBLIQUE):
        return check_pair(
            tmp_path / "image.nii", image.shape[:3], geometry, save(tmp_path / "l.nii", values, affine)
        )

    label = (VALUES % 3).astype(np.uint8)
    in_file = geometry.restore(check(label))
    np.testing.assert_array_equal(in_file, label)
    flipped = nib.Nifti1Image(label, OBLIQUE).as_reoriented(np.array([[0, -1], [1, 1], [2, 1]]))
    nib.save(flipped, tmp_path / "l.nii")  # stored the other way round, but at the same places
    again = check_pair(tmp_path / "image.nii", image.shape[:3], geometry, tmp_path / "l.nii")
    np.testing.assert_array_equal(geometry.restore(again), label)

    moved = OBLIQUE.copy()
    moved[0, 3] += 4
    wider = OBLIQUE.copy()
    wider[:3, 0] *= 1.5
    mirrored = OBLIQUE @ np.diag([-1, 1, 1, 1.0])
    for affine, says in (
        (moved, "shifted by 4 x 0 x 0 mm"),
        (wider, "spacing .* instead of"),
        (mirrored, "shift"),
    ):
        with pytest.raises(UserError, match=rf"l\.nii: the label lies elsewhere .*{says}"):
            check(label, affine)
    with pytest.raises(UserError, match=r"the label has the size"):
        check(label[1:])
    with pytest.raises(UserError, match="must hold whole numbers"):
        check((label / 2).astype(np.float32))
    with pytest.raises(UserError, match="labels must be 0 or more, but here are -1"):
        check(label.astype(np.int16) - 1)
    with pytest.raises(UserError, match="a label map has three"):
        read_label(save(tmp_path / "l.nii", np.stack([label, label], -1)))
    np.testing.assert_array_equal(geometry.restore(check(label.astype(np.float32))), label)


def with_header(path, change, values=VALUES, affine=None, of=nib.Nifti1Image):
    """A file whose header is changed behind nibabel's back, which would repair it."""
    save(path, values, affine) if of is nib.Nifti1Image else nib.save(of(values, affine), path)
    content = bytearray(path.read_bytes())
    header = of.header_class(bytes(content[: of.header_class.sizeof_hdr]), check=False)
    change(header)
    path.write_bytes(header.binaryblock + content[of.header_class.sizeof_hdr :])
    return path


@pytest.mark.parametrize("of", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("code, millimetres", [(0, 1), (1, 1000), (2, 1), (3, 0.001), (3 | 8, 0.001)])
def test_units_of_length_are_honoured(tmp_path, code, millimetres, of):
    """Spacing is in mm whatever the file has, and what is written has the file's unit again."""
    affine = np.diag([-1, 2, 3, millimetres]) / millimetres
    affine[:3, 3] = np.array([5, 6, 7]) / millimetres
    path = with_header(
        tmp_path / "a.nii", lambda header: header.__setitem__("xyzt_units", code), VALUES, affine, of
    )
    image, geometry = read_volume(path)
    assert geometry.spacing == pytest.approx((1, 2, 3), rel=1e-5)
    np.testing.assert_allclose(geometry.stored[:3, 3], [5, 6, 7], rtol=1e-5)
    written = nib.load(write_nifti(tmp_path / "b.nii", (VALUES > 100).astype(np.uint8), geometry))
    origin = nib.load(path)
    assert type(written) is of  # whose sides may be longer than those of NIfTI-1
    np.testing.assert_allclose(written.affine, origin.affine, rtol=1e-6)
    for key in ("xyzt_units", "sform_code", "qform_code", "pixdim"):
        np.testing.assert_allclose(written.header[key], origin.header[key], rtol=1e-6)
    # The same place in mm.
    check_pair(path, image.shape[:3], geometry, save(tmp_path / "l.nii", VALUES % 3, geometry.stored))


def test_a_unit_that_does_not_exist_is_refused(tmp_path):
    path = with_header(tmp_path / "a.nii", lambda header: header.__setitem__("xyzt_units", 5))
    with pytest.raises(UserError, match=r"a\.nii: the header gives a unit of length .* \(code 5\)"):
        read_volume(path)


@pytest.mark.parametrize("lengths", [(0, 0, 0), (1, 1, 0), (1, np.nan, 1)])
def test_a_spacing_of_zero_is_not_taken_for_1_mm(tmp_path, lengths):
    def change(header):
        header["sform_code"] = header["qform_code"] = 0
        header["pixdim"][1:4] = lengths

    for name in ("a.nii", "a.nii.gz"):
        path = with_header(tmp_path / "a.nii", change)
        if name.endswith("gz"):
            (tmp_path / name).write_bytes(gzip.compress(path.read_bytes()))
        with pytest.raises(UserError, match=r"a\.nii.*: the header gives no voxel spacing \(pixdim is"):
            read_volume(tmp_path / name)

    # With a matrix, which has the spacing, nobody reads pixdim.
    def zero(header):
        header["pixdim"][1:4] = 0

    assert read_volume(with_header(tmp_path / "b.nii", zero, VALUES, np.diag([1, 2, 3, 1])))[1].spacing == (
        1,
        2,
        3,
    )


RGB = np.zeros(SIZE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
RGBA = np.zeros(SIZE, [("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])


@pytest.mark.parametrize("values", [VALUES * 1j, (VALUES * 1j).astype(np.complex64), RGB, RGBA])
def test_values_that_are_not_one_real_number_are_refused(tmp_path, values):
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    for read in (read_volume, read_label):
        with pytest.raises(UserError, match=r"a\.nii\.gz: its voxels are (complex numbers|colours)"):
            read(path)


def test_a_type_that_nibabel_does_not_read_is_named(tmp_path):
    path = with_header(tmp_path / "a.nii", lambda header: header.__setitem__("datatype", 1))  # single bits
    with pytest.raises(UserError, match=r"a\.nii: cannot be read as NIfTI"):
        read_volume(path)


def test_files_under_the_wrong_name_are_told(tmp_path):
    plain, zipped = save(tmp_path / "a.nii"), save(tmp_path / "b.nii.gz")
    for content, name, says in (
        (
            plain.read_bytes(),
            "c.nii.gz",
            "is not compressed by gzip, though its name says so. Rename it to c.nii",
        ),
        (
            zipped.read_bytes(),
            "c.nii",
            "is compressed by gzip, which its name does not say. Rename it to c.nii.gz",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "c.nii",
            "is a pointer of git-lfs",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "c.nii.gz",
            "is a pointer of git-lfs",
        ),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError) as error:
            read_volume(tmp_path / name)
        assert f"{name}: {says}" in str(error.value) and "damaged" not in str(error.value)


def test_a_label_that_is_no_class_is_told_with_its_value(tmp_path):
    values = np.zeros(SIZE, np.int64)
    values[1, 2, 3] = 2**40
    for dtype in (np.int64, np.float64):
        with pytest.raises(
            UserError, match=r"l\.nii: holds the value 1099511627776, which is no number of a class"
        ):
            read_label(save(tmp_path / "l.nii", values.astype(dtype)))


def test_pairs_are_compared_in_the_grid_of_the_file(tmp_path):
    """Near 45 degrees the last digit decides which axis of the patient is nearest; the voxels are the same."""
    size = (5, 5, 5)
    values = np.random.default_rng(0).integers(0, 3, size).astype(np.uint8)
    paths = []
    for name, angle in (("image", np.pi / 4 - 1e-7), ("label", np.pi / 4 + 1e-7)):
        affine = np.eye(4)
        affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        # Written in float64, or both would be the same.
        paths.append(tmp_path / f"{name}.nii")
        nib.save(nib.Nifti1Image(values, affine), paths[-1])
    for angle in np.pi / 4 + np.array([-2e-7, 2e-7]):
        affine = np.eye(4)
        affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        turned = Geometry(affine, size)
        label = check_pair(paths[0], size, turned, paths[1])
        np.testing.assert_array_equal(turned.restore(label), values)


@pytest.mark.parametrize("image_has", [True, False])
def test_a_tiff_is_not_paired_with_what_has_a_place(tmp_path, image_has):
    """On a cube any order of axes has the right size: the label lay on 0 of 960 voxels of the object."""
    values = np.zeros((12, 12, 12), np.uint8)
    values[1:9, 2:12, 0:12] = 1
    with_place, without = save(tmp_path / "a.nii.gz", values), write_mask(tmp_path / "a.tif", values)
    image, label = (with_place, without) if image_has else (without, with_place)
    pixels, geometry = read_volume(image)
    with pytest.raises(UserError, match=r"a\.tif does not tell where they lie .* a\.nii\.gz does") as error:
        check_pair(image, pixels.shape[:3], geometry, label)
    assert str(label) in str(error.value)


def test_small_voxels_have_a_small_tolerance(tmp_path):
    """A micrograph: 10 voxels away are 5 thousandths of a mm."""
    affine = np.diag([0.0005, 0.0005, 0.0005, 1])
    _, geometry = read_volume(save(tmp_path / "a.nii", VALUES, affine))
    moved = affine.copy()
    moved[0, 3] = 0.005
    check_pair(tmp_path / "a.nii", SIZE, geometry, save(tmp_path / "l.nii", VALUES % 3, affine))
    with pytest.raises(UserError, match=r"lies elsewhere .*shifted by 0\.005 x 0 x 0 mm"):
        check_pair(tmp_path / "a.nii", SIZE, geometry, save(tmp_path / "l.nii", VALUES % 3, moved))
