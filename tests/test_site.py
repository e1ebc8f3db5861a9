# SPDX-License-Identifier: GPL-2.0-or-later
"""The site of the documents (mkdocs.yml) and the summary of coverage, without building either."""

import re
from pathlib import Path

from tests.coverage_summary import LEAST_COVERED, LEAST_STATEMENTS, summary

ROOT = Path(__file__).parent.parent
MENU = (ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1]
HOOK = (ROOT / "packaging" / "docs_site.py").read_text()


def test_every_page_is_in_the_menu_once() -> None:
    """Each page of docs/, or from the hook, has one place in the menu."""
    listed = re.findall(r"(\S+\.md)$", MENU, re.MULTILINE)
    own = {str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md")}
    brought = dict(re.findall(r'"(\S+\.md)": "(\S+\.md)"', HOOK))
    assert sorted(listed) == sorted({*own, *brought.values(), "schedulers.md"})
    assert [source for source in brought if not (ROOT / source).is_file()] == []


def test_python_pages_name_modules_that_exist() -> None:
    """Each `::: module` of docs/reference is a module or package of the tree."""
    pages = "".join(page.read_text() for page in ROOT.glob("docs/reference/*.md"))
    modules = re.findall(r"^::: (\S+)$", pages, re.MULTILINE)
    places = [ROOT / module.replace(".", "/") for module in modules]
    missing = [each for each in places if not (each.with_suffix(".py").exists() or each.is_dir())]
    assert missing == []
    assert modules


def _file(percent: float, statements: int) -> dict[str, dict[str, float]]:
    return {"summary": {"percent_covered": percent, "num_statements": statements}}


def test_the_summary_names_the_least_covered_files() -> None:
    """They are the ten with the smallest share, the smallest first, without files of a few
    statements."""
    files = {
        f"part/{each:02}.py": _file(float(each), LEAST_STATEMENTS) for each in range(15, 0, -1)
    }
    files["part/tiny.py"] = _file(0.0, LEAST_STATEMENTS - 1)
    lines = summary({"files": files, "totals": {"percent_covered": 81.25}}).splitlines()
    assert lines[0].startswith("covered: 81.2 %")
    assert "16 files" in lines[0]
    named = [line.split()[-1] for line in lines[2:]]
    assert named == [f"part/{each:02}.py" for each in range(1, LEAST_COVERED + 1)]
