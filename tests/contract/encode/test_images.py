"""The overlay, the presentation state and the segmentations: the region is where the map says, in true shape."""

from __future__ import annotations

import dataclasses
from io import BytesIO

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_voi_lut

from core.domain.explanation import Region
from core.domain.report import ObjectKind, Report
from core.domain.study import Image
from dicom_node.encode import encode
from dicom_node.encode.picture.finding import draw_finding
from dicom_node.encode.uids import tracking_uid
from tests.contract.encode.cases import (
    COHORT,
    CT,
    IMAGE_UID,
    MODEL,
    dx_source,
    finding,
    image,
    report,
    saliency,
    withheld,
)


def encoded(
    kind: ObjectKind, of: Report | None = None, source: bytes | None = None, seen: Image | None = None
) -> Dataset:
    (result,) = encode(of or report(), {IMAGE_UID: source or dx_source()}, {IMAGE_UID: seen or image()}, [kind])
    return pydicom.dcmread(BytesIO(result.data))


def test_the_binary_segmentation_is_the_mask() -> None:
    segmentation = hd.seg.Segmentation.from_dataset(encoded(ObjectKind.SEG))
    pixels = segmentation.get_pixels_by_source_instance([IMAGE_UID], segment_numbers=[1])
    np.testing.assert_array_equal(pixels[0, ..., 0].astype(bool), saliency().mask)
    description = segmentation.get_segment_description(1)
    assert description.tracking_uid == tracking_uid(report(), report().readings[0], "lung_opacity")
    assert description.segmented_property_type.meaning == "Region that influenced the model"
    assert segmentation.PatientOrientation == ["L", "F"]


def test_the_fractional_segmentation_is_the_map_in_255_steps() -> None:
    segmentation = hd.seg.Segmentation.from_dataset(encoded(ObjectKind.SEG_FRACTIONAL))
    pixels = segmentation.get_pixels_by_source_instance([IMAGE_UID], segment_numbers=[1])
    np.testing.assert_allclose(pixels[0, ..., 0], saliency().values, atol=0.5 / 255 + 1e-6)


def test_the_parametric_map_is_the_map_where_the_image_is() -> None:
    (result,) = encode(report(), {IMAGE_UID: dx_source(**CT)}, {IMAGE_UID: image()}, [ObjectKind.PMAP])
    parametric_map = hd.pm.ParametricMap.from_dataset(pydicom.dcmread(BytesIO(result.data)))
    np.testing.assert_array_equal(parametric_map.pixel_array, saliency().values)
    assert parametric_map.FrameOfReferenceUID == CT["FrameOfReferenceUID"]
    assert parametric_map.ImageType[3] == "NONE"
    volume = parametric_map.get_volume()
    np.testing.assert_allclose(volume.position, CT["ImagePositionPatient"])
    np.testing.assert_allclose(volume.pixel_spacing, CT["PixelSpacing"])


def test_the_presentation_state_draws_every_outline_on_the_source() -> None:
    state = encoded(ObjectKind.GSPS)
    (annotation,) = state.GraphicAnnotationSequence
    assert annotation.ReferencedImageSequence[0].ReferencedSOPInstanceUID == IMAGE_UID
    for graphic, region in zip(annotation.GraphicObjectSequence, saliency().regions, strict=True):
        assert (graphic.GraphicType, graphic.GraphicAnnotationUnits) == ("POLYLINE", "PIXEL")
        np.testing.assert_array_equal(np.reshape(graphic.GraphicData, (-1, 2)), region.points)
    words = annotation.TextObjectSequence[0].UnformattedTextValue
    assert "AI - NOT VERIFIED" in words
    assert "region that influenced the model" in words


def test_the_presentation_state_shows_the_image_as_the_image_shows_itself() -> None:
    state = encoded(ObjectKind.GSPS)
    assert (state.RescaleSlope, state.RescaleIntercept, state.PresentationLUTShape) == (1, 0, "IDENTITY")
    (window,) = state.SoftcopyVOILUTSequence
    assert (window.WindowCenter, window.WindowWidth) == (2048, 4096)
    (area,) = state.DisplayedAreaSelectionSequence
    assert list(area.DisplayedAreaBottomRightHandCorner) == [48, 64]
    assert list(area.PresentationPixelSpacing) == [0.2, 0.2]


def test_black_stays_black_for_monochrome1() -> None:
    source = dx_source(PhotometricInterpretation="MONOCHROME1")
    assert encoded(ObjectKind.GSPS, source=source).PresentationLUTShape == "INVERSE"


