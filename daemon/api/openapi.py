# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of endpoints as an OpenAPI 3.1 document: `python -m daemon.api.openapi observe`."""

import inspect
import json
import sys
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from daemon.api.endpoint import (
    JSON,
    Constrained,
    Endpoint,
    EndpointParameter,
    Place,
    Streamed,
    Surface,
    item_of,
    marked,
)
from daemon.api.endpoints import answered_on
from daemon.api.models import API_VERSION, Event, Named, Problem
from daemon.api.problems import MEDIA_TYPE

_ABOUT = {
    Surface.OBSERVE: "HTTP over the Unix socket `observe.sock`, which everybody may open: reading.",
    Surface.CONTROL: "HTTP over the Unix socket `control.sock`, which root and the group "
    "`schedpilot` may open: reading and acting.",
}
_TEMPLATE = "#/components/schemas/{model}"

Schema = dict[str, Any]
# A model as it is sent to the daemon (`validation`) or as the daemon sends it.
Used = tuple[type[BaseModel], Literal["validation", "serialization"]]


def document(surface: Surface) -> Schema:
    """The endpoints of one socket."""
    endpoints = answered_on(surface)
    used: list[Used] = [(Problem, "serialization"), *_models(endpoints)]
    schemas, components = models_json_schema(list(dict.fromkeys(used)), ref_template=_TEMPLATE)
    paths: dict[str, Schema] = {}
    for each in endpoints:
        paths.setdefault(each.template, {})[each.method.lower()] = _operation(each, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "schedpilot", "version": API_VERSION, "description": _ABOUT[surface]},
        "paths": paths,
        "components": {"schemas": components.get("$defs", {})},
    }


def _models(endpoints: Iterable[Endpoint]) -> Iterable[Used]:
    for each in endpoints:
        for parameter in each.at(Place.BODY):
            yield parameter.type, "validation"
        model = _model(each.answer)
        if model is not None:
            yield model, "serialization"


def _model(answer: Constrained) -> type[BaseModel] | None:
    """The model of an answer that is one, or a list of them."""
    answer = item_of(answer) or answer
    return answer if inspect.isclass(answer) and issubclass(answer, BaseModel) else None


def _operation(endpoint: Endpoint, schemas: dict[Any, Schema]) -> Schema:
    about = inspect.cleandoc(endpoint.__doc__ or "").replace("\n", " ")
    found: Schema = {
        "operationId": endpoint.name,
        "summary": about,
        "tags": [endpoint.template.split("/")[2 if endpoint.template.startswith("/v1/") else 1]],
        "parameters": [
            _parameter(each) for each in endpoint.parameters if each.place is not Place.BODY
        ],
        "responses": {
            str(endpoint.status): _response(endpoint, schemas),
            "default": {
                "description": "What went wrong, and what to do",
                "content": {MEDIA_TYPE: {"schema": schemas[Problem, "serialization"]}},
            },
        },
        "x-time-limit-s": endpoint.limit_s,
    }
    for each in endpoint.at(Place.BODY):
        content = {JSON: {"schema": schemas[each.type, "validation"]}}
        needed = any(field.is_required() for field in each.type.model_fields.values())
        found["requestBody"] = {"content": content, "required": needed}
    if endpoint.persons_only:
        found["description"] = "Refused to the user that the advisor runs as."
    return found


def _parameter(parameter: EndpointParameter) -> Schema:
    in_path = parameter.place is Place.PATH
    schema = TypeAdapter(parameter.type).json_schema()
    if not parameter.required and parameter.default != "":
        schema["default"] = parameter.default
    found: Schema = {
        "name": "id" if in_path else parameter.sent_as,
        "in": "path" if in_path else "query",
        "required": parameter.required,
        "schema": schema,
    }
    named = marked(parameter.type, Named)
    if named is not None:
        found["description"] = f"names a {named.kind}: {named.shape}"
    return found


def _response(endpoint: Endpoint, schemas: dict[Any, Schema]) -> Schema:
    if endpoint.answer is None:
        return {"description": "Done"}
    model = _model(endpoint.answer)
    content: Schema = {}
    if isinstance(endpoint, Streamed):
        content = {"schema": {"type": "string"}}
        shape = schemas[Event, "serialization"]
        return {
            "description": "Server-sent events; the data of each is an `Event`",
            "content": {endpoint.media_type: content | {"x-data": shape}},
        }
    if model is not None:
        shape = schemas[model, "serialization"]
        content = {"schema": shape}
        if item_of(endpoint.answer):
            content = {"schema": {"type": "array", "items": shape}}
    elif endpoint.answer is not bytes:
        content = {"schema": TypeAdapter(endpoint.answer).json_schema()}
    return {"description": "The answer", "content": {endpoint.media_type: content}}


def main() -> None:
    sys.stdout.write(json.dumps(document(Surface(sys.argv[1]))) + "\n")


if __name__ == "__main__":
    main()
