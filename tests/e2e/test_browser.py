"""test_browser: the pages in a real Chromium: what is read, clicked and typed there, on a screen and on a phone."""

import pathlib
import re
import urllib.request

import pytest

import browser
from harness import Agent, Receiver, Target, free_port, remote_write, wait_for

pytestmark = pytest.mark.skipif(bool(browser.missing()), reason=f"NOT RUN: the pages in a browser: {browser.missing()}")

FACTS = (pathlib.Path(__file__).parent / "page_facts.js").read_text()
EVIL = [
    "<script>document.title='ran'</script>",
    "<img src=x onerror=\"document.title='ran'\">",
    "\"quoted\" 'and' & \\ <b>",
    "přílîš žluťoučký 漢字 🙂",
]
JOB = "<i>j&b</i>"
PAGES = [
    "/",
    "/targets",
    "/targets?health=down&sort=-duration",
    "/service-discovery",
    "/service-discovery?job=fleet&state=dropped",
    "/queue",
    "/rejects",
    "/config",
    "/relabel",
    "/relabel?job=fleet&kind=target&labels=%7B__address__%3D%22host-09%3A80%22%7D",
]
PHONE, SCREEN = 360, 1100
TAB, ENTER = "\ue004", "\ue007"


def quoted(text):
    return "'" + text.replace("'", "''").replace("$", "$$") + "'"


def configuration(w):
    fleet = ", ".join(f"'host-{i:02}:80'" for i in range(1, 10))
    proxy = f"  scrape_interval: 500ms\n  scrape_timeout: 500ms\n  proxy_url: http://{w.hosts.address}\n"
    labels = "".join(f"      l{i}: {quoted(text)}\n" for i, text in enumerate(EVIL))
    return (
        f"scrape_configs:\n- job_name: fleet\n{proxy}"
        "  relabel_configs:\n"
        "  - {source_labels: [__address__], regex: '([^:]+):.*', target_label: host}\n"
        "  - {source_labels: [host], regex: host-09, action: drop}\n"
        f"  static_configs:\n  - targets: [{fleet}]\n"
        f"- job_name: {quoted(JOB)}\n{proxy}"
        f"  static_configs:\n  - targets: ['evil:80']\n    labels:\n{labels}"
        "- job_name: dead\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\n"
        f"  static_configs:\n  - targets: ['127.0.0.1:{free_port()}']\n"
        + remote_write(w.receiver.url)
        + remote_write(w.refusing.url, "refusing", "  on_reject: drop\n").split("\n", 1)[1]
        + remote_write(f"http://127.0.0.1:{free_port()}/", "gone").split("\n", 1)[1]
    )


@pytest.fixture(scope="module")
def world(run_module, tmp_path_factory):
    """A browser, and an agent with targets up, down and dropped and endpoints that take, refuse and are not there."""

    class World:
        pass

    w = World()
    w.tmp = tmp_path_factory.mktemp("browser")
    w.hosts = run_module(Target, lambda number: f"m{{number=\"{number % 7}\"}} {number}\nother {number}\n")
    w.receiver = run_module(Receiver)
    w.refusing = run_module(Receiver, lambda samples, headers, number: 400)
    w.agent = run_module(Agent, w.tmp, configuration(w))
    w.window = run_module(browser.Browser, w.tmp)
    wait_for("a look at all targets", lambda: all(t["health"] != "unknown" for t in w.agent.targets()))
    for job in ("fleet", JOB, "dead"):
        wait_for(f"samples of {job} that are refused",
                 lambda: w.agent.total("obsagent_samples_lost_total", endpoint="refusing", job=job))
    wait_for("an endpoint that takes", lambda: w.receiver.accepted)
    return w


@pytest.fixture
def window(world):
    """The one window, as a person with a screen has it at first; nothing may have been said on the console."""
    world.window.scripts(True)
    world.window.size(SCREEN, 800)
    world.window.theme("light")
    yield world.window
    world.window.scripts(True)
    assert world.window.complaints() == []


def facts(window, width):
    found = window.run(FACTS, width)
    assert found["wrong"] == []
    assert found["others"] == []
    assert found["texts"] > 10 and found["title"] != "ran"
    return found


# ---- every page ----


@pytest.mark.parametrize("path", PAGES)
def test_a_page_on_a_screen_and_on_a_phone_by_day_and_by_night(world, window, path):
    """Contrast, structure, width; nothing from elsewhere, nothing on the console (the fixture sees to that)."""
    backgrounds = set()
    window.open(world.agent.url + path)
    for width, theme in ((SCREEN, "light"), (SCREEN, "dark"), (PHONE, "light"), (PHONE, "dark")):
        window.size(width, 740, mobile=width == PHONE)
        window.theme(theme)
        backgrounds.add(facts(window, width)["background"])
    assert len(backgrounds) == 2


