"""What to type instead: hints for verbs and options that other programs have and this one spells differently.

Only the words of the command line are looked at, so a hint costs nothing until something was mistyped.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

USAGE = {
    "train": "sightline train DATA",
    "evaluate": "sightline evaluate RUN",
    "predict": "sightline predict RUN PATH",
    "explain": "sightline explain RUN IMAGE",
    "attack": "sightline attack RUN",
    "sample": "sightline sample RUN",
    "stylise": "sightline stylise CONTENT STYLE",
    "faces": "sightline faces DIR",
    "swap": "sightline swap RUN SOURCE TARGET",
    "compare": "sightline compare RUN RUN",
    "label-errors": "sightline label-errors DATA",
    "tune": "sightline tune DATA",
    "export": "sightline export RUN",
    "serve": "sightline serve RUN",
    "app": "sightline app",
    "report": "sightline report RUN",
    "models": "sightline models",
    "describe": "sightline describe MODEL",
    "data": "sightline data DATA",
    "convert": "sightline convert SRC DST --to FORMAT",
    "verify": "sightline verify RUN",
    "hub": "sightline hub push RUN OWNER/NAME",
    "doctor": "sightline doctor",
    "lab": "sightline lab [NAME] [KEY=VALUE]...",
}
_VERBS = {
    "train": ("fit", "finetune", "fine-tune", "run", "learn"),
    "evaluate": ("val", "validate", "test", "eval", "score", "benchmark"),
    "predict": ("infer", "inference", "detect", "classify", "segment", "track"),
    "explain": ("interpret", "gradcam", "saliency", "heatmap"),
    "attack": ("robustness", "adversarial"),
    "sample": ("generate", "synthesize", "draw", "make"),
    "stylise": ("stylize", "restyle", "paint"),
    "faces": ("render", "heads"),
    "swap": ("faceswap", "reenact", "deepfake"),
    "compare": ("diff", "versus", "ensemble"),
    "label-errors": ("labels", "label-issues", "cleanlab", "noise"),
    "tune": ("search", "sweep", "optuna", "hyperparameters", "hpo"),
    "export": ("onnx", "compile"),
    "serve": ("api", "server", "deploy"),
    "app": ("ui", "gui", "web", "dashboard"),
    "models": ("list", "zoo", "list-models"),
    "describe": ("summary", "info", "model"),
    "data": ("dataset", "audit", "inspect"),
    "doctor": ("checks", "check", "env", "version"),
}
_RECIPE_KEYS = {
    "input.size": ("imgsz", "img", "img-size", "image-size", "input-size", "size", "resolution"),
    "fit.batch": ("batch-size", "bs"),
    "fit.epochs": ("num-epochs", "n-epochs", "max-epochs"),
    "fit.patience": ("patience",),
    "fit.clip": ("clip-grad", "grad-clip", "gradient-clip-val"),
    "fit.ema": ("ema", "model-ema"),
    "fit.compile": ("compile", "torchcompile"),
    "optim.lr": ("learning-rate", "lr0"),
    "optim.name": ("optimizer", "opt"),
    "optim.momentum": ("momentum",),
    "optim.weight_decay": ("weight-decay", "wd"),
    "schedule.name": ("scheduler", "sched", "lr-scheduler"),
    "data.workers": ("workers", "num-workers"),
    "data.val": ("val-split", "val-fraction"),
    "model.weights": ("weights", "pretrained", "checkpoint"),
    "task.label_smoothing": ("label-smoothing", "smoothing"),
}
_OPTIONS = {
    "--out": ("output", "output-dir", "out-dir", "project", "name", "save-dir", "save"),
    "--device": ("gpu", "gpus", "accelerator"),
    "--precision": ("amp", "half", "fp16", "bf16"),
    "--resume": ("continue",),
    "--smoke": ("dry-run", "fast-dev-run", "debug"),
}
_KEY_OF = {name: key for key, names in _RECIPE_KEYS.items() for name in names}
_OPTION_OF = {name: option for option, names in _OPTIONS.items() for name in names}


def hint_for(message: str, words: Sequence[str]) -> str:
    """A hint for an error of the option parser; `words` are those of the command line, without the program's name."""
    if match := re.search(r"No such command '([^']*)'", message):
        return _verb_hint(match[1])
    if match := re.search(r"No such option:? '?(-[^\s']*)", message):
        verb = next((word for word in words if word in USAGE), "")
        return _option_hint(verb, match[1], words, _alike(match[1], message))
    if "empty" in message:
        return "give it a value, or leave it out"
    return ""


