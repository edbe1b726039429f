"""Downloads of public data sets, verified and complete or not at all."""

import shutil
import tarfile
import tempfile
from pathlib import Path

import pooch

from data.errors import UserError

HIPPOCAMPUS_URL = "https://msd-for-monai.s3-us-west-2.amazonaws.com/Task04_Hippocampus.tar"
HIPPOCAMPUS_MD5 = "9d24dba78a72977dbd1d2e110310f31b"

ISBI_2012 = """The ISBI 2012 stack cannot be downloaded without registration, so this program cannot fetch it.
  1. Register at http://brainiac2.mit.edu/isbi_challenge/ and download train-volume.tif, train-labels.tif and
     test-volume.tif (the labels of the test volume are not public).
  2. Put them into one folder.
  3. python train.py --config configs/isbi2012.yaml --data-dir FOLDER
Please cite Arganda-Carreras et al. 2015, Frontiers in Neuroanatomy 9:142."""


def fetch_hippocampus(out: Path, url: str = HIPPOCAMPUS_URL, md5: str = HIPPOCAMPUS_MD5) -> Path:
    """Download, verify and unpack Task04 of the Medical Segmentation Decathlon (CC-BY-SA 4.0), 27 MB.

    out: a folder; the data set becomes its subfolder Task04_Hippocampus. An archive that lies there already is
        used if its checksum is right.
    Returns the folder of the data set. Raises UserError without network, if the archive is not the published one,
    or if the disk is full; what was there before stays.
    """
    archive, target = out / Path(url).name, out / "Task04_Hippocampus"
    if target.exists():
        raise UserError(
            f"{target} exists already: use it with --data decathlon --data-dir {target}, or remove it."
        )
    try:
        pooch.retrieve(url, f"md5:{md5}", archive.name, out, progressbar=True)
    except ValueError as error:  # pooch's word for another checksum
        raise UserError(
            f"{url} gave a file that is not the published archive (its MD5 is not {md5}): the download broke off, or "
            f"something between here and there changed it. Try again. ({error})"
        ) from error
    # What a missing network raises depends on where it ends: all are OSErrors.
    except OSError as error:
        raise UserError(
            f"{url} cannot be downloaded ({type(error).__name__}). Without network: download it elsewhere, put "
            f"{archive.name} into {out}/ and run this command again; its MD5 must be {md5}."
        ) from error
    unpacking = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=out))
    try:
        with tarfile.open(archive) as file:
            file.extractall(unpacking, filter="data")  # refuses paths that lead elsewhere
        (folder,) = (path.parent for path in unpacking.rglob("dataset.json"))
        # Archives made on a Mac hold a shadow '._NAME' of every file.
        for shadow in folder.rglob("._*"):
            shadow.unlink()
        folder.rename(target)
    except (OSError, tarfile.TarError, ValueError) as error:
        raise UserError(f"{archive} cannot be unpacked ({error}).") from error
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)
    return target
