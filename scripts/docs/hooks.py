"""What mkdocs asks for while it builds the site: pages that are made from the package, and links that leave it."""

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s:]+?)(#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the reference, and the changelog."""
    sys.path.insert(0, str(ROOT))  # mkdocs runs this file outside of its package
    from scripts.docs import commands, configuration, python, records

    made = {
        "reference/commands.md": commands.page(),
        "reference/configuration.md": configuration.page(),
        "reference/python.md": python.page(),
        "reference/records.md": records.page(),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    }
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point links to files of the repository outside `docs/` to the repository, or make them plain text."""

    def changed(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page.file.src_uri), target))
        if path.startswith("docs/") or not (ROOT / path).exists():
            return match[0]
        if not config.repo_url:
            return text
        return f"[{text}]({config.repo_url.rstrip('/')}/blob/main/{path}{anchor})"

    return LINK.sub(changed, markdown)
