"""Keep the DICOM libraries from printing what they read.

pydicom warns "Invalid value for VR DA: '...'" and pynetdicom logs whole tracebacks: both quote raw element values.
We flag malformed elements ourselves, by keyword, so nothing is lost by silencing them.
"""

from __future__ import annotations

import logging
import warnings

import pydicom.config

SILENT = logging.CRITICAL + 1


def quiet_libraries() -> None:
    """Silence pydicom's and pynetdicom's loggers and warnings; idempotent.

    The level is set on the parent loggers: children inherit it, and a disabled record costs next to nothing.
    """
    for name in ("pydicom", "pynetdicom", "highdicom"):
        logging.getLogger(name).setLevel(SILENT)
    warnings.filterwarnings("ignore", module=r"(pydicom|pynetdicom)(\.|$)")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
