#!/usr/bin/env python3
"""Fails when an include runs against the floors, or the pool grows a second timer, a strand or a clock in its core.

    check_floors.py [ROOT]     prints one line for each violation; exit code 1 when there is one

The floors, bottom up (an arrow never goes up):
    settings    config/, except the loader: nothing but the standard library
    config      config/'s loader: settings
    core        pool/src/core: settings; no Asio, libpq, clock or lock, also not through another header
    resumption  pool/src/resumption: Asio alone
    pg          pool/src/pg: settings, resumption; libpq is nowhere else; not the core, not the pool above it
    pool        the rest of pool/: settings, core, pg; no JSON (but a header of its own), HTTP, spdlog
    runtime     runtime/: everything below
    users       examples/, stress/, tests/: public headers; only unit, simulation and connection tests look inside
"""

import re
import sys
from pathlib import Path

from cpp_source import blank, files, line_of

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)
LOADER = re.compile(r"^(config|environment|loader)")
MODULES = ("config", "pool", "runtime")

LIBPQ = r"(?:libpq|postgres_ext|pg_config|internal/)"
LOCKS = r"mutex$|shared_mutex$|thread$|condition_variable$|semaphore$|latch$|barrier$|future$|stop_token$"
SERVICE = r"boost/(json|beast)|spdlog|fmt/|sodium|CLI/"
# What a floor must not reach through any chain of our own headers.
FORBIDDEN = {
    "settings": rf"boost/|{LIBPQ}|{SERVICE}|{LOCKS}",
    "config": rf"boost/(asio|beast)|{LIBPQ}|spdlog|CLI/",
    "core": rf"boost/asio|{LIBPQ}|{SERVICE}|{LOCKS}",
    "resumption": rf"{LIBPQ}|{SERVICE}",
    "pg": SERVICE,
    "pool": SERVICE,
    "runtime": r"CLI/",
}
# Which floors a floor may include.
BELOW = {
    "settings": {"settings"},
    "config": {"settings", "config"},
    "core": {"settings", "core", "pool"},
    "resumption": {"resumption"},
    "pg": {"settings", "resumption", "pg", "pool"},
    "pool": {"settings", "core", "resumption", "pg", "pool"},
    "runtime": {"settings", "config", "pool", "runtime"},
}
# The pool's own face: above the core and above pg, which may use the pool's other public headers (errors, results).
FACE = {"pool/include/trunkline/pool.hpp", "pool/include/trunkline/lease.hpp"}
# A header that a program includes itself if it wants what it needs: no other file of the modules may.
BY_CHOICE = {"pool/include/trunkline/json.hpp": r"boost/json"}


def floor_of(name: str) -> str:
    module, _, rest = name.partition("/")
    if module == "config":
        return "config" if LOADER.match(Path(name).name) else "settings"
    if module == "pool":
        for lower in ("core", "resumption"):
            if rest.startswith(f"src/{lower}/"):
                return lower
        return "pg" if rest.startswith("src/pg/") else "pool"
    return module if module == "runtime" else "user"


def is_public(name: str) -> bool:
    return "/include/trunkline/" in name


class Tree:
    def __init__(self, root: Path):
        self.root = root
        self.names = [path.relative_to(root).as_posix() for path in files(root, *MODULES, "examples", "stress", "tests")]
        self.known = set(self.names)
        self.text = {name: (root / name).read_text(encoding="utf-8") for name in self.names}

    def code(self, name: str) -> str:
        return blank(self.text[name])

    def includes(self, name: str):
        """(line, as written, our file or None) for each include."""
        text = blank(self.text[name], keep_strings=True)
        for match in INCLUDE.finditer(text):
            yield line_of(text, match.start()), match.group(2), self.resolve(name, match.group(2))

    def resolve(self, name: str, written: str):
        folders = [Path(name).parent.as_posix(), "tests", "stress", "stress/src"]
        folders += [f"{module}/{part}" for module in MODULES for part in ("include", "src")]
        for folder in folders:
            # Normalised without touching the disk: a/../b is b.
            parts = []
            for part in f"{folder}/{written}".split("/"):
                parts = parts[:-1] if part == ".." else parts + [part] if part != "." else parts
            if "/".join(parts) in self.known:
                return "/".join(parts)
        return None

    def reach(self, name: str, seen: set):
        """(chain, line, external header) for everything that the file pulls in through our own headers."""
        for line, written, ours in self.includes(name):
            if ours is None:
                yield [name], line, written
            elif ours not in seen:
                seen.add(ours)
                for chain, _, external in self.reach(ours, seen):
                    yield [name] + chain, line, external


