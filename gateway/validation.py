"""A document checked against a pydantic model: every mistake at once, with place, cause and remedy."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

from gateway.yamlfile import Document, FileError, Location, Problem, dotted
from protocols.tag_words import REF_PATTERN, TYPE_PATTERN

M = TypeVar("M", bound=BaseModel)


def build(document: Document, model: type[M]) -> M:
    """The document as `model`; raises FileError with all mistakes, in the order of the file."""
    try:
        # By way of JSON, because strict validation of JSON is just what YAML values need: a list is a tuple and
        # 3 is a float, but "3" is no number and 1 is no truth value.
        return model.model_validate_json(json.dumps(document.data), strict=True)
    except ValidationError as error:
        raise FileError(explain(document, error, model)) from None


def explain(document: Document, error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """The mistakes that pydantic found, in the words of the file."""
    rows = [(row, *locate(row["loc"], model)) for row in error.errors(include_url=False)]
    misspelt = {(*place[:-1], _meant(place, owner)) for row, place, owner in rows if row["type"] == "extra_forbidden"}
    found = []
    for row, location, owner in rows:
        if row["type"] == "missing" and location in misspelt:
            continue  # it is there, under a wrong name
        if row["type"] == "too_short" and len(document.at(location) or ()) >= row["ctx"]["min_length"]:
            continue  # pydantic leaves wrong entries out of the count; each of them has a row of its own
        place = location[:-1] if row["type"] == "missing" else location
        problem = document.problem(place, _sentence(row, location, owner, document))
        found.append(Problem(problem.file, problem.line, problem.column, dotted(location), problem.message))
    return sorted(found, key=lambda problem: (problem.line, problem.column))


def locate(loc: Location, model: type[BaseModel]) -> tuple[Location, type[BaseModel] | None]:
    """pydantic's location as keys and positions of the file, and the model that owns the last key, where one does.

    pydantic puts the tag of a union into its locations; such a step is no key of the file.
    """
    location: list[str | int] = []
    kind: Any = model
    owner: type[BaseModel] | None = None
    for step in loc:
        kind = _bare(kind)
        members = [member for member in get_args(kind) if isinstance(_bare(member), type)]
        tagged = [member for member in members if step in (*_labels(member), *_tags(_bare(member)))]
        if tagged:
            kind, owner = tagged[0], _bare(tagged[0])
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            owner = kind
            fields = kind.model_fields
            kind = fields[step].annotation if isinstance(step, str) and step in fields else None
        elif isinstance(step, int):
            kind, owner = _element(kind), None
        else:
            kind = None
        location.append(step)
    return tuple(location), owner


def _bare(kind: Any) -> Any:
    """`kind` without Annotated and without `| None`."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    parts = [part for part in get_args(kind) if part is not type(None)]
    if type(None) in get_args(kind) and len(parts) == 1:
        return _bare(parts[0])
    return kind


def _element(kind: Any) -> Any:
    arguments = get_args(_bare(kind))
    return arguments[0] if arguments else None


def _labels(member: Any) -> tuple[str, ...]:
    """What a member of a union is called that is told apart by a function."""
    return tuple(label.tag for label in getattr(member, "__metadata__", ()) if isinstance(label, Tag))


def _tags(kind: Any) -> tuple[Any, ...]:
    if isinstance(kind, type) and issubclass(kind, BaseModel) and "kind" in kind.model_fields:
        annotation = kind.model_fields["kind"].annotation
        return get_args(annotation) if get_origin(annotation) is Literal else ()
    return ()


def _split(tags: str) -> list[str]:
    """pydantic's list of quoted tags."""
    return [tag.strip("' ") for tag in tags.split(",") if tag.strip("' ")]


def _kinds(location: Location, owner: type[BaseModel] | None) -> list[str]:
    """The kinds that the union at `location`, a field of `owner`, knows, and its like in models beside `owner`."""
    found: list[str] = []
    for model in _ALIKE.get(owner, (owner,)) if owner else ():
        fields = model.model_fields if model else {}
        union = _bare(fields[str(location[-1])].annotation) if location and location[-1] in fields else None
        found += [tag for member in get_args(union) or (union,) for tag in _tags(_bare(member))]
    return found


