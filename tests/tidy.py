#!/usr/bin/env python3
"""tidy: the rules of the house that a machine can judge. Prints each violation as FILE:LINE: why, exit code 1 if any.

What is judged: banned functions, columns, tabs, comment form, the opening lines of each file, length of functions and
files, public headers that compile alone, global functions used in one file only, dead files, what stands at the top
level, unfinished work.
"""

import pathlib
import re
import subprocess
import sys

SELF = pathlib.Path(__file__).resolve()
ROOT = SELF.parents[1]
COLUMNS = 120
HEADER_LINES = 200  # public ones, in include/
FILE_LINES = 900
FUNCTION_LINES = 70
# Longer ones must give a reason here.
LONG_FUNCTIONS = {}
# Global on purpose though no file names it.
GLOBAL_FUNCTIONS = {"main"}
BANNED = {
    "strcpy": "memcpy, or buf_add",
    "strcat": "buf_add",
    "sprintf": "snprintf, or buf_addf",
    "vsprintf": "vsnprintf, or buf_addf",
    "gets": "read",
    "strtok": "str_find_char",
    "atoi": "units_parse_i64",
    "atol": "units_parse_i64",
    "atof": "exposition_parse_value",
    "alloca": "an arena",
    "strncpy": "memcpy, or snprintf",
}

TOP_LEVEL = {"Makefile", "agent", "scrape", "relabel", "include", "deploy", "tests", "README.md", "LICENSE"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")

problems = []


def report(path, line, why):
    problems.append(f"{path.relative_to(ROOT)}:{line}: {why}")


def git_files(*patterns):
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", *patterns], cwd=ROOT, text=True,
                            capture_output=True, check=True).stdout
    return [ROOT / f for f in listed.splitlines() if (ROOT / f).exists()]