@pytest.mark.parametrize("signed", [0, 1])
def test_a_lut_of_the_source_is_repeated_with_outputs_of_16_bits(signed: int) -> None:
    """Its 8-bit outputs are in 16-bit words, which PS3.3 C.11.1.1.1 does not allow: n becomes n * 65535 / 255."""
    table = Dataset()
    table.add_new("LUTDescriptor", "SS" if signed else "US", [4096, 0, 8])
    table.add_new("LUTData", "OW", np.arange(4096, dtype="<u2").__rshift__(4).tobytes())
    source = dx_source(VOILUTSequence=[table], WindowCenter=None, WindowWidth=None, PixelRepresentation=signed)
    (voi,) = encoded(ObjectKind.GSPS, source=source).SoftcopyVOILUTSequence
    original = pydicom.dcmread(BytesIO(source))
    voi.PixelRepresentation, voi.BitsStored = signed, 12
    by_hand = (np.clip(original.pixel_array.astype(int), 0, 4095) >> 4) * 257
    np.testing.assert_array_equal(apply_voi_lut(original.pixel_array, voi).astype(int), by_hand)


def test_an_image_without_window_gets_none() -> None:
    source = dx_source(WindowCenter=None, WindowWidth=None)
    assert "SoftcopyVOILUTSequence" not in encoded(ObjectKind.GSPS, source=source)


@pytest.mark.parametrize("kind", [ObjectKind.SC, ObjectKind.GSPS])
@pytest.mark.parametrize(
    ("body_part", "side", "expected"), [("HIP", "L", "L"), ("HIP", None, ""), ("CHEST", None, None)]
)
def test_the_side_is_copied_where_there_is_one(
    kind: ObjectKind, body_part: str, side: str | None, expected: str | None
) -> None:
    source = dx_source(BodyPartExamined=body_part, ImageLaterality=side)
    result = encoded(kind, source=source)
    assert result.BodyPartExamined == body_part
    assert result.get("Laterality") == expected


