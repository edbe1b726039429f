"""Scores of predictions: the same for one network, however its outputs are written."""

import numpy as np
import pytest

from data.labels.outputs import Outputs
from data.source import Case
from unet_common.evaluation.scores import Scores
from unet_common.experiment import experiment_from
from unet_common.implementation import IMPLEMENTATIONS
from unet_common.prediction.inputs import validation_cases
from unet_common.prediction.predictor import Prediction, Predictor
from unet_common.prediction.settings import PredictionSettings
from unet_common.training.run import Run


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_membrane_scores_of_a_sigmoid_and_of_a_softmax_of_two(tmp_path, implementation):
    """One network twice: the logits of its softmax are 0 and the logit of its sigmoid."""
    results, weights = [], None
    for classes in (1, 2):
        network = {"depth": 2, "filters": 4, "normalisation": "none", "classes": classes}
        settings = {"implementation": implementation, "network": network}
        settings["data"], settings["sampling"] = {"size": [48, 48], "images": 3}, {"crop": [32, 32]}
        run = Run.create(tmp_path / str(classes), experiment_from(settings))
        predictor = Predictor([run], weights=None)
        if weights is None:
            (model,) = predictor._models
            weights = model.weights()
        else:  # the head's last axis is the output
            weights = {
                name: np.stack([0 * value[..., 0], value[..., 0]], -1) if name.startswith("head") else value
                for name, value in weights.items()
            }
        predictor.set_weights([weights], "here")
        scores = Scores(membranes=True)
        for case in validation_cases(run):
            scores.add(predictor(case, PredictionSettings(), True))
        results.append(scores.result())
    (of_sigmoid, thresholds), (of_softmax, others) = results
    assert thresholds == others and 0.2 < of_sigmoid[0]["v_rand"] < 0.99
    for one, other in zip(of_sigmoid, of_softmax, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_membrane_scores_look_at_the_foreground():
    """Whatever the outputs are: a perfect prediction is perfect."""
    truth = np.zeros((16, 16), np.uint8)
    truth[5], truth[:, 9] = 1, 1
    right = np.where(truth, 0.95, 0.05).astype(np.float32)
    kinds = {
        Outputs(1): right[..., None],
        Outputs(2): np.stack([1 - right, right], -1),
        Outputs(3): np.stack([1 - right, 0.3 * right, 0.7 * right], -1),
        Outputs(2, multilabel=True, overlapping=True): np.stack([right, 0 * right], -1),
    }
    for outputs, probability in kinds.items():
        scores = Scores(membranes=True)
        case = Case("a", truth[..., None], truth, overlapping=outputs.overlapping)
        scores.add(Prediction(case, outputs.label_map(probability), probability, outputs))
        ((row,), _thresholds) = scores.result()
        assert row["v_rand"] == row["v_rand_thinned"] == row["v_info"] == pytest.approx(1), outputs


def test_an_absent_class_has_no_dice_and_one_that_is_invented_has_0():
    truth, found = np.zeros((2, 8, 8), np.uint8)
    truth[:4] = found[:4] = 1
    for class_2, expected, mean in ((0, np.nan, 1), (1, 0, 0.5)):
        found[7] = 2 * class_2
        prediction = Prediction(Case("a", truth[..., None], truth), found, None, Outputs(3))
        row = Scores(membranes=False).add(prediction)
        assert (row["dice_1"], row["dice_2"], row["dice"]) == pytest.approx((1, expected, mean), nan_ok=True)
    nothing = Prediction(Case("a", truth[..., None], 0 * truth), 0 * found, None, Outputs(3))
    assert np.isnan(Scores(membranes=False).add(nothing)["dice"])
