"""File formats, read and written: images, volumes, NIfTI, DICOM, packed records."""