@pytest.mark.parametrize("path", PAGES)
def test_a_page_may_load_nothing_from_elsewhere(world, path):
    with urllib.request.urlopen(world.agent.url + path) as answer:
        policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"


def test_pages_are_whole_without_scripts(world, window):
    """The same parts are there, and nothing is hidden that a script would have to show."""
    parts = """return [...document.querySelectorAll('h1,h2,form,th,dt,nav a,td:first-child:not([data-l=When])')]
        .filter(e => e.checkVisibility()).map(e => e.innerText.trim())"""
    for path in PAGES:
        window.scripts(True)
        window.open(world.agent.url + path)
        with_scripts = window.run(parts)
        window.scripts(False)
        window.open(world.agent.url + path)
        assert window.run(parts) == with_scripts, path


# ---- lists ----


def hosts(window):
    """Of the rows that are shown."""
    found = [re.search(r"host-\d+", text) for text in window.texts("table.rows tbody tr")]
    return [match.group() if match else None for match in found]


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_targets_are_searched_by_the_form(world, window, scripts):
    window.scripts(scripts)
    window.open(world.agent.url + "/targets")
    assert len(hosts(window)) == 10
    window.type("input[name=text]", "HOST-03")
    window.follow("form button")
    assert hosts(window) == ["host-03"] and "text=HOST-03" in window.url
    window.open(world.agent.url + "/targets")
    window.select("select[name=job]", "fleet")
    window.follow("form button")
    assert hosts(window) == [f"host-0{i}" for i in range(1, 9)]
    window.select("select[name=health]", "down")
    window.follow("form button")
    assert hosts(window) == [] and "No target matches" in window.text("main")


def test_targets_by_tabs(world, window):
    window.open(world.agent.url + "/targets")
    assert window.texts(".tabs li") == ["all 10", "up 9", "down 1", "not scraped yet 0"]
    window.follow(".tabs li:nth-child(3) a")
    assert window.texts(".tabs a[aria-current]") == ["down 1"]
    assert window.texts("table.rows .badge") == ["down"] and "refused" in window.text("table.rows .err").lower()
    window.follow(".tabs li:nth-child(2) a")
    assert window.texts("table.rows .badge") == ["up"] * 9


def test_targets_are_sorted_by_a_click_on_a_heading(world, window):
    window.open(world.agent.url + "/targets?job=fleet")
    window.follow("th a[href*='sort=url']")
    assert hosts(window) == [f"host-0{i}" for i in range(1, 9)]
    assert window.run("return document.querySelector('th[aria-sort]').getAttribute('aria-sort')") == "ascending"
    window.follow("th[aria-sort] a")
    assert hosts(window) == [f"host-0{i}" for i in range(8, 0, -1)]
    window.follow("th a[href*='sort=state'], th a[href*='sort=-state']")
    assert window.texts("th[aria-sort] a") == ["State"]
    window.open(world.agent.url + "/targets?sort=state")
    assert window.texts("table.rows .badge")[:2] == ["down", "up"], "what is down comes first"


def test_discovery_tells_what_became_of_a_target(world, window):
    window.open(world.agent.url + "/service-discovery?job=fleet")
    window.select("select[name=state]", "dropped")
    window.follow("form button")
    (row,) = window.texts("table.found tbody tr")
    assert "host-09" in row and "dropped" in row and "rule number 2, line 8" in row and "action=drop" in row
    window.open(world.agent.url + "/service-discovery?job=fleet&text=host-02:80")
    window.follow("table.found tbody tr a[href^='/targets']")
    assert hosts(window) == ["host-02"]


def test_labels_are_text(world, window):
    for path in ("/targets", "/service-discovery"):
        window.open(world.agent.url + path)
        window.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        shown = window.text("main")
        for text in [*EVIL, JOB]:
            assert text in shown, f"{path}: {text}"
        assert window.run("return document.title").endswith("obsagent")
        assert window.run("return document.querySelectorAll('main :is(script, img, b > i)').length") == 0
    window.select("select[name=job]", JOB)
    window.follow("form button")
    assert "evil:80" in window.text("table.found") and "host-01" not in window.text("table.found")


# ---- what moves ----


def nudge(window):
    """Makes a page look at once, which it does by itself every few seconds."""
    window.run("document.dispatchEvent(new Event('visibilitychange'))")


