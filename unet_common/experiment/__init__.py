"""The experiment: one validated object that holds every setting of a training.

It comes from a YAML file, from flags, or from a run folder, where it is saved; `resolve` fills in what the
data decides (channels, classes). Unknown keys, wrong types and impossible combinations are `UserError`s of one
line each that name the key and what is allowed.
"""

from unet_common.experiment.completion import DEFAULT_STEPS, check_beginning, check_validation, resolve
from unet_common.experiment.files import differences, load_experiment, read_settings, save_experiment
from unet_common.experiment.settings import Experiment, Optimizer, Training, experiment_from

__all__ = [
    "DEFAULT_STEPS",
    "Experiment",
    "Optimizer",
    "Training",
    "check_beginning",
    "check_validation",
    "differences",
    "experiment_from",
    "load_experiment",
    "read_settings",
    "resolve",
    "save_experiment",
]
