"""The catalogue of networks: their hyperparameters, apart from any API.

Adding a network is one class here and a file `networks/NAME.py` in each of the three packages; the
commands and the tests find it in `CATALOGUE`.
"""

from unet_common.networks.base import Network
from unet_common.networks.hrnet import HRNet
from unet_common.networks.medpatchnet import MedPatchNet
from unet_common.networks.no_new_net import NoNewNet
from unet_common.networks.reversible_unet import ReversibleUNet
from unet_common.networks.unet import UNet
from unet_common.networks.unet_3d import UNet3D
from unet_common.networks.unet_25d import UNet25D
from unet_common.networks.unet_backboned import UNetBackboned
from unet_common.networks.unet_branch2 import UNetBranch2
from unet_common.networks.unet_encoder import UNetEncoder
from unet_common.networks.unet_fine_grained import UNetFineGrained
from unet_common.networks.unet_original import UNetOriginal
from unet_common.networks.unet_padding import UNetPadding
from unet_common.networks.unet_plus_plus import UNetPlusPlus
from unet_common.networks.vnet import VNet
from unet_common.networks.vnet_3d import VNet3D
from unet_common.networks.vnet_3d_bottleneck import VNet3DBottleneck
from unet_common.networks.vnet_3d_depthwise import VNet3DDepthwise

CATALOGUE: dict[str, type[Network]] = {
    "unet": UNet,
    "unet_original": UNetOriginal,
    "unet_padding": UNetPadding,
    "unet_plus_plus": UNetPlusPlus,
    "unet_25d": UNet25D,
    "unet_3d": UNet3D,
    "vnet": VNet,
    "vnet_3d": VNet3D,
    "vnet_3d_depthwise": VNet3DDepthwise,
    "vnet_3d_bottleneck": VNet3DBottleneck,
    "no_new_net": NoNewNet,
    "reversible_unet": ReversibleUNet,
    "medpatchnet": MedPatchNet,
    "unet_encoder": UNetEncoder,
    "hrnet": HRNet,
    "unet_backboned": UNetBackboned,
    "unet_branch2": UNetBranch2,
    "unet_fine_grained": UNetFineGrained,
}

__all__ = [
    "CATALOGUE",
    "HRNet",
    "MedPatchNet",
    "Network",
    "NoNewNet",
    "ReversibleUNet",
    "UNet",
    "UNet3D",
    "UNet25D",
    "UNetBackboned",
    "UNetBranch2",
    "UNetEncoder",
    "UNetFineGrained",
    "UNetOriginal",
    "UNetPadding",
    "UNetPlusPlus",
    "VNet",
    "VNet3D",
    "VNet3DBottleneck",
    "VNet3DDepthwise",
]
