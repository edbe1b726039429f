"""One file for each network of the catalogue."""

from unet_highlevel.networks.unet import unet

NETWORKS = {"unet": unet}