def strip(text):
    """The text with comments and strings blanked, lines kept."""
    pattern = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def check_text(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > COLUMNS:
            report(path, number, f"{len(line)} columns, at most {COLUMNS}")
        if "\t" in line:
            report(path, number, "a tab; four spaces indent here")
        if line != line.rstrip():
            report(path, number, "blanks at the end of the line")
        if UNFINISHED.search(line):
            report(path, number, "unfinished work is not left in the text")
    for number, line in enumerate(strip(text).splitlines(), 1):
        if "//" in line:
            report(path, number, "a // comment; /* */ is used here")
        for name in re.findall(r"\b(\w+)\s*\(", line):
            if name in BANNED:
                report(path, number, f"{name} is banned; use {BANNED[name]}")
    if not text.endswith("\n"):
        report(path, text.count("\n") + 1, "no newline at the end")


def check_opening(path, text):
    lines = text.splitlines() + ["", ""]
    if lines[0] != "/* SPDX-License-Identifier: Apache-2.0 */":
        report(path, 1, "the first line names the licence")
    if not re.match(r"/\* \S+: \S", lines[1]):
        report(path, 2, "the second line says the role: /* name: sentence. */")


def check_sources(sources):
    for path in sources:
        text = path.read_text()
        check_text(path, text)
        check_opening(path, text)
        lines = text.count("\n")
        limit = HEADER_LINES if "include" in path.parts else FILE_LINES
        if lines > limit and "tests" not in path.parts:
            report(path, 1, f"{lines} lines, at most {limit}")


def check_functions(sources):
    listed = subprocess.run(["ctags", "-L", "-", "-f", "-", "--languages=C", "--kinds-C=f", "--fields=+ne"], cwd=ROOT,
                            input="\n".join(str(p) for p in sources), text=True, capture_output=True, check=True).stdout
    for row in listed.splitlines():
        cells = row.split("\t")
        places = dict(c.split(":", 1) for c in cells[4:] if ":" in c)
        if "end" not in places:
            continue
        length = int(places["end"]) - int(places["line"]) + 1
        if length > FUNCTION_LINES and cells[0] not in LONG_FUNCTIONS:
            report(pathlib.Path(cells[1]), places["line"], f"{cells[0]} has {length} lines, at most {FUNCTION_LINES}")


def check_headers(headers):
    for path in headers:
        result = subprocess.run(
            ["gcc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", "-fsyntax-only",
             "-x", "c", str(path)], capture_output=True, text=True)
        if result.returncode != 0:
            report(path, 1, "does not compile alone: " + result.stderr.splitlines()[0])


def check_dead_headers(headers, sources):
    texts = "\n".join(p.read_text() for p in sources)
    for path in headers:
        if not re.search(rf'#include "(?:[\w./-]*/)?{re.escape(path.name)}"', texts):
            report(path, 1, "nobody includes it")


def check_dead_sources(sources):
    """What the build's wildcards do not reach is not in the program."""
    listed = subprocess.run(["make", "-s", "--no-print-directory", "sources"], cwd=ROOT, text=True,
                            capture_output=True, check=True).stdout.split()
    for path in sources:
        if str(path.relative_to(ROOT)) not in listed:
            report(path, 1, "nothing compiles it")


def check_symbols(tests):
    """Global functions and variables of the program that no other file names; tests count as users."""
    defined, used = {}, set()
    root = ROOT / "build/release/obj"
    for obj in root.rglob("*.o"):
        source = ROOT / obj.relative_to(root).with_suffix("")
        source = source if source.suffix == ".cc" else source.with_suffix(".c")
        if not source.exists():
            continue
        listed = subprocess.run(["nm", str(obj)], capture_output=True, text=True, check=True).stdout
        for row in listed.splitlines():
            kind, name = row.split()[-2:]
            if kind in "TDBR":
                defined[name] = source
            elif kind == "U":
                used.add(name)
    for path in tests:
        used.update(re.findall(r"\w+", path.read_text()))
    for name, source in sorted(defined.items()):
        if name not in used and name not in GLOBAL_FUNCTIONS and not name.startswith("_Z"):
            report(source, 1, f"no other file uses {name}: make it static, or remove it")


def check_layout():
    tops = {p.relative_to(ROOT).parts[0] for p in git_files()}
    for name in sorted(tops - TOP_LEVEL):
        if not name.startswith("."):
            report(ROOT / name, 1, "does not belong at the top level")


def check_other_texts(paths):
    """Scripts and pages: what holds for any text."""
    for path in paths:
        text = path.read_text()
        if not text.endswith("\n"):
            report(path, text.count("\n") + 1, "no newline at the end")
        for number, line in enumerate(text.splitlines(), 1):
            if path.suffix in (".py", ".sh") and len(line) > COLUMNS:
                report(path, number, f"{len(line)} columns, at most {COLUMNS}")
            if path != SELF and UNFINISHED.search(line):
                report(path, number, "unfinished work is not left in the text")


def count_lines(paths):
    return sum(p.read_text().count("\n") for p in paths)


def main():
    code = git_files("agent/**.[ch]", "scrape/**.[ch]", "relabel/**.[ch]", "relabel/**.cc", "include/**.h")
    tests = git_files("tests/**.[ch]")
    check_sources(code + tests)
    check_functions([p for p in code if p.suffix == ".c"])
    check_headers([p for p in code if p.parts[len(ROOT.parts)] == "include"])
    check_dead_headers([p for p in code + tests if p.suffix == ".h"], code + tests)
    check_dead_sources([p for p in code if p.suffix in (".c", ".cc")])
    check_symbols(tests)
    check_layout()
    check_other_texts(git_files("*.md", "*.py", "*.sh", "*.yml", "Makefile"))
    for problem in problems:
        print(problem)
    code_lines, test_lines = count_lines(code), count_lines(tests + git_files("tests/**.py", "tests/**.sh"))
    print(f"tidy: {code_lines} lines of code, {test_lines} of tests ({test_lines / code_lines:.2f} : 1)")
    print(f"tidy: {len(code) + len(tests)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
