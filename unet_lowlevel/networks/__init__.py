"""One file for each network of the catalogue."""

from unet_lowlevel.networks.unet import unet

NETWORKS = {"unet": unet}
