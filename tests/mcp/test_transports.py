# SPDX-License-Identifier: GPL-2.0-or-later
"""The program on standard input and output, and over HTTP on loopback."""

import asyncio
import json
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from mcp_server.main import main
from mcp_server.web import token_in
from tests.agent.machine import ServedMachine, served_machine
from tests.mcp.calls import CALLS
from tests.mcp.conftest import told
from tests.mcp.serving import SCHEDPILOT, Web, environment, over_http
from tests.waiting import said

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
JSON = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedMachine]:
    with served_machine(tmp_path_factory.mktemp("daemon") / "run", {"latency": 0.4}) as served:
        yield served


@pytest.fixture(scope="module")
def web(machine: ServedMachine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    token = tmp_path_factory.mktemp("token") / "new" / "mcp-token"
    with over_http(machine.run_dir, token) as web:
        yield web


# ---------------------------------------------------------------- standard input and output


def test_a_client_starts_it_and_uses_the_tools(machine: ServedMachine) -> None:
    """A client uses real pipes: it lists, looks, checks and tries."""

    async def use() -> None:
        server = StdioServerParameters(
            command=str(SCHEDPILOT), args=["mcp"], env=environment(machine.run_dir)
        )
        async with Client(server) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == set(CALLS)
            assert told(await client.call_tool("get_status", {}))["may_act"] is True
            checked = told(await client.call_tool("check_candidate", {"library": "latency"}))
            trial = await client.call_tool("start_trial", {"candidate": checked["candidate"]})
            assert told(trial)["state"] == "kept"

    asyncio.run(use())


def test_standard_output_has_the_protocol_alone(tmp_path: Path) -> None:
    """Each line is a message, even without a daemon and with nonsense on the input."""
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "get_status"}}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    lines = [json.dumps(INITIALIZE), json.dumps(ready), "{nonsense", json.dumps(call)]
    with subprocess.Popen(
        [SCHEDPILOT, "mcp", "--read-only"],
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n".join(lines) + "\n")
        process.stdin.flush()
        answers = {}
        while 2 not in answers:
            message = json.loads(process.stdout.readline())
            answers[message.get("id")] = message
        rest, error = said(process, 30)
    assert rest == ""
    assert "Traceback" not in error
    assert process.returncode == 0
    assert answers[1]["result"]["serverInfo"]["name"] == "schedpilot"
    assert answers[2]["result"]["isError"] is True


def test_the_command_pays_nothing_for_it() -> None:
    """`schedpilot` imports the SDK only in the process that it becomes for `mcp`."""
    code = "import cli.main, sys; sys.exit('mcp' in sys.modules or 'mcp_server' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---------------------------------------------------------------- HTTP


@asynccontextmanager
async def reached(web: Web) -> AsyncIterator[Client]:
    async with (
        create_mcp_http_client(headers=web.headers) as http,
        Client(streamable_http_client(web.url, http_client=http)) as client,
    ):
        yield client


def test_with_the_token_a_client_uses_the_tools(web: Web) -> None:
    """The client gets the same tools; the file and its folder were made for their owner alone."""

    async def use() -> None:
        async with reached(web) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == set(CALLS)
            assert told(await client.call_tool("get_status", {}))["autonomy"] == "auto"

    asyncio.run(use())


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({}, 401, "no token was given"),
        ({"authorization": "Bearer wrong"}, 401, "not the right one"),
        ({"authorization": "Basic eDp5"}, 401, "not the right one"),
        ({"host": "evil.example:80"}, 421, "Host"),
        ({"host": "127.0.0.1.evil.example"}, 421, "Host"),
        ({"origin": "http://evil.example"}, 403, "Origin"),
        ({"origin": "null"}, 403, "Origin"),
    ],
)
def test_others_are_kept_out_and_told_why(
    web: Web, headers: dict[str, str], status: int, said: str
) -> None:
    """Without the token, or with it from another host or origin, no message is read."""
    if "authorization" not in headers and status != 401:
        headers = {**web.headers, **headers}
    answer = httpx.post(web.url, headers={**JSON, **headers}, json=INITIALIZE, trust_env=False)
    assert answer.status_code == status
    assert said in answer.text


def test_it_listens_on_loopback_alone(web: Web) -> None:
    """Of this machine's addresses only 127.0.0.1 has the port."""
    port = httpx.URL(web.url).port
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert f"0100007F:{port:04X}" in listening
    assert f"00000000:{port:04X}" not in listening


def test_a_token_that_was_made_before_is_taken(tmp_path: Path) -> None:
    """A client that was configured with a token can go on using it."""
    token = tmp_path / "token"
    made = token_in(token)
    assert token_in(token) == made


def test_a_token_that_others_can_read_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says which file, why, and what to do."""
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123\n")
    token.chmod(0o644)
    assert main(["--http", "0", "--token-file", str(token)]) == 1
    said = capsys.readouterr()
    assert str(token) in said.err
    assert "chmod 600" in said.err
    assert said.out == ""


def test_a_new_token_is_for_its_owner_alone(
    web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file has mode 0600 from the first moment; a port in use is reported."""
    token = tmp_path / "a" / "token"
    port = httpx.URL(web.url).port
    assert main(["--http", str(port), "--token-file", str(token)]) == 1
    assert "the port cannot be opened" in capsys.readouterr().err
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text().strip()) >= 32
