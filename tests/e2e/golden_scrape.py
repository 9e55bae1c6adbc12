# SPDX-License-Identifier: Apache-2.0
"""golden_scrape: what `obsagent scrape` says of each body in data/scrape, beside what it is expected to say.

    /usr/bin/python3 tests/e2e/golden_scrape.py           what differs
    /usr/bin/python3 tests/e2e/golden_scrape.py --write   take what it says now for right: look at git diff afterwards

Beside each body lie NAME.report, the text, and NAME.json. Times are left out; estimates hang on the clock a little
(bytes of timestamps are packed with the rest), so that NAME.report has none of them and in NAME.json they may differ
by 15 %, the most that small bodies vary.
"""
import difflib
import json
import pathlib
import re
import subprocess
import sys

DATA = pathlib.Path(__file__).parent / "data" / "scrape"
SLACK = 0.15
REFRESH = "/usr/bin/python3 tests/e2e/golden_scrape.py --write"


def bodies():
    return sorted(p.name for p in DATA.iterdir() if p.suffix not in (".report", ".json"))


def run(program, *flags):
    done = subprocess.run([program, "scrape", *flags, *bodies()], cwd=DATA, capture_output=True, timeout=60)
    return done.returncode, done.stdout.decode()


def texts(program):
    """{body: report}"""
    _, out = run(program)
    parts = re.split(r"^(?=target: )", out, flags=re.M)[1:]
    masked = (re.sub(r"(rw1|rw2|vm|on disk) [0-9.]+ k?M?B", r"\1 ~", part) for part in parts)
    return {part.splitlines()[0][len("target: ") :]: part for part in masked}


def jsons(program):
    """{body: report}"""
    reports = [json.loads(line) for line in run(program, "--json")[1].splitlines()]
    for report in reports:
        report["times"] = {name: 0 for name in report["times"]}
    return {report["target"]: report for report in reports}


def pretty(report):
    return json.dumps(report, indent=1, ensure_ascii=False) + "\n"


def near(found, wanted):
    """found, with estimates that are near the wanted ones replaced by those."""
    estimates = found.get("estimate"), wanted.get("estimate")
    if not all(estimates):
        return found
    mine, theirs = (e["bytes_per_day"] for e in estimates)
    taken = {way: theirs[way] if abs(v - theirs.get(way, 0)) <= SLACK * v else v for way, v in mine.items()}
    return found | {"estimate": estimates[0] | {"bytes_per_day": taken}}


def diff(name, found, wanted):
    return "".join(difflib.unified_diff(wanted.splitlines(True), found.splitlines(True), name, "found"))


def differences(program):
    out = []
    for body, text in texts(program).items():
        path = DATA / f"{body}.report"
        out.append(diff(path.name, text, path.read_text() if path.exists() else ""))
    for body, report in jsons(program).items():
        path = DATA / f"{body}.json"
        wanted = json.loads(path.read_text()) if path.exists() else {}
        out.append(diff(path.name, pretty(near(report, wanted)), pretty(wanted)))
    return [d for d in out if d]


def write(program):
    for body, text in texts(program).items():
        (DATA / f"{body}.report").write_text(text)
    for body, report in jsons(program).items():
        path = DATA / f"{body}.json"
        path.write_text(pretty(near(report, json.loads(path.read_text()) if path.exists() else {})))


if __name__ == "__main__":
    from harness import OBSAGENT

    if sys.argv[1:] == ["--write"]:
        write(OBSAGENT)
    elif sys.argv[1:]:
        sys.exit(__doc__)
    print("\n".join(differences(OBSAGENT)) or "no difference")
