"""tools/conformance --mutate: takes one required behaviour away after the other and runs the tests.

The switches stand in lib/base/mutation.h, one for each MUST and MUST NOT that is shown; the build must have them
(-Dmutations=true), and SEKISHO_MUTATION chooses one when a test program starts. Every test of the requirement must fail with
it, but for those that stand in mutations.json as `holds`, with the reason: they show a part of it that the switch leaves. What
else fails must stand there too, as `others`, with the reason.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TABLES = ROOT / "tools/conformance.d"
SWITCHES = ROOT / "lib/base/mutation.h"
PROGRAMS = ("unit/config", "unit/packet", "unit/nat", "unit/dataplane", "packet")
LONGEST = 300  # seconds: a mutation may make a test wait for what never comes


def switches():
    """{requirement: symbol}"""
    return {name: symbol for symbol, name in re.findall(r'X\((k\w+), "([^"]+)"\)', SWITCHES.read_text())}


def has_switches(build):
    text = subprocess.run(["meson", "introspect", "--buildoptions", build], capture_output=True, text=True, check=True).stdout
    return any(option["name"] == "mutations" and option["value"] for option in json.loads(text))


def asked_symbols():
    asked = set()
    for path in (ROOT / "lib").rglob("*"):
        if path.suffix in (".h", ".cc") and path.stem != "mutation":
            asked.update(re.findall(r"Mutation::(k\w+)", path.read_text()))
    return asked


def run_program(command, mutation):
    """{test: (tags, passed)} of one program; None if it ended before its report."""
    environment = {**os.environ, "SEKISHO_MUTATION": mutation}
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        try:
            subprocess.run([*command, "-r", "xml", "-o", report.name], env=environment, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, timeout=LONGEST, check=False)
            cases = xml.parse(report.name).getroot().iter("TestCase")
        except (subprocess.TimeoutExpired, xml.ParseError):
            return None
        return {case.get("name"): (re.findall(r"\[([^\[\]]+)\]", case.get("tags", "")),
                                   case.find("OverallResult").get("success") == "true") for case in cases}


def run_all(commands, mutation, pool):
    tests = {}
    for outcome in pool.map(lambda command: run_program(command, mutation), commands):
        if outcome is None:
            return None
        tests.update(outcome)
    return tests


def mistakes_of_table(table, musts, shown):
    """What is wrong with the switches themselves."""
    asked = asked_symbols()
    for name, symbol in table.items():
        if name not in musts:
            yield f"{name}: the switch is of no MUST"
        if symbol not in asked:
            yield f"{name}: nothing in lib/ asks the switch {symbol}"
    for name in sorted(set(shown) - set(table)):
        yield f"{name}: there is no switch"


def judge(name, tests, allowed):
    """(a line of the table, mistakes)"""
    if tests is None:
        return f"  {name:29} a program ended before its report", [f"{name}: a program ended before its report"]
    tagged = [test for test, (tags, _) in tests.items() if name in tags]
    failed = [test for test, (_, passed) in tests.items() if not passed]
    shown_by = [test for test in failed if test in tagged]
    others = [test for test in failed if test not in tagged]
    holds = [test for test in tagged if test not in failed]
    mistakes = [] if shown_by else [f"{name}: no test of it fails without it"]
    mistakes += [f"{name}: holds without it, and is not in mutations.json: \"{test}\"" for test in holds
                 if test not in allowed.get("holds", [])]
    mistakes += [f"{name}: mutations.json says that it holds: \"{test}\"" for test in allowed.get("holds", [])
                 if test not in holds]
    mistakes += [f"{name}: fails too, and is not in mutations.json: \"{test}\"" for test in others
                 if test not in allowed.get("others", [])]
    return f"  {name:29} {len(shown_by)} of {len(tagged)} of its tests fail, {len(others)} others", mistakes


def run(build, wanted, musts, shown, runner, write):
    table = switches()
    reasons = json.loads((TABLES / "mutations.json").read_text())
    unknown = [name for name in wanted if name not in table]
    if unknown:
        sys.exit(f"tools/conformance: no switch for {', '.join(unknown)}")
    if not has_switches(build):
        sys.exit(f"tools/conformance: {build} has no switches: meson configure {build} -Dmutations=true, and build")
    programs = {program["name"]: program["cmd"] for program in runner.tests_of(build)}
    commands = [programs[name] for name in reversed(PROGRAMS)]  # the longest first
    mistakes = list(mistakes_of_table(table, musts, shown))
    mistakes += [f"mutations.json: {name} has no switch" for name in reasons if name not in table]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        sound = run_all(commands, "", pool)
        if sound is None or not all(passed for _, passed in sound.values()):
            sys.exit("tools/conformance: tests fail without any mutation")
        for name in wanted or table:
            start = time.monotonic()
            tests = run_all(commands, name, pool)
            line, wrong = judge(name, tests, reasons.get(name, {}))
            print(f"{line} ({time.monotonic() - start:.0f} s)", flush=True)
            mistakes += wrong
            if write and tests is not None:
                others = sorted(t for t, (tags, passed) in tests.items() if not passed and name not in tags)
                holds = sorted(t for t, (tags, passed) in tests.items() if passed and name in tags)
                before = reasons.get(name, {})
                reasons[name] = {"why": before.get("why", ""), "others": others}
                if holds:
                    reasons[name] |= {"holds": holds, "why-holds": before.get("why-holds", "")}
    if write:
        kept = {name: reasons[name] for name in table
                if reasons.get(name, {}).get("others") or reasons.get(name, {}).get("holds")}
        (TABLES / "mutations.json").write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
    mistakes += [f"mutations.json: {name} gives no reason" for name, entry in reasons.items()
                 if (entry["others"] and not entry["why"]) or (entry.get("holds") and not entry.get("why-holds"))]
    print("\n".join(mistakes + [f"{len(mistakes)} mistakes"]))
    return 1 if mistakes else 0
