"""The raw data of nnU-Net's second version (Isensee et al. 2021, Nature Methods 18:203): a file for each channel."""

from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from data.errors import UserError
from data.files import paths_in
from data.sources.described import CHANNEL, Described, Listing

READ = (".nii.gz", ".nii", ".tif", ".tiff")
REMEDIES = {
    ".png": "Images of two axes are read from folders: images/a.png and masks/a.png (--data folder).",
    ".bmp": "Images of two axes are read from folders: images/a.bmp and masks/a.bmp (--data folder).",
    ".nrrd": "Convert the files to NIfTI, as with SimpleITK: WriteImage(ReadImage('a.nrrd'), 'a.nii.gz').",
    ".mha": "Convert the files to NIfTI, as with SimpleITK: WriteImage(ReadImage('a.mha'), 'a.nii.gz').",
}


class NnUNet(Described):
    """A folder with dataset.json, imagesTr, labelsTr and perhaps imagesTs, as nnU-Net's second version has it.

    dataset.json names the channels ("channel_names"), the classes ("labels") and the ending of the files
    ("file_ending"). imagesTr holds CASE_0000.nii.gz, CASE_0001.nii.gz, ..., a file for each channel, and labelsTr
    CASE.nii.gz; or "dataset" lists the files of each case.
    """

    name: Literal["nnunet"] = "nnunet"

    @cached_property
    def listing(self) -> Listing:
        listing = Listing()
        listed = self._description.get("dataset")
        training = self._listed(listed, listing) if listed is not None else self._found("imagesTr")
        for name, files in training.items():
            label = self._label(name, listed)
            missing = [index for index in range(self.channels) if index not in files]
            if missing:
                listing.findings.append(
                    (name, f"lacks the file of channel {missing[0]:04d}, {self._example(missing[0])}")
                )
            if not label.exists():
                listing.findings.append(
                    (name, f"has no label: {label.parent.name}/CASE{self._ending} is missing")
                )
            listing.told += [*files.values(), label]
            if not missing and label.exists():
                listing.images[name] = tuple(files[index] for index in range(self.channels))
                listing.labels[name] = label
        if listed is None and (self._folder / "labelsTr").is_dir():
            labels = paths_in(self._folder / "labelsTr", lambda path: path.name.endswith(self._ending))
            listing.told += labels
            listing.findings += [
                (path, f"there is no image {self._example(0)} of this name in imagesTr")
                for path in labels
                if path.name.removesuffix(self._ending) not in training
            ]
        for name, files in self._found("imagesTs").items():
            if name not in listing.images and len(files) == self.channels:
                listing.images[name], listing.labels[name] = (
                    tuple(files[index] for index in sorted(files)),
                    None,
                )
        stated = self._description.get("numTraining")
        if isinstance(stated, int) and stated != len(training):
            listing.notes.append(
                f"dataset.json says numTraining {stated}, but there are {len(training)} cases"
            )
        return listing

    @cached_property
    def _ending(self) -> str:
        ending = self._description.get("file_ending")
        if not isinstance(ending, str) or not ending:
            raise UserError(f'{self._description_file} lacks file_ending, as in ".nii.gz".')
        if ending not in READ:
            remedy = REMEDIES.get(ending, f"Read are {', '.join(READ)}: convert the files.")
            raise UserError(f"{self._description_file}: files that end in {ending} are not read. {remedy}")
        return ending

    def _example(self, channel: int) -> str:
        return f"CASE_{channel:04d}{self._ending}"

    def _found(self, subfolder: str) -> dict[str, dict[int, Path]]:
        """The files of each case in a folder, by the number of the channel."""
        folder = self._folder / subfolder
        if not folder.is_dir():
            if subfolder == "imagesTr":
                raise UserError(
                    f"The folder {folder} does not exist: --data-dir must be a data set of nnU-Net."
                )
            return {}
        cases: dict[str, dict[int, Path]] = defaultdict(dict)
        for path in paths_in(folder, lambda path: path.name.endswith(self._ending)):
            match = CHANNEL.fullmatch(path.name.removesuffix(self._ending))
            if match:  # others are told by `unread`
                cases[match[1]][int(match[2])] = path
        if not cases and subfolder == "imagesTr":
            raise UserError(f"{folder} holds no files such as {self._example(0)}.")
        return dict(cases)

    def _listed(self, listed: Any, listing: Listing) -> dict[str, dict[int, Path]]:
        """The files of each case that dataset.json lists."""
        cases: dict[str, dict[int, Path]] = {}
        entries = listed if isinstance(listed, dict) else {}
        for name, entry in entries.items():
            images = entry.get("images") if isinstance(entry, dict) else None
            if not isinstance(images, list) or not isinstance(entry.get("label"), str):
                listing.findings.append((f"dataset, {name}", 'is not {"images": [...], "label": ...}'))
                continue
            cases[name] = {index: self._folder / str(image) for index, image in enumerate(images)}
        if not cases:
            raise UserError(
                f'{self._description_file}: dataset must list cases, {{"a": {{"images": [...], "label": ...}}}}.'
            )
        return cases

    def _label(self, name: str, listed: Any) -> Path:
        if listed is not None:
            return self._folder / listed[name]["label"]
        return self._folder / "labelsTr" / f"{name}{self._ending}"