def _sentence(row: Any, location: Location, owner: type[BaseModel] | None, document: Document) -> str:
    kind, limits = row["type"], row.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(location, owner)
    if kind in _FIXED:
        tags = ", ".join(dict.fromkeys((*_split(limits.get("expected_tags", "")), *_kinds(location, owner))))
        return _FIXED[kind].format(given_tags=tags, **limits)
    given = document.at(location)
    if kind == "value_error":
        return str(row["msg"]).removeprefix("Value error, ")  # our own models raise whole sentences
    if given is None:
        return f"has no value; {_WANTED.get(kind, 'give one, or remove the key')}"
    return f"{_shown(given)} {_fault(kind, limits, given, row['msg'])}"


def _fault(kind: str, limits: dict[str, Any], given: Any, message: str) -> str:
    """What is wrong with a value, as the end of a sentence that began with it."""
    if kind in _WANTED:
        return f"does not fit; {_WANTED[kind]}"
    if kind in ("literal_error", "enum"):
        allowed = limits["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        close = nearest(str(given), allowed)
        hint = f", did you mean {close}" if close else ""
        return f"is not allowed{hint}; use {limits['expected'].replace('True', 'true')}"
    if kind in _LIMITS:
        text, key = _LIMITS[kind]
        return f"{text} {limits[key]}"
    if kind == "string_pattern_mismatch":
        return f"is not allowed here; {_PATTERNS.get(limits['pattern'], 'it must match ' + limits['pattern'])}"
    return f"does not fit: {message}"


def _meant(location: Location, owner: type[BaseModel] | None) -> str | None:
    """The key that an unknown one was probably meant to be."""
    return nearest(str(location[-1]).replace("-", "_").lower(), list(owner.model_fields)) if owner else None


def _unknown(location: Location, owner: type[BaseModel] | None) -> str:
    if close := _meant(location, owner):
        return f"is not a known key; did you mean {close}?"
    return f"is not a known key; known here: {', '.join(owner.model_fields)}" if owner else "is not a known key"


def nearest(word: str, words: list[str]) -> str | None:
    """The one of `words` that `word` was probably meant to be, or None."""
    import difflib  # only a mistake needs it

    return next(iter(difflib.get_close_matches(word, words, 1)), None)


_ALIKE: dict[type[BaseModel] | None, tuple[type[BaseModel], ...]] = {}
"""Models that stand in one place of the file and are told apart by what is inside them."""


def alike(*models: type[BaseModel]) -> None:
    """Say that these models share a place: who names a kind that none of them knows is told the kinds of all."""
    _ALIKE.update(dict.fromkeys(models, models))


_WANTED = {
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "int_from_float": "write a whole number",
    "float_type": "write a number",
    "float_parsing": "write a number",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "string_type": "write text, in quotes if it looks like a number",
    "path_type": "write a path",
    "tuple_type": "write a list, as [a, b]",
    "list_type": "write a list, as [a, b]",
    "dict_type": "write key: value pairs",
    "model_type": "write key: value pairs",
    "model_attributes_type": "write key: value pairs",
}
_FIXED = {
    "missing": "is missing; add it",
    "union_tag_not_found": "says no kind; add `kind:` with one of {given_tags}",
    "union_tag_invalid": "kind {tag!r} is not known; use one of {given_tags}",
    "too_short": "has too few entries; at least {min_length} needed",
    "too_long": "has too many entries; at most {max_length} allowed",
    "string_too_short": "is too short; at least {min_length} characters needed",
    "string_too_long": "is too long; at most {max_length} characters allowed",
}
_LIMITS = {
    "greater_than": ("is too small; it must be more than", "gt"),
    "greater_than_equal": ("is too small; the least allowed is", "ge"),
    "less_than": ("is too large; it must be less than", "lt"),
    "less_than_equal": ("is too large; the most allowed is", "le"),
}
_PATTERNS = {
    "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$": "use a-z, 0-9 and hyphens between them",
    "^[A-Za-z0-9][A-Za-z0-9 _.-]*$": "use letters, digits, blank, _ . and -, a letter or digit first",
    r"^[^\x00-\x1f\x7f]+$": "it must be printable",
    "^[a-z][a-z0-9_]*$": "use a-z, 0-9 and _, a letter first",
    REF_PATTERN: "name a tag as device.tag",
    TYPE_PATTERN: "use bool, uint16, int16, uint32, int32, uint64, int64, float32, float64 or string[n], n up to 240",
    "^[0-9a-f]{64}$": "it must be 64 hexadecimal digits in lower case, as `sha256sum` prints them",
}


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 60 else f"{text[:57]}..."
