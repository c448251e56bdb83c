#!/usr/bin/env python3
"""Looks for the coroutine expressions that g++ 12 miscompiles: it destroys their temporaries twice.

    lint_coroutines.py [ROOT]           prints one line for each find; exit code 1 when there is one
    lint_coroutines.py --sample FILE    the finds must be exactly the lines marked `// bad`

Within a full-expression that contains co_await, co_yield or co_return, g++ 12 is wrong about closure temporaries with
non-trivial captures, aggregate temporaries with non-trivial members, ?: of class type, class temporaries to the right of
&& and ||, and braces that become an initializer_list. Types are not known here, so the lint is a little stricter than
the compiler is wrong: give the temporary a name first. Where the types are known to be trivial, say so in a comment on
the line or the one before: `// coroutine-lint: the capture is an int`.
"""

import re
import sys
from pathlib import Path

from cpp_source import blank, files, line_of

FOLDERS = ("config", "pool", "runtime", "examples", "stress", "tests")
OPENING, CLOSING = "([{", ")]}"
PARTNER = dict(zip(CLOSING, OPENING))

AWAITS = re.compile(r"\bco_(await|yield|return)\b")
# A brace after one of these opens a block, not an initialiser.
BLOCK_BEFORE = re.compile(
    r"([;{})]|\]|\b(else|do|try|const|noexcept|mutable|override|final)|->\s*[\w:<>,\s&*]+|(?<![:?])[^:?]:)\s*$"
)
CONTROL = re.compile(r"\b(if|while|for|switch)(\s+constexpr)?\s*$")
LAMBDA = re.compile(r"(?<![\w\])>])\s*\[(?P<captures>(?:[^\[\]]|\[[^\]]*\])*)\]\s*(?=[({<]|mutable\b|noexcept\b|->)")
# Braces around these make a scalar, a view, or an object with a constructor of its own.
PLAIN_TYPE = re.compile(
    r"\b(bool|char|int|unsigned|long|short|double|float|auto|byte|u?int\d+_t|size_t|ptrdiff_t|string|string_view|span|"
    r"optional|nullopt_t|error_code|(nano|micro|milli)?seconds|minutes|hours|time_point|path)\s*$"
)
NON_TRIVIAL = re.compile(r'"\s*"(?!sv)|\bmove\s*\(|\bto_string\s*\(|\bmake_\w+|\b(std::)?(string|vector|function)\s*[({]|"s\b')
# `steady_timer timer{co_await asio::this_coro::executor}`: what takes an executor has a constructor.
THIS_CORO = re.compile(r"\s*co_await\s+[\w:]*\bthis_coro::\w+\s*")
ASSERTING = re.compile(r"\b((REQUIRE|CHECK)(_\w+)?|CAPTURE|INFO|WARN|assert|BOOST_ASSERT)\s*\(")


def match_forward(text: str, start: int) -> int:
    """The offset of the bracket that closes the one at start."""
    depth = 0
    for i in range(start, len(text)):
        if text[i] in OPENING:
            depth += 1
        elif text[i] in CLOSING:
            depth -= 1
            if depth == 0:
                return i
    return len(text)


def is_block(text: str, brace: int) -> bool:
    return bool(BLOCK_BEFORE.search(text[max(0, brace - 200) : brace]))


def full_expression(text: str, at: int) -> tuple[int, int, bool]:
    """Where the full-expression around an offset begins and ends, and whether it stands inside an initialiser's braces."""
    depth, in_braces, start = 0, False, 0
    for i in range(at - 1, -1, -1):
        char = text[i]
        if char == "}" and depth == 0 and is_block(text, match_backward(text, i)):
            start = i + 1
            break
        if char in CLOSING:
            depth += 1
        elif char in OPENING:
            if depth > 0:
                depth -= 1
            elif (char == "{" and is_block(text, i)) or (char == "(" and CONTROL.search(text[max(0, i - 20) : i])):
                start = i + 1
                break
            else:
                in_braces = in_braces or char == "{"
        elif char == ";" and depth == 0:
            start = i + 1
            break
    depth = 0
    for i in range(start, len(text)):
        if text[i] in OPENING:
            depth += 1
        elif text[i] in CLOSING:
            depth -= 1
            if depth < 0:
                return start, i, in_braces
        elif text[i] == ";" and depth == 0:
            return start, i, in_braces
    return start, len(text), in_braces


def match_backward(text: str, end: int) -> int:
    depth = 0
    for i in range(end, -1, -1):
        if text[i] in CLOSING:
            depth += 1
        elif text[i] in OPENING:
            depth -= 1
            if depth == 0:
                return i
    return 0


