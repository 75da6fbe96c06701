"""One browser for all pages: Debian's Chromium, driven by playwright, whose wheel brings its own driver."""

import pytest

from tests.browser.looking import ARGUMENTS, CHROMIUM


@pytest.fixture(scope="module")
def browser():
    """Ends with its module: while it lives, an event loop runs in this thread, and other tests start their own."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM} (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield started
        started.close()
