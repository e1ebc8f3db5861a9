# SPDX-License-Identifier: GPL-2.0-or-later
"""The MCP server: its tools, and who may use them.

Built on the SDK's low-level server instead of its decorators: the list of tools changes while it
runs, unknown arguments are refused, and answers are compact.
"""

import logging
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp.shared.exceptions import MCPError

from mcp_server import prompts, resources
from mcp_server.access import Access
from mcp_server.handles import Handles
from mcp_server.tool import Tool, ToolCallContext, answered, refused
from mcp_server.tools.acting import record_lesson, rollback, set_parameters, start_trial
from mcp_server.tools.episodes import get_episode
from mcp_server.tools.history import get_history
from mcp_server.tools.library import get_scheduler, search_schedulers
from mcp_server.tools.probes import run_probe
from mcp_server.tools.profile import profile_workload
from mcp_server.tools.proving import check_candidate
from mcp_server.tools.signals import get_signals
from mcp_server.tools.status import get_status
from mcp_server.tools.workloads import list_workloads
from mcp_server.untrusted import marked
from mcp_server.voice import ModelSurface, instructions
from process import Fault, FaultType

NAME = "schedpilot"
# In the usual order of use.
TOOLS: tuple[Tool[Any], ...] = (
    get_status,
    list_workloads,
    profile_workload,
    get_signals,
    run_probe,
    search_schedulers,
    get_scheduler,
    get_history,
    get_episode,
    check_candidate,
    start_trial,
    set_parameters,
    rollback,
    record_lesson,
)

_log = logging.getLogger("schedpilot.mcp")
Context = ServerRequestContext[Any, Any]


class MCPServer(Server[dict[str, Any]]):
    """Announces to clients that its tools may change."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        return super().create_initialization_options(
            notification_options or NotificationOptions(tools_changed=True),
            experimental_capabilities,
            extensions,
        )


class _Handlers:
    def __init__(self, access: Access) -> None:
        self._access = access
        self._handles = Handles()
        self._tools = {tool.name: tool for tool in TOOLS}
        self._listed_acting: bool | None = None
        self.bus = InMemorySubscriptionBus()

    def _call(
        self,
        context: Context,
        responses: Mapping[str, types.InputResponse] | None = None,
        state: str | None = None,
    ) -> ToolCallContext:
        return ToolCallContext(self._access, self._handles, context, responses or {}, state or "")

    # ------------------------------------------------------------ tools

    def schema(self, name: str) -> Mapping[str, Any] | None:
        tool = self._tools.get(name)
        return tool.listed.input_schema if tool else None

    async def list_tools(
        self, _: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        self._listed_acting = self._access.may_act
        return types.ListToolsResult(
            tools=[tool.listed for tool in TOOLS if self._listed_acting or not tool.acts]
        )

    async def call_tool(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        tool = self._tools.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, "there is no such tool")
        await self._tell_changed(context)
        call = self._call(context, params.input_responses, params.request_state)
        try:
            result = await tool.call(call, params.arguments or {})
        except Fault as fault:
            return refused(fault)
        except Exception:  # noqa: BLE001 - logged, with all of it
            # A defect of ours: the model can do nothing about it, and sees no internals.
            _log.exception("the tool %s failed", tool.name)
            return refused(
                Fault(
                    FaultType.INTERNAL,
                    f"{tool.name} failed inside the server",
                    hint="try something else; its log (standard error) has the cause",
                )
            )
        return result if isinstance(result, types.InputRequiredResult) else answered(result)

    async def _tell_changed(self, context: Context) -> None:
        """The control socket opened or closed since the tools were listed: notify the client."""
        if self._listed_acting is None or self._access.may_act == self._listed_acting:
            return
        self._listed_acting = not self._listed_acting
        await self.bus.publish(ToolsListChanged())
        await context.session.send_tool_list_changed()

    # ------------------------------------------------------------ resources and prompts

    async def list_resources(
        self, _: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=resources.RESOURCES)

    async def list_templates(
        self, _: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=resources.TEMPLATES)

    async def read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        try:
            content = await resources.read(self._call(context), params.uri)
        except Fault as fault:
            raise _protocol_error(fault) from None
        return types.ReadResourceResult(contents=[content])

    async def list_prompts(
        self, _: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=prompts.PROMPTS)

    async def get_prompt(
        self, context: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult:
        try:
            return await prompts.prompt(self._call(context), params.name, params.arguments or {})
        except Fault as fault:
            raise _protocol_error(fault) from None


_CALLERS = (FaultType.NOT_FOUND, FaultType.BAD_NAME, FaultType.BAD_REQUEST)


def _protocol_error(fault: Fault) -> MCPError:
    """For a client's own request; the client may show it to a person or to a model."""
    code = types.INVALID_PARAMS if fault.type in _CALLERS else types.INTERNAL_ERROR
    text = marked(str(fault), 500) + (f" {marked(fault.hint, 500)}" if fault.hint else "")
    return MCPError(code, text, {"type": fault.type.value})


def surface_of(access: Access) -> ModelSurface:
    """What a client of this server can use, with the sockets that open now."""
    return ModelSurface(frozenset(each.name for each in TOOLS if access.may_act or not each.acts))


def _version() -> str:
    try:
        return version("schedpilot")
    except PackageNotFoundError:
        # A source tree that was not installed, as in the lab.
        return "checkout"


def build_server(access: Access) -> MCPServer:
    """The server with what `access` allows. The daemon need not run yet."""
    handlers = _Handlers(access)
    server = MCPServer(
        NAME,
        version=_version(),
        title="schedpilot: an autopilot for the Linux CPU scheduler",
        instructions=instructions(surface_of(access)),
        get_tool_input_schema=handlers.schema,
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=handlers.list_resources,
        on_list_resource_templates=handlers.list_templates,
        on_read_resource=handlers.read_resource,
        on_list_prompts=handlers.list_prompts,
        on_get_prompt=handlers.get_prompt,
        on_subscriptions_listen=ListenHandler(handlers.bus),
    )
    security = RequestStateSecurity.ephemeral()
    server.middleware.append(RequestStateBoundary(security, default_audience=NAME))
    return server
