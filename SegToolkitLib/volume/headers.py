"""What the header of a file promises, checked against what the file holds.

SimpleITK returns a truncated NIfTI or JPEG file as if nothing were missing, and its MetaImage reader prints
to stderr and then says "no such file". So the promises of these are read here, before SimpleITK does.
"""

from __future__ import annotations

import math
from pathlib import Path

from SegToolkitLib.volume.header_errors import not_an_image, truncated
from SegToolkitLib.volume.nifti_header import check_nifti

META_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}


def check_file(path: Path) -> None:
    """Raise if the file is shorter than its header promises, or the header contradicts itself.

    Knows NIfTI (1 and 2, gzip or not), MetaImage and JPEG; others pass, since their readers notice.

    Raises:
        SegToolkitError: "truncated-file", "not-an-image", "bad-spacing", "singular-direction",
            "sheared-direction" or "contradictory-header".
    """
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz", ".hdr")):
        check_nifti(path)
    elif name.endswith((".mha", ".mhd")):
        _check_meta(path)
    elif name.endswith((".jpg", ".jpeg")):
        with path.open("rb") as handle:
            start = handle.read(2)
            handle.seek(-min(path.stat().st_size, 64), 2)
            ending = handle.read()
        if start == b"\xff\xd8" and b"\xff\xd9" not in ending:
            raise truncated(path, "its end marker is missing")


def _check_meta(path: Path) -> None:
    fields: dict[str, str] = {}
    with path.open("rb") as handle:
        while "ElementDataFile" not in fields:
            line = handle.readline(4096)
            key, equals, value = line.decode("latin-1").partition("=")
            if not equals:
                if not fields:
                    raise not_an_image(path, "a MetaImage file, although its suffix says so")
                raise truncated(path, "its header has no end (ElementDataFile)")
            fields[key.strip()] = value.strip()
        start = handle.tell()
    source = fields["ElementDataFile"]
    if source.upper().startswith("LIST") or "%" in source or "HeaderSize" in fields:
        return
    file = path if source.upper() == "LOCAL" else path.parent / source
    if not file.exists():
        raise truncated(path, f"its voxels should be in {source}, which is not beside it")
    kind = fields.get("ElementType", "").removeprefix("MET_").removesuffix("_ARRAY")
    each = META_BYTES.get(kind.removeprefix("U"), 0)
    count = math.prod(int(n) for n in fields.get("DimSize", "0").split())
    promised = count * each * int(fields.get("ElementNumberOfChannels", 1))
    if fields.get("CompressedData", "").lower() == "true":
        promised = int(fields.get("CompressedDataSize", 0))
    elif fields.get("BinaryData", "true").lower() == "false":
        return
    found = file.stat().st_size - (start if file == path else 0)
    if found < promised:
        raise truncated(path, f"it holds {found} of the {promised} bytes of voxels that its header promises")
