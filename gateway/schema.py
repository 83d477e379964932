"""JSON schemas of the configuration and of a recipe, for editors: they complete keys and show what each one means."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from gateway.recipe import Recipe
from gateway.settings import GatewayConfig

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def config_schema() -> dict[str, Any]:
    """The schema of the configuration file."""
    return schema(GatewayConfig)


def recipe_schema() -> dict[str, Any]:
    """The schema of recipe.yaml."""
    return schema(Recipe)


def text(document: dict[str, Any]) -> str:
    """A schema as the text of its file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """The model's schema; a key is described by the line below it in the source."""
    # pydantic can do the same at import (use_attribute_docstrings), but reading sources then would cost every start.
    document = {"$schema": DIALECT, **model.model_json_schema()}
    for part in {model, *_parts(model)}:
        target = document if part is model else document["$defs"][part.__name__]
        for name, description in described(part).items():
            target["properties"][name].setdefault("description", description)
    return document


def described(model: type[BaseModel]) -> dict[str, str]:
    """What the source says of each field of a model and of its bases."""
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if not issubclass(cls, BaseModel) or cls is BaseModel:
            continue
        body = ast.parse(inspect.cleandoc("\n" + inspect.getsource(cls))).body[0]
        assert isinstance(body, ast.ClassDef)  # noqa: S101 - it is the source of a class
        for field, below in zip(body.body, body.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(line))) if (
                    name in model.model_fields
                ):
                    found[name] = inspect.cleandoc(line)
                case _:
                    pass
    return found


def _parts(kind: Any) -> Iterator[type[BaseModel]]:
    """All models that a type is built of, at any depth."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for field in kind.model_fields.values():
            for part in (field.annotation, *get_args(field.annotation)):
                yield from _parts(part)
        yield kind
    else:
        for part in get_args(kind):
            yield from _parts(part)
