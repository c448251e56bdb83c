#!/usr/bin/env python3
"""Compiles one file of tests/compile and judges the outcome.

    check_compile.py FILE -- COMPILER FLAG…

good_*.cpp must compile. bad_*.cpp must not, and for each of its lines `// expect: REGEX` the compiler's output must have
a match: a file that fails for another reason than the one meant is a failed test. A line `// only: g++ 12` makes the
file count for compilers whose `--version` it matches (a regex); with any other compiler a bad file is skipped.
"""

import re
import subprocess
import sys
from pathlib import Path


def judge(path: Path, compiler: list[str]) -> str:
    """Empty when all is well, else what is wrong."""
    text = path.read_text(encoding="utf-8")
    only = re.search(r"^// only: (.+)$", text, re.MULTILINE)
    if only:
        version = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=True).stdout
        if not re.search(only.group(1), version.splitlines()[0]):
            print(f"skipped: meant for {only.group(1)}")
            return ""
    expected = re.findall(r"^// expect: (.+)$", text, re.MULTILINE)
    run = subprocess.run([*compiler, "-c", "-o", "/dev/null", str(path)], capture_output=True, text=True)
    output = run.stdout + run.stderr
    if path.name.startswith("good_"):
        return f"{path.name} must compile:\n{output}" if run.returncode != 0 else ""
    if not expected:
        return f"{path.name} has no `// expect:` line"
    if run.returncode == 0:
        return f"{path.name} must not compile, and does"
    missing = [regex for regex in expected if not re.search(regex, output)]
    return f"{path.name} fails, but without {missing}:\n{output}" if missing else ""


def main() -> int:
    split = sys.argv.index("--")
    wrong = judge(Path(sys.argv[1]), [argument for argument in sys.argv[split + 1 :] if argument])
    print(wrong or "as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