def _alike(option: str, message: str) -> str:
    """The option of the verb that is most like the mistyped one, among those that the parser lists; "" if it lists none."""
    listed = re.findall(r"--[a-z][a-z-]*", message.partition(option)[2])
    return max(listed, key=lambda name: difflib.SequenceMatcher(None, name, option).ratio(), default="")


def empty_value(words: Sequence[str]) -> str:
    """The complaint about an empty word of the command line, which as a path would be the current folder; "" for none."""
    for before, word in zip(["", *words], words, strict=False):
        option, equals, value = word.partition("=")
        if option.startswith("--") and equals and not value:
            return f"{option} has an empty value"
        if not word.strip():
            return f"{before} has an empty value" if before.startswith("-") else "an argument is empty"
    return ""


def _verb_hint(word: str) -> str:
    known = {name: verb for verb, names in _VERBS.items() for name in names}
    if (verb := known.get(word.lower())) is not None:
        return f"use {USAGE[verb]}"
    near = difflib.get_close_matches(word.lower(), USAGE, n=1)
    return f"did you mean {USAGE[near[0]]}?" if near else f"use one of {', '.join(USAGE)}"


def _option_hint(verb: str, option: str, words: Sequence[str], alike: str) -> str:
    name, value = _plain(option.partition("=")[0]), _value_of(option, words)
    if name in ("data", "dataset", "source"):
        return _data_hint(verb, value)
    if verb not in ("", "train"):
        if alike or name in _OPTION_OF:
            return f"did you mean {alike or _OPTION_OF[name]}? See sightline {verb} --help"
        return f"see sightline {verb} --help"
    if name in _KEY_OF:
        setting = f"{_KEY_OF[name]}={value or _EXAMPLES.get(_KEY_OF[name], '…')}"
        return f"use {setting}, without dashes: sightline train DATA {setting}"
    if name in _OPTION_OF:
        return f"use {_OPTION_OF[name]}{_OPTION_EXAMPLES.get(_OPTION_OF[name], '')}"
    if alike:
        return f"did you mean {alike}? See sightline train --help"
    return "see sightline train --help, or set a recipe key such as fit.clip=1"


_EXAMPLES: Mapping[str, str] = {
    "input.size": "640",
    "fit.batch": "64",
    "optim.lr": "0.01",
    "model.weights": "torchvision",
}
_OPTION_EXAMPLES: Mapping[str, str] = {
    "--out": " FOLDER",
    "--device": " cuda",
    "--precision": " bf16",
    "--resume": " RUN",
}


def _data_hint(verb: str, value: str) -> str:
    """Data are an argument of every verb, never an option."""
    where = {
        "evaluate": "sightline evaluate RUN {}",
        "predict": "sightline predict RUN {}",
        "data": "sightline data {}",
    }
    pattern = where.get(verb, "sightline train {}")
    order = "name the data first" if verb in ("", "train", "data") else "name the data after the run"
    return f"{order}: {pattern.format(value or 'DATA')}"


def _value_of(option: str, words: Sequence[str]) -> str:
    """What was given for an option: after `=`, or as the next word."""
    name, equals, value = option.partition("=")
    if equals:
        return value
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
        if word == name and not following.startswith("-"):
            return following
    return ""


def _plain(name: str) -> str:
    return name.lstrip("-").lower().replace("_", "-")
