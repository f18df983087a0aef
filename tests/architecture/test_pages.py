"""What the pages say is so: commands exist, recipes are valid and measured, figures are those of recorded runs."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import click
import pytest
import typer

from sightline.cli.main import app
from sightline.data.records.records import Problem
from sightline.errors import SightlineError, Stopped
from sightline.kinds.catalogue import KINDS
from sightline.models import MODELS
from sightline.recipes.names import shipped_recipes
from sightline.recipes.reading import all_keys, make_draft, read_values
from sightline.version import __version__
from tests.architecture.test_surface import VERBS
from tests.asking import called
from tests.tiny_data import write, write_folder

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
COMMANDS = re.findall(r"^    (sightline .*?)(?:\s+#.*)?$", (ROOT / "README.md").read_text(), re.MULTILINE)


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_readme_exist(command: str) -> None:
    """Verb and options parse; keys are those of a recipe."""
    _, verb, *arguments = shlex.split(command)
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    context = group.commands[verb].make_context(verb, list(arguments), resilient_parsing=False)  # type: ignore[attr-defined]
    keys = [pair.split("=")[0] for pair in context.params.get("overrides") or ()]
    assert set(keys) <= set(all_keys())


def test_the_commands_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a folder of the kind that they speak of, in their order, one epoch for many; the servers are processes."""
    for name, number in (("cat", 0), ("dog", 20)):
        for i in range(12):
            write(tmp_path / "photos" / name / f"{i}.png", number + i)
    write(tmp_path / "new_pictures" / "a.png", 99)
    verbs = ["data", "train", "predict", "export", "serve", "evaluate", "explain", "app", "train"]
    assert [command.split()[1] for command in COMMANDS] == verbs
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    for command in COMMANDS:
        words = shlex.split(command)
        words = ["1" if before == "--epochs" else word for before, word in zip(["", *words], words, strict=False)]
        if words[1] in ("serve", "app"):
            answer = ask_server([*words, "--port", "0"], tmp_path)
            assert b"photos" in answer
            continue
        if words[1] == "explain":  # all methods take a minute
            words += ["--method", "gradient"]
        code, _, stderr = called(*words[1:])
        finished = "--resume" in words  # nothing was killed here: there is nothing left to do, and that is said
        assert code == (2 if finished else 0), stderr
        assert not finished or "is already finished" in stderr
    assert (tmp_path / "drawn" / "a.png").is_file()
    assert (tmp_path / "labels.csv").read_text().count("\n") == 2


def ask_server(words: list[str], folder: Path) -> bytes:
    """What a server answers: `serve` to an image, `app` for its runs."""
    with subprocess.Popen(
        [sys.executable, "-m", *words, "--json"], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = json.loads(process.stdout.readline())["url"]
            image = (folder / "new_pictures" / "a.png").read_bytes() if words[1] == "serve" else None
            path = "/predict" if words[1] == "serve" else "/runs"
            request = urllib.request.Request(address + path, image, {"Content-Type": "image/png"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                data: bytes = answer.read()
        finally:
            process.terminate()
    assert process.returncode == 0
    return data


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path / "photos", {"cat": 12, "dog": 12})
    source = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    monkeypatch.chdir(tmp_path)
    exec(source.replace("epochs=30", "epochs=1").replace("resnet18", "resnet8"), {})
    assert 0 <= float(capsys.readouterr().out) <= 1


def test_the_readme_is_a_screen_and_a_half() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 75


def test_a_clone_in_the_current_folder_does_not_shadow_the_package(tmp_path: Path) -> None:
    """A script beside a clone of the project gets the installed package, not the clone's folder as an empty namespace."""
    (tmp_path / "sightline" / "src" / "sightline").mkdir(parents=True)
    code = "import sightline; print(sightline.__version__, len(sightline.__all__))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == __version__


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_is_valid_and_states_what_it_gave(name: str) -> None:
    recipe = make_draft(read_values(name))
    assert recipe.model.name and (recipe.task is None or recipe.task.kind in KINDS)
    text = (ROOT / "src" / "sightline" / "recipes" / "shipped" / f"{name}.yaml").read_text()
    lines = [line for line in text.splitlines() if line.startswith("#")]
    assert f"sightline train {name}" in lines[1]
    assert re.search(r", \d+ s, test accuracy \d+\.\d\d %( ± \d+\.\d\d)? \(n=\d+\)$", lines[2]), lines[2]


def test_the_figures_of_the_benchmarks_are_those_of_recorded_runs() -> None:
    shown = (
        (ROOT / "docs" / "benchmarks.md").read_text().split("<!-- results -->")[1].split("<!-- /results -->")[0].strip()
    )
    assert shown == script("readme").table().strip(), "run: python benchmarks/readme.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_ci_runs_the_command_that_the_readme_gives() -> None:
    lines = re.findall(r"^    (python3 -m venv .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(lines) == 2
    assert lines[0].endswith("sightline train digits")
    done = subprocess.run(
        ["sed", "-n", r"s/^    \(python3 -m venv \.venv .*pytest.*\)$/\1/p", "README.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == lines[1]


def test_every_classifier_has_a_row() -> None:
    page = (ROOT / "docs" / "networks.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert rows == set(MODELS.matching(heading="class scores"))


def test_the_page_of_the_command_line_has_every_exit_code_and_key() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    codes, answers = page.split("## Answers")
    stated = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", codes, re.MULTILINE) for code in row.split(",")}
    known = {error.exit_code for error in SightlineError.__subclasses__() if error is not Stopped}
    assert stated == known | {0, 1, 128 + signal.SIGINT, 128 + signal.SIGTERM}
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*) \|$", answers, re.MULTILINE))
    assert rows.keys() == set(VERBS)
    for verb, arguments in {"models": "lenet5", "describe": "lenet5", "data": "digits", "doctor": ""}.items():
        found = called(verb, *arguments.split())[1]
        inner = [
            value[0] for value in found.values() if isinstance(value, list) and value and isinstance(value[0], dict)
        ]
        keys = {*found, *(key for row in inner for key in row)}
        told = set(re.findall(r"`(\w+)`", rows[verb]))
        if verb == "data":  # digits have no problems
            assert told - {field.name for field in fields(Problem)} <= keys
        else:
            assert told == keys, verb
