"""browser: a headless Chromium driven over WebDriver's HTTP, with nothing but Python's own library."""

import base64
import json
import os
import shutil
import urllib.error
import urllib.request

import harness

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = [
    "--headless=new",
    "--no-sandbox",  # tests run as root in containers, where Chromium's own sandbox does not start
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
]


def missing():
    """Why there is no browser here, or None."""
    for program in ("chromedriver", "chromium"):
        if not shutil.which(program):
            return f"{program} is not installed: deploy/install-deps.sh test"
    return None


class Driver(harness.Process):
    """chromedriver with a home of its own, so that nothing is left in that of the user."""

    def __init__(self, directory):
        self.port = harness.free_port()
        env = dict(os.environ, HOME=str(directory), XDG_CONFIG_HOME=str(directory), XDG_CACHE_HOME=str(directory))
        argv = ["chromedriver", f"--port={self.port}", "--log-level=SEVERE"]
        super().__init__(argv, directory / "driver.log", env=env)
        harness.wait_for("chromedriver", self.ready)

    def ready(self):
        assert self.alive(), self.output()
        try:
            return self.call("GET", "/status")["ready"]
        except OSError:
            return False

    def call(self, method, path, body=None):
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as problem:
            raise AssertionError(f"{method} {path}: {problem.read().decode()[:2000]}") from None


class Browser:
    """One window of one Chromium."""

    def __init__(self, directory):
        self.driver = Driver(directory)
        try:
            options = {"args": FLAGS + [f"--user-data-dir={directory}/profile"], "binary": shutil.which("chromium")}
            asked = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            made = self.driver.call("POST", "/session", {"capabilities": {"alwaysMatch": asked}})
            self.session = f"/session/{made['sessionId']}"
        except BaseException:
            self.driver.end()
            raise

    def close(self):
        try:
            self.driver.call("DELETE", self.session)
        finally:
            self.driver.end()

    def call(self, method, path, body=None):
        return self.driver.call(method, self.session + path, body)

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    @property
    def url(self):
        return self.call("GET", "/url")

    def run(self, script, *args):
        """What the function body returns in the page."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(args)})

    def devtools(self, command, **params):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    # ---- how the page is seen ----

    def size(self, width, height, mobile=False):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                      mobile=mobile)

    def theme(self, name):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def scripts(self, on):
        self.devtools("Emulation.setScriptExecutionDisabled", value=not on)

    def screenshot(self, path=None, whole=False):
        """The window as PNG, or the whole page."""
        clip = {}
        if whole:
            page = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"captureBeyondViewport": True,
                    "clip": {"x": 0, "y": 0, "width": page["width"], "height": page["height"], "scale": 1}}
        data = base64.b64decode(self.devtools("Page.captureScreenshot", format="png", **clip)["data"])
        if path:
            path.write_bytes(data)
        return data

    def complaints(self):
        """What the console said since the last time, of any level."""
        return [line["message"] for line in self.call("POST", "/se/log", {"type": "browser"})]

    # ---- elements ----

    def find(self, css):
        return self.call("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css):
        self.call("POST", f"/element/{self.find(css)}/click")

    def follow(self, css):
        """Clicks on what leads to another page, and waits for that."""
        self.run("document.documentElement.dataset.left = '1'")
        self.click(css)
        arrived = "return !document.documentElement.dataset.left && document.readyState === 'complete'"
        harness.wait_for(f"the page behind {css}", lambda: self.run(arrived))

    def type(self, css, text):
        element = self.find(css)
        self.call("POST", f"/element/{element}/clear")
        self.call("POST", f"/element/{element}/value", {"text": text})

    def keys(self, *keys):
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def select(self, css, value):
        self.click(f'{css} option[value="{value}"]')

    def texts(self, css):
        """What is read at each element that fits, as it is laid out."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText.trim())", css)

    def text(self, css="body"):
        return "\n".join(self.texts(css))
