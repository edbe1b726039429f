"""The data sets by the name that --data takes. A new one is a file here and a line below."""

from data.source import Source
from data.sources.folder import Folder
from data.sources.isbi2012 import Isbi2012
from data.sources.membranes import Membranes

SOURCES: dict[str, type[Source]] = {
    "membranes": Membranes,
    "isbi2012": Isbi2012,
    "folder": Folder,
}
