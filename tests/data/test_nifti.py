"""NIfTI files: values, places, orientation, and everything that can be wrong with them."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from data.errors import UserError
from data.formats.geometry import Geometry
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
