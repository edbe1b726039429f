"""The data sets by the name that --data takes. A new one is a file here and a line below."""

from data.source import Source
from data.sources.decathlon import Decathlon
from data.sources.folder import Folder
from data.sources.generated.blobs3d import Blobs3d
from data.sources.generated.discs import Discs
from data.sources.generated.membranes import Membranes
from data.sources.isbi2012 import Isbi2012
from data.sources.nnunet import NnUnet
from data.sources.packed import Packed
from data.sources.volumes import Volumes

SOURCES: dict[str, type[Source]] = {
    "membranes": Membranes,
    "blobs3d": Blobs3d,
    "discs": Discs,
    "isbi2012": Isbi2012,
    "folder": Folder,
    "decathlon": Decathlon,
    "nnunet": NnUnet,
    "volumes": Volumes,
    "packed": Packed,
}