def check_module_file(tree: Tree, name: str):
    floor = floor_of(name)
    chosen = BY_CHOICE.get(name, r"(?!)")
    for line, written, ours in tree.includes(name):
        if re.match(chosen, written):
            continue
        if ours in BY_CHOICE:
            yield line, f"{name} includes {ours}, which is the program's to choose"
        if is_public(name) and (re.match(LIBPQ, written) or re.search(r"boost/(json|beast)|spdlog", written)):
            yield line, f"a public header includes <{written}>"
        if floor != "pg" and re.match(LIBPQ, written):
            yield line, f"<{written}> belongs to pool/src/pg alone"
        if ours is None:
            continue
        if is_public(name) and not is_public(ours):
            yield line, f"a public header includes the private {ours}"
        if floor_of(ours) not in BELOW.get(floor, set()) or (floor in ("core", "pg") and ours in FACE):
            yield line, f"{floor} includes {ours}, which is not below it"
        elif floor in ("core", "pg") and floor_of(ours) == "pool" and not is_public(ours):
            yield line, f"{floor} includes {ours}, which is above it"
        elif not ours.startswith(name.split("/")[0] + "/") and not is_public(ours):
            yield line, f"{name.split('/')[0]} includes the private {ours} of another module"
    for chain, line, external in tree.reach(name, {name}):
        if re.search(rf"^(?:{FORBIDDEN[floor]})", external) and not re.match(chosen, external):
            way = " -> ".join(chain[1:] + [f"<{external}>"])
            yield line, f"{floor} must not reach {way}"
    if floor == "core":
        code = tree.code(name)
        for match in re.finditer(r"::now\s*\(|\b(gettimeofday|clock_gettime|mutex|lock_guard|co_await)\b", code):
            yield line_of(code, match.start()), f"the core uses {match.group().rstrip('( ')}; the time is an argument"


def check_user_file(tree: Tree, name: str):
    looks_inside = name.startswith(("tests/unit/", "tests/simulation/", "tests/connection/", "tests/fuzz/"))
    for line, written, ours in tree.includes(name):
        if re.match(LIBPQ, written) and not name.startswith(("tests/", "stress/bench/")):
            yield line, f"<{written}> belongs to pool/src/pg and to the benchmarks' baseline"
        if ours and ours.startswith(tuple(f"{module}/src/" for module in MODULES)) and not looks_inside:
            yield line, f"a user of the public surface includes the private {ours}"
        if ours and name.startswith("examples/") and ours.startswith(("tests/", "stress/")):
            yield line, f"an example includes {ours}"
        if name.startswith(("examples/", "stress/")) and "/src/" in written and not ours:
            yield line, f"a path into src/: {written}"


# None is in the way of an acquire: a hook's run is cancelled on a strand of its own, `close` announces itself first, a
# transaction that has collided rests before its body runs again, and a listener before it asks for a connection again.
OWN_STRAND = "pool/src/hook_run.hpp"
OWN_TIMERS = ("pool/src/pool.cpp", "pool/src/transaction.cpp", "pool/src/listener.cpp")


def check_waiting(tree: Tree):
    """No strand guards the pool, and its deadlines hang on one timer: not on one for each waiter."""
    timers = []
    for name in tree.names:
        if floor_of(name) not in ("pool", "core"):
            continue
        code = tree.code(name)
        for match in re.finditer(r"\b(make_)?strand\b", code) if name != OWN_STRAND else ():
            yield name, line_of(code, match.start()), "a strand: the pool is guarded by one small mutex"
        for match in re.finditer(r"\b(system_timer|high_resolution_timer|basic_waitable_timer|deadline_timer)\b", code):
            yield name, line_of(code, match.start()), f"{match.group()}: the pool has one steady_timer"
        for match in re.finditer(r"\bsteady_timer\s*>?\s*[&*]?\s*\w+\s*[;{(=,)]", code):
            if name not in OWN_TIMERS:
                timers.append((name, line_of(code, match.start())))
    has_pool = any(re.fullmatch(r"pool/src/[^/]+\.cpp", name) for name in tree.names)
    if has_pool and not timers:
        yield "pool/src", 1, "no steady_timer found: this check no longer sees the pool's one timer"
    for name, line in timers[1:]:
        yield name, line, "a second steady_timer in the pool: one timer serves every deadline"


def check(root: Path) -> list[str]:
    tree = Tree(root)
    found = []
    for name in tree.names:
        checker = check_user_file if floor_of(name) == "user" else check_module_file
        found += [f"{name}:{line}: {what}" for line, what in checker(tree, name)]
    found += [f"{name}:{line}: {what}" for name, line, what in check_waiting(tree)]
    return sorted(set(found))


if __name__ == "__main__":
    violations = check(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve())
    print("\n".join(violations) or "the floors hold")
    sys.exit(1 if violations else 0)
