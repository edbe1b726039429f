"""The layout of the Medical Segmentation Decathlon (Antonelli et al. 2022, Nature Communications 13:4128)."""

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from data.errors import UserError
from data.formats.volumes import bare_name
from data.labels.label_maps import first_few
from data.sources.dataset_json import PAIR, DatasetJson, Listed, Present, kind_of, real_path
from data.sources.pairing import Findings


class Decathlon(DatasetJson):
    """A folder with dataset.json, imagesTr, labelsTr and perhaps imagesTs.

    dataset.json names the channels ("modality"), the classes ("labels") and the pairs of files ("training").
    Volumes with several channels have four axes; or there is a file for each, as in nnU-Net's first version, which
    lists case.nii.gz for case_0000.nii.gz, case_0001.nii.gz, ...
    """

    name: Literal["decathlon"] = "decathlon"
    required: ClassVar = ("modality", "labels", "training")

    def notes(self) -> list[str]:
        notes = super().notes()
        if self._absent:
            some = first_few(self._absent, 3)
            notes.append(
                f"{len(self._absent)} image(s) that dataset.json lists under 'test' are not there: {some}"
            )
        return notes

    @cached_property
    def _absent(self) -> list[str]:
        """The images without a label that are listed and not there: no training needs them."""
        entries = self._entries("test")
        images = [entry.get("image") if isinstance(entry, dict) else entry for entry in entries]
        return [
            text
            for text in images
            if isinstance(text, str) and "\0" not in text and isinstance(self._find(text, True), str)
        ]

    def _listed(self) -> tuple[list[Listed], Findings]:
        cases: list[Listed] = []
        faults: Findings = []
        for key in ("training", "test"):
            for number, entry in enumerate(self._entries(key), 1):
                where = f"{self._path}, entry {number} of '{key}'"
                found = self._of_entry(where, entry, labelled=key == "training")
                if isinstance(found, Listed):
                    cases.append(found)
                else:
                    faults += found
        tests = self._present(self._folder / "imagesTs")
        by_channel = any(
            bare_name(case.images[0]) != bare_name(Path(case.parts[-1] + ".nii")) for case in cases
        )
        read = {real_path(path) for case in cases for path in case.files}
        others = Present([path for path in tests.paths if real_path(path) not in read])
        further, wrong = self._without_label(others, by_channel)
        return [*cases, *further], [*faults, *wrong]

    def _entries(self, key: str) -> list[Any]:
        """The list in dataset.json of this name. Raises UserError if it is none."""
        entries = self._description.get(key) or []
        if not isinstance(entries, list):
            form = PAIR if key == "training" else '"./imagesTs/c.nii.gz"'
            raise UserError(
                f"{self._path}: '{key}' is {kind_of(entries)}, but must be a list, [{form}, ...]."
            )
        return entries

    def _of_entry(self, where: str, entry: object, labelled: bool) -> Listed | Findings:
        """The files of an entry of 'training', or of 'test', which has no label; or what is wrong with it."""
        if isinstance(entry, str):
            entry = {"image": entry}
        if not isinstance(entry, dict):
            form = PAIR if labelled else 'the name of a file, "./imagesTs/c.nii.gz"'
            return [(where, f"is {kind_of(entry)}, but must be {form}")]
        if labelled and entry.get("image") and not entry.get("label"):
            what = f"{where}, {entry['image']}" if isinstance(entry["image"], str) else where
            self._entry(where, entry["image"], None)  # so that its files are not told of twice
            return [(what, f"has no label. Write {PAIR}, or list the image under 'test'")]
        image = entry.get("image")
        if not labelled and isinstance(image, str) and image in self._absent:
            return []  # `notes` tells of it
        return self._entry(where, image, entry.get("label"), labelled)
