"""test_chaos: random faults on all sides at once; every sample that was scraped is delivered once and in order, or in
the books with its reason. Also: one dead endpoint costs the others no time."""

import contextlib
import ctypes
import json
import os
import pathlib
import random
import resource
import statistics
import subprocess
import threading
import time

import pytest

import chaos
import chaos_check
from chaos_check import Death
from harness import Agent, Process, obsagent, wait_for

SECONDS = float(os.environ.get("CHAOS_SECONDS", 0))
TARGETS = 200
EXTRA = range(1000, 1005)  # targets of the job that comes and goes
TIMEOUT_S = 2
DISK_MB = 32

# Faults of a receiver: what it does with a share p of the requests while the fault lasts.
RECEIVER_FAULTS = {
    "500 to some": {"kind": "status", "status": 500, "p": 0.3},
    "500 to all": {"kind": "status", "status": 500},
    "503": {"kind": "status", "status": 503},
    "503, come back": {"kind": "status", "status": 503, "headers": ["Retry-After: 1"]},
    "400 to some series": {"kind": "refuse", "one_in": 1200},
    "401": {"kind": "status", "status": 401},
    "413": {"kind": "too large", "most": 400},
    "429, come back": {"kind": "status", "status": 429, "headers": ["Retry-After: 1"], "p": 0.5},
    "hangs": {"kind": "hang"},
    "takes it and hangs": {"kind": "accept and hang", "p": 0.5},
    "RST amid the request": {"kind": "reset", "p": 0.6},
    "half an answer": {"kind": "half", "p": 0.4},
    "takes it and cuts the answer": {"kind": "cut", "p": 0.4},
    "stalls": {"kind": "stall"},
    "refuses connections": {"kind": "refuse connections"},
}
FAR = {"kind": "far", "delay": 0.05}
AGENT_FAULTS = ["kill", "term", "reorder", "rename", "job", "disk full", "permission"]


# ---- the agent ----


class Bound(Process):
    """A process that root's privilege of opening everything is taken from, so that chmod means something."""

    def __init__(self, argv, log, env=None):
        libc = ctypes.CDLL(None)

        def limit():
            for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
                libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP

        self.log_path = pathlib.Path(log)
        self.log = open(log, "ab")
        files = {"stdout": self.log, "stderr": self.log, "stdin": subprocess.DEVNULL}
        self.child = subprocess.Popen([str(a) for a in argv], env=env, preexec_fn=limit, **files)


class BoundAgent(Agent, Bound):
    pass


class Disk:
    """A small disk under a directory: a tmpfs where the test may mount one, else the agent's limit of file sizes."""

    def __init__(self, path, mount):
        self.path = pathlib.Path(path)
        self.path.mkdir(exist_ok=True)
        argv = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=755", "none", self.path]
        self.mounted = mount and os.geteuid() == 0 and subprocess.run(argv, capture_output=True).returncode == 0
        print(f"disk full is: {'a tmpfs of %d MB, filled' % DISK_MB if self.mounted else 'RLIMIT_FSIZE of the agent'}")

    @contextlib.contextmanager
    def full(self, agent):
        if not self.mounted:
            old = resource.prlimit(agent.child.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
            yield
            resource.prlimit(agent.child.pid, resource.RLIMIT_FSIZE, old)
            return
        filler = self.path / "filler"
        with open(filler, "wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * 65536)
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0")
            yield
        filler.unlink()

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.path], check=True)


