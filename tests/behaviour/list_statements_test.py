#!/usr/bin/env python3
"""The list shows what a planted report says, and sees statements without tests, unknown ids and a page out of date."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

import catalogue
import programs
from list_statements import main

PAGE = """# What you can rely on

## Sizing (SZ)

| id | promise | tests |
|---|---|---|
| SZ-1 | **Never more than `size.max`.** Not even in a storm. | |
| SZ-2 | Another promise. | |
| SZ-3 | **A reserve.** For bad moments. | left out: nobody asked for it |

## Acquiring (AQ)

| id | promise | tests |
|---|---|---|
| AQ-1 | **Quick.** | elsewhere: `bench/run` |
"""
SOURCES = {
    "tests/unit/sizes_test.cpp": 'TEST_CASE("SZ-1: a storm, [of] many") {}\n'
    '// TEST_CASE("SZ-9: not compiled") {}\nTEST_CASE("no id, no promise") {}\n',
    "tests/fault/sizes_test.cpp": 'TEST_CASE_METHOD(server, "SZ-1, SZ-2: the name of a long case, "\n'
    '                 "in two \\"parts\\"", "[slow]") {}\n',
}
LONG = "SZ-1, SZ-2: the name of a long case, in two &quot;parts&quot;"


def case(name: str, overall: str, inside: str = "") -> str:
    return f'<TestCase name="{name}" filename="x.cpp" line="1">{inside}{overall}</TestCase>'


def passed(name: str) -> str:
    return case(name, '<OverallResult success="true" durationInSeconds="1.5"/>')


def version2(*cases: str) -> str:
    return '<?xml version="1.0"?><Catch name="x"><Group name="x">' + "".join(cases) + "</Group></Catch>"


def version3(*cases: str) -> str:
    return '<?xml version="1.0"?><Catch2TestRun name="x">' + "".join(cases) + "</Catch2TestRun>"


FAILED = case(
    LONG,
    '<OverallResult success="false" durationInSeconds="0.25"><StdOut>seen 12</StdOut></OverallResult>',
    '<Section name="at night"><Info>in round 3</Info><Expression success="false" type="REQUIRE" filename="t.cpp" line="7">'
    "<Original>open &lt;= max</Original><Expanded>11 &lt;= 10</Expanded></Expression></Section>",
)
SKIPPED = case(LONG, '<OverallResult success="true"><StdOut>first\nSKIPPED: no ip command\n</StdOut></OverallResult>')
SKIPPED_BY_3 = case(LONG, '<OverallResult success="true" skips="1"/>', '<Skip filename="t.cpp" line="7">no ip</Skip>')
STORM = passed("SZ-1: a storm, [of] many")
# A test program that writes the report beside it, and its patterns.
PROGRAM = """#!/bin/sh
printf %s "$1" >"$0.patterns"
while [ "$1" != --out ]; do shift; done
cp "$0.xml" "$2"
[ ! -e "$0.code" ] || exit "$(cat "$0.code")"
"""


class tree:
    """A small project in a folder of its own."""

    def __init__(self, folder: str, page: str = PAGE, sources: dict = SOURCES):
        self.root = Path(folder)
        self.write(catalogue.PAGE, page)
        for name, text in sources.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def program(self, kind: str, report: str, code: str = ""):
        self.write(f"programs/trunkline_{kind}_tests", PROGRAM).chmod(0o755)
        self.write(f"programs/trunkline_{kind}_tests.xml", report)
        if code:
            self.write(f"programs/trunkline_{kind}_tests.code", code)

    def patterns(self, kind: str) -> str:
        return (self.root / f"programs/trunkline_{kind}_tests.patterns").read_text(encoding="utf-8")

    def run(self, *arguments: str):
        """(exit code, what was printed)"""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            code = main(["--root", str(self.root), *arguments])
        return code, out.getvalue()

    def list(self, *arguments: str):
        return self.run("--programs", str(self.root / "programs"), *arguments)


class behaviour_case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def listed(self, unit: str, fault: str, *arguments: str, code: str = ""):
        planted = tree(self.folder)
        planted.program("unit", unit)
        planted.program("fault", fault, code)
        return planted.list(*arguments)


class listing_cases(behaviour_case):
    def test_a_planted_report_gives_the_expected_listing(self):
        code, text = self.listed(version2(STORM), version3(passed(LONG)))
        self.assertEqual(
            text,
            """Sizing (SZ)
  SZ-1   passed     Never more than `size.max`
                    unit: a storm, [of] many  [passed, 1.50 s]
                    fault: the name of a long case, in two "parts"  [passed, 1.50 s]
  SZ-2   passed     Another promise.
                    fault: the name of a long case, in two "parts"  [passed, 1.50 s]
  SZ-3   left out   A reserve
                    left out: nobody asked for it

