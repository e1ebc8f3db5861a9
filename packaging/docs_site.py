# SPDX-License-Identifier: GPL-2.0-or-later
"""What mkdocs asks while it builds the site (`hooks` of mkdocs.yml): pages from outside of docs/.

They are read where they lie, so that each text exists once. Links between all of these pages are
made to lead within the site; a link to any other file of the tree becomes that file's name.
"""

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
# By path in the tree: the page's path in the site.
BROUGHT = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "daemon/api/README.md": "api.md",
}
SCHEDULERS = "schedulers.md"
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that lie elsewhere, and one with the pages of all schedulers."""
    for source, name in BROUGHT.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text()))
    pages = sorted(ROOT.glob("scheduler_library/schedulers/*/README.md"))
    text = "\n".join(_deeper(page.read_text()) for page in pages)
    head = "# Pages of the schedulers\n\nOne for each scheduler that comes with schedpilot.\n\n"
    files.append(File.generated(config, SCHEDULERS, content=head + text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """The page's text, with links that lead to where the site has their targets."""
    name = page.file.src_uri
    source = {site: tree for tree, site in BROUGHT.items()}.get(name, f"docs/{name}")
    folder = PurePosixPath(source).parent
    up = "../" * (len(PurePosixPath(name).parts) - 1)

    def led(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        place, hash_, anchor = target.partition("#")
        if not place or re.match(r"[a-z]+:", place):
            return match[0]
        tree = _normal(folder / place)
        site = BROUGHT.get(tree) or (tree.removeprefix("docs/") if tree.startswith("docs/") else "")
        if not site:
            return f"`{text}`" if "`" not in text else text
        return f"{mark}[{text}]({up}{site}{hash_}{anchor})"

    # A table right below a comment would be taken for a part of it.
    markdown = re.sub(r"-->\n(?=\|)", "-->\n\n", markdown)
    return _outside_code(markdown, lambda part: _LINK.sub(led, part))


def _outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """Applies `change` to what is no fenced block."""
    parts = re.split(r"(^ *```.*?^ *```)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if at % 2 else change(part) for at, part in enumerate(parts))


def _deeper(text: str) -> str:
    """Every heading one level further down."""
    return _outside_code(text, lambda part: re.sub(r"^#", "##", part, flags=re.MULTILINE))


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
