# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own examples compile unchanged with our headers.

They come from Debian's source package, which the test unpacks and does not keep.
"""

import os
import re
import shutil
from pathlib import Path

import pytest

from process import Fault, run

from .conftest import Target

EXAMPLES = ("central", "cpu0", "flatcg", "pair", "qmap", "sdt", "simple", "userland")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def _download(series: str, folder: Path) -> Path:
    """Debian's source package of a kernel series, from an apt with its own lists."""
    from lab.recipe import KERNEL_SUITE

    source = folder / "sources.list"
    source.write_text(
        f"deb [signed-by={KEYRING}] http://deb.debian.org/debian {KERNEL_SUITE} main\n"
    )
    for each in ("lists/partial", "cache/archives/partial"):
        (folder / each).mkdir(parents=True)
    options = {
        "Dir::Etc::SourceList": source,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    apt = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in options.items())]
    env = {name: os.environ[name] for name in PROXIES if name in os.environ}
    run([*apt, "update"], timeout=120, cwd=folder, env=env)
    run([*apt, "download", f"linux-source-{series}"], timeout=300, cwd=folder, env=env)
    (package,) = folder.glob("*.deb")
    return package


@pytest.fixture(scope="session")
def examples(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tools/sched_ext` of the same series as the lab's kernel."""
    from lab.recipe import recipe_for
    from lab.root import ensure
    from lab.tree import project_root

    root = ensure(recipe_for(project_root()), lambda _: None)
    series = re.match(r"\d+\.\d+", root.release)
    assert series is not None
    folder = tmp_path_factory.mktemp("linux-source")
    try:
        package = _download(series[0], folder)
    except Fault as fault:
        pytest.skip(f"{fault}; {' '.join(fault.details)}")
    run(["dpkg-deb", "-x", package, folder / "unpacked"], timeout=120)
    package.unlink()
    (archive,) = folder.glob("unpacked/usr/src/*.tar.xz")
    run(
        ["tar", "-C", folder, "-xf", archive, "--wildcards", "*/tools/sched_ext/scx_*"],
        timeout=300,
    )
    shutil.rmtree(folder / "unpacked")
    (found,) = folder.glob("*/tools/sched_ext")
    return found


@pytest.mark.vm
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_kernel_compiles_unchanged(
    target: Target, examples: Path, tmp_path: Path, name: str
) -> None:
    """The kernel's own example compiles unchanged, without the kernel's headers."""
    headers = tuple(examples.glob("scx_*.h"))
    result = target.build(examples / f"scx_{name}.bpf.c", tmp_path, headers=headers)
    assert result.ok, result.diagnostics


@pytest.mark.vm
def test_no_example_is_left_out(examples: Path) -> None:
    """The list above has every BPF example of the kernel."""
    found = {path.name.removeprefix("scx_").split(".")[0] for path in examples.glob("*.bpf.c")}
    assert found == set(EXAMPLES)
