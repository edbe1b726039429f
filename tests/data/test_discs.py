"""The generated images of small objects on large ones."""

import numpy as np
import pytest
from scipy import ndimage

from data.errors import UserError
from data.sources.generated.discs import DISC, SMALL, TISSUE, Discs


def test_an_image_is_a_function_of_seed_and_number():
    one, same, other = Discs(), Discs(images=30), Discs(seed=1)
    assert len(one.names()) == 24 and one.names()[3] == "discs-03"
    first, again = one.read("discs-03"), same.read("discs-03")
    np.testing.assert_array_equal(first.image, again.image)
    assert np.abs(first.image - other.read("discs-03").image).max() > 50
    assert first.image.shape == (256, 256, 1) and first.image.dtype == np.float32
    assert Discs(size=(64, 80)).read("discs-00").image.shape == (64, 80, 1)
    with pytest.raises(UserError, match="no case 'discs-99'"):
        one.read("discs-99")


def test_a_protrusion_sits_on_its_disc_and_the_other_spots_do_not():
    source = Discs(images=12)
    for index, name in enumerate(source.names()):
        case = source.read(name)
        disc, protrusion = case.label == 1, case.label == 2
        assert 0.03 < disc.mean() < 0.12
        assert protrusion.any() == bool(index % 4)
        if protrusion.any():
            assert 0.0005 < protrusion.mean() < 0.008  # small
            touching = ndimage.binary_dilation(disc) & protrusion
            assert touching.any() and ndimage.label(disc | protrusion)[1] == ndimage.label(disc)[1]
        bright = ndimage.gaussian_filter(case.image[..., 0], 2) > (TISSUE + SMALL) / 2 + 10
        far = ndimage.distance_transform_edt(~(disc | protrusion)) > 10
        assert (bright & far).sum() > 50  # spots as bright as a protrusion, and none


def test_grey_values_tell_disc_from_tissue_and_hardly_from_protrusion():
    source = Discs(images=12)
    cases = [source.read(name) for name in source.names()]
    grey = [np.concatenate([case.image[case.label == value, 0] for case in cases]) for value in range(3)]
    means = [values.mean() for values in grey]
    np.testing.assert_allclose(means[:2], [TISSUE, DISC], atol=8)
    assert DISC - means[2] > 5 and abs(means[2] - means[1]) < 3 * grey[1].std()


def test_the_discs_need_no_folder(tmp_path):
    with pytest.raises(ValueError, match="the discs are generated"):
        Discs(directory=tmp_path)
