# SPDX-License-Identifier: GPL-2.0-or-later
"""Command lines as they are shown: without anything that looks like a secret."""

import pytest

from daemon.understanding.secrets import LEFT_OUT, MOST_CHARACTERS, shown

# Assembled here, so that nothing in this file looks like a secret.
TOKEN = "ghp" + "_" + "16C7e42F292c6912E7710c838347Ae178B4a"
SECRET = "hunter" + "2x9"


@pytest.mark.parametrize(
    "argv",
    [
        ["mysql", "-uroot", f"-p{SECRET}", "shop"],
        ["mysqldump", "--password=" + SECRET, "shop"],
        ["psql", f"postgresql://app:{SECRET}@db/shop"],
        ["server", "--token", SECRET],
        ["server", "--api-key=" + SECRET],
        ["server", "--auth_token", SECRET, "--port", "80"],
        ["java", f"-Ddb.password={SECRET}", "-jar", "app.jar"],
        ["env", f"AWS_SECRET_ACCESS_KEY={SECRET}", "aws", "s3", "ls"],
        ["curl", "-H", f"Authorization: Bearer {SECRET}", "https://api.example"],
        ["curl", "-u", f"me:{SECRET}", "https://api.example"],
        ["curl", f"https://api.example/v1?user=1&access_token={SECRET}&x=2"],
        ["sshpass", "-p", SECRET, "ssh", "host"],
        ["redis-cli", "-a", SECRET, "ping"],
        ["node", "-e", "connect({password: '" + SECRET + "'})"],
        ["deploy", SECRET.join(["--client-secret=", ""])],
        ["gh", TOKEN.replace("ghp", "ghp") + SECRET],
    ],
    ids=lambda argv: argv[0] + argv[1][:14],
)
def test_a_secret_is_left_out(argv: list[str]) -> None:
    """Values named like a secret, by option, variable, URL or header, are not shown; the rest
    is."""
    line = shown(argv)
    assert SECRET not in line
    assert LEFT_OUT in line
    assert line.startswith(argv[0])


@pytest.mark.parametrize(
    "secret",
    [
        TOKEN,
        "AKIA" + "IOSFODNN7EXAMPLEKEY",
        "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "wJalrXUtnFEMI7K7MDENG8bPxRfiCY2EXAMPLEKEY",
    ],
)
def test_what_looks_like_a_token_is_left_out_anywhere(secret: str) -> None:
    """Tokens with a known beginning, long hexadecimal numbers and dense mixtures are removed."""
    assert secret not in shown(["worker", "run", secret])


@pytest.mark.parametrize(
    "argv",
    [
        ["make", "-j8", "CFLAGS=-O2 -g", "check"],
        ["/usr/lib/gcc/x86_64-linux-gnu/12/cc1plus", "-quiet", "-mtune=generic", "main.cpp"],
        ["ffmpeg", "-i", "holiday-2024-07-01.mkv", "-c:v", "libx265", "-preset", "slow"],
        ["postgres: writer process"],
        ["qemu-system-x86_64", "-machine", "q35,accel=kvm", "-m", "8G"],
    ],
)
def test_an_ordinary_command_line_stays(argv: list[str]) -> None:
    """A command line without secrets is shown completely."""
    assert shown(argv) == " ".join(argv)


def test_a_long_command_line_is_cut_and_counted() -> None:
    """The first arguments are shown with the number of the others; an argument of 4 KB is cut."""
    assert shown(["cc", *(f"f{n}.c" for n in range(20))]).endswith("f6.c (+13)")
    assert len(shown(["x", "y " * 4000])) <= MOST_CHARACTERS + 1
    assert shown([]) == ""
