"""The public surface, frozen: names, verbs, options. And what merely looking at it may cost."""

from __future__ import annotations

import ast
import inspect
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import sightline
from sightline import api
from sightline.cli.hints import USAGE
from sightline.cli.main import app

PACKAGE = Path(sightline.__file__).parent

NAMES = [
    "Recipe", "Run", "attack", "audit", "build_book", "compare", "convert", "create_model", "cross_validate",
    "describe", "doctor", "evaluate", "explain", "export", "faces", "label_errors", "list_experiments", "list_models",
    "open_run", "predict", "pull", "push", "report", "run_experiment", "sample", "serve", "stylise", "swap", "train",
    "tune", "verify", "write_playground",
]  # fmt: skip
VERBS = {
    "train": "what overrides model epochs batch lr seed out device precision folds seeds group resume smoke allow_network "
    "json verbose quiet",
    "evaluate": "run data split model tta views learning_curve device allow_network json verbose quiet",
    "attack": "run data method eps steps norm target region object n split seed out model device allow_network json "
    "verbose quiet",
    "sample": "run n label text steps guidance sampler seed first out walk device json verbose quiet",
    "stylise": "content style out run features weight steps size seed device json verbose quiet",
    "faces": "out n each size seed json verbose quiet",
    "swap": "run source target out method blend reenact consent device json verbose quiet",
    "compare": "runs data split ensemble out device allow_network json verbose quiet",
    "convert": "what out to json verbose quiet",
    "explain": "run images method target object layer data split n out no_controls all_controls model device "
    "allow_network json verbose quiet",
    "label-errors": "what overrides folds model epochs seed device out allow_network json verbose quiet",
    "tune": "what overrides trials model epochs sampler prune control repeats seed storage lr_find out device "
    "allow_network json verbose quiet",
    "predict": "run paths out draw conf classes labels every model device allow_network json verbose quiet",
    "export": "run to precision out web_runtime allow_network model json verbose quiet",
    "serve": "run host port token_file batch queue threads model json verbose quiet",
    "app": "folder host port token_file json verbose quiet",
    "report": "run json verbose quiet",
    "models": "pattern json verbose quiet",
    "describe": "model options input classes json verbose quiet",
    "data": "what show worse allow_network json verbose quiet",
    "verify": "run json verbose quiet",
    "doctor": "json verbose quiet",
    "lab": "name overrides seeds out json verbose quiet",
}
HUB = {
    "push": "run repository with_samples public endpoint allow_network json verbose quiet",
    "pull": "repository out endpoint allow_network json verbose quiet",
}
FORBIDDEN = {  # ways in which a file or a setting could become code
    "pickle", "cPickle", "dill", "shelve", "marshal", "joblib",
}  # fmt: skip
CALLS = {
    "eval",
    "exec",
    "torch.load",
    "torch.jit.load",
    "torch.export.load",
    "pickle.load",
    "pickle.loads",
    "os.system",
}
ALLOWED = {  # run in a process apart
    "sightline/storage/unpickling.py": ("torch.load", "weights_only=True"),
    "sightline/exports/program_child.py": (
        "torch.export.load",
        "",
    ),  # of files that the exporting process has just written
}


def test_public_names() -> None:
    assert sorted(sightline.__all__) == sorted(api.__all__) == sorted(NAMES)
    for name in NAMES:
        assert getattr(sightline, name) is getattr(api, name)


def test_no_room_shares_a_name_with_the_surface() -> None:
    """A lazy name that is also a package would turn into the module at its second use."""
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir()} | {p.stem for p in PACKAGE.glob("*.py")}
    assert not rooms & set(NAMES)


def test_verbs_and_their_options() -> None:
    assert options(app) == VERBS
    assert set(USAGE) == {*VERBS, "hub"}, "hints know every verb"
    (group,) = app.registered_groups
    assert group.name == "hub" and options(group.typer_instance) == HUB


def options(of: Any) -> dict[str, str]:
    found = {}
    for command in of.registered_commands:
        assert command.callback is not None
        found[command.name or command.callback.__name__] = " ".join(inspect.signature(command.callback).parameters)
    return found


def test_importing_and_asking_for_help_load_no_torch() -> None:
    code = "import sys, sightline, sightline.cli.main; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_help_answers_in_half_a_second() -> None:
    """Of the processor's time, which other programs on the machine do not lengthen; the best of three."""
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-m", "sightline", "--help"], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        assert "train" in done.stdout
    assert min(took) < 0.5


def test_nothing_becomes_code() -> None:
    """No pickle, eval, exec, unsafe YAML or shell anywhere in the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {a.name for a in node.names} | {getattr(node, "module", None) or ""}
                assert not {n.split(".")[0] for n in names} & FORBIDDEN, path
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                allowed, how = ALLOWED.get(str(path.relative_to(PACKAGE.parent)), ("", ""))
                safe = called == allowed and (not how or how in [ast.unparse(k) for k in node.keywords])
                assert called not in CALLS or safe, f"{path}:{node.lineno} calls {called}"
                shell = [k for k in node.keywords if k.arg in ("shell", "allow_pickle")]
                assert all(isinstance(k.value, ast.Constant) and k.value.value is False for k in shell), path
            if isinstance(node, ast.Attribute) and ast.unparse(node) in (
                "yaml.Loader",
                "yaml.UnsafeLoader",
                "yaml.FullLoader",
            ):
                raise AssertionError(f"{path}:{node.lineno} uses {ast.unparse(node)}")


def test_it_runs_without_the_oracles(tmp_path: Path) -> None:
    """A whole run with torchvision, timm and the rest made unimportable."""
    code = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torchvision", "timm", "torchmetrics", "captum", "lightning", "pycocotools", "diffusers"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
sys.argv = ["sightline", "train", "digits", "--smoke", "--out", "run", "--json"]
from sightline.cli.main import run
run()
"""
    environment = os.environ | {"SIGHTLINE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "run" / "report.html").is_file()
