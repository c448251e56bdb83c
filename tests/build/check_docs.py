#!/usr/bin/env python3
"""Fails when a page shows C++ that is not compiled, or links to a file that is not there.

    check_docs.py [ROOT]     prints one line for each fault; exit code 1 when there is one

Each ```cpp block in README.md and docs/ must stand, line for line, in a file of examples/.
"""

import re
import sys
from pathlib import Path

BLOCK = re.compile(r"^```cpp\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def faults(root: Path):
    examples = [path.read_text(encoding="utf-8") for path in sorted((root / "examples").glob("*.cpp"))]
    for page in [root / "README.md", *sorted((root / "docs").rglob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        name = page.relative_to(root).as_posix()
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            if not any(match.group(1) in example for example in examples):
                yield f"{name}:{line}: this C++ stands in no file of examples/"
        for match in LINK.finditer(text):
            if not (page.parent / match.group(1)).exists():
                line = text.count("\n", 0, match.start()) + 1
                yield f"{name}:{line}: the link to {match.group(1)} leads nowhere"


def main() -> int:
    found = list(faults(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
    print("\n".join(found) if found else "the pages show compiled code, and their links lead somewhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
