"""The data sets by the name that --data takes. A new one is a file here and a line below."""

from data.source import Source
from data.sources.blobs3d import Blobs3d
from data.sources.decathlon import Decathlon
from data.sources.discs import Discs
from data.sources.folder import Folder
from data.sources.isbi2012 import Isbi2012
from data.sources.membranes import Membranes
from data.sources.packed import Packed
from data.sources.volumes import Volumes

SOURCES: dict[str, type[Source]] = {
    "membranes": Membranes,
    "blobs3d": Blobs3d,
    "discs": Discs,
    "isbi2012": Isbi2012,
    "folder": Folder,
    "decathlon": Decathlon,
    "volumes": Volumes,
    "packed": Packed,
}
