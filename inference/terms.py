"""The words that may be repeated from a header: defined terms only.

Modality, body part and view are free for a sender to fill; a careless one puts a name there. What is not a defined
term is therefore never repeated in a reason, which travels into reports, logs and pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MODALITIES = frozenset(
    # PS3.3 C.7.3.1.1.1, defined terms of Modality
    "ANN AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD IO IOL IVOCT "
    "IVUS KER KO LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG "
    "RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA "
    "XA XAPROTOCOL XC".split()
)

BODY_PARTS = frozenset(
    # PS3.16 Annex L, the defined terms that radiography and cross-sectional imaging use
    "ABDOMEN ABDOMENPELVIS ANKLE ARM BREAST BRONCHUS BUTTOCK CALCANEUS CALF CAROTID CEREBELLUM CERVIX CHEEK CHEST "
    "CHESTABDOMEN CHESTABDPELVIS CIRCLEOFWILLIS CLAVICLE COCCYX COLON CSPINE CTSPINE DUODENUM EAR ELBOW ESOPHAGUS "
    "EXTREMITY EYE EYELID FACE FEMUR FINGER FOOT FOREARM GALLBLADDER HAND HEAD HEADNECK HEART HIP HUMERUS ILEUM ILIUM "
    "IAC JAW JAWBONE KIDNEY KNEE LARYNX LEG LIVER LSPINE LSSPINE LUNG MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST "
    "NECKCHESTABDOMEN NECKCHESTABDPELV NOSE ORBIT OVARY PANCREAS PAROTID PATELLA PELVIS PENIS PHARYNX PROSTATE RECTUM "
    "RIB SCALP SCAPULA SCLERA SCROTUM SHOULDER SKULL SPINE SPLEEN SSPINE STERNUM STOMACH SUBMANDIBULAR TESTIS THIGH "
    "THORAX THUMB THYMUS THYROID TLSPINE TMJ TOE TONGUE TRACHEA TSPINE UPARM URETER URETHRA UTERUS VAGINA VULVA "
    "WHOLEBODY WRIST ZYGOMA".split()
)

VIEWS = frozenset(
    # PS3.3 C.8.1.1.1.2 and C.8.11.5.1.4 with what modalities send for a chest
    "AP PA LL RL RLD LLD RLO LLO LAT LATERAL LLAT RLAT LAO RAO LPO RPO OBL OBLIQUE SUPINE PRONE AXIAL".split()
)

PHOTOMETRIC_INTERPRETATIONS = frozenset(
    # PS3.3 C.7.6.3.1.2
    ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
)


_CHEST = frozenset({"CHEST", "THORAX", "LUNG"})
"""One body part with three names: which of them a package lists does not matter."""

_SAME = {
    **dict.fromkeys(("TORAX", "TORACE", "CXR", "CHESTS"), "CHEST"),
    **dict.fromkeys("POUMON PULMO PULMON PULMONE POLMONE POLMONI LUNGE LUNGEN LONGEN".split(), "LUNG"),
}
_SAYS_NO_PART = frozenset(
    # how an image was made, which senders write into Body Part Examined next to the part
    "PA AP LAT LATERAL LL RL FRONTAL PORT PORTABLE MOBILE MOBIL BEDSIDE BED ERECT UPRIGHT SUPINE SITTING STANDING ICU "
    "ER ROUTINE ADULT LEFT RIGHT LT RT L R BILATERAL BOTH XR XRAY X RAY RX DX CR DR AND OF THE FOR Y UND ET STEHEND "
    "LIEGEND SITZEND".split()
)
_COUNTS_VIEWS = re.compile(r"\d{0,2}(V|VW|VWS|VIEW|VIEWS)?")
_SPINES = (
    ("CSPINE", re.compile(r"\b(C|CERVICAL)[ _-]*SPINE\b")),
    ("TSPINE", re.compile(r"\b(T|TH|D|THORACIC|DORSAL)[ _-]*SPINE\b")),
    ("LSSPINE", re.compile(r"\b(LS|LUMBOSACRAL)[ _-]*SPINE\b")),
    ("LSPINE", re.compile(r"\b(L|LUMBAR)[ _-]*SPINE\b")),
)
_JOINED = re.compile(r"(?P<before>[A-Z]*?)(?P<part>CHEST|THORAX|TORAX)(?P<after>[A-Z0-9]*)")


def body_part_of(words: str, site: Mapping[str, str]) -> str:
    """The term that Body Part Examined means, "" when it cannot be known; `site`: terms by the site's own words.

    "PORT CHEST", "CHESTPA" and "LUNGS" mean one part; "CHEST ABD" and what is no term at all mean none that can be
    known.
    """
    written = " ".join(words.upper().split())
    if written in site:
        return site[written]
    if written in BODY_PARTS:
        return written
    for spine, pattern in _SPINES:
        written = pattern.sub(spine, written)
    tokens = [token for token in re.split(r"[^A-Z0-9]+", written) if token and not _says_no_part(token)]
    parts = {_part(token, site) for token in tokens}
    if len(parts) > 1 and parts <= _CHEST:
        return "CHEST"
    return parts.pop() if len(parts) == 1 else ""


def is_one_of(part: str, accepted: tuple[str, ...]) -> bool:
    """Whether a body part is among those accepted, under whichever of its names."""
    return part in accepted or (part in _CHEST and bool(_CHEST & set(accepted)))


def _part(token: str, site: Mapping[str, str]) -> str:
    for word in (token, token.removesuffix("S")):
        if found := site.get(word) or _SAME.get(word) or (word if word in BODY_PARTS else ""):
            return found
    joined = _JOINED.fullmatch(token)
    is_plain = joined is not None and all(_says_no_part(joined[side]) for side in ("before", "after"))
    return "CHEST" if is_plain else ""


def _says_no_part(token: str) -> bool:
    return token in _SAYS_NO_PART or _COUNTS_VIEWS.fullmatch(token) is not None


def term(value: str, known: frozenset[str]) -> str:
    """`value` when it is one of the defined terms, else words that repeat nothing of it."""
    if not value:
        return "(not given)"
    return value if value in known else "(not a defined term)"
