"""Write docs/images/*.png from the result of `make demo`: `python -m operations.screenshots`.

The pages of the workbench show what the demonstration left: its corrections, runs and releases.

Needs Chromium on the path (`apt-get install chromium`). The pictures show data of the sample catalogue only.
"""

import io
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from PIL import Image

from operations.demo.processes import ProcessRunner, find_free_port
from operations.demo.settings import Settings
from operations.local.service_table import HOST
from product_classifier.errors import ProductClassifierError
from product_classifier.settings_help import settings_parser
from product_classifier.settings_reader import read_settings

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

IMAGES = Path(__file__).parents[1] / "docs" / "images"
MAX_BYTES = 150_000
SETTLED_MS = 1000
"""Time in which photos arrive."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WORKBENCH_SIZE: "ViewportSize" = {"width": 1200, "height": 800}
PAGES: Mapping[str, str] = {
    "queue": "article[data-id]",
    "review?state=all&order=newest": "article product-photo",
    "quality": "figure",
    "releases": "tbody tr",
    "training": ".list-item",
    "taxonomy": ".tree li",
}
"""What is waited for on each page of the workbench."""
VERDICT_SIZE: "ViewportSize" = {"width": 900, "height": 900}


class ScreenshotFailed(ProductClassifierError):
    """A screenshot cannot be written; the message names what is missing."""


def main() -> int:
    """Write both screenshots; return the exit status."""
    settings_parser("python -m operations.screenshots", __doc__, Settings).parse_args()
    try:
        write_screenshots(read_settings(Settings))
    except ProductClassifierError as error:
        sys.stderr.write(f"screenshots: {error}\n")
        return 1
    return 0


def write_screenshots(settings: Settings) -> None:
    """Serve the releases of the demo; capture the pages of the workbench and the newest verdict."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a development dependency

    verdict = newest_verdict(settings)
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        raise ScreenshotFailed("no Chromium on the path; install it: apt-get install chromium")
    IMAGES.mkdir(exist_ok=True)
    port = find_free_port()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        with ProcessRunner(settings.demo_dir, settings.environment(port)).serving(port):
            page = browser.new_page(locale="en-US", viewport=WORKBENCH_SIZE)
            classify(page, f"http://{HOST}:{port}", settings)
            _save(page, "workbench-classify.png")
            for place, content in PAGES.items():
                page.goto(f"http://{HOST}:{port}/#/{place}")
                page.wait_for_selector(content)
                page.wait_for_selector(".skeleton", state="detached")
                page.wait_for_timeout(SETTLED_MS)
                _save(page, f"workbench-{place.partition('?')[0]}.png")
        page = browser.new_page(locale="en-US", viewport=VERDICT_SIZE)
        page.goto(verdict.as_uri())
        _save(page, "verdict.png")
        browser.close()


def newest_verdict(settings: Settings) -> Path:
    """Return the report of the demonstration's newest promotion."""
    pages = sorted((settings.state / "store/product-classifier/reports/promotions").glob("*.html"))
    if not pages:
        raise ScreenshotFailed(f"{settings.demo_dir}: no report of a promotion; run `make demo` first")
    return pages[-1]


def classify(page: "Page", url: str, settings: Settings) -> None:
    """Log in as admin and classify the first unseen product that has a photo."""
    password = json.loads(settings.accounts.read_text(encoding="utf-8"))["demo-admin"]["password"]
    products = pd.read_parquet(settings.data / "splits/unseen.parquet")
    product = products[(products.image_path != "") & (products.designation != "")].iloc[0]
    page.goto(url)
    page.fill("[name=username]", "demo-admin")
    page.fill("[name=password]", password)
    page.click("form[name=login] button")
    page.fill("[data-page=classify] form input", product.designation)
    page.set_input_files("[type=file]", settings.data / "raw" / product.image_path)
    page.click("#classify")
    page.wait_for_selector("#category")
    page.evaluate("() => scrollTo(0, 0)")


def _save(page: "Page", name: str) -> None:
    captured = io.BytesIO(page.screenshot())
    reduced = io.BytesIO()
    Image.open(captured).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(reduced, "PNG", optimize=True)
    picture = reduced.getvalue()
    if len(picture) > MAX_BYTES:
        raise ScreenshotFailed(f"{name}: {len(picture)} bytes, at most {MAX_BYTES}; make the viewport smaller")
    (IMAGES / name).write_bytes(picture)


if __name__ == "__main__":
    sys.exit(main())
