#!/usr/bin/env python3
"""check_compile.py tells a good file from a bad one, and a bad one from one that fails for another reason."""

import sys
import tempfile
import unittest
from pathlib import Path

from check_compile import judge

COMPILER = [sys.argv.pop(1)] if len(sys.argv) > 1 else ["c++"]
REFUSED = 'template <class T> void f(T) { static_assert(sizeof(T) == 0, "give it a name first"); }\nvoid g() { f(1); }\n'


class compile_cases(unittest.TestCase):
    def outcome(self, name: str, text: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_text(text)
            return judge(path, COMPILER)

    def test_a_good_file_that_compiles_passes(self):
        self.assertEqual(self.outcome("good_a.cpp", "int a;\n"), "")

    def test_a_good_file_that_does_not_compile_fails(self):
        self.assertIn("must compile", self.outcome("good_a.cpp", REFUSED))

    def test_a_bad_file_refused_for_the_reason_meant_passes(self):
        self.assertEqual(self.outcome("bad_a.cpp", "// expect: give it a name\n" + REFUSED), "")

    def test_a_bad_file_refused_for_another_reason_fails(self):
        self.assertIn("without", self.outcome("bad_a.cpp", "// expect: another remedy\n" + REFUSED))

    def test_a_bad_file_that_compiles_fails(self):
        self.assertIn("and does", self.outcome("bad_a.cpp", "// expect: anything\nint a;\n"))

    def test_a_bad_file_must_say_what_it_expects(self):
        self.assertIn("no `// expect:`", self.outcome("bad_a.cpp", REFUSED))

    def test_a_file_meant_for_another_compiler_is_skipped(self):
        self.assertEqual(self.outcome("bad_a.cpp", "// only: no such compiler\n// expect: x\nint a;\n"), "")


if __name__ == "__main__":
    unittest.main()
