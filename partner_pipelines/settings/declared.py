"""How a setting is declared, and how raw values become a model or one clear line.

A setting is a field of a frozen pydantic model, with an `About` beside its type: name, default, meaning, unit and
bounds stand in that one place, and the checks, the messages and the documentation are made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypeVar

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from partner_pipelines.errors import SettingsError

Model = TypeVar("Model", bound=BaseModel)
_LONGEST_SHOWN = 60


class Declared(BaseModel):
    """Base of the models whose fields are settings: nothing unknown is taken, nothing changes afterwards."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True, protected_namespaces=()
    )


@dataclass(frozen=True, slots=True)
class About:
    """What is to be known of a setting.

    `takes` may be left out where bounds say it. `variable` only where it is not prefix and field name.
    `default` is for words where the default is not the field's. `hidden`: a secret, whose value is shown in no message.
    `empty_means` says what an empty variable means; without it an empty variable is one that is not set.
    """

    meaning: str
    takes: str = ""
    unit: str = ""
    variable: str = ""
    default: str = ""
    hidden: bool = False
    empty_means: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where raw values come from: `label` gives the name by which the user knows a field."""

    label: Callable[[str], str]
    environ: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SettingDescription:
    """One line of the documentation. `key` is the name in a table of PARTNER_CONNECTIONS, None where it has none."""

    variable: str
    key: str | None
    default: str
    takes: str
    meaning: str
    unit: str
    secret: bool


def validated(model: type[Model], raw: Mapping[str, object], origin: Origin) -> Model:
    """The model. Raises SettingsError, one line for the first bad value, which names it as the user knows it."""
    try:
        return model.model_validate(raw, context=origin)
    except ValidationError as error:
        line = _line(model, error, origin)
    # outside of the except clause: pydantic's error carries the values, secrets among them
    raise SettingsError(line)


def variables_of(model: type[BaseModel], environ: Mapping[str, str], prefix: str) -> dict[str, object]:
    """The fields that are set in the environment, as {field: text}."""
    found: dict[str, object] = {}
    for name, _, about in _settings_of(model):
        text = environ.get(variable_of(name, about, prefix))
        if text or (text is not None and about.empty_means):
            found[name] = text
    return found


def label_of(model: type[BaseModel], prefix: str) -> Callable[[str], str]:
    """Field name → name of its variable."""
    names = {name: variable_of(name, about, prefix) for name, _, about in _settings_of(model)}
    return lambda name: names.get(name, f"{prefix}{name.upper()}")


def variable_of(name: str, about: About, prefix: str) -> str:
    """The variable that sets a field."""
    return about.variable or f"{prefix}{name.upper()}"


def described(model: type[BaseModel], prefix: str, *, keyed: bool) -> Iterator[SettingDescription]:
    """A description of every setting of the model, in the order of its fields."""
    for name, info, about in _settings_of(model):
        yield SettingDescription(
            variable=variable_of(name, about, prefix),
            key=name if keyed else None,
            default=about.default or _shown_default(info),
            takes=_takes(info, about),
            meaning=about.meaning,
            unit=about.unit,
            secret=about.hidden,
        )


def _settings_of(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo, About]]:
    for name, info in model.model_fields.items():
        for about in info.metadata:
            if isinstance(about, About):
                yield name, info, about


def _about(model: type[BaseModel], field_name: str) -> tuple[str, bool]:
    for name, info, about in _settings_of(model):
        if name == field_name:
            return _takes(info, about), about.hidden
    return "", False


def _takes(info: FieldInfo, about: About) -> str:
    if about.takes:
        return about.takes
    low = next(bound.ge for bound in info.metadata if isinstance(bound, Ge))
    high = next(bound.le for bound in info.metadata if isinstance(bound, Le))
    return f"{'a whole number' if info.annotation is int else 'a number'} from {low} to {high}"


def _shown_default(info: FieldInfo) -> str:
    if info.is_required() or info.default is None or info.default == ():
        return "unset"
    if isinstance(info.default, bool):
        return str(info.default).lower()
    return " ".join(info.default) if isinstance(info.default, tuple) else str(info.default)


def _line(model: type[BaseModel], error: ValidationError, origin: Origin) -> str:
    problems = error.errors(include_url=False)
    # A key that is no setting explains why the one that was meant is missing
    problem = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    name = str(problem["loc"][0])
    label = origin.label(name)
    if problem["type"] == "extra_forbidden":
        near = get_close_matches(name, model.model_fields, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(model.model_fields)}"
        return f"{label} is no setting; {hint}"
    takes, hidden = _about(model, name)
    if problem["type"] == "missing":
        return f"{label} is missing: it takes {takes}"
    shown = f"{label} {'(value not shown)' if hidden else _shown(problem['input'])}"
    reason = problem.get("ctx", {}).get("error")
    # A reason of pydantic's own only says in other words what the setting takes
    return f"{shown}: {reason}; it takes {takes}" if reason and str(reason) else f"{shown}: it takes {takes}"


def _shown(value: Any) -> str:
    shown = repr(value)
    if any(mark in shown for mark in "@?#"):
        return "(value not shown)"  # an address may carry a password, a query a token
    return f"is {shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + '…'}"
