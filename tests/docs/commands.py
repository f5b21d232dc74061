#!/usr/bin/env python3
"""commands.py quick|slow SIEVERT SOURCE WORK [DOCUMENT...]: runs every command that the documents show.

A fenced block of commands begins with ```sh, and runs with `sh -e` in a folder where examples/ lies, one
folder for each document, block after block. What decides is the rest of that line:
    ```sh            runs in `make check`
    ```sh slow       runs in `make check-all` (then the whole document runs from its beginning)
    ```sh not run: REASON    is for people only, and the reason is shown; targets of make must exist
    ```python        runs with python3 (needs what it imports, else SKIP)
A block ```text FILE is written to FILE. A command in a block without such a word is a failure, and so is a
`sievert ...` in the running text whose command or options do not exist."""
import glob
import os
import re
import shutil
import subprocess
import sys

kind, sievert, source, work, *only = sys.argv[1:]
sievert, source, work = (os.path.abspath(p) for p in (sievert, source, work))
documents = only or ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"] + sorted(
    "docs/" + os.path.basename(p) for p in glob.glob(source + "/docs/*.md"))
failures, ran, not_run, skipped = [], 0, 0, 0
COMMAND = re.compile(r"\s*(\$ )?(sievert|make|cmake|ctest|mpirun|tools/\S+|build/\S+) ")


def fail(document, line, what):
    failures.append(document)
    print(f"FAILED: {document}:{line}: {what}", flush=True)


def blocks(document):
    """(line, words after the fence, text) of each fenced block; the rest as lines of text."""
    fence, inside, text = None, [], []
    with open(os.path.join(source, document), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            mark = re.match(r"\s*```(.*)", line)
            if mark and fence is None:
                fence, inside = (number, mark.group(1).strip()), []
            elif mark:
                yield (*fence, "".join(inside))
                fence = None
            elif fence:
                inside.append(line)
            else:
                text.append((number, line))
    yield (0, "prose", text)


with open(source + "/Makefile", encoding="utf-8") as f:
    targets = re.findall(r"^([a-z-]+):", f.read(), re.M)
helps = {}


def help_of(words):
    """The help of the longest command that the words begin with, or None."""
    for n in (2, 1):
        name = " ".join(words[:n])
        if name not in helps:
            done = subprocess.run([sievert, "help", *words[:n]], capture_output=True, text=True)
            helps[name] = done.stdout if done.returncode == 0 else None
        if helps[name] is not None and len(words) >= n:
            return helps[name]
    return None


def check_prose(document, text):
    for number, line in text:
        for said in re.findall(r"`sievert ([^`]*)`", line):
            words = said.split()
            of = help_of([w for w in words[:2] if re.fullmatch(r"[a-z]+", w)] or ["?"])
            if of is None:
                if words[0] not in ("--help", "--version", "help"):
                    fail(document, number, f"`sievert {said}`: no such command")
                continue
            for option in re.findall(r"(?<!\S)--[a-z-]+", said):
                if not re.search(re.escape(option) + r"\b", of):
                    fail(document, number, f"`sievert {said}`: no option {option}")


def folder_for(document):
    folder = os.path.join(work, document.replace("/", "-"))
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for name in ("examples", "tools", "bench", "tests"):
        shutil.copytree(os.path.join(source, name), os.path.join(folder, name))
    return folder


def run(document, folder, line, command, text):
    global ran
    path = os.path.dirname(sievert) + os.pathsep + os.environ["PATH"]
    done = subprocess.run(command, input=text, text=True, cwd=folder, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=1500,
                          env={**os.environ, "PATH": path, "OMP_WAIT_POLICY": "passive"})
    ran += 1
    if done.returncode != 0:
        fail(document, line, f"status {done.returncode}\n{text}\n{done.stdout[-1500:]}")


def python_with(text):
    """The first Python that has what the text imports, or None: a system's packages may not be those of the shell's."""
    names = re.findall(r"^(?:import|from) (\w+)", text, re.M)
    test = "; ".join(f"import {n}" for n in names if n != "sievert") or "pass"
    for python in (sys.executable, "/usr/bin/python3"):
        if os.path.exists(python) and subprocess.run([python, "-c", test], capture_output=True).returncode == 0:
            return python
    return None


def check(document):
    global not_run, skipped
    todo = list(blocks(document))
    if kind == "slow" and not any(w.startswith("sh slow") for _, w, _ in todo):
        return
    folder = None
    for line, words, text in todo:
        if words == "prose":
            if kind == "quick":
                check_prose(document, text)
            continue
        word, _, rest = words.partition(" ")
        if word not in ("sh", "python", "text"):
            bad = [t for t in text.splitlines() if COMMAND.match(t)]
            if bad and word not in ("c", "yaml", "json"):
                fail(document, line, f"a command in a block that is not run (```sh): {bad[0]}")
            continue
        if rest.startswith("not run: "):
            not_run += 1
            print(f"not run: {document}:{line}: {rest[9:]}")
            for target in re.findall(r"^\s*make (?!-)([a-z-]+)", text, re.M):
                if target not in targets:
                    fail(document, line, f"make {target}: the Makefile has no such target")
            continue
        folder = folder or folder_for(document)
        if word == "text" and rest:
            with open(os.path.join(folder, rest), "w", encoding="utf-8") as f:
                f.write(text)
        elif word == "python":
            python = python_with(text)
            if re.search(r"\bsievert\.", text):
                skipped += 1  # docs/LIBRARY.md's runs from the installed tree, in tests/install
            elif not python:
                skipped += 1
                print(f"SKIP: {document}:{line}: a module that it imports is not here")
            else:
                run(document, folder, line, [python, "-"], text)
        elif word == "sh" and (rest == "" or (rest == "slow" and kind == "slow")):
            run(document, folder, line, ["sh", "-e"], text)
        elif word == "sh" and rest != "slow":
            fail(document, line, f"```{words}: sh, sh slow or sh not run: REASON")


for d in documents:
    if os.path.exists(os.path.join(source, d)):
        check(d)
print(f"documents: {ran} blocks ran, {not_run} are for people only, {skipped} need what is not here;",
      "FAILED" if failures else "passed")
sys.exit(1 if failures else 0)