class House:
    """The agent in its lives, the targets and the receivers; what was done to them is in `deaths` and `lives`."""

    def __init__(self, run, tmp_path, workers=2, durability="behind", drain="fifo", mount=True):
        self.run, self.path, self.drain_b = run, tmp_path, drain
        self.flags = ["--shutdown.timeout=1s", f"--scrape.workers={workers}", f"--storage.durability={durability}"]
        self.disk = run(Disk, tmp_path / "agent-data", mount)
        self.targets = run(chaos.Peer, "targets", tmp_path / "targets")
        self.receivers = {n: run(chaos.Peer, "receiver", tmp_path / f"receiver-{n}") for n in ("a", "b")}
        self.names = {"a": "a", "b": "b"}  # of receivers: how the configuration calls the endpoint
        self.order, self.jobs, self.extra = ["a", "b"], True, False
        self.deaths, self.lives, self.problems = [], [], []
        self.late = []  # (time, how late the watcher woke up)
        self.locks = {n: threading.Lock() for n in self.receivers}
        self.began = time.time()
        self.over = threading.Event()
        self.agent = None
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def say(self, text):
        print(f"{time.time() - self.began:7.2f} {text}", flush=True)

    # -- configuration --

    def config(self):
        text = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nremote_write:\n"
        for n in self.order:
            text += (
                f"- url: {self.receivers[n].url}\n  name: {self.names[n]}\n  remote_timeout: {TIMEOUT_S}s\n"
                f"  drain: {'fifo' if n == 'a' else self.drain_b}\n"
                f"  queue_config: {{min_backoff: 50ms, max_backoff: 500ms}}\n"
            )
        text += "scrape_configs:\n" if self.jobs or self.extra else ""
        half = TARGETS // 2
        jobs = {"fast": range(half), "slow": range(half, TARGETS)} if self.jobs else {}
        jobs |= {"extra": EXTRA} if self.extra else {}
        for job, numbers in jobs.items():
            text += f"- job_name: {job}\n  scrape_interval: {2 if job == 'slow' else 1}s\n  static_configs:\n"
            address = f"127.0.0.1:{self.targets.port}"
            for i in numbers:
                text += f"  - {{targets: ['{address}'], labels: {{__metrics_path__: /t/{i}, t: '{i}'}}}}\n"
        return text

    def reconfigure(self):
        self.agent.reconfigure(self.config())
        assert self.agent.total("obsagent_config_last_reload_successful") == 1, self.agent.output()[-2000:]

    # -- lives --

    def start(self):
        started = time.time()
        agent = self.run(BoundAgent, self.path, self.config(), "--storage.max-bytes=20MB", *self.flags)
        self.lives.append({"started": started, "how": "running", "books": {}})
        self.agent = agent
        for n, name in self.names.items():
            left = self.lives[-2]["left"].get(name, 0) if len(self.lives) > 1 else 0
            restored = agent.books(name)["restored"]
            if restored != left:
                self.problems.append(f"{left} samples were left for {name}, {restored} came back")

    def page(self):
        """The books of this life by receiver; a renamed endpoint's are those of all its names."""
        page = self.agent.metrics()
        out = {}
        for n in self.receivers:
            mine = [(m, dict(ls), v) for (m, ls), v in page.items() if dict(ls).get("endpoint", " ")[0] == n]
            lost = [(ls, v) for m, ls, v in mine if m == "obsagent_samples_lost_total"]
            out[n] = {
                "delivered": sum(v for m, _, v in mine if m == "obsagent_samples_delivered_total"),
                "buffered": sum(v for m, _, v in mine if m == "obsagent_samples_buffered"),
                "rejected": sum(v for ls, v in lost if ls["reason"] == "rejected"),
                "other": {ls["reason"]: v for ls, v in lost if v and ls["reason"] != "rejected"},
            }
        return out if page else None

    def watch(self):
        """Notes how late this machine lets one wake up."""
        due = time.monotonic()
        while not self.over.wait(max(0, due - time.monotonic())):
            self.late.append((time.time(), time.monotonic() - due))
            due = max(due + 0.1, time.monotonic())

    def slack(self):
        recent = [late for at, late in self.late[-200:] if at > time.time() - 10]
        return 0.5 + 3 * max(recent, default=0)

    def balanced(self):
        """The books of both endpoints balance now."""
        for name in self.names.values():
            try:
                self.agent.assert_balanced(name)
            except AssertionError as problem:
                self.problems.append(f"{name}: {problem}")
        self.lives[-1]["books"] = self.page() or self.lives[-1]["books"]
        for n, books in self.lives[-1]["books"].items():
            if books["other"]:
                self.problems.append(f"{n}: lost for {books['other']}")

    def left(self):
        """{endpoint: samples} as `queue ls` finds them in the directory of the dead."""
        code, out, err = obsagent("queue", "ls", self.agent.storage)
        assert code == 0, err
        lines = [line.split() for line in out.split("\n\n")[0].splitlines()[1:]]
        return {line[0]: int(line[2]) for line in lines}

    def die(self, how):
        self.balanced()
        began = time.time()
        if how == "kill":
            self.agent.kill9()
        elif self.agent.stop(timeout=60) != 0:
            self.problems.append(f"SIGTERM ended in {self.agent.child.returncode}")
        self.deaths.append(Death(how, began, time.time(), self.slack()))
        self.lives[-1] |= {"how": how, "left": self.left()}
        self.start()

    # -- faults of the agent --

    def fault_kill(self, rng):
        self.die("kill")

    def fault_term(self, rng):
        self.die("term")

    def fault_reorder(self, rng):
        self.order.reverse()
        self.reconfigure()

    def fault_rename(self, rng):
        n = rng.choice("ab")
        for name in (n + "-renamed", n):
            self.names[n] = name
            began = time.time()
            self.reconfigure()
            self.agent.assert_balanced(name)
            self.deaths.append(Death("unplug " + n, began, time.time(), self.slack()))  # the old one cuts its requests
            time.sleep(rng.uniform(0.2, 1.5))

    def fault_job(self, rng):
        self.extra = not self.extra
        began = time.time()
        self.reconfigure()
        if not self.extra:
            time.sleep(0.5)
            self.deaths.append(Death("remove", began, time.time(), self.slack(), EXTRA))

    def with_disk_trouble(self, trouble, rng):
        """While a receiver is away, so that the disk is needed."""
        n = rng.choice("ab")
        with self.locks[n]:
            self.receivers[n].tell(kind="status", status=503)
            with trouble:
                time.sleep(rng.uniform(2, 4))
            wait_for("the disk to be used again", lambda: self.agent.total("obsagent_queue_disk_ok") == 1, timeout=60)
            time.sleep(chaos_check.ONLY_IN_RAM_S)  # what waited in RAM for the disk is there, before somebody dies
            self.receivers[n].tell(**(FAR if rng.random() < 0.5 else {}))

    def fault_disk_full(self, rng):
        self.with_disk_trouble(self.disk.full(self.agent), rng)

    def fault_permission(self, rng):
        @contextlib.contextmanager
        def taken():
            os.chmod(self.agent.storage, 0)
            yield
            os.chmod(self.agent.storage, 0o755)

        self.with_disk_trouble(taken(), rng)

    # -- the schedule --

    def bags(self, rng, kinds):
        """All kinds in random order, again and again."""
        while True:
            yield from rng.sample(list(kinds), len(kinds))

    def trouble_agent(self, rng, end):
        for kind in self.bags(rng, AGENT_FAULTS):
            time.sleep(rng.uniform(0.5, 3))
            if time.time() > end:
                return
            self.say(f"agent: {kind}")
            getattr(self, "fault_" + kind.replace(" ", "_"))(rng)
            self.say(f"agent: {kind} done")
            self.balanced()

    def trouble_receiver(self, n, rng, end):
        for kind in self.bags(rng, RECEIVER_FAULTS):
            if time.time() > end:
                return
            with self.locks[n]:
                self.say(f"receiver {n}: {kind}")
                began = time.time()
                self.receivers[n].tell(**RECEIVER_FAULTS[kind], seed=rng.random(), salt=rng.random())
                if kind == "refuses connections":
                    self.deaths.append(Death("unplug " + n, began, time.time(), self.slack()))
                long = rng.random() < 0.2 and end - began > 120  # a backlog of many blocks
                time.sleep(rng.uniform(0.5, 3) * (10 if long else 1))
                far = rng.random() < 0.5  # answers take long: a backlog is drained by many requests at once
                self.receivers[n].tell(**(FAR if far else {}))
            self.say(f"receiver {n}: well{', far away' if far else ''}")
            time.sleep(rng.uniform(0, 1.5))

    def trouble(self, seed, seconds):
        end = time.time() + seconds
        jobs = {"agent": lambda rng: self.trouble_agent(rng, end)}
        for n in self.receivers:
            jobs[n] = lambda rng, n=n: self.trouble_receiver(n, rng, end)
        failures = []

        def guarded(name, job):
            try:
                job(random.Random(f"{seed} {name}"))
            except BaseException as problem:  # of another thread: it must not get lost
                failures.append(problem)

        threads = [threading.Thread(target=guarded, args=each) for each in jobs.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    # -- the end --

    def drain(self):
        """No faults, no scrapes any more; returns when all is delivered."""
        for receiver in self.receivers.values():
            receiver.tell()
        began = time.time()
        self.jobs = self.extra = False
        self.reconfigure()
        wait_for("the targets to be gone", lambda: not self.agent.targets())
        time.sleep(1.5)  # the last blocks are sealed
        self.deaths.append(Death("remove", began, time.time(), self.slack()))

        def empty():
            page = self.page()
            return page and not any(books["buffered"] for books in page.values())

        wait_for("nothing to be buffered", empty, timeout=120)
        self.balanced()
        self.over.set()
        for peer in (self.targets, *self.receivers.values()):
            peer.tell(flush=True)

    def streams(self, delivery):
        return 2 if delivery.name == "b" and self.drain_b == "fresh_first" else 1

    def remember(self):
        """What the check needs beside what targets and receivers wrote, for another look later."""
        state = {"deaths": [{**d._asdict(), "jobs": d.jobs and list(d.jobs)} for d in self.deaths], "lives": self.lives}
        (self.path / "house.json").write_text(json.dumps({**state, "problems": self.problems}, indent=1))

    def check(self):
        """All problems there are, as text."""
        self.remember()
        deliveries = [chaos_check.Delivery(n, r.directory) for n, r in self.receivers.items()]
        truth = chaos_check.Truth(self.targets.directory / "answered.bin", deliveries)
        problems = self.problems + truth.problems
        found, cut = chaos_check.check_scrapes(truth, self.deaths, range(TARGETS))
        problems += found
        told = f"{len(truth.answered)} scrapes, {cut} of them cut off; {len(self.lives)} lives"
        for d in deliveries:
            twice_problems, twice = chaos_check.check_order(d, d.doubtful(self.deaths, TIMEOUT_S), self.streams(d))
            missing, killed, refused = chaos_check.check_complete(d, truth, self.deaths)
            problems += twice_problems + missing + chaos_check.check_last_books(d, self.lives[-1])
            samples = sum(len(c.ms) for c in d.accepted.values())
            told += f"\n{d.name}: {len(d.requests)} requests, {samples} samples, {twice} came twice, "
            told += f"{killed} were in RAM at a kill, {refused} refused"
        print(told, flush=True)
        return problems


    def last_words(self):
        return self.agent.output()[-6000:]

    def assert_well(self, what):
        problems = self.check()
        if problems:
            print("the agent's last words:", self.last_words(), sep="\n")
        assert not problems, f"{what}: {len(problems)} problems:\n" + "\n".join(problems[:20] + problems[-20:])


def torment(run, tmp_path, capsys, seed, seconds, **settings):
    with capsys.disabled():  # the seed is told in any case
        print(f"\nCHAOS_SEED={seed} CHAOS_SECONDS={seconds:.0f}, artifacts in {tmp_path}", flush=True)
    rng = random.Random(seed)
    workers, durability = rng.choice([1, 2, 4]), rng.choice(["behind", "behind", "always"])
    house = House(run, tmp_path, workers, durability, **settings)
    house.start()
    try:
        wait_for("the first scrapes", lambda: house.agent.total("obsagent_scrapes_total") >= TARGETS)
        house.trouble(seed, seconds)
        house.drain()
    except BaseException:
        print("problems so far:", *house.problems[:20], "the agent's last words:", house.last_words(), sep="\n")
        raise
    finally:
        house.over.set()
    house.assert_well(f"CHAOS_SEED={seed}")


def seed(otherwise):
    return int(os.environ.get("CHAOS_SEED", otherwise))


def test_chaos(run, tmp_path, capsys):
    torment(run, tmp_path, capsys, seed(1), SECONDS or 35)


@pytest.mark.soak
def test_long_chaos(run, tmp_path, capsys):
    torment(run, tmp_path, capsys, seed(int(time.time())), SECONDS or 1200)


@pytest.mark.soak
def test_long_chaos_with_fresh_data_first(run, tmp_path, capsys):
    """The same with two streams at one receiver: nothing missing, nothing twice."""
    torment(run, tmp_path, capsys, seed(int(time.time())), SECONDS or 300, drain="fresh_first")


# ---- order, fault by fault ----

# What receivers a and b do all the time, and how the agent ends meanwhile.
ORDER_CASES = {
    "500 and 204 mixed": ("500 to some", "429, come back", []),
    "timeouts": ("takes it and hangs", "hangs", []),
    "splits": ("413", "413", ["term"]),
    "cut answers": ("half an answer", "RST amid the request", []),
    "restarts": ("500 to some", "takes it and cuts the answer", ["kill", "term"]),
}


@pytest.mark.parametrize("case", ORDER_CASES.values(), ids=ORDER_CASES.keys())
def test_order_with_several_workers(run, tmp_path, case):
    house = House(run, tmp_path, workers=4)
    house.start()
    for n, kind in zip("ab", case):
        house.receivers[n].tell(**RECEIVER_FAULTS[kind])
    scraped = lambda: house.agent.total("obsagent_scrapes_total")
    for how in case[2]:
        wait_for("scrapes", lambda: scraped() >= TARGETS)
        house.die(how)
    wait_for("scrapes", lambda: scraped() >= 3 * TARGETS)
    house.drain()
    house.assert_well("order")


def test_a_limit_of_file_sizes_is_a_full_disk(run, tmp_path):
    house = House(run, tmp_path, mount=False)
    house.start()
    house.fault_disk_full(random.Random(1))
    assert "the buffer's disk fails" in house.agent.output()
    house.drain()
    house.assert_well("a limit")


# ---- endpoints stand alone ----


def delays(delivery, began, ended):
    """How long after its scrape each sample of that time arrived, in seconds."""
    return [
        delivery.requests[request]["at"] - ms / 1000
        for column in delivery.accepted.values()
        for request, ms in zip(column.request, column.ms)
        if began <= ms / 1000 <= ended
    ]


def most_connections(delivery):
    """How many were open at the same time."""
    began = {}
    for r in delivery.requests.values():
        began[r["connection"]] = min(r["began"], began.get(r["connection"], r["began"]))
    steps = [(at, 1) for at in began.values()] + [(delivery.ended[c], -1) for c in began if c in delivery.ended]
    now = most = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most


def test_one_dead_endpoint_does_not_delay_the_other(run, tmp_path):
    """Delivery to a while b is well, answers 503 for ever, hangs: in turns, so that a busy machine is so for all."""
    house = House(run, tmp_path)
    house.start()
    phases = []
    for kind in (None, "503", "hangs") * 2 + (None,):
        house.receivers["b"].tell(**RECEIVER_FAULTS.get(kind, {}))
        began = time.time()
        time.sleep(3.5)
        phases.append((kind, began + 0.3, time.time() - 1.2))  # what is scraped later arrives in the next phase
    house.drain()
    house.assert_well("endpoints")
    good, bad = (chaos_check.Delivery(n, house.receivers[n].directory) for n in "ab")
    tries = sum(r["status"] == 503 for r in bad.requests.values())
    print(f"{tries} times 503, at most {most_connections(bad)} connections")
    assert tries > 20 and most_connections(bad) <= 10
    found = [(kind, delays(good, began, ended)) for kind, began, ended in phases]
    well = [statistics.median(d) for kind, d in found if kind is None]
    all_well = sorted(d for kind, ds in found if kind is None for d in ds)
    noise = max(well) - min(well) + (all_well[len(all_well) * 9 // 10] - all_well[len(all_well) // 10]) / 4
    for kind in ("503", "hangs"):
        median = statistics.median(d for k, ds in found if k == kind for d in ds)
        print(f"{kind}: median {median:.3f} s, well {statistics.median(all_well):.3f} s, noise {noise:.3f} s")
        assert median <= statistics.median(all_well) + noise, (kind, median, well, noise)
