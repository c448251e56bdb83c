#!/usr/bin/env python3
"""Statement after statement: which tests prove it, and whether they pass.

    list_statements.py --programs FOLDER [-R REGEX] [--not-built PROGRAM]…
                                            runs the cases that carry a statement's id and prints the list
    list_statements.py --needed [-R REGEX]  the programs that have such cases, one a line
    list_statements.py --write-page         fills the third column of docs/reference/behaviour.md from the tests' names
    list_statements.py --check-page         fails if that column is out of date, or a name carries an unknown id

Exit code 0: each statement listed is proven by tests that all passed, is left out with a reason, or is proven elsewhere.
A skipped test proves nothing. REGEX is searched in the ids and in the names of the tests.
"""

import argparse
import re
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import catalogue
import programs
from programs import outcome, report

AT_ONCE = 2
SECONDS_A_CASE = 180
ACCEPTED = ("passed", "left out", "elsewhere")
# The worst of its tests is what a statement is.
WORST_FIRST = ("failed", "not built", "skipped", "passed")


def program_of(kind: str) -> str:
    return f"trunkline_{kind}_tests"


def choose(statements: list, tests: list, regex: str):
    """(statements, tests) that the regex asks for; a chosen test brings its statements along."""
    wanted = re.compile(regex)
    chosen = [test for test in tests if wanted.search(test.name) or any(wanted.search(id) for id in test.ids)]
    ids = {id for test in chosen for id in test.ids}
    return [each for each in statements if each.id in ids or wanted.search(each.id)], chosen


def run_all(folder: Path, tests: list, root: Path, not_built: list, by_group: bool) -> dict:
    """A report for each kind of test that has cases. By group, one pattern stands for all the cases of a group."""

    def run_kind(kind: str) -> report:
        program, mine = folder / program_of(kind), [test for test in tests if test.kind == kind]
        if program.name in not_built:
            return report({test.name: outcome("not built", reason="its build failed") for test in mine})
        if not program.is_file():
            return report({test.name: outcome("not built", reason=f"there is no {program.name}") for test in mine})
        names = [f"{programs.escaped(test.name)}*" for test in mine]  # * for a template's " - type"
        if by_group:
            names = [f"{group}*" for group in dict.fromkeys(test.name.split("-")[0] + "-" for test in mine)]
        print(f"running {program.name}: {len(mine)} cases", file=sys.stderr)
        return programs.run(program, names, root, 60 + SECONDS_A_CASE * len(mine))

    kinds = [kind for kind in catalogue.KINDS if any(test.kind == kind for test in tests)]
    with ThreadPoolExecutor(AT_ONCE) as two:
        return dict(zip(kinds, two.map(run_kind, kinds)))


def outcome_of(test: catalogue.test_case, reports: dict) -> outcome:
    """A TEMPLATE_TEST_CASE is reported once for each type, as "name - type"."""
    mine = reports[test.kind]
    parts = [each for name, each in mine.outcomes.items() if name == test.name or name.startswith(f"{test.name} - ")]
    if parts:
        worst = min(parts, key=lambda each: WORST_FIRST.index(each.result))
        texts = [text for each in parts for text in each.failures]
        return outcome(worst.result, sum(each.seconds for each in parts), worst.reason, texts)
    if mine.problem:
        return outcome("failed", failures=["it was not reached, or its program did not start; see below"])
    return outcome("not built", reason=f"{program_of(test.kind)} does not have it")


def result_of(each: catalogue.statement, outcomes: list) -> str:
    if outcomes:
        return min((each.result for each in outcomes), key=WORST_FIRST.index)
    return each.note.split(":")[0] or "no test"


def listing(statements: list, tests: list, reports: dict):
    """(lines, results): the list itself, and how many statements came to which result."""
    lines, results, group = [], Counter(), None
    for each in statements:
        if each.group != group:
            group = each.group
            lines += ["", group]
        pairs = [(test, outcome_of(test, reports)) for test in tests if each.id in test.ids]
        result = result_of(each, [found for _, found in pairs])
        results[result] += 1
        lines.append(f"  {each.id:<6} {result:<9}  {each.title}")
        if each.note:
            lines.append(f"{'':20}{each.note}")
        for test, found in pairs:
            told = f": {found.reason}" if found.reason else f", {found.seconds:.2f} s"
            lines.append(f"{'':20}{test.kind}: {test.text}  [{found.result}{told}]")
    return lines, results


def failures(tests: list, reports: dict) -> list:
    lines = []
    for test in tests:
        texts = outcome_of(test, reports).failures
        if texts:
            lines += ["", f"{test.kind}: {test.name}"]
        lines += [f"    {line}" for text in texts for line in text.splitlines()]
    for mine in reports.values():
        lines += ["", *mine.problem.splitlines()] if mine.problem else []
    return lines


def run_and_list(root: Path, folder: Path, regex: str, not_built: list) -> int:
    statements, faults = catalogue.statements_of(catalogue.read_page(root))
    tests, misnamed = catalogue.tests_of(root)
    faults += misnamed + catalogue.mismatches(statements, tests)
    if regex:
        statements, tests = choose(statements, tests, regex)
    if not statements and not tests:
        print(f"no statement and no test matches '{regex}'")
        return 1
    reports = run_all(folder, tests, root, not_built, by_group=not regex)
    lines, results = listing(statements, tests, reports)
    lines += failures(tests, reports)
    if faults:
        lines += ["", "names and page disagree:", *faults]
    count = ", ".join(f"{results[result]} {result}" for result in sorted(results))
    print("\n".join(lines).lstrip("\n"))
    print(f"\n{sum(results.values())} statements: {count}")
    problem = faults or any(mine.problem for mine in reports.values())
    return 1 if problem or any(result not in ACCEPTED for result in results) else 0


def main(arguments: list) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).parent.parent.parent, help="the project's folder")
    parser.add_argument("--programs", type=Path, metavar="FOLDER", help="where the test programs are")
    parser.add_argument("--not-built", action="append", default=[], metavar="PROGRAM", help="do not run it")
    parser.add_argument("-R", dest="regex", default="", help="only statements and tests that match")
    mode = parser.add_mutually_exclusive_group()
    for flag in ("--needed", "--write-page", "--check-page"):
        mode.add_argument(flag, action="store_true")
    asked = parser.parse_args(arguments)
    root = asked.root.resolve()
    try:
        re.compile(asked.regex)
    except re.error as error:
        parser.error(f"'{asked.regex}' is no regular expression: {error}")
    if asked.needed:
        _, tests = choose([], catalogue.tests_of(root)[0], asked.regex)
        print("\n".join(program_of(kind) for kind in catalogue.KINDS if any(test.kind == kind for test in tests)))
        return 0
    if asked.write_page:
        page = catalogue.written(catalogue.read_page(root), catalogue.tests_of(root)[0])
        (root / catalogue.PAGE).write_text(page, encoding="utf-8")
    if asked.write_page or asked.check_page:
        faults = catalogue.page_faults(root)
        print("\n".join([*faults, f"refresh the page: {catalogue.REMEDY}"]) if faults else "the page is up to date")
        return 1 if faults else 0
    if asked.programs is None:
        parser.error("--programs says where the test programs are; ./tests/run behaviour builds and runs them")
    return run_and_list(root, asked.programs, asked.regex, asked.not_built)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
