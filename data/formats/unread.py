"""The files of a folder that are not read: why not, and what to do about it."""

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

from data.errors import UserError
from data.files import OF_SYSTEMS, paths_in
from data.formats.images import SUFFIXES, TIFF
from data.formats.nifti import is_nifti
from data.formats.tiff import SIGNATURES
from data.formats.volumes import bare_name, is_volume

Unread = list[tuple[Path, str]]
"""Files and what is to be said of them, for `data.errors.grouped`: equal sentences become one."""

ADVICE = {
    ending: advice
    for advice, endings in {
        "Convert to PNG, as with ImageMagick: magick mogrify -format png *{}": (
            ".gif .webp .jp2 .j2k .heic .heif .avif .jxl .pgm .ppm .pbm .pnm .tga"
        ),
        "Export as TIFF or OME-TIFF from the microscope's program, or with Bio-Formats in Fiji": (
            ".czi .nd2 .lif .lsm .vsi .svs .ndpi .mrxs .scn .oib .oif .oir .ims .dv .zvi .stk"
        ),
        "Convert to NIfTI, as with SimpleITK: WriteImage(ReadImage('a{}'), 'a.nii.gz')": ".nrrd .nhdr .mha .mhd",
        "Convert to NIfTI, as with nibabel: save(Nifti1Image.from_image(load('a{}')), 'a.nii.gz')": (
            ".mgz .mgh .img .hdr .mnc"
        ),
        "Save the array as TIFF (tifffile.imwrite), or as NIfTI where it is a volume": (
            ".npy .npz .mat .h5 .hdf5 .pt .pkl"
        ),
        "Unpack it": ".zip .gz .tgz .tar .7z .rar .bz2 .xz",
    }.items()
    for ending in endings.split()
}
DICOM = "a DICOM file by itself. A series of them is read as one folder, in a data set of volumes (--data volumes)"
SERIES = "DICOM series"
DOCUMENTS = (
    "",
    *(".txt", ".md", ".rst", ".pdf", ".doc", ".docx", ".html", ".bib", ".cff", ".log", ".py", ".ipynb"),
    *(".csv", ".tsv", ".xls", ".xlsx", ".json", ".yaml", ".yml", ".xml"),
)


def unread(folder: Path, read: Collection[Path]) -> Unread:
    """All that lies directly in a folder and is not read, but for hidden files and those that systems leave there.

    read: files, and folders with a DICOM series, in or below the folder; or the folder itself, if it is a series.
    Folders on the way to these count as read; series deeper than one that is read do not.
    """
    if folder in read:
        return _deeper(folder)
    series = {path for path in read if path.is_dir()}
    ways = _ways(read)
    names = {bare_name(path) for path in read if path.parent == folder}
    findings: Unread = []
    folders = []
    for path in paths_in(folder, lambda _path: True):
        if path in ways:
            findings += _deeper(path) if path in series else []
        elif path.is_dir():
            folders.append(path)
        else:
            findings.append((path, f"not read: {_reason(path, names)}"))
    return findings + _folders(folders, f"only what lies directly in {folder} is")


def unread_beside(folder: Path, read: Collection[Path]) -> Unread:
    """All that lies beside the files and folders of a data set, as of `unread`; documents and tables are no loss."""
    ways, beside = _ways(read), "it lies beside the files and folders of the data set"
    found = paths_in(folder, lambda path: path not in ways)
    files = [
        path for path in found if not path.is_dir() and (_ending(path) not in DOCUMENTS or _dangles(path))
    ]
    findings: Unread = [
        (path, f"not read: {beside if _is_read(path) else _reason(path, ())}") for path in files
    ]
    return findings + _folders([path for path in found if path.is_dir() and _holdings(path)], beside)


def summary(folder: Path) -> str:
    """The contents of a folder by their endings, as in '30 .png, 1 .txt, 2 folders'."""
    found = Counter(
        "folder" if path.is_dir() else _ending(path) or "without ending"
        for path in paths_in(folder, lambda _path: True)
    )
    folders = found.pop("folder", 0)
    listed = [f"{count} {ending}" for ending, count in found.most_common(6)]
    listed += [f"{len(found) - 6} other endings"] if len(found) > 6 else []
    listed += [_count(folders, "folder")] if folders else []
    return ", ".join(listed) or "nothing"


def _ways(read: Iterable[Path]) -> set[Path]:
    """The paths and all folders above them."""
    return {way for path in read for way in (path, *path.parents)}


