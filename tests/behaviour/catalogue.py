"""The statements of docs/reference/behaviour.md, and the tests whose names begin with a statement's id."""

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "build"))
from cpp_source import blank, files, line_of  # noqa: E402

PAGE = "docs/reference/behaviour.md"
KINDS = ("unit", "simulation", "connection", "integration", "fault")  # each a folder of tests/ and a program
REMEDY = "python3 tests/behaviour/list_statements.py --write-page"

ID = r"[A-Z]{2}-\d+"
ROW = re.compile(rf"^\| ({ID}) \| (.+) \|(?: (.*?))? \|$")
ALMOST_ROW = re.compile(rf"^\|\s*({ID})\b")
GROUP = re.compile(r"^## (.+)$")
TITLE = re.compile(r"\*\*(.+?)\.?\*\*")
# What people write into the third column; all else there is generated.
NOTE = re.compile(r"(?:left out|elsewhere): .+$")
LINK = re.compile(r"\[((?:\\.|[^\]\\])+)\]\(([^)]+)\)")

LITERAL = r'"(?:\\.|[^"\\\n])*"'
TEST_CASE = re.compile(
    rf"\b(?:TEMPLATE_)?(?:LIST_)?(?:TEST_CASE|TEST_CASE_METHOD)\s*\(\s*(?:[\w:]+\s*,\s*)?((?:{LITERAL}\s*)+)[,)]"
)
NAMED = re.compile(rf"({ID}(?:, {ID})*): (.+)")
ALMOST_NAMED = re.compile(r"[A-Za-z]{2}-\d+\b")


@dataclass
class statement:
    id: str
    group: str
    promise: str
    note: str = ""  # "left out: reason" or "elsewhere: where"
    cell: str = ""  # the third column as it stands on the page

    @property
    def title(self) -> str:
        """A few words of the promise."""
        bold = TITLE.match(self.promise)
        if bold:
            return bold.group(1)
        return self.promise if len(self.promise) <= 70 else self.promise[:67].rsplit(" ", 1)[0] + " …"


@dataclass
class test_case:
    kind: str
    path: str
    line: int
    name: str
    ids: list = field(default_factory=list)
    text: str = ""  # the name without its ids


def statement_of(row, group: str = "") -> statement:
    cell = row.group(3) or ""
    note = NOTE.search(cell)
    return statement(row.group(1), group, row.group(2), note.group() if note else "", cell)


def statements_of(page: str):
    """(statements in the page's order, faults of the page's form)"""
    found, faults, group, seen = [], [], "", set()
    for number, line in enumerate(page.splitlines(), 1):
        heading = GROUP.match(line)
        group = heading.group(1) if heading else group
        row = ROW.match(line)
        if row is None:
            if ALMOST_ROW.match(line):
                faults.append(f"{PAGE}:{number}: not a row of the form | id | promise | tests |")
            continue
        if row.group(1) in seen:
            faults.append(f"{PAGE}:{number}: {row.group(1)} has a second row")
        seen.add(row.group(1))
        found.append(statement_of(row, group))
    return found, faults


def read_page(root: Path) -> str:
    return (root / PAGE).read_text(encoding="utf-8")


def tests_of(root: Path):
    """(test cases whose name begins with an id, faults of names that begin almost so)"""
    found, faults = [], []
    for kind in KINDS:
        for path in files(root, f"tests/{kind}"):
            name_of_file = path.relative_to(root).as_posix()
            text = blank(path.read_text(encoding="utf-8"), keep_strings=True)
            for match in TEST_CASE.finditer(text):
                literals = re.findall(LITERAL, match.group(1))
                name = re.sub(r"\\(.)", r"\1", "".join(part[1:-1] for part in literals)).strip()
                line = line_of(text, match.start())
                named = NAMED.fullmatch(name)
                if named:
                    ids = named.group(1).split(", ")
                    found.append(test_case(kind, name_of_file, line, name, ids, named.group(2)))
                elif ALMOST_NAMED.match(name):
                    faults.append(f'{name_of_file}:{line}: "{name}" must begin "ID: …" or "ID, ID: …"')
    return found, faults


def mismatches(statements: list, tests: list) -> list:
    """Tests of statements that the page does not have, or says are left out."""
    known = {each.id: each for each in statements}
    faults = []
    for test in tests:
        for id in test.ids:
            if id not in known:
                faults.append(f"{test.path}:{test.line}: {PAGE} has no statement {id}")
            elif known[id].note.startswith("left out"):
                faults.append(f"{test.path}:{test.line}: a test of {id}, which {PAGE} says is left out")
    return faults


def link(test: test_case) -> str:
    text = re.sub(r"([\\\[\]|<*_`])", r"\\\1", test.text)
    return f"[{text}]({os.path.relpath(test.path, Path(PAGE).parent.as_posix())})"


def cell_of(each: statement, tests: list) -> str:
    """What the third column should hold."""
    parts = [link(test) for test in tests if each.id in test.ids]
    return "; ".join(parts + [each.note] * bool(each.note)) or "not proven yet"


def written(page: str, tests: list) -> str:
    """The page with its third column filled from the tests."""
    lines = []
    for line in page.splitlines():
        row = ROW.match(line)
        if row:
            each = statement_of(row)
            line = f"| {each.id} | {each.promise} | {cell_of(each, tests)} |"
        lines.append(line)
    return "\n".join(lines) + "\n"


def page_faults(root: Path) -> list:
    """Everything in which page and tests disagree; empty if the page is up to date."""
    page = read_page(root)
    statements, faults = statements_of(page)
    tests, misnamed = tests_of(root)
    faults += misnamed + mismatches(statements, tests)
    for each in statements:
        wanted = cell_of(each, tests)
        if each.cell == wanted:
            continue
        here, there = LINK.findall(each.cell), LINK.findall(wanted)
        missing = [pair for pair in there if pair not in here]
        gone = [pair for pair in here if pair not in there]
        faults += [f"{PAGE}: {each.id} lacks the test “{text}” of {path}" for text, path in missing]
        faults += [f"{PAGE}: {each.id} names “{text}”, which {path} does not have" for text, path in gone]
        if not missing and not gone:
            faults.append(f"{PAGE}: the third column of {each.id} is not as generated")
    return faults
