"""imagecodecs and pylibjpeg-rle as a decoding plugin of pydicom: the whole JPEG family, and RLE.

Bit-identical to gdcm and pyjpegls on the WG04 images and as fast or faster; 12-bit extended is decoded, which gdcm
refuses; RLE is four times as fast as pydicom's own. pydicom loads this module by name (`add_plugin`) and calls
`decode_frame`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.pixels.common import PhotometricInterpretation
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder
from pydicom.uid import UID
from rle.utils import decode_pixel_data as decode_rle

from dicom_node.sop_classes import COMPRESSED

PLUGIN = "candor"
HTJ2K = (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
DECODER_DEPENDENCIES = dict.fromkeys(COMPRESSED, ("imagecodecs", "pylibjpeg-rle"))
"""pydicom asks for this table by this name."""


def is_available(transfer_syntax: str) -> bool:
    """Whether pydicom may use this plugin for `transfer_syntax`."""
    return transfer_syntax in DECODER_DEPENDENCIES


def register() -> None:
    """Add the plugin to pydicom's decoders; a second call changes nothing."""
    for syntax in DECODER_DEPENDENCIES:
        decoder = get_decoder(syntax)
        if PLUGIN not in decoder.available_plugins:
            decoder.add_plugin(PLUGIN, (__name__, "decode_frame"))


def decode_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """Decode one frame and tell `runner` how its samples are laid out; raises when it is not what was announced."""
    if runner.transfer_syntax == uid.RLELossless:
        runner.set_option("planar_configuration", 1)
        return bytes(decode_rle(src, version=2, **runner.options))
    pixels = _codec(runner.transfer_syntax, runner.samples_per_pixel)(src)
    if pixels.ndim == 3 and pixels.shape[0] == runner.samples_per_pixel != pixels.shape[2]:
        pixels = np.moveaxis(pixels, 0, -1)  # JPEG-LS without interleaving comes plane by plane
    expected: tuple[int, ...] = (runner.rows, runner.columns)
    if runner.samples_per_pixel > 1:
        expected += (runner.samples_per_pixel,)
    if pixels.shape != expected:
        raise ValueError("the frame's size is not the one that Rows and Columns announce")
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    if runner.samples_per_pixel > 1:
        runner.set_option("planar_configuration", 0)
    if runner.photometric_interpretation in (PhotometricInterpretation.YBR_ICT, PhotometricInterpretation.YBR_RCT):
        runner.set_option("photometric_interpretation", PhotometricInterpretation.RGB)
    return np.ascontiguousarray(pixels).tobytes()


def _codec(syntax: UID, samples_per_pixel: int) -> Callable[[bytes], NDArray[Any]]:
    if syntax in uid.JPEGLSTransferSyntaxes:
        return imagecodecs.jpegls_decode
    if syntax in HTJ2K:
        return imagecodecs.htj2k_decode
    if syntax in uid.JPEG2000TransferSyntaxes:
        return imagecodecs.jpeg2k_decode
    return imagecodecs.jpeg8_decode if samples_per_pixel == 1 else _colour_jpeg


def _colour_jpeg(src: bytes) -> NDArray[Any]:
    """Colour in the space it was coded in: libjpeg guesses, the header knows."""
    return imagecodecs.jpeg8_decode(src, colorspace="YCBCR", outcolorspace="YCBCR")
