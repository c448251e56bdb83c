"""Runs one of Catch2's programs (version 2 or 3) and reads its XML report."""

import re
import subprocess
import tempfile
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from pathlib import Path

SKIPPED = re.compile(r"^\s*SKIPPED: (.+?)\s*$", re.MULTILINE)
FAILURES = ("Failure", "Exception", "FatalErrorCondition")


@dataclass
class outcome:
    result: str  # passed, failed, skipped, not built
    seconds: float = 0.0
    reason: str = ""  # of skipped and not built
    failures: list = field(default_factory=list)


@dataclass
class report:
    outcomes: dict  # by the case's name
    problem: str = ""  # why the program did not come to its end, or not with the outcomes that it reported


def escaped(name: str) -> str:
    """A name as Catch2's command line wants it: a comma separates patterns there, a bracket begins a tag."""
    return re.sub(r"([\\,\[])", r"\\\1", name)


def place(element, root: Path) -> str:
    path = element.get("filename", "")
    try:
        path = Path(path).resolve().relative_to(root).as_posix()
    except ValueError:
        pass
    return f"{path}:{element.get('line', '')}"


def words_of(element) -> str:
    return (element.text or "").strip()


def failures_of(element, root: Path, section: str = "") -> list:
    """The text of each failure of a case, in the order of the report; Info lines stand before what they explain."""
    found, notes = [], []
    for child in element:
        if child.tag == "Info":
            notes.append(words_of(child))
        elif child.tag == "Expression" and child.get("success") != "true":
            original = words_of(child.find("Original"))
            lines = [f"{place(child, root)}: {section}{child.get('type')}( {original} )"]
            if original.startswith("{Unknown expression"):  # thrown between two assertions
                lines = [f"{place(child, root)}: {section}at or after this line"]
            else:
                lines.append(f"  with {words_of(child.find('Expanded'))}")
            lines += [f"  {each.tag}: {words_of(each)}" for each in child if each.tag in FAILURES]
            found.append("\n".join(lines + [f"  {note}" for note in notes]))
            notes = []
        elif child.tag in FAILURES:
            found.append("\n".join([f"{place(child, root)}: {section}{child.tag}: {words_of(child)}", *notes]))
            notes = []
        elif child.tag == "Section":
            found += failures_of(child, root, f"{section}{child.get('name')}: ")
    return found


def outcome_of(case, root: Path) -> outcome:
    overall = case.find("OverallResult")
    seconds = float(overall.get("durationInSeconds") or 0)
    if overall.get("success") != "true":
        failures = failures_of(case, root)
        for stream in ("StdOut", "StdErr"):
            text = words_of(overall.find(stream)) if overall.find(stream) is not None else ""
            failures += [f"{stream}: {text[-2000:]}"] if text else []
        return outcome("failed", seconds, failures=failures)
    said = [words_of(each) for each in case.iter() if each.tag in ("StdOut", "StdErr", "Warning")]
    skipped = SKIPPED.search("\n".join(said))
    if skipped:
        return outcome("skipped", seconds, skipped.group(1))
    if int(overall.get("skips") or 0):  # Catch2 3.3 and later
        reasons = [words_of(each) for each in case.iter("Skip")]
        return outcome("skipped", seconds, "; ".join(reasons) or "the test says so")
    return outcome("passed", seconds)


def parse(text: bytes, root: Path):
    """(outcomes by name, the case that had begun and not ended when the report stops, or '')"""
    outcomes, begun = {}, ""
    parser = xml.XMLPullParser(("start", "end"))
    try:
        parser.feed(text)
        parser.close()
    except xml.ParseError:
        pass  # a program that dies leaves half a report
    try:
        for event, element in parser.read_events():
            if element.tag != "TestCase":
                continue
            begun = element.get("name", "") if event == "start" else ""
            if event == "end":
                outcomes[element.get("name", "")] = outcome_of(element, root)
    except xml.ParseError:
        pass
    return outcomes, begun


def run(program: Path, names: list, root: Path, limit: float) -> report:
    """Runs the cases whose names match; a name may end in `*`. `limit` in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "report.xml")
        command = [str(program), ",".join(names), "--reporter", "xml", "--out", str(path), "--durations", "yes"]
        problem, code, output = "", None, b""
        try:
            ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   timeout=limit)
            code, output = ended.returncode, ended.stdout
        except subprocess.TimeoutExpired as expired:
            problem, output = f"{program.name} did not end within {limit:.0f} s", expired.stdout or b""
        except OSError as error:
            return report({}, f"{program.name} cannot be run: {error}")
        outcomes, begun = parse(path.read_bytes() if path.exists() else b"", root)
    output = output.decode(errors="replace")
    said = output.strip()[-2000:]
    failed = any(each.result == "failed" for each in outcomes.values())
    if code is not None and code < 0:
        problem = f"{program.name} died of signal {-code}"
    elif code and not failed:
        problem = f"{program.name} ended with code {code}, though no case failed"
    elif SKIPPED.search(output):
        problem = f"{program.name} says “{SKIPPED.search(output).group().strip()}” where Catch2 does not see it; " \
                  "a case says so with std::cout or WARN"
    if begun:
        outcomes[begun] = outcome("failed", failures=[f"the report ends within this case: {problem or 'cut off'}"])
        problem = problem or f"the report of {program.name} is cut off"
    return report(outcomes, f"{problem}\n{said}".strip() if problem else "")
