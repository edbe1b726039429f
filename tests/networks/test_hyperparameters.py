"""Every default of a network fits every value that another hyperparameter may have; what does not is listed here."""

import pytest
from pydantic import ValidationError

from unet_common.networks import CATALOGUE

LARGEST = 8  # values of whole numbers that are tried, where nothing else limits them

# What is refused for a reason when all else has its default: a hyperparameter, of one network or of all ("*"); its
# values; words of the message.
REFUSED = {
    ("*", "auxiliary"): (range(1, LARGEST + 1), "auxiliary: .* outputs"),
    ("unet", "deep_supervision"): (range(4, LARGEST + 1), "the decoder has 3 levels below the first"),
    ("unet_plus_plus", "level"): (range(5, LARGEST + 1), "with depth 5 there are 4"),
    ("vnet", "prelu"): (["element"], "give input_size"),
    ("unet_25d", "depth"): ([2], "in_plane_levels is 2; with depth 2 it is at most 1"),
    ("unet_25d", "in_plane_levels"): (range(5, LARGEST + 1), "with depth 5 it is at most 4"),
    ("medpatchnet", "channels"): (range(1, 4), "the last 3 are the position of dynamic convolutions"),
    ("vnet_3d_bottleneck", "bottom_filters"): (range(1, LARGEST + 1), "must be a multiple of 32"),
    ("unet_branch2", "decoder_blocks"): (range(1, 4), "branch_level is 4; the decoder has [123] blocks"),
    ("unet_fine_grained", "channels"): (range(3, LARGEST + 1, 2), "so it must be even"),
}


def choices(schema):
    """The values to try of a hyperparameter with this JSON schema: names, truth values, small whole numbers."""
    options = schema.get("anyOf", [schema])
    values = []
    for option in options:
        if "enum" in option:
            values += option["enum"]
        elif "const" in option:
            values.append(option["const"])
        elif option.get("type") == "boolean":
            values += [False, True]
        elif option.get("type") == "integer":
            least = option.get("minimum", option.get("exclusiveMinimum", -1) + 1)
            values += range(least, min(option.get("maximum", LARGEST), LARGEST) + 1)
    return values


def one_changed():
    for name, network in CATALOGUE.items():
        for key, schema in network.model_json_schema()["properties"].items():
            for value in choices(schema):
                yield name, key, value


def refusal_of(name, key, value):
    """Words of the message that this change is refused with; None if it is allowed."""
    values, words = REFUSED.get((name, key)) or REFUSED.get(("*", key)) or ((), None)
    return words if value in values else None


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_defaults_fit_each_value_of_another_hyperparameter(name):
    for network, key, value in one_changed():
        if network != name:
            continue
        words = refusal_of(name, key, value)
        if words:
            with pytest.raises(ValidationError, match=words):
                CATALOGUE[name](**{key: value})
            continue
        changed = CATALOGUE[name](**{key: value})
        assert getattr(changed, key) == value
        size = tuple(after + 1 + before for before, after in changed.padding_for((1,) * changed.rank))
        assert min(changed.output_size(size)) >= 1, (key, value)
        assert changed.size_rule and min(changed.stride) >= 1 and min(changed.context) >= 1, (key, value)


def test_the_list_of_refusals_holds_nothing_else():
    tried = {(name, key) for name, key, _value in one_changed()}
    keys = {key for _name, key in tried}
    assert all((name, key) in tried or (name == "*" and key in keys) for name, key in REFUSED)
    assert {("unet_plus_plus", "depth", 2), ("unet", "groups", 3), ("hrnet", "head", "transpose")} <= set(
        one_changed()
    )
