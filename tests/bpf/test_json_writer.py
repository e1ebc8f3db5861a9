# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON writer of the C programs, built natively: every line is JSON, whatever it contains."""

import codecs
import ctypes
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpf.build.clang import find_clang
from process import run

BPF = Path(__file__).parents[2] / "bpf"
UNITS = ("json", "clock", "system")


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error("each-byte", _each_byte)


class Writer:
    def __init__(self, folder: Path) -> None:
        made = folder / "json_writer.so"
        words: list[str | Path] = [find_clang().path, "-shared", "-fPIC", "-O1"]
        words += ["-Wall", "-Wextra", "-Werror", f"-I{BPF}", "-o", made]
        run([*words, *(BPF / "common" / f"{name}.c" for name in UNITS)], timeout=120)
        self._library = ctypes.CDLL(str(made))
        self._library.take_line.restype = ctypes.POINTER(ctypes.c_char)

    def _line(self) -> bytes:
        length = ctypes.c_size_t()
        return bytes(self._library.take_line(ctypes.byref(length))[: length.value])

    def text(self, data: bytes) -> bytes:
        self._library.put_text(data, ctypes.c_size_t(len(data)))
        return self._line()

    def name(self, prefix: bytes, data: bytes) -> bytes:
        self._library.put_string(prefix, data)
        return self._line()

    def microseconds(self, ns: int) -> bytes:
        self._library.put_us(ctypes.c_uint64(ns))
        return self._line()


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Writer:
    return Writer(tmp_path_factory.mktemp("json"))


# Bytes that are nearly UTF-8: beginnings of characters, too long ones, surrogates, controls.
NEARLY = st.lists(
    st.one_of(
        st.binary(max_size=3),
        st.text(max_size=3).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.sampled_from(
            [b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf0\x9f\x98"]
        ),
        st.sampled_from([b'"', b"\\", b"\n", b"\t", b"\x01", b"\x7f", b"\\x41"]),
    ),
    max_size=8,
).map(b"".join)


@settings(deadline=None)
@given(data=NEARLY)
def test_text_is_json_and_bad_bytes_are_replaced(writer: Writer, data: bytes) -> None:
    """UTF-8 arrives unchanged; each other byte becomes U+FFFD, as in Python."""
    line = writer.text(data)
    assert b"\n" not in line
    assert json.loads(line) == data.decode("utf-8", "each-byte")


@settings(deadline=None)
@given(data=NEARLY.map(lambda data: data.replace(b"\0", b"")))
def test_names_are_json_and_bad_bytes_can_be_read(writer: Writer, data: bytes) -> None:
    """Each byte that is not UTF-8 is shown as the four characters \\xNN."""
    line = writer.name(b"comm:", data)
    assert json.loads(line) == "comm:" + data.decode("utf-8", "backslashreplace")


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, b"0"), (1, b"0.001"), (1500, b"1.5"), (20_010, b"20.01"), (3_000_000, b"3000")],
)
def test_microseconds_are_exact_and_short(writer: Writer, ns: int, text: bytes) -> None:
    assert writer.microseconds(ns) == text
