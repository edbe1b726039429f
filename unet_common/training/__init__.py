"""The course of a training, whichever API computes its steps: run folder, progress, history, checkpoints, folds."""
