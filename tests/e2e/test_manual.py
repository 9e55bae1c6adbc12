"""test_manual: is everything in the manual page, is it well-formed, and do shells complete what there is?"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

from harness import obsagent, wait_for

COMMANDS = re.findall(r"^  (\w+) +\S", obsagent("--help")[1], re.M)


def printed(*argv):
    code, out, err = obsagent(*argv)
    assert (code, err) == (0, "")
    return out


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("manual") / "obsagent.1"
    path.write_text(printed("help", "man"))
    return path


@pytest.fixture(scope="module")
def read_page(page):
    """As a reader sees it, on lines wide enough for everything."""
    shown = subprocess.run(["mandoc", "-Tutf8", "-Owidth=400", page], capture_output=True, text=True, check=True)
    return re.sub(".\b", "", shown.stdout)


# ---- the manual ----


def test_the_page_is_well_formed(page):
    lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", page], capture_output=True, text=True)
    assert (lint.returncode, lint.stdout) == (0, "")


def test_all_commands_are_known():
    assert {"run", "check", "scrape", "relabel", "queue", "sink", "help"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_and_its_flags_are_in_the_page(read_page, command):
    text = printed(command, "--help")
    assert printed("help", command) == text
    section = re.search(rf"^   {command}\n(.*?)^(?=\S|   \S)", read_page, re.M | re.S)[1]
    synopsis = text.split("\n\n")[0].splitlines()
    for line in synopsis:
        assert line.strip() in section
    flags = re.findall(r"^  (--.*?)(?: *\n)? {2,}(\S.*)$", text, re.M)
    assert len(flags) == len(re.findall("^  --", text, re.M))
    assert flags or command in ("check", "help")
    for flag, help_text in flags:
        found = re.search(rf"^ +{re.escape(flag)}(?:\n +|\s+)(.*)$", section, re.M)
        assert found and found[1] == help_text, flag


def test_fields_of_the_configuration_are_in_the_page(read_page):
    fields = re.findall(r"^  (\w+) {2,}", printed("help", "config"), re.M)
    assert len(fields) > 150
    for field in fields:
        assert re.search(rf"^       {field}\b", read_page, re.M), field


def test_wrong_words_are_told():
    assert obsagent("help", "completion", "fish")[0] == 2
    assert obsagent("check", "--help=fish")[0] == 2
    assert obsagent("help", "man", "more")[0] == 2


# ---- bash ----

BASH = {
    "obsagent sc": "scrape",
    "obsagent scrape --lint=": "all none list",
    "obsagent scrape --lint ": "all none list",
    "obsagent scrape --lint=n": "none",
    "obsagent scrape -lint=n": "none",
    "obsagent scrape --explai": "--explain",
    "obsagent scrape --explain so": "some.dir some.yml",
    "obsagent relabel --explain some.y": "some.yml",
    "obsagent queue ": "ls cat drop replay",
    "obsagent queue --format text ": "ls cat drop replay",
    "obsagent queue ls so": "some.dir",
    "obsagent -remoteWrite.b": "-remoteWrite.bearerToken= -remoteWrite.bearerTokenFile=",
    "obsagent --log.level=": "debug info warn error",
    "obsagent run --dry": "--dryRun",
    "obsagent check so": "some.dir some.yml",
    "obsagent check some.yml ot": "other file.yml",
    "obsagent relabel some.y": "some.yml",
    "obsagent relabel some.yml so": "",
    "obsagent --config.file=some.y": "some.yml",
    "obsagent -config.file some.y": "some.yml",
    "obsagent help completion ": "bash zsh",
    "obsagent nope ": "",
}
DRIVER = r"""
source obsagent.bash
COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
while IFS= read -r COMP_LINE; do
    COMP_POINT=${#COMP_LINE}
    _obsagent
    echo "${COMPREPLY[*]}"
done
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with the scripts, and with files to complete."""
    path = tmp_path_factory.mktemp("complete")
    for name in ("some.yml", "other file.yml"):
        (path / name).touch()
    (path / "some.dir").mkdir()
    (path / "obsagent.bash").write_text(printed("help", "completion", "bash"))
    (path / "_obsagent").write_text(printed("help", "completion", "zsh"))
    return path


def test_bash_completes(place):
    subprocess.run(["bash", "-n", "obsagent.bash"], cwd=place, check=True)
    lines = "".join(f"{line}\n" for line in BASH)
    done = subprocess.run(["bash", "-c", DRIVER], input=lines, capture_output=True, text=True, cwd=place)
    assert done.stderr == ""
    assert dict(zip(BASH, done.stdout.splitlines(), strict=True)) == BASH


def test_bash_knows_every_command_and_flag(place):
    text = (place / "obsagent.bash").read_text()
    assert re.search(r"^_obsagent_commands='(.*)'", text, re.M)[1].split() == COMMANDS
    for command in COMMANDS:
        known = re.search(rf"^ +{command}:flags\) flags='(.*)' ;;", text, re.M)[1].split()
        there = re.findall(r"^  (--[\w.-]+=?)", printed(command, "--help"), re.M)
        assert known == ["--help"] + there


# ---- zsh ----

ZSH = {
    "obsagent scr": "obsagent scrape ",
    "obsagent queue dr": "obsagent queue drop ",
    "obsagent queue --form": "obsagent queue --format=",
    "obsagent scrape --lint=n": "obsagent scrape --lint=none ",
    "obsagent relabel some.y": "obsagent relabel some.yml ",
    "obsagent queue ls some": "obsagent queue ls some.dir/",
}
# Each line is typed and completed in a shell on a terminal; a widget tells what stands there then.
ZSHRC = r"""
PROMPT=
unsetopt zle_bracketed_paste
autoload -U compinit
compinit -D -u
tell() { print -r -- "$BUFFER" >>told; BUFFER= }
zle -N tell
bindkey '^X' tell
bindkey '^I' complete-word
source ./_obsagent
: >ready
"""


def test_zsh_completes(place):
    subprocess.run(["zsh", "-n", "_obsagent"], cwd=place, check=True)
    (place / ".zshrc").write_text(ZSHRC)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(place)
        os.execvpe("zsh", ["zsh", "-i", "-d"], os.environ | {"ZDOTDIR": str(place), "TERM": "dumb"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    told = place / "told"
    try:
        wait_for("zsh", (place / "ready").exists)
        for n, line in enumerate(ZSH):
            os.write(terminal, f"{line}\t\x18".encode())
            wait_for(line, lambda: told.exists() and told.read_text().count("\n") > n)
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    assert dict(zip(ZSH, told.read_text().splitlines(), strict=True)) == ZSH
