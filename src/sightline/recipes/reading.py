"""YAML and `dotted.key=value` → a draft recipe, or an error that names the wrong key and the nearest right one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from sightline.data.formats.recognition.boxes import is_yolo_yaml
from sightline.errors import UsageError, nearest
from sightline.storage.reading import read_regular, reason_of
from sightline.storage.schema import brief, brief_text, finite

from .names import SHIPPED, shipped_recipes
from .recipe import TASKS, Draft, Recipe, TaskSection, with_split_rule

# Names of these keys in other programs.
_FOREIGN = {
    "imgsz": "input.size", "img_size": "input.size", "image_size": "input.size", "batch_size": "fit.batch",
    "lr0": "optim.lr", "learning_rate": "optim.lr", "optimizer": "optim.name", "scheduler": "schedule.name",
    "pretrained": "model.weights", "num_workers": "data.workers", "num_epochs": "fit.epochs",
}  # fmt: skip


MAX_RECIPE = 1 << 17  # characters; the longest recipe of a run has a few thousand


class _Loader(yaml.SafeLoader):
    """As YAML 1.2: 1e-3 is a number, `off` and 2024-05-01 are words. YAML 1.1, which PyYAML reads, has a string, false and a
    date."""


_RULES = {
    "tag:yaml.org,2002:float": (re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$"), "-+0123456789."),
    "tag:yaml.org,2002:bool": (re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), "tTfF"),
}
_TEXT = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}  # types of YAML 1.1 that are words since
_Loader.yaml_implicit_resolvers = {
    key: [(tag, rule) for tag, rule in rules if tag not in _RULES and tag not in _TEXT]
    for key, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, (_rule, _first) in _RULES.items():
    _Loader.add_implicit_resolver(_tag, _rule, list(_first))


class _Dumper(yaml.SafeDumper):
    """Quotes words that the loader would not read as words."""


_Dumper.yaml_implicit_resolvers = {
    first: [rule for known in (yaml.SafeDumper, _Loader) for rule in known.yaml_implicit_resolvers.get(first, [])]
    for first in yaml.SafeDumper.yaml_implicit_resolvers.keys() | _Loader.yaml_implicit_resolvers.keys()
}


def parse_yaml(text: str, what: str) -> Any:
    """The value of a YAML text: mappings, lists, text, numbers, true, false and null. UsageError for anything else, and for
    a text that is larger, or becomes larger through its aliases, than any recipe."""
    if len(text) > MAX_RECIPE:
        raise UsageError(f"{what} has {len(text):,} characters; a recipe has at most {MAX_RECIPE:,}", "shorten it")
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if _expanded(node, {}, what) > MAX_RECIPE:
                raise UsageError(
                    f"the aliases of {what} expand to more than {MAX_RECIPE:,} characters", "leave them out"
                )
            value = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except (
        yaml.YAMLError,
        RecursionError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        # PyYAML's constructors raise whatever the text provokes: 2024-99-99, !!int abc, an integer of 5,000 digits
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        why = getattr(error, "problem", None) or "a value is not of the type that it claims to be"
        if isinstance(error, RecursionError):
            why = "it is nested too deeply"
        elif isinstance(error, yaml.reader.ReaderError):
            why = f"the character U+{ord(str(error.character)) if isinstance(error.character, str) else error.character:04X}"
            why = f"{why} is not allowed"
        raise UsageError(f"{what}{where} is not valid YAML: {brief_text(why)}") from error
    _require_plain(value, what)
    return value


def _expanded(node: yaml.Node | None, known: dict[int, int], what: str) -> int:
    """The characters of a node with all aliases written out: a bomb of a few lines has billions."""
    if node is None or isinstance(node, yaml.ScalarNode):
        return 1 + len(node.value) if node is not None else 0
    if id(node) in known:
        if known[id(node)] < 0:
            raise UsageError(f"{what} contains itself", "leave out its aliases")
        return known[id(node)]
    known[id(node)] = -1
    inner = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    known[id(node)] = size = min(1 + sum(_expanded(part, known, what) for part in inner), 1 << 62)
    return size


def _require_plain(value: Any, what: str) -> None:
    """UsageError for dates, sets and bytes, which YAML has and a recipe does not, and for numbers that no machine counts to."""
    if isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(key, str):
                raise UsageError(f"{what}: the key {brief(key)} is not text", "write it in quotation marks")
            _require_plain(each, f"{what}: {brief_text(key)}")
    elif isinstance(value, list):
        for each in value:
            _require_plain(each, what)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if finite(value) is None:
            raise UsageError(f"{what}: {brief(value)} is not a number of a usable size", "use a smaller one")
    elif value is not None and not isinstance(value, str | bool):
        raise UsageError(f"{what}: a {type(value).__name__} is not a value of a recipe", "write it in quotation marks")


def lists_yolo_data(path: Path) -> bool:
    """Whether a YAML file is YOLO's list of classes and folders: data, not a recipe."""
    try:
        return is_yolo_yaml(read_regular(path, 4 * MAX_RECIPE).decode("utf-8"))
    except (OSError, ValueError):
        return False


def read_values(what: str) -> dict[str, Any]:
    """The values of a shipped recipe (by name) or of a YAML file (by path)."""
    if what in shipped_recipes():
        text = (SHIPPED / f"{what}.yaml").read_text(encoding="utf-8")
    else:
        try:
            text = read_regular(what, 4 * MAX_RECIPE).decode("utf-8")
        except (OSError, ValueError) as error:
            why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else reason_of(error)
            raise UsageError(
                f"cannot read the recipe {what!r}: {why}", "pass a YAML file, or the name of a built-in recipe"
            ) from error
    values = parse_yaml(text, what)
    if not isinstance(values, dict):
        raise UsageError(f"recipe {what!r} has no sections", "write for example fit: {epochs: 5}")
    return values