def _ending(path: Path) -> str:
    """The ending of a name, in lower case; '' also where it is a number, as in many names of DICOM files."""
    ending = ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()
    return "" if ending[1:].isdigit() else ending


def _is_read(path: Path) -> bool:
    """True for a file of a kind that some data set reads, by its name."""
    return path.is_file() and (_ending(path) in SUFFIXES or is_nifti(path))


def _dangles(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _reason(path: Path, names: Collection[str]) -> str:
    """The reason why a file is not read. names: those of the files beside it that are read, as of `bare_name`."""
    if _dangles(path):
        target = path.readlink()
        if target.name == path.name:
            return f"a link into {target.parent}, where no file of this name is"
        return f"a link to {target}, which does not exist"
    if not path.is_file():
        return "neither a file nor a folder"
    ending = _ending(path)
    if _is_read(path):
        if bare_name(path) in names:
            return "another file that is read has the same name up to the ending"
        if is_nifti(path):
            return "a volume among images. --data volumes reads a data set of volumes"
        if ending in TIFF:
            return "no file of this name is a part of the data set"
        return "an image among volumes. --data folder reads a data set of images"
    content = _content(path)
    if ending == ".dcm" or content == ".dcm":
        return DICOM
    if ending in ADVICE:
        return f"files that end in {ending} are not. {ADVICE[ending].format(ending)}"
    if content:
        return (
            f"its content is that of a {content} file, which its name does not say. Let it end in {content}"
        )
    which = f"files that end in {ending}" if ending else "files without an ending"
    return f"{which} are not; those in {', '.join(SUFFIXES)}, .nii and .nii.gz are"


def _content(path: Path) -> str:
    """The ending that the content of a file deserves, by its first bytes; '' if they tell nothing."""
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        return ""
    signatures = {
        ".png": start.startswith(b"\x89PNG\r\n\x1a\n"),
        ".jpg": start.startswith(b"\xff\xd8\xff"),
        ".bmp": start.startswith(b"BM") and start[6:10] == bytes(4),
        ".tif": start.startswith(SIGNATURES),
        ".gif": start.startswith(b"GIF8"),
        ".webp": start[:4] == b"RIFF" and start[8:12] == b"WEBP",
        ".nii": start[:4] in [size.to_bytes(4, order) for size in (348, 540) for order in ("little", "big")],
        ".gz": start.startswith(b"\x1f\x8b"),
        ".dcm": start[128:] == b"DICM",
    }
    return next((ending for ending, found in signatures.items() if found), "")


def _folders(folders: list[Path], why: str) -> Unread:
    """Folders that are not read; those that hold the same kinds of things are told of together."""
    together: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    holdings = {path: _holdings(path) for path in folders}
    for path, held in holdings.items():
        together[tuple(sorted(held))].append(path)
    findings: Unread = []
    for kinds, paths in together.items():
        held = sum((holdings[path] for path in paths), Counter())
        counts = " and ".join(_count(held[kind], kind) for kind in kinds) or "no images or volumes"
        this = "this folder" if len(paths) == 1 else "these folders"
        series = (
            ". A series is read if its folder lies directly in that of volumes" if SERIES in kinds else ""
        )
        findings += [(path, f"not read: {why}. In and below {this}: {counts}{series}") for path in paths]
    return findings


def _holdings(folder: Path) -> Counter[str]:
    """The number of images, volumes and DICOM series in a folder and below."""
    found: Counter[str] = Counter()
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "." and name not in OF_SYSTEMS]
        files = [Path(place, name) for name in names if name[0] != "." and name not in OF_SYSTEMS]
        kinds = Counter("volume" if is_nifti(file) else "image" for file in files if _is_read(file))
        found += kinds
        others = [file for file in files if not _is_read(file) and _ending(file) not in ADVICE]
        found += Counter({SERIES: int(bool(others) and _is_series(Path(place)))})
    return found


def _is_series(folder: Path) -> bool:
    try:
        return is_volume(folder)
    except UserError:  # a file that may not be opened
        return False


def _deeper(folder: Path) -> Unread:
    """DICOM series below one that is read."""
    below = [Path(place) for place, _folders, _files in os.walk(folder) if Path(place) != folder]
    return [
        (
            path,
            "not read: a DICOM series below another. Each needs a folder of its own, none within another's",
        )
        for path in below
        if _is_series(path)
    ]


def _count(number: int, kind: str) -> str:
    return f"{number} {kind}" if number == 1 or kind == SERIES else f"{number} {kind}s"
