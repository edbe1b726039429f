"""DICOM series: any order of files, the right place in the patient, and what can be wrong with a folder."""

import numpy as np
import pydicom
import pytest
from helpers import AXIAL, VALUES, write_series, write_slice
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import generate_uid

from data.commands.pack import pack
from data.errors import UserError
from data.formats.dicom import has_dicom, read_dicom
from data.formats.nifti import write_nifti
from data.formats.volumes import read_volume
from data.preprocessing.preprocessor import Preprocessor
from data.preprocessing.statistics import statistics
from data.settings import Preprocessing
from data.source import Case
from data.sources.volumes import Volumes
from unet_common.experiment import experiment_from
from unet_common.training.run import Run


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


@pytest.mark.parametrize(
    "dtype, bits, stored, shown",
    [(np.uint16, 12, [0, 1, 4095], [4095, 4094, 0]), (np.int16, 16, [-32768, 0, 32767], [32767, -1, -32768])],
)
def test_where_small_values_are_white_they_are_inverted(tmp_path, dtype, bits, stored, shown):
    """As every viewer shows MONOCHROME1 (PS3.3 C.7.6.3.1.2); padding is what is stored."""
    pixels = np.broadcast_to(np.array(stored, dtype), (3, 2, 3)).copy()
    tags = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": bits, "HighBit": bits - 1}
    folder = write_series(tmp_path / "a", pixels, **tags, RescaleSlope=2, RescaleIntercept=-5)
    values, _affine = read_dicom(folder)
    np.testing.assert_array_equal(values[:, 0, 0], np.array(shown) * 2.0 - 5)
    folder = write_series(tmp_path / "b", pixels, **tags, PixelPaddingValue=stored[2])
    values, _affine = read_dicom(folder)
    np.testing.assert_array_equal(values[:, 0, 0], [*shown[:2], np.nan])


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


def without_preamble(path, form):
    """The same file as from before DICOM had a preamble, and without a suffix."""
    dataset = pydicom.dcmread(path)
    if form == "meta":
        content = path.read_bytes()[132:]
    else:
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, form == "implicit"
        write_dataset(buffer, dataset)
        content = buffer.getvalue()
    path.write_bytes(content)
    assert content[128:132] != b"DICM" and not path.suffix


@pytest.mark.parametrize("form", ["meta", "explicit", "implicit"])
def test_files_without_preamble_or_suffix_are_read(tmp_path, form):
    """One at the end of a series would go unnoticed; all of them, and the folder would not be one."""
    folder = write_series(tmp_path / "series", PixelPaddingValue=int(VALUES.min()))
    expected, affine = read_dicom(folder)
    files = sorted(folder.iterdir(), key=lambda path: pydicom.dcmread(path).ImagePositionPatient[2])
    (folder / "notes").write_text("no slice")
    (folder / "raw").write_bytes(np.arange(8, 300, dtype=np.int16).tobytes())
    for path in (files[-1], *files[:-1]):
        without_preamble(path, form)
        values, same = read_dicom(folder)
        np.testing.assert_array_equal(values, expected)
        np.testing.assert_array_equal(same, affine)
    assert has_dicom(folder)
    files[0].write_bytes(files[0].read_bytes()[:100])
    with pytest.raises(UserError, match=files[0].name):
        read_dicom(folder)


PADDED = VALUES.copy()
PADDED[:, :2, :] = -2000
PADDED[1, 2:, 4] = -1995
REAL = np.ones(VALUES.shape, bool)
REAL[:, :2, :] = REAL[1, 2:, 4] = False


@pytest.mark.parametrize(
    "settings", [{}, {"clip": (5, 95)}, {"spacing": (0.6, 0.8, 5)}, {"spacing": (0.3, 0.4, 2.5)}]
)
def test_padding_does_not_count_in_the_normalisation(tmp_path, settings):
    """Its number may be any: the voxels between it and the limit get the smallest value of the others."""
    images = []
    for number, limit in ((-2000, -1995), (-1990, -2000), (2**16 - 2000, -1995)):
        scale = {"RescaleSlope": 2, "RescaleIntercept": 7}
        folder = write_series(tmp_path / str(number), PADDED, PixelPaddingRangeLimit=limit, **scale)
        for path in folder.iterdir():
            dataset = pydicom.dcmread(path)
            dataset.add_new("PixelPaddingValue", "US" if number > 0 else "SS", number)  # some forget the sign
            dataset.save_as(path)
        image, geometry = read_volume(folder)
        stored = geometry.restore(image[..., 0]).T
        np.testing.assert_array_equal(stored[REAL], VALUES[REAL] * 2.0 + 7)
        np.testing.assert_array_equal(stored[~REAL], VALUES[REAL].min() * 2.0 + 7)
        np.testing.assert_array_equal(geometry.restore(geometry.padding).T, ~REAL)
        case = Case("a", image, None, folder, geometry, padding=geometry.padding)
        prepared = Preprocessor(Preprocessing(normalisation="case", **settings))(case)
        assert prepared.padding.shape == prepared.image.shape[:-1] and 0 < prepared.padding.mean() < 0.6
        assert prepared.measured.mean() == pytest.approx(0, abs=1e-5)
        assert prepared.measured.std() == pytest.approx(1, abs=1e-5)
        images.append(prepared.image)
        found = statistics([Preprocessor(Preprocessing(normalisation="dataset"))(case).measured], 1)
        assert found.mean == [pytest.approx(stored[REAL].mean())]
        assert found.std == [pytest.approx(stored[REAL].std())]
    np.testing.assert_array_equal(images[1], images[0])
    np.testing.assert_array_equal(images[2], images[0])


def test_without_padding_all_pixels_count(tmp_path):
    _, geometry = read_volume(write_series(tmp_path / "a", PixelPaddingValue=-2000))
    assert geometry.padding is None
    with pytest.raises(UserError, match="all pixels are padding"):
        read_volume(write_series(tmp_path / "b", np.full_like(VALUES, 5), PixelPaddingValue=5))


@pytest.mark.parametrize("form", ["hdf5", "tfrecord"])
def test_padding_counts_as_little_in_trainings_of_packed_data(tmp_path, form):
    for name in "ab":
        folder = write_series(tmp_path / f"set/images/{name}", PADDED, PixelPaddingValue=-2000)
        values, geometry = read_volume(folder)
        write_nifti(tmp_path / f"set/labels/{name}.nii.gz", (values[..., 0] > 900).astype(np.uint8), geometry)
    settings = {"normalisation": "dataset", "crop": True}
    pack(Volumes(directory=tmp_path / "set"), Preprocessing(**settings), form, tmp_path / "packed")
    real = PADDED[PADDED != -2000]
    for index, data in enumerate(
        (
            {"name": "volumes", "directory": tmp_path / "set"},
            {"name": "packed", "directory": tmp_path / "packed"},
        )
    ):
        experiment = {"data": data, "network": {"name": "unet", "depth": 2, "filters": 2}}
        experiment["sampling"] = {"crop": [4, 4, 4], "validation": 0.5}
        if data["name"] == "volumes":
            experiment["preprocessing"] = settings
        run = Run.create(tmp_path / f"run{index}", experiment_from(experiment))
        assert run.statistics.mean == [pytest.approx(real.mean())]
        assert run.statistics.std == [pytest.approx(real.std())]
