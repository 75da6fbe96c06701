"""The words that may be repeated from a header: defined terms only.

Modality, body part and view are free for a sender to fill; a careless one puts a name there. What is not a defined
term is therefore never repeated in a reason, which travels into reports, logs and pages.
"""

from __future__ import annotations

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


def term(value: str, known: frozenset[str]) -> str:
    """`value` when it is one of the defined terms, else words that repeat nothing of it."""
    if not value:
        return "(not given)"
    return value if value in known else "(not a defined term)"