Acquiring (AQ)
  AQ-1   elsewhere  Quick
                    elsewhere: `bench/run`

4 statements: 1 elsewhere, 1 left out, 2 passed
""",
        )
        self.assertEqual(code, 0)

    def test_a_failure_is_shown_with_its_words(self):
        code, text = self.listed(version2(STORM), version2(FAILED), code="1")
        self.assertEqual(code, 1)
        self.assertIn("  SZ-1   failed ", text)
        for words in ("t.cpp:7: at night: REQUIRE( open <= max )", "with 11 <= 10", "in round 3", "seen 12"):
            self.assertIn(words, text)

    def test_a_skipped_test_proves_nothing_and_says_why(self):
        for report, reason in ((version2(SKIPPED), "no ip command"), (version3(SKIPPED_BY_3), "no ip")):
            with self.subTest(reason=reason):
                code, text = self.listed(version2(STORM), report)
                self.assertEqual(code, 1)
                self.assertIn("  SZ-2   skipped ", text)
                self.assertIn(f"[skipped: {reason}]", text)

    def test_a_program_that_dies_fails_the_case_it_was_in(self):
        half = version2(case("SZ-1, SZ-2: other", "")).split("<TestCase")[0] + f'<TestCase name="{LONG}"><Info>'
        code, text = self.listed(version2(STORM), half, code="3")
        self.assertEqual(code, 1)
        self.assertIn("  SZ-2   failed ", text)
        self.assertIn("the report ends within this case", text)

    def test_a_program_that_fails_without_a_failed_case_is_told(self):
        code, text = self.listed(version2(STORM), version2(passed(LONG)), code="23")
        self.assertEqual(code, 1)
        self.assertIn("trunkline_fault_tests ended with code 23, though no case failed", text)

    def test_what_is_not_there_is_not_built(self):
        planted = tree(self.folder)
        planted.program("unit", version2())
        code, text = planted.list()
        self.assertEqual(code, 1)
        self.assertIn("[not built: trunkline_unit_tests does not have it", text)
        self.assertIn("[not built: there is no trunkline_fault_tests", text)
        self.assertIn("[not built: its build failed", planted.list("--not-built", "trunkline_unit_tests")[1])

    def test_a_statement_without_a_test_and_without_a_reason_is_found(self):
        planted = tree(self.folder, sources={"tests/unit/a_test.cpp": 'TEST_CASE("SZ-1: a") {}\n'})
        planted.program("unit", version2(passed("SZ-1: a")))
        code, text = planted.list()
        self.assertEqual(code, 1)
        self.assertIn("  SZ-2   no test ", text)

    def test_a_regex_chooses_statements_and_the_cases_that_run(self):
        code, text = self.listed(version2(STORM), version2(passed(LONG)), "-R", "storm")
        self.assertEqual(code, 0)
        self.assertIn("1 statements: 1 passed", text)
        self.assertEqual(tree(self.folder).patterns("unit"), r"SZ-1: a storm\, \[of] many*")
        self.assertEqual(self.listed(version2(), version2(), "-R", "nothing like it")[0], 1)

    def test_without_a_regex_each_group_is_one_pattern(self):
        self.listed(version2(STORM), version2(passed(LONG)))
        self.assertEqual(tree(self.folder).patterns("fault"), "SZ-*")

    def test_a_template_is_as_good_as_its_worst_type(self):
        planted = tree(self.folder, sources={"tests/unit/a_test.cpp": 'TEMPLATE_TEST_CASE("SZ-1: a", "", int, long) {}\n'})
        bad = passed("SZ-1: a - long").replace('success="true"', 'success="false"')
        planted.program("unit", version2(passed("SZ-1: a - int"), bad), code="1")
        self.assertIn("  SZ-1   failed ", planted.list()[1])

    def test_only_programs_with_cases_are_needed(self):
        self.assertEqual(tree(self.folder).run("--needed")[1], "trunkline_unit_tests\ntrunkline_fault_tests\n")
        self.assertEqual(tree(self.folder).run("--needed", "-R", "SZ-2")[1], "trunkline_fault_tests\n")


class page_cases(behaviour_case):
    def check(self, page: str = PAGE, **sources: str):
        planted = {f"tests/unit/{name}.cpp": text for name, text in sources.items()}
        return tree(self.folder, page, planted).run("--check-page")

    def test_the_page_is_filled_from_the_tests_and_then_up_to_date(self):
        planted = tree(self.folder)
        self.assertEqual(planted.run("--check-page")[0], 1)
        self.assertEqual(planted.run("--write-page")[0], 0)
        page = catalogue.read_page(planted.root)
        self.assertIn(r"| [a storm, \[of\] many](../../tests/unit/sizes_test.cpp); [the name", page)
        self.assertIn("| left out: nobody asked for it |", page)
        self.assertIn("| elsewhere: `bench/run` |", page)
        self.assertEqual(planted.run("--check-page")[0], 0)
        self.assertEqual(planted.run("--write-page")[0], 0)
        self.assertEqual(catalogue.read_page(planted.root), page)

    def test_a_test_that_the_page_lacks_and_one_that_is_gone_are_told(self):
        page = PAGE.replace("storm. | |", "storm. | [old](../../tests/unit/old_test.cpp) |")
        code, text = self.check(page, a_test='TEST_CASE("SZ-1: new") {}\n')
        self.assertEqual(code, 1)
        self.assertIn("SZ-1 lacks the test “new” of ../../tests/unit/a_test.cpp", text)
        self.assertIn("SZ-1 names “old”, which ../../tests/unit/old_test.cpp does not have", text)

    def test_an_unknown_id_is_told(self):
        code, text = self.check(a_test='\nTEST_CASE("SZ-1, SZ-99: a") {}\n')
        self.assertEqual(code, 1)
        self.assertIn(f"tests/unit/a_test.cpp:2: {catalogue.PAGE} has no statement SZ-99", text)

    def test_a_test_of_what_is_left_out_is_told(self):
        self.assertIn("a test of SZ-3, which", self.check(a_test='TEST_CASE("SZ-3: a") {}\n')[1])

    def test_a_name_that_begins_almost_with_an_id_is_told(self):
        for name in ("SZ-1 a", "sz-1: a", "SZ-1,SZ-2: a", "SZ-1/SZ-2: a"):
            with self.subTest(name=name):
                self.assertIn("must begin", self.check(a_test=f'TEST_CASE("{name}") {{}}\n')[1])

    def test_a_second_row_and_a_broken_row_are_told(self):
        text = self.check(PAGE + "| AQ-1 | again | |\n| AQ-2 | no third column |\n")[1]
        self.assertIn("AQ-1 has a second row", text)
        self.assertIn("not a row of the form", text)


class name_cases(unittest.TestCase):
    def test_a_name_is_escaped_as_catch_wants_it(self):
        self.assertEqual(programs.escaped("A, b [c] \\ d"), "A\\, b \\[c] \\\\ d")


if __name__ == "__main__":
    unittest.main()
