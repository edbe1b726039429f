"""The raw layout of nnU-Net's second version (Isensee et al. 2021, Nature Methods 18:203).

A folder such as `nnUNet_raw/Dataset001_BrainTumour`, described in its documentation, `dataset_format.md`.
"""

from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from data.errors import UserError
from data.formats.images import SUFFIXES as IMAGE_SUFFIXES
from data.formats.images import TIFF
from data.formats.nifti import SUFFIXES as NIFTI_SUFFIXES
from data.formats.unread import ADVICE, summary
from data.source import Case
from data.sources.dataset_json import DatasetJson, Listed, Present, real_path
from data.sources.pairing import Findings

AS_IMAGES = (
    "nnunet reads volumes. Images of two axes with all channels in one file: --data folder --set data.images=imagesTr "
    "--set data.masks=labelsTr --set data.image_suffix=_0000"
)


class NnUnet(DatasetJson):
    """A folder with dataset.json, imagesTr, labelsTr and perhaps imagesTs.

    Each channel of a case is a file, imagesTr/case_0000.nii.gz, case_0001.nii.gz, ..., its label is
    labelsTr/case.nii.gz. dataset.json names channels and classes, and may list files that lie elsewhere ("dataset").
    """

    name: Literal["nnunet"] = "nnunet"
    required: ClassVar = ("channel_names", "labels", "file_ending")

    def notes(self) -> list[str]:
        notes = super().notes()
        there, told = len(self.names()), self._description.get("numTraining")
        if told is not None and told != there:
            notes.append(f"numTraining in dataset.json is {told!r}, but {there} case(s) have image and label")
        return notes

    def _image(self, name: str) -> Case:
        case = super()._image(name)
        if case.image.ndim != 4:
            raise UserError(f"{case.path}: is an image of two axes. {AS_IMAGES}")
        return case

    def _unlisted(self, path: Path) -> str:
        if not path.name.endswith(self._ending):
            return f"not read: its name does not end in {self._ending!r} (file_ending in dataset.json)"
        return super()._unlisted(path)

    @cached_property
    def _ending(self) -> str:
        """The ending of all files. Raises UserError if files of this kind are not read as volumes."""
        ending = self._description["file_ending"]
        where = f"{self._path}: 'file_ending'"
        if not isinstance(ending, str):
            raise UserError(f'{where} is not a text. Write "file_ending": ".nii.gz".')
        ending = f".{ending.removeprefix('.')}"
        if ending.lower() in (*NIFTI_SUFFIXES, *TIFF):
            return ending
        if ending.lower() in IMAGE_SUFFIXES:
            raise UserError(f"{where} is {ending!r}. {AS_IMAGES}")
        advice = ADVICE.get(ending.lower(), f"Convert the files to one of {', '.join(NIFTI_SUFFIXES)}")
        raise UserError(
            f"{where} is {ending!r}, which is not read. {advice.format(ending)}; and write '.nii.gz' here."
        )

    def _ending_in(self, folder: str) -> Present:
        """The files in a subfolder that have the ending."""
        paths = self._present(self._folder / folder).paths
        return Present([path for path in paths if path.name.endswith(self._ending)])

    def _listed(self) -> tuple[list[Listed], Findings]:
        _ = self._ending
        cases, faults = self._of_list() if "dataset" in self._description else self._of_folders()
        further, wrong = self._without_label(self._ending_in("imagesTs"), by_channel=True)
        return [*cases, *further], [*faults, *wrong, *self._without_number("imagesTs")]

    def _of_list(self) -> tuple[list[Listed], Findings]:
        """The cases that dataset.json lists, {"case": {"images": [...], "label": ...}}, and what is wrong with them."""
        listed = self._description["dataset"]
        form = '{"images": ["imagesTr/a_0000.nii.gz"], "label": "labelsTr/a.nii.gz"}'
        if not isinstance(listed, dict):
            raise UserError(f"{self._path}: 'dataset' must be an object, {{\"a\": {form}, ...}}.")
        cases: list[Listed] = []
        faults: Findings = []
        for name, entry in listed.items():
            where = f"{self._path}, case {name!r} of 'dataset'"
            if not isinstance(entry, dict) or not isinstance(entry.get("images"), list):
                faults.append((where, f"must be {form}"))
                continue
            found = self._entry(where, entry["images"], entry.get("label"))
            if isinstance(found, Listed):
                parts = tuple(part for part in name.replace("\\", "/").split("/") if part.strip("."))
                cases.append(Listed(where, ("_".join(parts) or "case",), found.images, found.label))
            else:
                faults += found
        return cases, faults

    def _of_folders(self) -> tuple[list[Listed], Findings]:
        """The cases in imagesTr and labelsTr, and what is wrong with others there."""
        images, labels = self._ending_in("imagesTr"), self._ending_in("labelsTr")
        folder, of_labels = self._folder / "imagesTr", self._folder / "labelsTr"
        if not images.by_case:
            there = summary(folder) if folder.is_dir() else "no such folder"
            other = (
                ". Its 'training' lists pairs: --data decathlon" if "training" in self._description else ""
            )
            raise UserError(f"{folder}: holds no file such as case_0000{self._ending} ({there}){other}")
        cases: list[Listed] = []
        faults: Findings = self._without_number("imagesTr")
        for case in images.by_case:
            files, found = images.channels(case, self._channels), labels.by_name.get(case, [])
            if isinstance(files, str):
                faults.append((folder / case, files))
            elif len(found) != 1:
                faults.append((folder / case, f"there is no label of this name in {of_labels}"))
            else:
                cases.append(Listed(str(folder / case), ("imagesTr", case), files, found[0]))
                continue
            self._left_out.update(
                real_path(path) for paths in images.by_case[case].values() for path in paths
            )
            self._left_out.update(map(real_path, found))
        for name, paths in labels.by_name.items():
            if name not in images.by_case:
                faults.append((paths[0], f"there is no image {name}_0000{self._ending} in {folder}"))
                self._left_out.update(map(real_path, paths))
        return cases, faults

    def _without_number(self, folder: str) -> Findings:
        """The images whose names lack the number of a channel."""
        present = self._ending_in(folder)
        numbered = {path for case in present.by_case.values() for paths in case.values() for path in paths}
        wrong = [path for path in present.paths if path not in numbered]
        self._left_out.update(map(real_path, wrong))
        return [
            (path, "its name lacks the number of a channel. Rename it, as to case_0000") for path in wrong
        ]
