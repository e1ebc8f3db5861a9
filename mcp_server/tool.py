# SPDX-License-Identifier: GPL-2.0-or-later
"""A tool: its description for the model, its arguments, its answer, and its errors."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

import mcp_types as types
from mcp.server.context import ServerRequestContext
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from daemon.api.models import ParameterValue
from daemon.api.validation import from_values
from mcp_server.access import Access
from mcp_server.handles import Handles
from mcp_server.untrusted import marked
from process import Fault


def _short(value: float) -> float:
    """Four digits: a model's decision needs no more, and each digit costs tokens."""
    return float(f"{value:.4g}")


Number = Annotated[float, AfterValidator(_short)]


def parsed(value: object) -> object:
    """Some clients send an object or a list as JSON text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


class Arguments(BaseModel):
    """Arguments, treated as if an attacker wrote them: unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoArguments(Arguments):
    pass


class ToolAnswer(BaseModel):
    """Answers, kept small: empty fields are left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Parameters = Annotated[dict[str, ParameterValue], BeforeValidator(parsed)]


@dataclass(frozen=True)
class ToolCallContext:
    """What a tool needs during one call."""

    access: Access
    handles: Handles
    context: ServerRequestContext[Any, Any]
    # Set when a client repeats the call after a person was asked.
    responses: Mapping[str, types.InputResponse]
    state: str

    async def progress(self, done: float, of: float | None, said: str) -> None:
        """Reports progress to clients that asked for it; `said` may quote hostile text."""
        await self.context.session.report_progress(done, of, marked(said, 200))

    async def workload(self, text: str) -> str:
        """The id of the workload that is meant; an empty text means none."""
        return await self.handles.resolve(text, self.access.reading) if text else ""


A = TypeVar("A", bound=Arguments)
Result = BaseModel | types.InputRequiredResult


@dataclass(frozen=True)
class Tool(Generic[A]):
    """`acts`: only listed if the control socket opens."""

    name: str
    title: str
    description: str
    arguments: type[A]
    answer: type[ToolAnswer]
    run: Callable[[ToolCallContext, A], Awaitable[Result]]
    annotations: types.ToolAnnotations
    acts: bool = False

    @cached_property
    def listed(self) -> types.Tool:
        """The tool's description for clients; its schemas take a while to make, once."""
        return types.Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=schema_of(self.arguments),
            output_schema=schema_of(self.answer),
            annotations=self.annotations,
        )

    async def call(self, call: ToolCallContext, arguments: Mapping[str, Any]) -> Result:
        """Check the arguments and run the tool.

        Raises:
            Fault: for the model to read.
        """
        return await self.run(call, from_values(self.arguments, arguments))


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` for as long as the block runs."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()


def reads(title: str) -> types.ToolAnnotations:
    """For a tool that changes nothing."""
    return types.ToolAnnotations(
        title=title,
        read_only_hint=True,
        destructive_hint=False,
        idempotent_hint=True,
        open_world_hint=False,
    )


def changes(title: str, *, destructive: bool, idempotent: bool) -> types.ToolAnnotations:
    """For a tool that changes something on this machine."""
    return types.ToolAnnotations(
        title=title,
        read_only_hint=False,
        destructive_hint=destructive,
        idempotent_hint=idempotent,
        open_world_hint=False,
    )


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """A model's JSON schema without the titles that only repeat names."""
    schema: dict[str, Any] = _untitled(model.model_json_schema())
    schema.setdefault("properties", {})
    schema.pop("description", None)
    return schema


def _untitled(node: Any) -> Any:  # noqa: ANN401 - JSON is anything
    if isinstance(node, list):
        return [_untitled(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {}
    for key, value in node.items():
        if key == "title" and isinstance(value, str):
            continue
        if key in ("properties", "$defs"):
            kept[key] = {name: _untitled(inner) for name, inner in value.items()}
        else:
            kept[key] = _untitled(value)
    return kept


def content_of(answer: BaseModel) -> dict[str, Any]:
    """An answer as JSON data, without empty fields; 3 instead of 3.0."""
    content = answer.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    lean: dict[str, Any] = _lean(content)
    return lean


def _lean(node: Any) -> Any:  # noqa: ANN401 - JSON is anything
    if isinstance(node, dict):
        return {key: _lean(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_lean(each) for each in node]
    return int(node) if isinstance(node, float) and node.is_integer() else node


def answered(answer: BaseModel) -> types.CallToolResult:
    """The answer as data, and as text for models."""
    content = content_of(answer)
    return types.CallToolResult(
        content=[types.TextContent(text=_compact(content))],
        structured_content=content,
    )


def refused(fault: Fault) -> types.CallToolResult:
    """A fault for the model: what, where, why, and how to fix it.

    A fault may quote anything, so its whole text is marked.
    """
    parts: dict[str, Any] = {"error": fault.type.value, "what": marked(fault.what, 500)}
    for key, text in (("where", fault.where), ("why", fault.why), ("hint", fault.hint)):
        if text:
            parts[key] = marked(text, 800)
    if fault.details:
        parts["lines"] = [marked(line, 300) for line in fault.details[:20]]
    return types.CallToolResult(content=[types.TextContent(text=_compact(parts))], is_error=True)


def _compact(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
