"""The site in a real browser, as a reader opens it from a folder: no kernel, no network, nothing but the keyboard."""

import functools
import http.server
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from courseware.authoring import frames, slides

ROOT = Path(__file__).resolve().parents[2]
WAIT = 300_000  # ms; the machine may be busy
PAGES = ["index", "lectures/09_memorise_or_generalise", "labs/lab09_memorise_or_generalise", "docs/claims", "api/infer"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address():
    """Where the site is served on this machine; built first, and a warning of Sphinx is an error there."""
    folder = ROOT / "build" / "site" / "html"
    command = [sys.executable, "-m", "courseware", "site", "--quick"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class Reader:
    """A page that notes what it asked for and what went wrong on it."""

    def __init__(self, chromium, width: int = 1280, scheme: str = "light") -> None:
        self.context = chromium.new_context(viewport={"width": width, "height": 720}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT)
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)

    def open(self, url: str):
        self.page.goto(url, wait_until="load")
        self.page.evaluate("window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => 1) : 1")
        return self.page


@pytest.fixture
def reader(chromium):
    made = Reader(chromium)
    yield made
    made.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_nothing_of_other_hosts_and_has_no_error(reader, address, name):
    page = reader.open(f"{address}/{name}.html")
    if "lectures" in name:
        assert page.locator("mjx-container").count() > 5, "formulas are set"
        assert page.evaluate("[...document.querySelectorAll('.nt-figure')].every(i => i.alt.trim())")
    elsewhere = [url for url in reader.asked if not url.startswith((address, "data:", "blob:"))]
    assert elsewhere == []
    assert reader.wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_serious_accessibility_violation(chromium, address, name, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    reader = Reader(chromium, scheme=scheme)
    page = reader.open(f"{address}/{name}.html")
    found = axe.Axe().run(page).response["violations"]
    reader.context.close()
    serious = [
        f"{each['id']}: {each['help']}: {node['html'][:200]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"][:3]
    ]
    assert not serious, "\n".join(serious)


def test_search_finds_kl(reader, address):
    page = reader.open(f"{address}/search.html?q=KL")
    page.locator("#search-results li").first.wait_for()
    page.wait_for_function("document.querySelector('#search-results').innerText.match(/found \\d+|\\d+ page/i)")
    links = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert any("lectures/00_check_yourself" in link for link in links), links
    assert any("lectures/13" in link for link in links), links


def test_every_slider_moves_by_the_keyboard_and_says_its_value(reader, address):
    kept = {p.stem for p in (ROOT / "docs" / "site" / "frames").glob("*.frames")}
    assert "09" in kept
    page = reader.open(f"{address}/lectures/09_memorise_or_generalise.html")
    views = page.locator(".nt-view")
    assert views.count() == sum(len(v) for v in frames.read("09")["cells"].values())
    for number in range(views.count()):
        view = views.nth(number)
        slider = view.locator("input[type=range], select").first
        slider.scroll_into_view_if_needed()
        before = view.locator(".nt-frame").inner_html()
        slider.focus()
        at_end = slider.evaluate("c => c.tagName === 'INPUT' && c.value === c.max")
        page.keyboard.press(
            "ArrowLeft" if at_end else "ArrowRight" if slider.evaluate("c => c.type") == "range" else "ArrowDown"
        )
        page.wait_for_function(
            "([v, b]) => v.innerHTML !== b", arg=[view.locator(".nt-frame").element_handle(), before]
        )
        if slider.evaluate("c => c.type") == "range":
            assert slider.get_attribute("aria-valuetext") == view.locator("output").first.inner_text()
        picture = view.locator(".nt-frame img")
        if picture.count():
            page.wait_for_function("i => i.complete && i.naturalWidth > 0", arg=picture.element_handle())
            assert picture.get_attribute("alt").strip()
    assert reader.wrong == []


def test_a_stepper_plays_to_its_end_and_stops(reader, address):
    page = reader.open(f"{address}/lectures/09_memorise_or_generalise.html")
    view = page.locator(".nt-steps").first
    view.scroll_into_view_if_needed()
    slider, button = view.locator("input"), view.locator(".nt-play")
    slider.evaluate("s => { s.value = s.max - 1; s.dispatchEvent(new Event('input')); }")
    button.click()
    assert button.get_attribute("aria-label") == "Pause"
    page.wait_for_function("s => s.value === s.max", arg=slider.element_handle())
    page.wait_for_function("b => b.getAttribute('aria-label') === 'Play'", arg=button.element_handle())


def test_polls_vote_and_reveal_in_the_page_and_keep_nothing(reader, address):
    page = reader.open(f"{address}/lectures/09_memorise_or_generalise.html")
    polls = page.locator(".nt-poll[data-right]")
    assert polls.count() >= 2
    asked = len(reader.asked)
    for number in range(polls.count()):
        poll = polls.nth(number)
        right = poll.get_attribute("data-right")
        other = next(letter for letter in "ABCDEF" if letter != right)
        poll.scroll_into_view_if_needed()
        poll.get_by_role("button", name=other, exact=True).click()
        assert poll.locator(".nt-feedback").inner_text().startswith(f"Not {other}.")
        poll.get_by_role("button", name=right, exact=True).focus()
        page.keyboard.press("Enter")
        said = poll.locator(".nt-feedback").inner_text()
        assert said.startswith(f"{right} is right.") and len(said.split()) > 8, said
    sent = [url for url in reader.asked[asked:] if "_static" not in url]
    assert sent == []
    assert page.evaluate("document.cookie") == ""
    page.reload()
    assert page.locator(".nt-feedback").first.inner_text() == ""


def test_a_narrow_page_does_not_scroll_sideways(chromium, address):
    reader = Reader(chromium, width=390)
    page = reader.open(f"{address}/lectures/09_memorise_or_generalise.html")
    wide = page.evaluate("document.documentElement.scrollWidth")
    reader.context.close()
    assert wide <= 392


def test_a_lecture_prints_without_the_sites_furniture(reader, address):
    page = reader.open(f"{address}/lectures/09_memorise_or_generalise.html")
    page.emulate_media(media="print")
    for hidden in (".bd-sidebar-primary", ".nt-view", ".nt-poll", ".bd-header-article"):
        assert page.locator(hidden).first.is_hidden(), hidden
    assert page.locator("h1").first.is_visible()
    pdf = page.pdf(format="A4", print_background=True)
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    assert 5 <= pages <= 60


@pytest.mark.parametrize("path", sorted((ROOT / "lectures").glob("[0-9]*.ipynb")), ids=lambda p: p.stem[:2])
def test_slides_open_from_the_folder_and_nothing_on_them_is_cut_off_or_covered(reader, tmp_path, path):
    import nbformat

    count = slides.write(nbformat.read(path, as_version=4), path.stem, tmp_path)
    page = reader.open((tmp_path / "index.html").as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    assert page.evaluate("Reveal.getTotalSlides()") == count
    cut = page.evaluate(
        """() => { const cut = [];
        for (let i = 0; i < Reveal.getTotalSlides(); i++) {
          Reveal.slide(i);
          const slide = Reveal.getCurrentSlide(), body = slide.querySelector(".body") || slide;
          const [height, width] = [slide.scrollHeight, slide.scrollWidth];
          if (height > 724 || width > 1284) cut.push([i, height, width]);
          if (body.scrollHeight > body.clientHeight + 2) cut.push([i, body.scrollHeight, body.clientHeight]);
          for (const picture of slide.querySelectorAll("img"))
            if (picture.getBoundingClientRect().height < 200) cut.push([i, "a picture too small to see"]);
        }
        return cut; }"""
    )
    assert cut == []
    assert [url for url in reader.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert reader.wrong == []
