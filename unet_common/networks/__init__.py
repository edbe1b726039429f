"""The catalogue of networks: their hyperparameters, apart from any API.

Adding a network is one class here and a file `networks/NAME.py` in each of the three packages; the
commands and the tests find it in `CATALOGUE`.
"""

from unet_common.networks.base import Network
from unet_common.networks.unet import UNet

CATALOGUE: dict[str, type[Network]] = {"unet": UNet}

__all__ = ["CATALOGUE", "Network", "UNet"]