def parse_overrides(pairs: Iterable[str]) -> dict[str, Any]:
    """`["fit.epochs=5", "model.options.hidden=64,32"]` → {"fit.epochs": 5, …}; a key with two values is refused."""
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"{brief(pair)} is not key=value", "write for example fit.epochs=5")
        merge(values, {key: parse_yaml(text, f"value of {key}")})
    return values


def merge(values: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add dotted keys to `values`. UsageError for a key with two values. A section counts as its keys."""
    for key, value in more.items():
        if key in Draft.model_fields and isinstance(value, Mapping):
            merge(values, {f"{key}.{inner}": each for inner, each in value.items()})
            continue
        if key in values and values[key] != value:
            raise UsageError(f"{key} is set twice: {brief(values[key])} and {brief(value)}", "set it once")
        values[key] = value


def make_draft(values: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Draft:
    """Validate nested `values` with dotted `overrides` on top. Raises UsageError naming the key and the nearest right one."""
    nested = {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}
    for key, value in (overrides or {}).items():
        *path, last = key.split(".")
        place: Any = nested
        for part in path:
            if not isinstance(place.get(part, {}), Mapping):
                raise UsageError(f"{key}: {part} is a value, not a section")
            place[part] = dict(place.get(part, {}))
            place = place[part]
        place[last] = value
    if isinstance(nested.get("data"), Mapping):
        nested["data"] = with_split_rule(nested["data"])
    if isinstance(nested.get("task"), Mapping):
        nested["task"] = _task_section(nested["task"])
    try:
        return Draft.model_validate(nested)
    except ValidationError as error:
        raise UsageError(*_explain(error)) from error


def make_recipe(values: Mapping[str, Any]) -> Recipe:
    """The complete recipe that a run saved. UsageError naming a key that is wrong or missing."""
    draft = make_draft(values)
    try:
        return Recipe.model_validate(
            {name: getattr(draft, name) for name in ("data", "schedule", "task", "track", "seed")}
            | {name: getattr(draft, name).model_dump() for name in ("model", "input", "augment", "optim", "fit")}
        )
    except ValidationError as error:
        gap = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise UsageError(f"{gap} is missing") from error


def _task_section(values: Mapping[str, Any]) -> TaskSection:
    """`task.` as the section of its kind; without task.kind, of the default kind."""
    kind = values.get("kind", next(iter(TASKS)))
    if kind not in TASKS:
        raise UsageError(f"unknown kind of task {brief(kind)} (task.kind)", nearest(str(kind), TASKS))
    try:
        return TASKS[kind].model_validate({**values, "kind": kind})
    except ValidationError as error:
        fault = error.errors()[0]
        raise UsageError(*_about_task(kind, [str(part) for part in fault["loc"]], fault)) from error


def _explain(error: ValidationError) -> tuple[str, str]:
    """The first error in words: which key, what is wrong, what was probably meant."""
    fault = error.errors()[0]
    path = [str(p) for p in fault["loc"]]
    key = ".".join(path)
    if fault["type"] in ("model_type", "model_attributes_type"):
        first = "name" if (section := _section(path)) and "name" in section.model_fields else "…"
        return (
            f"{key}={brief(fault.get('input'))}: {key} is a section, not a value",
            f"such as {key}.{first}={brief_text(str(fault.get('input')))}",
        )
    if fault["type"] == "extra_forbidden":
        section = _section(path[:-1])
        known = [".".join([*path[:-1], name]) for name in section.model_fields] if section else []
        everywhere = [k for k in all_keys() if k.rsplit(".", 1)[-1] == path[-1]]
        everywhere = everywhere or [k for k in (_FOREIGN.get(path[-1].lower()),) if k]
        return f"unknown recipe key {key!r}", f"did you mean {everywhere[0]!r}?" if everywhere else nearest(key, known)
    return f"{key}={brief(fault.get('input'))}: {_reason(fault)}", ""


def _reason(fault: Any) -> str:
    """pydantic's words, or our own behind its prefix."""
    text = str(fault["msg"]).removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _about_task(kind: str, path: list[str], fault: Any) -> tuple[str, str]:
    """An error in the task's section, whose keys are those of its kind."""
    key = ".".join(["task", *path])
    if fault["type"] != "extra_forbidden":
        return f"{key}={brief(fault.get('input'))}: {_reason(fault)}", ""
    others = [name for name, section in TASKS.items() if path[-1] in section.model_fields]
    if others:
        return f"{key} is not a key of {kind}", f"set task.kind={others[0]}, or leave it out"
    return f"unknown recipe key {key!r}", nearest(key, [f"task.{name}" for name in TASKS[kind].model_fields])


def _section(path: list[str]) -> type[BaseModel] | None:
    model: type[BaseModel] = Draft
    for part in path:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return None
        model = annotation
    return model


def all_keys() -> list[str]:
    """Every dotted key of a recipe."""
    keys: list[str] = []
    for name, field in Draft.model_fields.items():
        part = field.annotation
        if name == "task":
            keys += dict.fromkeys(f"task.{inner}" for section in TASKS.values() for inner in section.model_fields)
        elif isinstance(part, type) and issubclass(part, BaseModel):
            keys += [f"{name}.{inner}" for inner in part.model_fields]
        else:
            keys.append(name)
    return keys


def recipe_yaml(recipe: Draft) -> str:
    """The recipe as the YAML that gives it back."""
    return yaml.dump(
        recipe.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120
    )
