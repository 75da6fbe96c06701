"""A page in headless Chromium, and what can be asked of any page: each question gives back what is wrong."""

import contextlib
from pathlib import Path

from tests.browser import colour

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WIDE = {"width": 1280, "height": 1024}
NARROW = {"width": 320, "height": 256}  # 1280 x 1024 at 400 % zoom (WCAG 1.4.10)

_UNREADABLE = """() => {
  const composed = (over, under) => over.slice(0, 3).map((c, i) => c * over[3] + under[i] * (1 - over[3]));
  const parsed = text => {
    const parts = (text.match(/[\\d.]+/g) || ['0', '0', '0', '0']).map(Number);
    return parts.length === 3 ? [...parts, 1] : parts;
  };
  const behind = element => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parsed(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, over) => composed(over, under), [255, 255, 255]);
  };
  const opacity = element => {
    let all = 1;
    for (let at = element; at; at = at.parentElement) all *= Number(getComputedStyle(at).opacity);
    return all;
  };
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || ['title', 'desc'].includes(element.localName)) continue;
    const style = getComputedStyle(element), under = behind(element);
    const ink = parsed(element.namespaceURI.endsWith('svg') ? style.fill : style.color);
    ink[3] *= opacity(element);
    found.push([node.data.trim().slice(0, 40), `rgb(${composed(ink, under)})`, `rgb(${under})`]);
  }
  return found;
}"""

_STICKING_OUT = """() => [...document.querySelectorAll('body *')].filter(element => {
  const box = element.getBoundingClientRect();
  return element.checkVisibility() && box.width && box.right > innerWidth + 1 && !element.closest('.scroll, .skip')
    && !element.ownerSVGElement;
}).map(element => element.outerHTML.slice(0, 120))"""

_CUT_OFF = """() => [...document.querySelectorAll('svg text')].filter(text => {
  if (!text.checkVisibility()) return false;
  const inner = text.getBoundingClientRect(), outer = text.ownerSVGElement.getBoundingClientRect();
  return inner.left < outer.left - 2 || inner.right > outer.right + 2 || inner.top < outer.top - 2
    || inner.bottom > outer.bottom + 2;
}).map(text => text.textContent)"""

_FOCUSABLE = "a[href], summary, [tabindex='0'], button, input, select, textarea"


class Looked:
    """A page that was opened from its file, and everything it asked for or complained about while it was open."""

    def __init__(self, page, path):
        self.page, self.requests, self.complaints = page, [], []
        address = Path(path).resolve().as_uri()
        page.route("**/*", lambda route: route.continue_() if route.request.url == address else route.abort())
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(address)
        self.requests = [url for url in self.requests if url != address and not url.startswith("data:")]

    def open_everything(self):
        """Open every fold, as a reader would; answers how many there are."""
        return self.page.evaluate(
            "() => { const all = [...document.querySelectorAll('details')]; all.forEach(d => { d.open = true; });"
            " return all.length; }"
        )

    def unreadable(self, least=4.5):
        """Texts whose contrast against what is behind them is under `least`; AssertionError without any text."""
        texts = {tuple(found) for found in self.page.evaluate(_UNREADABLE)}
        assert len(texts) > 10, "no text was found on the page"
        return [(text, round(colour.contrast(ink, under), 2)) for text, ink, under in texts
                if colour.contrast(ink, under) < least]  # fmt: skip

    def sticking_out(self):
        """What makes the document scroll sideways; wide tables scroll in their own box and are not meant."""
        width = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return [f"the document is {width} px too wide"] * (width > 0) + self.page.evaluate(_STICKING_OUT)

    def cut_off(self):
        """Words of drawings that reach beyond their drawing, where they cannot be seen."""
        return self.page.evaluate(_CUT_OFF)

    def without_name(self):
        """Drawings and pictures that a screen reader meets without a name, asked of the browser's own tree."""
        session = self.page.context.new_cdp_session(self.page)
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        images = [node for node in nodes if not node.get("ignored") and _role(node) in ("image", "img", "SvgRoot")]
        shown = self.page.evaluate(
            "() => [...document.querySelectorAll('svg, img')].filter(e => !e.ownerSVGElement && e.checkVisibility()"
            " && !e.closest('[aria-hidden=true]')).length"
        )
        assert len(images) >= shown, f"{shown} drawings are shown, but only {len(images)} are named"
        return [node for node in images if not node.get("name", {}).get("value", "").strip()]

    def unreached(self):
        """What can be used by mouse but is never reached by the tabulator."""
        wanted = self.page.evaluate(
            f"() => [...document.querySelectorAll(`{_FOCUSABLE}`)].filter(e => e.checkVisibility())"
            ".map((e, i) => { e.dataset.stop = i; return e.outerHTML.slice(0, 100); })"
        )
        reached = set()
        for _ in range(len(wanted) + 2):
            self.page.keyboard.press("Tab")
            reached.add(self.page.evaluate("document.activeElement.dataset.stop ?? null"))
        return [name for index, name in enumerate(wanted) if str(index) not in reached]

    def series_colours(self):
        """The colours of series and of the paper behind them, as the browser computes them."""
        return self.page.evaluate(
            "() => { const probe = document.createElement('i'); document.body.append(probe);"
            " const seen = name => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };"
            " const found = [['s1','s2','s3','s4','s5','s6'].map(seen), seen('paper')]; probe.remove(); return found; }"
        )

    def look_alikes(self):
        """Curves of one chart that share dash and marker, so that only their colour would tell them apart."""
        charts = self.page.evaluate(
            "() => [...document.querySelectorAll('.chart > svg')].map(svg => [...svg.querySelectorAll('.line')].map("
            "line => getComputedStyle(line).strokeDasharray + ' ' + (line.parentElement.querySelector('.point')"
            "?.getAttribute('d') ?? '')))"
        )
        return [styles for styles in charts if len(set(styles)) < len(styles)]


def _role(node):
    return node.get("role", {}).get("value", "")


@contextlib.contextmanager
def looking_at(browser, path, *, scheme="light", viewport=WIDE, zoom=1):
    """The page at `path`, opened in a fresh context that is closed afterwards."""
    context = browser.new_context(color_scheme=scheme, viewport=viewport, device_scale_factor=zoom)
    try:
        yield Looked(context.new_page(), path)
    finally:
        context.close()
