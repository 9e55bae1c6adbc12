#!/usr/bin/env python3
"""run: builds and runs the tests in order, and ends with one line that counts them.

usage: tests/run.py all|unit|e2e|k8s|tsan|soak

`all` is what `make test` means: tidy; unit tests as built for release and with ASan+UBSan; everything compiled by clang
with -Werror; the inputs of the fuzzers again, with ASan+UBSan; end-to-end tests against the release binary, then a
chosen part (marked `sanitized`) against the ASan one. `k8s` is discovery against a real kube-apiserver, which is built
first, once.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
JOBS = f"-j{os.cpu_count() or 2}"
# The slowest program needs a few seconds, with ThreadSanitizer a few minutes.
PROGRAM_SECONDS = 600
# Of the end-to-end tests.
PARTS = 4
AT_ONCE = 4
# What build-apiserver.sh exits with where it lacks network or Debian.
CANNOT_BUILD = 77
SAN_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}

passed = 0
failed = 0
lock = threading.Lock()  # of both, and of output


def say(text):
    with lock:
        print(f"== {text}", flush=True)


def count(good, bad):
    global passed, failed
    with lock:
        passed += good
        failed += bad


def build(variant, *targets):
    say(f"build {variant}: {' '.join(targets)}")
    result = subprocess.run(["make", "--no-print-directory", JOBS, f"VARIANT={variant}", *targets], cwd=ROOT)
    if result.returncode != 0:
        say(f"the {variant} build failed")
        count(0, 1)
    return result.returncode == 0


def run_bounded(binary, *arguments):
    """Runs a test program to its end, or kills it after PROGRAM_SECONDS, which makes it one that failed."""
    process = subprocess.Popen([str(binary), *arguments], cwd=ROOT, env={**os.environ, **SAN_ENV}, text=True,
                               errors="replace", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = process.communicate(timeout=PROGRAM_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        err += f"\nstill running after {PROGRAM_SECONDS} s\n"
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def unit_program(variant, source):
    binary = ROOT / "build" / variant / "unit" / source.stem
    started = time.monotonic()
    result = run_bounded(binary)
    output = result.stdout + result.stderr
    good = len(re.findall(r"^\[       OK \]", output, re.M))
    bad = len(set(re.findall(r"^\[  FAILED  \] ([a-z]\w*)$", output, re.M)))
    if result.returncode != 0 and bad == 0:
        bad = 1
    count(good, bad)
    took = time.monotonic() - started
    say(f"{variant}/{binary.name}: {good} passed, {bad} failed, {took:.1f} s" + (f"\n{output[-6000:]}" if bad else ""))


def unit(variant):
    """Every cmocka program of a variant, two at a time because many of them wait for a clock; a program that dies or
    hangs counts as one failure."""
    if not build(variant, "unit-binaries"):
        return
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda source: unit_program(variant, source), sorted((ROOT / "tests/unit").glob("test_*.c"))))


def replay(variant):
    """Every input of the fuzzers' corpora, and every one that once broke something, through its target again."""
    if not build(variant, "replay-binaries"):
        return
    for source in sorted((ROOT / "tests/fuzz").glob("fuzz_*.c")):
        name = source.stem.removeprefix("fuzz_")
        binary = ROOT / "build" / variant / "replay" / name
        result = run_bounded(binary, f"tests/fuzz/corpus/{name}", f"tests/fuzz/regression/{name}")
        inputs = int((re.search(r"^(\d+) inputs$", result.stdout, re.M) or [0, 0])[1])
        count(inputs, result.returncode != 0)
        say(f"{variant}/replay {name}: {inputs} inputs{'' if result.returncode == 0 else ', failed'}")
        if result.returncode != 0:
            print(result.stderr[-6000:], flush=True)