def picture(seen: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    rows, columns = seen.pixels.shape
    of = report(saliencies=(saliency(rows, columns),))
    return encoded(ObjectKind.SC, of, dx_source(rows, columns), seen).pixel_array


def test_the_overlay_is_marked_and_names_its_source() -> None:
    capture = encoded(ObjectKind.SC)
    assert (capture.BurnedInAnnotation, capture.PhotometricInterpretation) == ("YES", "RGB")
    assert "AI - NOT VERIFIED" in capture.ImageComments
    assert capture.SourceImageSequence[0].ReferencedSOPInstanceUID == IMAGE_UID
    assert capture.ImageType == ["DERIVED", "SECONDARY"]


@pytest.mark.parametrize("shape", [(16, 16), (64, 48), (40, 200), (300, 30), (1500, 1200)])
def test_the_overlay_has_a_readable_size_whatever_the_matrix(shape: tuple[int, int]) -> None:
    rows, columns, _ = picture(image(*shape)).shape
    assert 400 <= max(rows, columns) <= 1024
    assert columns >= 560


@pytest.mark.parametrize("row_spacing_mm", [0.5, 1.0, 2.0])
def test_the_overlay_keeps_the_true_shape_of_pixels_that_are_not_square(row_spacing_mm: float) -> None:
    values = np.zeros((64, 48), np.float32)
    values[32:58, 12:40] = 1.0
    seen = image(row_spacing_mm=row_spacing_mm)
    maps = [saliency(values=v, mask=v > 0.5, regions=()) for v in (values, values * 0)]
    coloured, plain = (np.asarray(draw_finding(seen, finding(), MODEL, shown, None)).astype(int) for shown in maps)
    rows, columns = np.nonzero(np.abs(coloured - plain).max(axis=2) > 20)
    assert np.ptp(rows) / np.ptp(columns) == pytest.approx(26 * row_spacing_mm / 28, rel=0.06)


def test_the_overlay_without_the_colour_is_the_image_as_displayed() -> None:
    plain = np.asarray(draw_finding(image(), finding(), MODEL, withheld(), COHORT))
    grey = plain[60:700]
    assert (grey.max(axis=2) == grey.min(axis=2)).all()
    assert plain[690, 320].mean() > plain[60, 320].mean() + 100  # the ramp of the source, dark above and bright below


@pytest.mark.parametrize("shape", [(64, 200), (64, 64), (300, 30)])
def test_the_words_are_never_cut_off(shape: tuple[int, int]) -> None:
    """The last line, the disclaimer, is there in full: bright letters, then a dark margin below them."""
    wordy = dataclasses.replace(COHORT, cohort="a cohort with a name that goes on and on " * 12)
    for cohort in (None, COHORT, wordy):
        pixels = np.asarray(draw_finding(image(*shape), finding(), MODEL, None, cohort))
        assert pixels[-40:].max() > 150
        assert pixels[-8:].max() == 0


def test_a_lossy_source_makes_a_lossy_overlay() -> None:
    source = dx_source(LossyImageCompression="01", LossyImageCompressionRatio=12)
    assert encoded(ObjectKind.SC, source=source).LossyImageCompression == "01"


# of a radiograph, by hand: what the header says of its pixels, and the spacing that its segmentation repeats
SPACINGS = {
    "at the detector": ({"ImagerPixelSpacing": [0.2, 0.3]}, [0.2, 0.3]),
    "calibrated": ({"ImagerPixelSpacing": [0.2, 0.3], "PixelSpacing": [0.15, 0.25]}, [0.15, 0.25]),
    "a shape only": ({"ImagerPixelSpacing": None, "PixelAspectRatio": [2, 1]}, [2.0, 1.0]),
    "nothing": ({"ImagerPixelSpacing": None}, [1.0, 1.0]),
}


@pytest.mark.parametrize("kind", [ObjectKind.SEG, ObjectKind.SEG_FRACTIONAL])
@pytest.mark.parametrize("name", SPACINGS)
def test_the_segmentation_of_a_radiograph_has_a_place_as_viewers_ask(name: str, kind: ObjectKind) -> None:
    """OHIF 3.13.2 went blank without Pixel Measures."""
    header, spacing = SPACINGS[name]
    segmentation = encoded(kind, source=dx_source(**header))
    (shared,), (frame,) = segmentation.SharedFunctionalGroupsSequence, segmentation.PerFrameFunctionalGroupsSequence
    assert shared.PixelMeasuresSequence[0].PixelSpacing == spacing
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert frame.PlanePositionSequence[0].ImagePositionPatient == [0, 0, 0]
    derived = frame.DerivationImageSequence[0].SourceImageSequence[0]
    assert derived.ReferencedSOPInstanceUID == IMAGE_UID


def test_the_frame_of_reference_of_a_radiograph_is_the_same_in_every_result_and_of_no_other_image() -> None:
    def frame(source: bytes, kind: ObjectKind = ObjectKind.SEG, **changes: object) -> str:
        return str(encoded(kind, report(**changes), source).FrameOfReferenceUID)

    plain = frame(dx_source())
    assert plain == frame(dx_source(), ObjectKind.SEG_FRACTIONAL) == frame(dx_source(WindowCenter=1000))
    assert plain.startswith("2.25.")
    assert frame(dx_source(FrameOfReferenceUID="1.2.3", **_PLACED)) == "1.2.3"


_PLACED = {
    "ImagePositionPatient": [1, 2, 3],
    "ImageOrientationPatient": [1, 0, 0, 0, 0, -1],
    "PixelSpacing": [0.2, 0.2],
    "SliceThickness": 1,
}


def test_a_line_of_the_presentation_state_does_not_follow_the_frame() -> None:
    """A region in a corner: one open line from edge to edge, whose ends are at the frame."""
    corner = np.asarray([(0, 0), (20, 0), (20, 30), (0, 30), (0, 0)], np.float32)
    region = Region(points=corner, area_pixels=600.0)
    state = encoded(ObjectKind.GSPS, report(saliencies=(saliency(regions=(region,)),)))
    (graphic,) = state.GraphicAnnotationSequence[0].GraphicObjectSequence
    assert np.reshape(graphic.GraphicData, (-1, 2)).tolist() == [[20, 0], [20, 30], [0, 30]]


def test_a_region_with_a_hole_is_drawn_as_two_lines_without_the_way_between_them() -> None:
    ring = [(5, 5), (5, 25), (25, 25), (25, 5), (5, 5)]
    hole = [(10, 10), (20, 10), (20, 20), (10, 20), (10, 10)]
    region = Region(points=np.asarray([*ring, *hole, (5, 5)], np.float32), area_pixels=300.0)
    state = encoded(ObjectKind.GSPS, report(saliencies=(saliency(regions=(region,)),)))
    graphics = state.GraphicAnnotationSequence[0].GraphicObjectSequence
    lines = sorted(np.reshape(graphic.GraphicData, (-1, 2)).tolist() for graphic in graphics)
    assert [sorted(map(tuple, line)) for line in lines] == [sorted(map(tuple, ring)), sorted(map(tuple, hole))]
