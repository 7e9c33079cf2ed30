"""What programs that others have written find out about the NAT: coturn's natdiscovery and the classic stun client,
against coturn's server with two addresses (RFC 5780)."""
import itertools
import os
import re

import lab as laboratory
import town
from cases import case, need

BEHAVIOURS = ("endpoint-independent", "address-dependent", "address-and-port-dependent")
PAIRS = list(itertools.product(BEHAVIOURS, BEHAVIOURS))  # mapping and filtering
CALLED = dict(zip(BEHAVIOURS, ("Endpoint Independent", "Address Dependent", "Address and Port Dependent")))
# The classic client looks no further than to whether the mapping is independent.
CLASSIC = dict(zip(BEHAVIOURS, ("Independent Filter", "Address Dependent Filter", "Port Dependent Filter")))


def source_of(number):
    return f"100.64.1.{number + 1}"


def policies():
    """The settings of the first policy, and the others behind it: each for one subscriber."""
    more = []
    for number, (mapping, filtering) in enumerate(PAIRS[1:], 1):
        more.append(f"  - {{name: p{number}, realm: internal, source: [{source_of(number)}/32], pool: main, "
                    f"mapping: {mapping}, filtering: {filtering}}}")
    return "\n".join([f"mapping: {PAIRS[0][0]}", *more])


def start_turnserver(world):
    """Both addresses and two ports answer; whatever else the program can do is off."""
    folder = world.lab.folder
    program = world.lab.spawn("net", "turnserver", [
        "turnserver", "-n", "-L", town.SERVER, "-L", town.OTHER_SERVER, "--stun-only", "--no-tls", "--no-dtls",
        "--no-cli", "--log-file", "stdout", "--simple-log", "--pidfile", os.path.join(folder, "turn.pid"),
        "--userdb", os.path.join(folder, "turn.db")])
    probe = ["turnutils_natdiscovery", "-m", "-L", town.ROUTER, town.SERVER]

    def answers():
        return "response 1" in world.lab.attempt("net", probe, 20)[1]

    assert laboratory.wait_until(answers, 20), program.output()
    return program


@case("others' programs find the mapping and the filtering that is configured, each of nine pairs",
      tags="[rfc4787-req8a]", policy=policies(), sources=source_of(0) + "/32",
      filtering=PAIRS[0][1])
def discovered(world):
    need("turnserver", "turnutils_natdiscovery", "stun")
    server = start_turnserver(world)
    found = []
    for number, pair in enumerate(PAIRS):
        source = source_of(number)
        found.append((pair, world.lab.spawn(
            "sub1", "natdiscovery", ["turnutils_natdiscovery", "-m", "-f", "-L", source, town.SERVER]),
            world.lab.spawn("sub1", "stun", ["stun", town.SERVER, "-p", "7070", "-i", source])))
    wrong = []
    for (mapping, filtering), discovery, classic in found:
        discovery.process.wait(60)
        classic.process.wait(60)
        seen = re.findall(r"NAT with (.*)!", discovery.output())
        if seen != [f"{CALLED[mapping]} Mapping", f"{CALLED[filtering]} Filtering"]:
            wrong.append(f"{mapping}, {filtering}: natdiscovery says {seen}: {discovery.output()[-1500:]}")
        is_independent = mapping == BEHAVIOURS[0]
        wanted = f"Independent Mapping, {CLASSIC[filtering]}" if is_independent else "Dependent Mapping"
        if f"Primary: {wanted}, random port" not in classic.output():
            wrong.append(f"{mapping}, {filtering}: stun says {classic.output()}")
    server.stop()
    assert not wrong, "\n".join(wrong)
