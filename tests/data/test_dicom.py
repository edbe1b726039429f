"""DICOM series: any order of files, the right place in the patient, and what can be wrong with a folder."""

import numpy as np
import pydicom
import pytest
from helpers import AXIAL, VALUES, write_series, write_slice
from pydicom.uid import generate_uid

from data.errors import UserError
from data.formats.dicom import has_dicom, read_dicom
from data.formats.volumes import read_volume


def test_slices_in_any_order_make_the_volume(tmp_path):
    folder = write_series(tmp_path / "series", RescaleSlope=2, RescaleIntercept=-1024)
    (folder / "notes.txt").write_text("no slice")
    (folder / ".DS_Store").write_bytes(b"\0" * 200)
    values, affine = read_dicom(folder)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, VALUES.transpose(2, 1, 0) * 2.0 - 1024)
    # The first pixel lies 10 mm left, 20 mm in front and 30 mm up: right and anterior are positive in NIfTI.
    np.testing.assert_allclose(affine @ [0, 0, 0, 1], [-10, 20, 30, 1])
    np.testing.assert_allclose(affine @ [1, 0, 0, 1], [-10.6, 20, 30, 1])  # columns are 0.6 mm apart
    np.testing.assert_allclose(affine @ [0, 1, 0, 1], [-10, 19.2, 30, 1])
    np.testing.assert_allclose(affine @ [0, 0, 1, 1], [-10, 20, 32.5, 1])
    assert has_dicom(folder) and not has_dicom(tmp_path)


@pytest.mark.parametrize(
    "orientation", [AXIAL, [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1], [0.8, 0.6, 0, 0, 0, -1]]
)
def test_places_are_those_of_simpleitk(tmp_path, orientation):
    sitk = pytest.importorskip("SimpleITK")
    folder = write_series(tmp_path / "series", orientation=orientation)
    values, affine = read_dicom(folder)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    theirs = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    for index in np.ndindex(2, 2, 2):
        place = affine @ [*index, 1]
        left_posterior = [-place[0], -place[1], place[2]]
        there = image.TransformPhysicalPointToIndex(left_posterior)
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(there), left_posterior, atol=1e-6)
        assert values[index] == theirs[there]


def test_the_extremes_of_16_bits_with_a_slope(tmp_path):
    for dtype in (np.int16, np.uint16):
        info = np.iinfo(dtype)
        pixels = np.array([[info.min, info.max], [0, 1]], dtype)[np.newaxis].repeat(3, 0)
        folder = write_series(tmp_path / dtype.__name__, pixels, RescaleSlope=3.5, RescaleIntercept=-7)
        values, _ = read_dicom(folder)
        np.testing.assert_allclose(values[:, :, 0].T, pixels[0].astype(float) * 3.5 - 7)


def test_each_slice_has_its_own_slope(tmp_path):
    for index in range(3):
        write_slice(
            tmp_path / f"{index}.dcm", VALUES[0], (0, 0, index), RescaleSlope=index + 1, RescaleIntercept=0
        )
    values, _ = read_dicom(tmp_path)
    np.testing.assert_array_equal(values[..., 2], 3.0 * VALUES[0].T)


def test_a_volume_like_any_other(tmp_path):
    image, geometry = read_volume(write_series(tmp_path / "series"))
    assert image.shape == (5, 6, 4, 1) and geometry.spacing == pytest.approx((0.6, 0.8, 2.5))
    # Turned to Right and Anterior: the first two axes run the other way.
    np.testing.assert_array_equal(image[..., 0], VALUES.transpose(2, 1, 0)[::-1, ::-1])
    np.testing.assert_array_equal(geometry.restore(image[..., 0]), VALUES.transpose(2, 1, 0))


def test_bad_folders_are_named(tmp_path):
    def refused(name, message, **settings):
        folder = write_series(tmp_path / name, **settings) if settings else tmp_path / name
        with pytest.raises(UserError, match=message) as error:
            read_dicom(folder)
        assert name in str(error.value)

    (tmp_path / "empty").mkdir()
    refused("empty", "holds no DICOM files")
    write_series(tmp_path / "two")
    write_slice(tmp_path / "two" / "other.dcm", VALUES[0], (0, 0, 99), series=generate_uid())
    refused(
        "two", r"holds 2 series(.|\n)*own folder:(.|\n)*4 files: without description \(CT Image Storage\)"
    )
    refused(
        "gap",
        r"incomplete(.|\n)*2\.5 mm apart(.|\n)*- 1 after IM",
        skip=(1,),
        values=VALUES[[0, 1, 2, 3, 0]],
    )
    refused("colour", "it is a colour image", SamplesPerPixel=3)
    refused("nowhere", "ImagePositionPatient is missing", ImagePositionPatient=None)
    refused("frames", "it has several frames, and does not tell the position of each", NumberOfFrames=2)
    write_series(tmp_path / "double")
    write_slice(tmp_path / "double" / "again.dcm", VALUES[0], (10, -20, 30))
    refused("double", "lie at the same position")
    write_series(tmp_path / "size")
    write_slice(tmp_path / "size" / "small.dcm", VALUES[0, :3], (10, -20, 40))
    refused("size", "slices have different sizes")
    write_series(tmp_path / "turned")
    write_slice(tmp_path / "turned" / "x.dcm", VALUES[0], (10, -20, 40), orientation=[0, 1, 0, 1, 0, 0])
    refused("turned", "slices have different orientations")


def test_a_tilted_gantry_is_refused(tmp_path):
    for index in range(4):
        write_slice(tmp_path / f"{index}.dcm", VALUES[index], (0, 0.5 * index, 2.5 * index))
    with pytest.raises(UserError, match="tilted CT gantry"):
        read_dicom(tmp_path)


def test_a_cut_off_slice_is_named(tmp_path):
    folder = write_series(tmp_path / "series")
    path = sorted(folder.iterdir())[2]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=rf"{path.name}: its pixels cannot be read"):
        read_dicom(folder)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=rf"{path.name}: cannot be read as DICOM"):
        read_dicom(folder)


def test_frames_of_one_file_are_slices(tmp_path):
    """An Enhanced multi-frame file gives each frame's place in its own functional group."""

    def group(**macros):
        item = pydicom.Dataset()
        for macro, elements in macros.items():
            of_macro = pydicom.Dataset()
            for tag, value in elements.items():
                setattr(of_macro, tag, value)
            setattr(item, f"{macro}Sequence", [of_macro])
        return item

    order = [2, 0, 3, 1]
    places = [group(PlanePosition={"ImagePositionPatient": [0.0, 0.0, 2.5 * index]}) for index in order]
    shared = group(
        PlaneOrientation={"ImageOrientationPatient": AXIAL},
        PixelMeasures={"PixelSpacing": [0.8, 0.6], "SliceThickness": 2.5},
        PixelValueTransformation={"RescaleSlope": 2.0, "RescaleIntercept": 1.0},
    )
    write_slice(
        tmp_path / "frames.dcm",
        VALUES[0],
        (0, 0, 0),
        NumberOfFrames=4,
        PixelData=VALUES[order].tobytes(),
        PerFrameFunctionalGroupsSequence=places,
        SharedFunctionalGroupsSequence=[shared],
    )
    values, affine = read_dicom(tmp_path)
    np.testing.assert_array_equal(values, VALUES.transpose(2, 1, 0) * 2.0 + 1)
    np.testing.assert_allclose(affine[2, 2], 2.5)