def test_plots_and_numbers_move_while_samples_flow(world, window):
    def drawn():
        lines = "[...document.querySelectorAll('figure > svg path.line')]"
        return window.run(f"return {lines}.map(line => line.getAttribute('d'))")

    window.open(world.agent.url + "/")
    numbers = window.text("#endpoints")
    wait_for("a line of two points", lambda: nudge(window) or "L" in drawn()[0], timeout=40, interval=0.5)
    before = drawn()
    assert len(before) == 12
    wait_for("the plots to move", lambda: nudge(window) or drawn()[0] != before[0], timeout=40, interval=0.5)
    wait_for("the numbers to move", lambda: window.text("#endpoints") != numbers, timeout=40)
    said = window.run("return document.querySelector('figure > svg').getAttribute('aria-label')")
    assert re.match(r"Samples a second: scraped [\d.]+, delivered [\d.]+, lost .*; highest [\d.]+", said)
    assert window.texts("#live-state") == [""]


def test_pause_stops_the_numbers(world, window):
    window.open(world.agent.url + "/queue")
    window.click("#live-bar button")
    assert window.texts("#live-bar button") == ["Go on"]
    window.click("#live-bar button")
    assert window.texts("#live-bar button") == ["Pause"]


# ---- keys ----

FOCUS = """
var e = document.activeElement, box = e.getBoundingClientRect(), style = getComputedStyle(e);
return { tag: e.tagName, text: (e.textContent || e.name).trim(), name: e.name || '', href: e.getAttribute('href'),
  seen: box.width > 0 && box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight,
  ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 };
"""


def test_everything_is_reached_by_tab_and_seen(world, window):
    window.open(world.agent.url + "/targets")
    way = []
    for _ in range(18):
        window.keys(TAB)
        way.append(window.run(FOCUS))
        assert way[-1]["seen"] and way[-1]["ring"], way[-1]
    assert way[0]["href"] == "#main"
    links = window.run("return [...document.querySelectorAll('nav a')].map(a => a.getAttribute('href'))")
    assert [e["href"] for e in way[1 : 1 + len(links)]] == links
    assert [e["name"] or e["tag"] for e in way[1 + len(links) :]][:4] == ["job", "health", "text", "BUTTON"]


def test_the_first_key_skips_to_the_content(world, window):
    window.open(world.agent.url + "/targets")
    window.keys(TAB, ENTER, TAB)
    assert window.url.endswith("#main") and window.run(FOCUS)["name"] == "job"


def test_a_form_is_sent_by_enter(world, window):
    window.open(world.agent.url + "/targets")
    window.type("input[name=text]", "host-05" + ENTER)
    assert wait_for("the answer", lambda: hosts(window) == ["host-05"])


# ---- the end ----


# ---- relabel ----


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_rules_step_by_step(world, window, scripts):
    """Typed labels, with and without scripts: what each rule does, and what is left."""
    window.scripts(scripts)
    window.open(world.agent.url + "/relabel")
    window.select("select[name=job]", "fleet")
    window.type("textarea[name=labels]", '{__address__="host-01:80"}')
    window.click("form button")
    wait_for("the steps", lambda: len(window.texts("ol.steps > li")) == 2)
    first, second = window.texts("ol.steps > li")
    assert re.match(r"1\s+changes\s+line \d+\s", first) and first.endswith("host=host-01")
    assert re.match(r"2\s+no effect\s", second)
    assert "host=host-01" in window.text("#result")
    window.type("textarea[name=labels]", "{__address__=")
    window.click("form button")
    wait_for("the reason", lambda: window.texts("[role=alert]"))
    assert not window.texts("ol.steps > li")


def test_a_found_target_is_taken_through_the_rules(world, window):
    window.open(world.agent.url + "/service-discovery?job=fleet&state=dropped")
    window.click("a[href^='/relabel?']")
    wait_for("the steps", lambda: window.texts("ol.steps > li"))
    assert [text.split("\n")[0].split()[1] for text in window.texts("ol.steps > li")] == ["changes", "drops"]
    assert window.text("#result") == "It is dropped."
    window.open(world.agent.url + "/service-discovery?job=" + "%3Ci%3Ej%26b%3C%2Fi%3E")
    window.click("a[href^='/relabel?']")
    wait_for("the result", lambda: window.texts("#result"))
    assert EVIL[0] in window.text("#result")


def test_a_page_says_so_when_the_agent_does_not_answer(world, window):
    """The last of them: the agent is gone then. What was read stays on the page, and nobody has to nudge it."""
    window.open(world.agent.url + "/")
    text = window.text("#endpoints")
    world.agent.end()
    wait_for("the page to say so", lambda: "has not answered since" in window.text("#live-state"), timeout=40)
    assert text.split("\n")[0] in window.text("#endpoints")
    facts(window, SCREEN)
    assert all("ERR_CONNECTION" in line for line in window.complaints())
