"""One file for each network of the catalogue."""

from collections.abc import Callable
from typing import Any

from unet_lowlevel.networks.hrnet import hrnet
from unet_lowlevel.networks.medpatchnet import medpatchnet
from unet_lowlevel.networks.no_new_net import no_new_net
from unet_lowlevel.networks.reversible_unet import reversible_unet
from unet_lowlevel.networks.unet import unet
from unet_lowlevel.networks.unet_3d import unet_3d
from unet_lowlevel.networks.unet_25d import unet_25d
from unet_lowlevel.networks.unet_backboned import unet_backboned
from unet_lowlevel.networks.unet_branch2 import unet_branch2
from unet_lowlevel.networks.unet_encoder import unet_encoder
from unet_lowlevel.networks.unet_fine_grained import unet_fine_grained
from unet_lowlevel.networks.unet_original import unet_original
from unet_lowlevel.networks.unet_padding import unet_padding
from unet_lowlevel.networks.unet_plus_plus import unet_plus_plus
from unet_lowlevel.networks.vnet import vnet
from unet_lowlevel.networks.vnet_3d import vnet_3d
from unet_lowlevel.networks.vnet_3d_bottleneck import vnet_3d_bottleneck
from unet_lowlevel.networks.vnet_3d_depthwise import vnet_3d_depthwise

NETWORKS: dict[str, Callable[..., Any]] = {
    "unet": unet,
    "unet_original": unet_original,
    "unet_padding": unet_padding,
    "unet_plus_plus": unet_plus_plus,
    "unet_25d": unet_25d,
    "unet_3d": unet_3d,
    "vnet": vnet,
    "vnet_3d": vnet_3d,
    "vnet_3d_depthwise": vnet_3d_depthwise,
    "vnet_3d_bottleneck": vnet_3d_bottleneck,
    "no_new_net": no_new_net,
    "reversible_unet": reversible_unet,
    "medpatchnet": medpatchnet,
    "unet_encoder": unet_encoder,
    "hrnet": hrnet,
    "unet_backboned": unet_backboned,
    "unet_branch2": unet_branch2,
    "unet_fine_grained": unet_fine_grained,
}
