# SPDX-License-Identifier: GPL-2.0-or-later
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from bpf.kernel.controls import ResourceControl
from daemon.api.models import Autonomy
from daemon.config import Config, load, parse
from process import Fault, FaultType
from simulator.objective_text import Metric

SHIPPED = Path(__file__).parents[2] / "systemd" / "schedpilot.toml"


def fault_of(text: str) -> Fault:
    with pytest.raises(Fault) as caught:
        parse(text, "schedpilot.toml")
    assert caught.value.type is FaultType.BAD_CONFIG
    assert caught.value.where == "schedpilot.toml"
    assert caught.value.hint
    return caught.value


def test_the_shipped_file_is_the_defaults() -> None:
    """The installed file changes nothing."""
    assert load(SHIPPED) == Config()


def test_the_shipped_file_names_every_key_with_its_default() -> None:
    """With every key switched on, it still has the defaults, and no key is missing."""
    text = re.sub(r"^#([a-z])", r"\1", SHIPPED.read_text(), flags=re.MULTILINE)
    config = parse(text, "shipped")
    assert config == Config()

    def unset(table: BaseModel, path: str = "") -> list[str]:
        found = []
        for name in type(table).model_fields:
            if name in ("objective", "ignore"):
                continue
            value = getattr(table, name)
            if name not in table.model_fields_set:
                found.append(path + name)
            elif isinstance(value, BaseModel):
                found += unset(value, f"{path}{name}.")
        return found

    assert unset(config) == []


def test_the_examples_in_the_shipped_file_are_valid() -> None:
    """Its examples of objectives and ignored workloads are valid without their comment signs."""
    lines = SHIPPED.read_text().splitlines()
    example = [line[2:] for line in lines if re.match(r"# (\[\[|workload = |text = )", line)]
    config = parse("\n".join(example), "example")
    [declared] = config.declared
    assert declared.objective.metric is Metric.RESPONSE
    assert config.ignored[-1] == "cgroup:/user.slice/*"


def test_no_file_is_the_defaults(tmp_path: Path) -> None:
    """The defaults change nothing on the machine."""
    config = load(tmp_path / "missing.toml")
    assert config == Config()
    assert config.daemon.autonomy is Autonomy.OBSERVE


def test_what_is_written_is_what_counts() -> None:
    """Tables, nested tables and lists arrive."""
    config = parse(
        """
        [daemon]
        autonomy = "auto"
        interval_s = 1
        state_dir = "/srv/state"
        [trial.tolerance]
        own_throughput = 0.5
        [gates]
        allow_ignoring = ["cpu.max", "cpu.weight"]
        [[objective]]
        workload = "comm:redis-server"
        text = "latency p99 < 2ms"
        [[objective]]
        workload = "cgroup:/system.slice/*"
        text = "throughput > 100/s"
        """,
        "x",
    )
    assert config.daemon.autonomy is Autonomy.AUTO
    assert config.daemon.state == Path("/srv/state")
    assert config.trial.tolerance.own_throughput == 0.5
    assert config.gates.allow_ignoring == (ResourceControl.MAX, ResourceControl.WEIGHT)
    assert [each.objective.limit for each in config.declared] == [2000, 100]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[deamon]", "line 1: deamon: there is no such key; did you mean 'daemon'?"),
        ("x = 1", "line 1: x: there is no such key (there are: daemon, detect,"),
        (
            "\n[detect]\nratio_mim = 3",
            "line 3: detect.ratio_mim: there is no such key; did you mean 'ratio_min'?",
        ),
        (
            "[trial.tolerance]\nown_thruput = 1",
            "line 2: trial.tolerance.own_thruput: there is no such key; "
            "did you mean 'own_throughput'?",
        ),
        (
            "[[objective]]\nworkload='comm:a'\ntext='cpu'\nlimit=3",
            "line 4: objective[1].limit: there is no such key (there are: workload, text)",
        ),
        (
            "[daemon]\ninterval_s = 0.01",
            "line 2: daemon.interval_s: 0.01 is out of range: at least 0.25",
        ),
        (
            "[trial]\nmax_windows = 1000",
            "line 2: trial.max_windows: 1000 is out of range: at most 64",
        ),
        (
            "[detect]\nratio_min = 1",
            "line 2: detect.ratio_min: 1 is out of range: more than 1",
        ),
        ("[detect]\nratio_min = 'high'", "line 2: detect.ratio_min: 'high' is not a number"),
        ("[detect]\nratio_min = true", "line 2: detect.ratio_min: True is not a number"),
        ("[detect]\nratio_min = nan", "line 2: detect.ratio_min: nan is not a finite number"),
        (
            "[detect]\nsamples_min = 2.5",
            "line 2: detect.samples_min: 2.5 is not a whole number",
        ),
        ("[daemon]\nrun_dir = 3", "line 2: daemon.run_dir: 3 is not text"),
        (
            "[daemon]\nrun_dir = 'here'",
            "line 2: daemon.run_dir: 'here' is not an absolute path",
        ),
        (
            "[daemon]\nrun_dir = '/a'\nstate_dir = '/a/'",
            "line 1: daemon: state_dir, run_dir and cache_dir have to be different folders",
        ),
        (
            "[daemon]\nautonomy = 'atuo'",
            "line 2: daemon.autonomy: 'atuo' is none of 'observe', 'ask' or 'auto'; "
            "did you mean 'auto'?",
        ),
        (
            "[detect]\nbad_intervals = 9",
            "line 1: detect: bad_intervals (9) cannot be more than of_intervals (5)",
        ),
        (
            "[detect]\nbaseline_min = 200",
            "line 1: detect: baseline_min (200) cannot be more than baseline_intervals (120)",
        ),
        (
            "[trial]\nmin_windows = 32",
            "line 1: trial: min_windows (32) cannot be more than max_windows (16)",
        ),
        ("[trial]\nwindow_s = 1", "line 1: trial: settle_s (2) leaves nothing of window_s (1)"),
        (
            "[limits]\ncooldown_s = 9000",
            "line 1: limits: cooldown_s (9000) cannot be more than cooldown_max_s (3600)",
        ),
        (
            "[guard]\nbad_intervals = 60",
            "line 1: guard: bad_intervals (60) cannot be more than of_intervals (6)",
        ),
        ("detect = 3", "line 1: detect: this is a table: write `[detect]`"),
        (
            "[objective]\nworkload = 'comm:a'",
            "line 1: objective: this is a list of tables: write `[[objective]]`",
        ),
        (
            "[gates]\nallow_ignoring = ['cpu.mx']",
            "line 2: gates.allow_ignoring[1]: 'cpu.mx' is none of 'cpu.weight', 'cpu.idle' or "
            "'cpu.max'; did you mean 'cpu.max'?",
        ),
        (
            "[gates]\nallow_ignoring = 'cpu.max'",
            "line 2: gates.allow_ignoring: 'cpu.max' is not a list",
        ),
        ("[[ignore]]", "line 1: ignore[1].workload: this key is missing"),
        (
            "[[ignore]]\nworkload = 'comm:a'\n[[ignore]]\nworkload = 'nginx'",
            "line 4: ignore[2].workload: 'nginx' is not a workload: "
            "a workload begins with `cgroup:/` or",
        ),
        (
            "[[objective]]\nworkload = 'comm:a'\ntext = 'latency p99 < 5'",
            "line 3: objective[1].text: the objective 'latency p99 < 5' cannot be understood "
            "(column 16: the text ends here; expected a unit",
        ),
    ],
)
def test_each_mistake_has_its_own_message(text: str, said: str) -> None:
    """It has the line, the key, what is wrong with it, and the nearest known word if there is
    one."""
    fault = fault_of(text)
    assert len(fault.details) == 1
    assert fault.details[0].startswith(said)
    assert fault.details[0] in fault.why


