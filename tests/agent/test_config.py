# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent's configuration is checked completely, and every problem is reported."""

from pathlib import Path

import pytest

from agent.config import AgentConfig, parse_config, read_config
from agent.main import main
from process import Fault, FaultType

GOOD = """
[advisor]
name = "offline"
most_trials = 5

[[measure]]
name = "shop.p99"
command = ["/usr/local/bin/p99", "--shop"]
interval_s = 2
unit = "ms"

[[measure]]
name = "rate"
prometheus = { url = "http://127.0.0.1:9090", query = "sum(rate(requests[1m]))" }
"""


def test_a_good_configuration_is_read() -> None:
    """Both kinds of measures are read, with defaults for missing keys."""
    config = parse_config(GOOD, "here")
    assert config.advisor.most_trials == 5
    assert [each.interval_s for each in config.measure] == [2.0, 5.0]


def test_no_file_is_the_defaults(tmp_path: Path) -> None:
    """An agent without a configuration advises and measures nothing."""
    assert read_config(tmp_path / "agent.toml") == AgentConfig()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("advisr = 1", "advisr: unknown key (nearest known: 'advisor')"),
        ("[advisor]\nmost_trial = 1", "(nearest known: 'most_trials')"),
        ('[advisor]\nname = "claud"', "advisor.name"),
        ('[[measure]]\nname = "x"', "exactly one of `command`, `prometheus`, "),
        ('[[measure]]\nname = "X"\ncommand = ["a"]', "measure[0].name"),
        ('[[measure]]\nname = "x"\ncommand = "a b"', "measure[0].command"),
        ('[[measure]]\nname = "x"\ncommand = ["a"]\nintervall_s = 1', "'interval_s'"),
        (
            '[[measure]]\nname = "x"\nprometheus = { url = "file:///etc", query = "x" }',
            "measure[0].prometheus.url",
        ),
        (
            '[[measure]]\nname = "x"\ncommand = ["a"]\n[[measure]]\nname = "x"\ncommand = ["b"]',
            "measured twice: x",
        ),
        ("= 1", "is not TOML"),
    ],
)
def test_each_mistake_is_named_with_its_key(text: str, says: str) -> None:
    """Each problem has its key, and an unknown key the nearest known one."""
    with pytest.raises(Fault) as caught:
        parse_config(text, "agent.toml")
    assert caught.value.type is FaultType.BAD_CONFIG
    assert says in caught.value.report()


def test_all_mistakes_come_at_once() -> None:
    """One run names every problem."""
    with pytest.raises(Fault) as caught:
        parse_config("a = 1\nb = 2\n[advisor]\nmost_trials = 0", "agent.toml")
    assert len(caught.value.details) == 3


def test_a_bad_configuration_ends_the_agent_before_it_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit status is 1 and standard error has the report."""
    path = tmp_path / "agent.toml"
    path.write_text("advisr = 1")
    assert main(["--config", str(path)]) == 1
    assert "nearest known: 'advisor'" in capsys.readouterr().err
    path.write_text(GOOD)
    assert main(["--config", str(path), "--check-config"]) == 0
