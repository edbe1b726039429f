"""One file for each network of the catalogue."""

from unet_keras.networks.unet import unet

NETWORKS = {"unet": unet}
