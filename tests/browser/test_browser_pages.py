"""Every page in headless Chromium: light and dark, wide and at 400 % zoom, by keyboard, and without any network."""

import pytest

from api.pages.card.card import html_of, read_material
from api.pages.kit import Section, page, paragraph
from tests.browser import colour, made_pages, pages
from tests.browser.looking import NARROW, WIDE, looking_at

PAGES = {
    "kit": pages.kit_page,
    "audit": made_pages.audit_page,
    "card": pages.card_page,
    "explanations": made_pages.explanation_page,
}
SCHEMES = ("light", "dark")
APART = 10.0  # CIEDE2000; about 1 is just noticeable side by side, and thin lines need far more
VISIBLE = 3.0  # contrast of graphics (WCAG 1.4.11)


@pytest.fixture(scope="module", params=PAGES)
def file(request, browser, tmp_path_factory):
    return PAGES[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def sound_page():
    return page("A page", [Section(title="One", blocks=[paragraph(f"word {n}") for n in range(12)])])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_page_asks_for_nothing_and_complains_of_nothing(browser, file, scheme):
    with looking_at(browser, file, scheme=scheme) as looked:
        looked.open_everything()
        looked.page.wait_for_timeout(100)
        assert looked.requests == []
        assert looked.complaints == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_can_be_read(browser, file, scheme):
    with looking_at(browser, file, scheme=scheme) as looked:
        looked.open_everything()
        assert looked.unreadable() == []


def test_light_and_dark_are_two_looks(browser, file):
    papers = set()
    for scheme in SCHEMES:
        with looking_at(browser, file, scheme=scheme) as looked:
            papers.add(looked.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(papers) == 2


def test_at_400_per_cent_nothing_scrolls_sideways(browser, file):
    with looking_at(browser, file, viewport=NARROW, zoom=4) as looked:
        looked.open_everything()
        assert looked.sticking_out() == []


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_word_of_a_drawing_is_cut_off(browser, file, viewport):
    with looking_at(browser, file, viewport=viewport) as looked:
        looked.open_everything()
        assert looked.cut_off() == []


def test_everything_can_be_reached_and_opened_by_keyboard(browser, file):
    with looking_at(browser, file) as looked:
        assert looked.unreached() == []
        for fold in looked.page.query_selector_all("summary")[:3]:
            if fold.is_visible():
                before = fold.evaluate("e => e.parentElement.open")
                fold.press("Enter")
                assert fold.evaluate("e => e.parentElement.open") != before


def test_every_drawing_has_a_name(browser, file):
    with looking_at(browser, file) as looked:
        looked.open_everything()
        assert looked.without_name() == []


def test_curves_differ_without_their_colours(browser, file):
    with looking_at(browser, file) as looked:
        assert looked.look_alikes() == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_series_differ_for_colour_blind_readers_too(browser, file, scheme):
    with looking_at(browser, file, scheme=scheme) as looked:
        series, paper = looked.series_colours()
    assert len(set(series)) == 6
    apart, *where = colour.nearest(series)
    assert apart >= APART, where
    assert min(colour.contrast(one, paper) for one in series) >= VISIBLE


def test_folds_are_open_on_paper(browser, tmp_path):
    with looking_at(browser, pages.kit_page(tmp_path)) as looked:
        inside = "() => document.querySelector('.fold p').checkVisibility()"
        assert not looked.page.evaluate(inside)
        looked.page.emulate_media(media="print")
        assert looked.page.evaluate(inside)


FAULTS = {
    "unreadable": "<p style='color: #999'>pale words</p>",
    "without_name": "<svg role='img' width='20' height='20'><circle r='5'/></svg>",
    "sticking_out": "<p style='width: 500px'>too wide</p>",
    "cut_off": "<svg role='img' aria-label='x' width='50' height='20'><text y='15'>too many words for it</text></svg>",
    "unreached": "<a href='#content' tabindex='-1'>out of reach</a>",
    "look_alikes": "<figure class='chart'><svg role='img' aria-label='two'><g><path class='line s1' d='M0 0L9 9'/></g>"
    "<g><path class='line s1' d='M0 9L9 0'/></g></svg></figure>",
}


@pytest.mark.parametrize("question", FAULTS)
def test_each_question_finds_a_planted_fault(browser, sound_page, tmp_path, question):
    sound, faulty = tmp_path / "sound.html", tmp_path / "faulty.html"
    sound.write_text(sound_page)
    faulty.write_text(sound_page.replace("</main>", FAULTS[question] + "</main>"))
    viewport = NARROW if question == "sticking_out" else WIDE
    with looking_at(browser, sound, viewport=viewport) as looked:
        assert getattr(looked, question)() == []
    with looking_at(browser, faulty, viewport=viewport) as looked:
        assert len(getattr(looked, question)()) >= 1


def test_requests_and_scripts_are_seen_and_forbidden(browser, sound_page, tmp_path):
    planted = "<img src='http://192.0.2.1/x.png' alt='x'><script>document.title = 'run'</script></main>"
    kept, bare = tmp_path / "kept.html", tmp_path / "bare.html"
    kept.write_text(sound_page.replace("</main>", planted))
    bare.write_text(kept.read_text().replace("Content-Security-Policy", "X-Nothing"))
    with looking_at(browser, bare) as looked:
        assert looked.requests == ["http://192.0.2.1/x.png"]
        assert looked.page.title() == "run"
    with looking_at(browser, kept) as looked:
        assert looked.page.title() == "A page"
        assert looked.complaints  # the browser says what the policy stopped


def test_the_colour_arithmetic_is_the_published_one():
    # pairs 1, 4, 17 and 25 of Sharma, Wu & Dalal (2005), table 1
    for first, second, expected in (
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0000),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ):
        assert colour.difference(first, second) == pytest.approx(expected, abs=1e-4)
    assert colour.contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21.0)
    assert colour.contrast("rgb(119, 119, 119)", "rgb(255, 255, 255)") == pytest.approx(4.48, abs=0.01)
    green, red = "rgb(0, 140, 0)", "rgb(190, 80, 0)"
    assert (
        colour.nearest([green, red])[0] < colour.difference(*(colour.lab(colour.linear(c)) for c in (green, red))) / 2
    )


def test_every_table_of_the_card_fits_a_window_of_1280_px(browser, tmp_path):
    shown = tmp_path / "card.html"
    shown.write_text(html_of(read_material(pages.card_page(tmp_path).parents[1])), encoding="utf-8")
    with looking_at(browser, shown, viewport={"width": 1280, "height": 800}) as looked:
        looked.open_everything()
        cut = looked.page.evaluate(
            "[...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth)"
            ".map(box => `${box.ariaLabel}: ${box.scrollWidth} in ${box.clientWidth}`)"
        )
        assert cut == []
