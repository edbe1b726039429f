"""The three APIs side by side, as a page that teaches: what `compare.py` measures and writes."""

import unet_common  # noqa: F401  (first: it sets TensorFlow up)
