# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands in the lab, on its real kernel."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.machine import Port
from lab.tree import project_root
from lab.vm import LabResult, run_in_lab
from process import Fault, FaultType

pytestmark = pytest.mark.vm

TOUR = """
echo to stdout; echo to stderr >&2
pwd; id -u; nproc; cat /sys/kernel/sched_ext/state
test -e /tree/pyproject.toml && touch /tree/written && echo tree is writable
python -c 'import pydantic, process; print(process.__file__)'
ip -brief address show lo | grep -o 127.0.0.1
mkdir -p /out/folder && echo kept > /out/folder/file && head -c 3000000 /dev/zero > /out/large
exit 42
"""


@dataclass(frozen=True)
class Tour:
    result: LabResult
    out: Path


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Tour:
    """One boot that several tests share."""
    out = tmp_path_factory.mktemp("out")
    return Tour(run_in_lab(["sh", "-c", TOUR], cpus=3, timeout=180, out=out), out)


def test_the_exit_status_comes_back(tour: Tour) -> None:
    """The status of the command becomes the status of the run."""
    assert tour.result.status == 42


def test_the_two_streams_stay_apart(tour: Tour) -> None:
    """Standard output and standard error of the guest's command stay separate."""
    assert tour.result.text.startswith("to stdout\n")
    assert tour.result.error_text == "to stderr\n"


def test_the_guest_is_as_promised(tour: Tour) -> None:
    """The root is a writable copy of the tree, the number of CPUs is right, and sched_ext exists
    and is idle."""
    assert tour.result.text.splitlines()[1:] == [
        "/tree",
        "0",
        "3",
        "disabled",
        "tree is writable",
        "/tree/process/__init__.py",
        "127.0.0.1",
    ]


def test_what_is_left_in_out_comes_back(tour: Tour) -> None:
    """Afterwards the files and folders of /out are on the host, complete."""
    assert (tour.out / "folder" / "file").read_text() == "kept\n"
    assert (tour.out / "large").stat().st_size == 3_000_000


def test_output_arrives_while_the_command_runs() -> None:
    """The first line of a command that never ends arrives, and the reader can leave then."""

    class SeenEnough(Exception):
        pass

    def leave(port: Port, data: bytes) -> None:
        raise SeenEnough(port, data)

    with pytest.raises(SeenEnough) as caught:
        run_in_lab(["sh", "-c", "echo ready; exec sleep 1000"], timeout=180, on_output=leave)
    assert caught.value.args == (Port.STDOUT, b"ready\n")


def test_a_command_that_hangs_is_ended_with_its_last_words() -> None:
    """After the time limit the fault has the last lines of the console and of the command."""
    with pytest.raises(Fault) as caught:
        run_in_lab(["sh", "-c", "echo waiting; exec sleep 1000"], timeout=20)
    assert caught.value.type is FaultType.TIMEOUT
    assert any("lab: the command starts" in line for line in caught.value.details)
    assert "stdout: waiting" in caught.value.details


def test_a_kernel_panic_is_told_as_one() -> None:
    """If the guest's kernel crashes, the fault has its reason and the console from there on."""
    with pytest.raises(Fault) as caught:
        run_in_lab(["sh", "-c", "echo c > /proc/sysrq-trigger"], timeout=180)
    assert caught.value.type is FaultType.LAB
    assert "panicked" in caught.value.what
    assert caught.value.why == "sysrq triggered crash"
    assert any("sysrq_handle_crash" in line for line in caught.value.details)


def test_trouble_of_qemu_itself_is_told_in_its_words() -> None:
    """If QEMU cannot make the machine, the run ends at once with QEMU's own reason."""
    with pytest.raises(Fault) as caught:
        run_in_lab(["true"], memory="much", timeout=180)
    assert caught.value.type is FaultType.LAB
    assert "much" in caught.value.why


def test_systemd_comes_up_clean() -> None:
    """Under real systemd the command runs after multi-user.target, and no unit has failed."""
    checks = (
        "cat /proc/1/comm; systemctl is-active multi-user.target; "
        "systemctl is-system-running --wait; systemctl --failed --quiet --no-legend; exit 5"
    )
    result = run_in_lab(["sh", "-c", checks], systemd=True, timeout=240)
    assert result.text.splitlines() == ["systemd", "active", "running"]
    assert result.status == 5


HELPER = """
#include <bpf/libbpf.h>
#include <stdio.h>

int main(void)
{
	printf("built with libbpf %d.%d\\n", LIBBPF_MAJOR_VERSION, LIBBPF_MINOR_VERSION);
	return !libbpf_major_version();
}
"""
MAKEFILE = """
$(OUT)/helper: helper.c
	test -s /sys/kernel/btf/vmlinux
	clang -O2 -Wall -Werror -o $@ $< -lbpf
"""


@pytest.fixture
def small_tree(tmp_path: Path) -> Path:
    """A project like this one, with a single C helper."""
    tree = tmp_path / "tree"
    (tree / "bpf").mkdir(parents=True)
    (tree / "pyproject.toml").write_bytes((project_root() / "pyproject.toml").read_bytes())
    (tree / "bpf" / "helper.c").write_text(HELPER)
    (tree / "bpf" / "Makefile").write_text(MAKEFILE)
    return tree


def test_the_trees_helpers_are_built_for_the_guest(small_tree: Path) -> None:
    """The guest has the output of bpf/Makefile, linked against the guest's own libbpf."""
    result = run_in_lab(["/usr/lib/schedpilot/helper"], tree=small_tree, timeout=180)
    assert result.text == "built with libbpf 1.5\n"
    assert result.status == 0


def test_helpers_that_do_not_build_are_told_with_the_compilers_words(small_tree: Path) -> None:
    """A broken helper ends the run before any boot, with the file and line of the error."""
    (small_tree / "bpf" / "helper.c").write_text("int main(void) { return nothing; }\n")
    with pytest.raises(Fault) as caught:
        run_in_lab(["true"], tree=small_tree, timeout=180)
    assert caught.value.type is FaultType.BUILD_FAILED
    assert any("helper.c:1:25" in line for line in caught.value.details)
