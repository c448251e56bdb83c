#!/usr/bin/env python3
"""check_floors.py sees each kind of violation, and is silent about a tree that is in order."""

import tempfile
import unittest
from pathlib import Path

from check_floors import check

IN_ORDER = {
    "config/include/trunkline/settings.hpp": "#include <chrono>\n",
    "config/include/trunkline/config.hpp": "#include <trunkline/settings.hpp>\n",
    "config/src/loader.cpp": "#include <trunkline/config.hpp>\n#include <boost/json.hpp>\n",
    "pool/include/trunkline/error.hpp": "#include <boost/system/error_code.hpp>\n",
    "pool/include/trunkline/pool.hpp": "#include <trunkline/settings.hpp>\n#include <boost/asio/awaitable.hpp>\n",
    "pool/include/trunkline/json.hpp": "#include <trunkline/error.hpp>\n#include <boost/json/value.hpp>\n",
    "pool/src/pool.cpp": '#include <trunkline/pool.hpp>\n#include "core/core.hpp"\n#include "pg/session.hpp"\n'
    "boost::asio::steady_timer announced{executor, at};\n",
    "pool/src/pool_timer.hpp": "// one timer, no strand\nboost::asio::steady_timer timer_;\n",
    "pool/src/core/core.hpp": "#include <trunkline/settings.hpp>\n#include <trunkline/error.hpp>\n",
    "pool/src/core/core.cpp": '#include "core/core.hpp"\n// never calls now()\n',
    "pool/src/pg/session.hpp": "#include <libpq-fe.h>\n#include <trunkline/error.hpp>\nsteady_timer deadline_;\n",
    "runtime/src/runtime.cpp": "#include <trunkline/pool.hpp>\n#include <spdlog/spdlog.h>\n",
    "examples/embed.cpp": "#include <trunkline/pool.hpp>\n",
    "stress/bench/baseline.cpp": "#include <libpq-fe.h>\n",
    "tests/unit/core_test.cpp": '#include "core/core.hpp"\n',
    "tests/integration/pool_test.cpp": '#include <trunkline/pool.hpp>\n#include "support/catch.hpp"\n',
    "tests/support/catch.hpp": "",
}

PLANTED = [
    ("config/src/settings.cpp", "#include <boost/json.hpp>\n", "settings must not reach"),
    ("config/src/settings.cpp", "#include <trunkline/config.hpp>\n", "not below it"),
    ("config/src/loader.cpp", "#include <trunkline/pool.hpp>\n", "not below it"),
    ("pool/include/trunkline/row.hpp", "#include <libpq-fe.h>\n", "a public header includes <libpq-fe.h>"),
    ("pool/include/trunkline/row.hpp", '#include "../../src/core/core.hpp"\n', "the private pool/src/core/core.hpp"),
    ("pool/include/trunkline/row.hpp", "#include <boost/json/value.hpp>\n", "a public header includes <boost/json"),
    ("pool/include/trunkline/row.hpp", "#include <trunkline/json.hpp>\n", "which is the program's to choose"),
    ("pool/include/trunkline/json.hpp", "#include <boost/beast/http.hpp>\n", "pool must not reach"),
    ("pool/src/pool.cpp", "#include <libpq-fe.h>\n", "belongs to pool/src/pg alone"),
    ("pool/src/lease.cpp", "#include <spdlog/spdlog.h>\n", "pool must not reach"),
    ("pool/src/lease.cpp", "#include <boost/beast/http.hpp>\n", "pool must not reach"),
    ("pool/src/lease.cpp", "#include <trunkline/config.hpp>\n", "not below it"),
    ("pool/src/core/queue.cpp", "#include <boost/asio/post.hpp>\n", "core must not reach <boost/asio/post.hpp>"),
    ("pool/src/core/queue.cpp", "#include <mutex>\n", "core must not reach <mutex>"),
    ("pool/src/core/queue.cpp", "auto t = std::chrono::steady_clock::now();\n", "the core uses ::now"),
    ("pool/src/core/queue.cpp", "#include <trunkline/pool.hpp>\n", "not below it"),
    ("pool/src/core/queue.cpp", '#include "pg/session.hpp"\n', "not below it"),
    ("pool/src/pg/dial.cpp", '#include "core/core.hpp"\n', "not below it"),
    ("pool/src/pg/dial.cpp", "#include <trunkline/lease.hpp>\n", "not below it"),
    ("pool/src/waiters.cpp", "boost::asio::steady_timer second_;\n", "a second steady_timer"),
    ("pool/src/waiters.cpp", "auto guard = asio::make_strand(ex);\n", "a strand"),
    ("runtime/src/admin.cpp", '#include "core/core.hpp"\n', "not below it"),
    ("examples/inside.cpp", '#include "../pool/src/core/core.hpp"\n', "a user of the public surface"),
    ("stress/src/main.cpp", "#include <libpq-fe.h>\n", "belongs to pool/src/pg"),
    ("stress/src/main.cpp", '#include "core/core.hpp"\n', "a user of the public surface"),
    ("tests/integration/inside_test.cpp", '#include "pg/session.hpp"\n', "a user of the public surface"),
]


def violations(tree: dict) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in tree.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return check(Path(folder))


class floors(unittest.TestCase):
    def test_a_tree_in_order_is_accepted(self):
        self.assertEqual(violations(IN_ORDER), [])

    def test_each_planted_violation_is_reported_once_with_its_file(self):
        for name, text, expected in PLANTED:
            with self.subTest(file=name, include=text.strip()):
                tree = dict(IN_ORDER)
                tree.setdefault("pool/include/trunkline/lease.hpp", "")
                tree[name] = tree.get(name, "") + text
                found = violations(tree)
                self.assertTrue(found)
                self.assertTrue(all(line.startswith(f"{name}:") for line in found), found)
                self.assertTrue(any(expected in line for line in found), found)

    def test_asio_reached_through_another_header_is_seen_with_the_way_to_it(self):
        tree = dict(IN_ORDER)
        tree["pool/include/trunkline/error.hpp"] = "#include <boost/asio/error.hpp>\n"
        self.assertIn(
            "pool/src/core/core.hpp:2: core must not reach pool/include/trunkline/error.hpp -> <boost/asio/error.hpp>",
            violations(tree),
        )

    def test_a_pool_without_its_timer_is_reported(self):
        tree = dict(IN_ORDER)
        tree["pool/src/pool_timer.hpp"] = ""
        self.assertEqual(len(violations(tree)), 1)


if __name__ == "__main__":
    unittest.main()