def test_all_problems_come_at_once_in_order() -> None:
    """One start lists everything to correct."""
    fault = fault_of(
        """
        [daemon]
        interval_s = 1000
        intervall_s = 1
        [detect]
        z_min = "4"
        [[objective]]
        workload = "nginx"
        text = "latncy p99"
        """
    )
    assert fault.what == "the configuration has 5 problems"
    assert [each.partition(":")[0] for each in fault.details] == [
        f"line {number}" for number in (3, 4, 6, 8, 9)
    ]


@pytest.mark.parametrize("text", ["[daemon", "x = ", "a = 1\na = 2", '[x]\ny = "\n', "a = 0x"])
def test_what_is_not_toml_is_said_with_its_place(text: str) -> None:
    """The parser's own line and column are passed on."""
    fault = fault_of(text)
    assert fault.what == "the configuration is not TOML"
    assert "line" in fault.why or "end of document" in fault.why


def test_files_that_cannot_be_read_are_faults(tmp_path: Path) -> None:
    """A folder, bytes that are no text, and a file far too large each have their own message."""
    binary, large = tmp_path / "binary", tmp_path / "large"
    binary.write_bytes(b"[daemon]\n\xff\xfe")
    large.write_bytes(b"#" * 300_000)
    for path, said in ((tmp_path, "cannot be read"), (binary, "UTF-8"), (large, "larger than")):
        with pytest.raises(Fault) as caught:
            load(path)
        assert caught.value.type is FaultType.BAD_CONFIG
        assert said in caught.value.what
        assert caught.value.where == str(path)


keys = st.sampled_from(
    ["daemon", "detect", "objective", "ignore", "trial", "tolerance", "x", "interval_s", "text"]
)
values = st.recursive(
    st.sampled_from(["1", "-3", "true", '"x"', "nan", "[]", "1e400", '"comm:a"', "1979-05-27"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(lambda each: f"[{', '.join(each)}]"),
        st.tuples(keys, inner).map(lambda each: f"{{ {each[0]} = {each[1]} }}"),
    ),
    max_leaves=3,
)
lines = st.one_of(
    st.tuples(keys, values).map(" = ".join),
    keys.map(lambda key: f"[{key}]"),
    keys.map(lambda key: f"[[{key}]]"),
    st.tuples(keys, keys).map(lambda each: f"[{each[0]}.{each[1]}]"),
)


@given(st.lists(lines, max_size=6).map("\n".join))
def test_no_file_is_a_defect(text: str) -> None:
    """Every file is either a configuration or a fault with readable lines."""
    try:
        config = parse(text, "x")
    except Fault as fault:
        problem = fault
    else:
        assert isinstance(config, Config)
        return
    assert problem.type is FaultType.BAD_CONFIG
    assert problem.why


def test_an_objective_by_delay_is_valid_and_remarked_on() -> None:
    """`--check` says what else the objective could mean; response time needs no remark."""
    text = "[[objective]]\nworkload = 'comm:a'\ntext = '{}'"
    [said] = parse(text.format("latency p99 < 5ms"), "x").remarks
    assert "`latency p99 < 5ms` for comm:a" in said
    assert "`response`" in said
    assert parse(text.format("response p99 < 5ms"), "x").remarks == ()