def without_bodies(expression: str) -> str:
    """The expression with the bodies of its lambdas blanked: they are full-expressions of their own."""
    result, i = expression, 0
    while (i := result.find("{", i)) != -1:
        if is_block(result, i):
            end = match_forward(result, i)
            result = result[: i + 1] + re.sub(r"[^\n]", " ", result[i + 1 : end]) + result[end:]
            i = end
        i += 1
    return result


def initialisers(expression: str):
    """(offset, type or '', content) of each pair of braces that is not a block."""
    for i, char in enumerate(expression):
        if char == "{" and not is_block(expression, i):
            named = re.search(r"[\w:]+(\s*<[^;{}()]*>)?\s*$", expression[:i])
            yield i, named.group() if named else "", expression[i + 1 : match_forward(expression, i)]


def finds_in(expression: str, awaited_in_braces: bool):
    """(offset, what) for each dangerous temporary of one full-expression."""
    for match in LAMBDA.finditer(expression):
        captures = [part.strip() for part in match.group("captures").split(",") if part.strip()]
        if any(not part.startswith("&") and part != "this" for part in captures):
            yield match.start("captures"), "a closure temporary that captures by value: give the lambda a name first"

    for offset, name, content in initialisers(expression):
        if not content.strip() or PLAIN_TYPE.search(re.sub(r"<.*>\s*$", "", name, flags=re.DOTALL).rstrip()):
            continue
        if re.match(r"\s*\.\w+", content) and not NON_TRIVIAL.search(content) and not AWAITS.search(content):
            continue
        # A declaration `type name{…}` has no braces to fear unless it awaits inside them.
        before = expression[:offset].rstrip()
        declared = re.search(r"[\w>&*]\s+\w+$", before) and not re.search(r"\bco_\w+\s+[\w:]+$", before)
        if declared and (not AWAITS.search(content) or THIS_CORO.fullmatch(content)):
            continue
        yield offset, "an aggregate or a braced list as a temporary: give it a name first"

    for match in re.finditer(r"\?", expression):
        arms = expression[match.end() :]
        depth, end = 0, len(arms)
        for i, char in enumerate(arms):
            depth += (char in OPENING) - (char in CLOSING)
            if depth < 0:
                end = i
                break
        if re.search(r"\w\s*\{|\"s\b|\bstd::(string|vector|function|make_\w+)\s*(<[^()]*>)?\s*\(", arms[:end]):
            yield match.start(), "?: of class type: use if and a named object"

    for match in re.finditer(r"&&|\|\|", expression):
        right = expression[match.end() :]
        if re.search(r"[\w>]\s*\{|\"s\b|\bstd::(string|vector|function)\s*(<[^()]*>)?\s*\(", right):
            if AWAITS.search(right) or AWAITS.search(expression[: match.start()]):
                yield match.start(), "a class temporary to the right of && or ||: give it a name first"

    if awaited_in_braces and not any(True for _ in initialisers(expression)):
        yield 0, "co_await inside braces: give the awaited value a name first"


def lint(raw: str) -> list[tuple[int, str]]:
    text = blank(raw)
    excused = {number for number, line in enumerate(raw.splitlines(), 1) if "coroutine-lint:" in line}
    found, done = set(), set()
    for match in AWAITS.finditer(text):
        start, end, in_braces = full_expression(text, match.start())
        if start in done:
            continue
        done.add(start)
        for offset, what in finds_in(without_bodies(text[start:end]), in_braces):
            found.add((line_of(text, start + offset), what))
    for match in ASSERTING.finditer(text):
        if AWAITS.search(without_bodies(text[match.end() - 1 : match_forward(text, match.end() - 1)])):
            found.add((line_of(text, match.start()), "an assertion macro evaluates the await three times: await first"))
    return sorted((line, what) for line, what in found if not {line, line - 1} & excused)


def check_sample(path: Path) -> int:
    raw = path.read_text(encoding="utf-8")
    expected = {number for number, line in enumerate(raw.splitlines(), 1) if line.rstrip().endswith("// bad")}
    found = dict(lint(raw))
    for line in sorted(expected - found.keys()):
        print(f"{path.name}:{line}: missed")
    for line in sorted(found.keys() - expected):
        print(f"{path.name}:{line}: falsely reported: {found[line]}")
    print(f"{len(expected)} bad lines expected, {len(expected & found.keys())} found")
    return 0 if expected and expected == found.keys() else 1


def main() -> int:
    if len(sys.argv) == 3 and sys.argv[1] == "--sample":
        return check_sample(Path(sys.argv[2]))
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    finds = [
        f"{path.relative_to(root).as_posix()}:{line}: {what}"
        for path in files(root, *FOLDERS)
        for line, what in lint(path.read_text(encoding="utf-8"))
    ]
    print("\n".join(finds) or "no pattern that g++ 12 miscompiles")
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
