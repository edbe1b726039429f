"""Pixels as a file stores them, and as a viewer shows them: one reading for images and masks.

Formats differ in how they store (`pillow.py`, `tiff.py`); what is stored means the same in all of them.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Stored:
    """The pixels of a file, and what the file says of them.

    values: [*size, channels], alpha left out. Of a palette image the single channel is the index.
    bits: of one value.
    alpha: how opaque each pixel is [*size], if the file declares it.
    palette: colours of the indices, uint8 [entries, 3].
    white_is_zero: grey values count from white to black.
    orientation: how the rows and columns lie, 1 to 8 (EXIF 2.32, tag 274; TIFF 6.0, page 36).
    lossy: compressed with a loss: "jpeg" if in blocks of 8 x 8 pixels, "other", or None.
    """

    values: np.ndarray
    bits: int
    alpha: np.ndarray | None = None
    palette: np.ndarray | None = None
    white_is_zero: bool = False
    orientation: int = 1
    lossy: str | None = None

    @property
    def shown(self) -> np.ndarray:
        """The pixels as shown, [*size, channels]: colours of the palette, one channel if all of these are grey."""
        return upright(self._shown, self.orientation)

    @cached_property
    def grey_palette(self) -> bool:
        """True if there is a palette, and all of its colours are grey."""
        return self.palette is not None and not (self.palette != self.palette[:, :1]).any()

    @property
    def class_palette(self) -> bytes | None:
        """The colours of a palette with colours: its indices are numbers of classes, not shades."""
        return None if self.palette is None or self.grey_palette else self.palette.tobytes()

    @property
    def black_and_white(self) -> bool:
        """True if a JPEG shows nothing but black and white, so that the middle between them tells the two apart.

        JPEG compresses blocks of 8 x 8 pixels by themselves. A block that was all black or all white comes back as
        one value, the same in all such blocks; noise is in blocks that had both, and hardly ever reaches the middle
        (of the masks tried, 2 % of these pixels did at quality 30). Any other number, however near to 0, makes blocks
        that are neither.
        """
        grey = self._shown[..., 0]
        sides = [(0, 0)] * (grey.ndim - 2) + [(0, -side % 8) for side in grey.shape[-2:]]
        padded = np.pad(grey, sides, mode="edge")
        rows, columns = padded.shape[-2] // 8, padded.shape[-1] // 8
        blocks = padded.reshape(-1, rows, 8, columns, 8)
        low, high = blocks.min((2, 4)), blocks.max((2, 4))
        dark, bright = high < 128, low >= 128
        if (low != high)[dark | bright].any():
            return False
        mixed = padded.reshape(blocks.shape).transpose(0, 1, 3, 2, 4)[~(dark | bright)]
        if mixed.size and ((mixed >= 64) & (mixed < 192)).mean() > 0.05:
            return False
        black, white = np.unique(low[dark]), np.unique(low[bright])
        return (
            len(black) <= 1
            and len(white) <= 1
            and black.max(initial=0) <= 8
            and white.min(initial=255) >= 247
        )

    @cached_property
    def _shown(self) -> np.ndarray:
        """The pixels as `shown`, rows and columns as they are stored."""
        if self.palette is not None:
            return self.palette[self.values[..., 0]][..., : 1 if self.grey_palette else 3]
        largest = 2**self.bits - 1
        values = self.values
        if self.bits < 8:  # viewers show the largest value as white
            values, largest = (values.astype(np.uint16) * 255 // largest).astype(np.uint8), 255
        return values.dtype.type(largest) - values if self.white_is_zero else values


def upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels [pages?, height, width, channels] turned and mirrored so that the first row is the top."""
    if orientation >= 5:
        values = values.swapaxes(-3, -2)
    if orientation in (3, 4, 7, 8):
        values = np.flip(values, -3)
    if orientation in (2, 3, 6, 7):
        values = np.flip(values, -2)
    return values


LUMA = (0.299, 0.587, 0.114)
"""The shares of red, green and blue in the brightness of a pixel (ITU-R BT.601, section 2.5.1)."""


class NotAColourError(ValueError):
    """An image that is neither grey nor RGB, and so cannot be made the other."""


def in_colour(image: np.ndarray, colour: Literal["grey", "rgb"] | None) -> np.ndarray:
    """A grey or RGB image [*size, channels] as float32 with one channel, or with three; None leaves it as it is.

    Raises NotAColourError if it has another number of channels.
    """
    channels = image.shape[-1]
    if colour is None or channels == {"grey": 1, "rgb": 3}[colour]:
        return image
    if channels == 1:
        return np.repeat(image, 3, axis=-1)
    if channels == 3:
        return (image @ np.array(LUMA))[..., np.newaxis].astype(np.float32)
    raise NotAColourError(
        f"has {channels} channels: only grey and RGB images can be made {colour} (data.colour)"
    )
