"""What the checks of this folder share: finding our sources, and reading one without its comments and strings."""

import re
from pathlib import Path

SUFFIXES = {".cpp", ".hpp"}
# Samples that are wrong on purpose.
NOT_OURS = ("build", "tests/build/samples", "tests/compile")

_TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'""",
    re.DOTALL,
)


def files(root: Path, *folders: str) -> list[Path]:
    """Our sources under the folders, sorted; a folder that is not there yet has none."""
    found = []
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.suffix in SUFFIXES and not name.startswith(tuple(f"{part}/" for part in NOT_OURS)):
                found.append(path)
    return found


def blank(text: str, keep_strings: bool = False) -> str:
    """The text with comments and the insides of strings replaced by spaces: offsets and lines stay as they are."""

    def replace(match: re.Match) -> str:
        token = match.group()
        if not token.startswith("/"):
            if keep_strings:
                return token
            inner = re.sub(r"[^\n]", " ", token[1:-1])
            return '"' + inner + '"' if token[0] in "\"R" else "'" + inner + "'"
        return re.sub(r"[^\n]", " ", token)

    return _TOKEN.sub(replace, text)


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1
