"""Everything that speaks DICOM: receive, read, pixels, encode, send, storage commitment.

Importing this package quiets the libraries first: pydicom and pynetdicom warn and log with raw element values, and
those are patient data.
"""

from dicom_node.quiet import quiet_libraries

quiet_libraries()