def pytest(binary, *arguments, directory="tests/e2e"):
    say(f"{directory}, {binary}: {' '.join(arguments)}")
    env = {**os.environ, **SAN_ENV, "OBSAGENT": str(ROOT / binary), "PYTHONDONTWRITEBYTECODE": "1"}
    command = ["/usr/bin/python3", "-m", "pytest", "-q", "-rfEs", "-p", "no:cacheprovider", "--durations=5", *arguments]
    result = subprocess.run(command + [directory], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True,
                            errors="replace")
    say(f"{binary}: {' '.join(arguments)}\n{result.stdout[-12000:]}")
    summary = result.stdout.strip().splitlines()[-1] if result.stdout.strip() else ""
    good = int((re.search(r"(\d+) passed", summary) or [0, 0])[1])
    bad = sum(int(n) for n in re.findall(r"(\d+) (?:failed|error)", summary))
    if result.returncode != 0 and bad == 0:
        bad = 1
    count(good, bad)


def end_to_end(*kinds):
    """Each kind, a binary and a mark, in parts, some at a time: they mostly wait and hardly use a processor."""
    parts = [(binary, "-m", mark, f"--part={i}/{PARTS}") for binary, mark in kinds for i in range(1, PARTS + 1)]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda arguments: pytest(*arguments), parts))


def kubernetes():
    """Whether there was a kube-apiserver to test against."""
    built = subprocess.run([str(ROOT / "tests" / "k8s" / "build-apiserver.sh")], cwd=ROOT, stderr=subprocess.PIPE,
                           text=True, errors="replace")
    sys.stderr.write(built.stderr)
    if built.returncode == CANNOT_BUILD:
        why = (built.stderr.strip().splitlines() or ["for no reason given"])[-1]
        say(f"SKIPPED, nothing was tested: no kube-apiserver can be built here: {why}")
        return False
    if built.returncode != 0:
        say("kube-apiserver could not be built")
        count(0, 1)
    elif build("release", "binary"):
        peers()
        pytest("build/release/obsagent", "-s", directory="tests/k8s")
    return True


def tidy():
    say("tidy")
    result = subprocess.run([str(ROOT / "tests" / "tidy.py")], cwd=ROOT)
    count(result.returncode == 0, result.returncode != 0)


def outage(mib):
    """A long outage for a buffer of this size: memory, opening, draining."""
    if not build("release", "build/release/bench/outage"):
        return
    result = run_bounded(ROOT / "build/release/bench/outage", str(mib))
    count(result.returncode == 0, result.returncode != 0)
    say(f"outage with a buffer of {mib} MiB\n{result.stdout}{result.stderr}")


def peers():
    if subprocess.run([str(ROOT / "tests" / "fetch-peers.sh")], cwd=ROOT).returncode != 0:
        say("the programs to test against could not be unpacked")
        count(0, 1)


def all_tests():
    if build("release", "binary"):
        (ROOT / "build" / "obsagent").unlink(missing_ok=True)
        (ROOT / "build" / "obsagent").symlink_to("release/obsagent")
    peers()
    tidy()
    unit("release")
    outage(64)
    count(*((1, 0) if build("clang", "objects") else (0, 0)))
    unit("asan")
    replay("asan")
    asan = build("asan", "binary")
    end_to_end(("build/release/obsagent", "not soak"), *([("build/asan/obsagent", "sanitized")] if asan else []))


def tsan_tests():
    peers()
    unit("tsan")
    if build("tsan", "binary"):
        end_to_end(("build/tsan/obsagent", "sanitized"))


def main():
    what = sys.argv[1] if len(sys.argv) == 2 else ""
    started = time.monotonic()
    if what == "all":
        all_tests()
    elif what == "unit":
        unit("release")
    elif what == "e2e":
        if build("release", "binary"):
            peers()
            end_to_end(("build/release/obsagent", "not soak"))
    elif what == "k8s":
        if not kubernetes():
            return 0
    elif what == "tsan":
        tsan_tests()
    elif what == "soak":
        if build("release", "binary"):
            peers()
            outage(1024)
            pytest("build/release/obsagent", "-m", "soak")
    else:
        print(__doc__, file=sys.stderr)
        return 2
    say(f"{time.monotonic() - started:.0f} s")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
