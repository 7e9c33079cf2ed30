"""Rules that are listed, changed and asked about while packets pass."""
import concurrent.futures
import json
import time

import lab as laboratory
import town
import traffic
from case_reload import reload, rewrite
from cases import case

RULES = """
sets:
  - {name: closed, addresses: [100.64.1.9]}
rules:
  - name: passing
    hook: forward
    policy: accept
    rules:
      - {protocol: udp, destination-port: %d, source: "@closed", action: deny}
  - name: apart
    rules:
      - {ttl: 2-255, action: return}
""" % traffic.UDP_PORT


def change(world, op, *words):
    return json.loads(world.nat.cli("rules", op, *words, "--json"))


def listed(world, *words):
    return json.loads(world.nat.cli("rules", *words, "--json"))["rules"]


def row(world, identity, *words):
    rows = [each for each in listed(world, *words) if each["id"] == identity]
    assert len(rows) == 1, rows
    return rows[0]


def begin_anew(world):
    """With the rules of the file, and nothing counted, whatever the cases before have changed."""
    change(world, "flush", "passing")
    reload(world)


def refused(world, *words):
    status, output = world.nat.cli_status("rules", *words)
    assert status == 1, (status, output)
    return output


@case("a rule that is added while pings run stops them, and they go on when it is deleted", workers="2", system="shards: 3", more=RULES)
def add_and_delete(world):
    client = world.lab.spawn("sub1", "ping", [
        "ping", "-n", "-D", "-i", "0.05", "-I", "100.64.1.7", town.SERVER])
    answers = lambda: client.output().count(" bytes from ")
    assert laboratory.wait_until(lambda: answers() > 5, 5), client.output()
    added = change(world, "add", "passing", "{protocol: icmp, source: 100.64.1.7, action: deny}")
    assert added["changed"] and added["position"] == 2, added
    assert laboratory.wait_until(lambda: row(world, added["id"])["packets"] > 10, 5), listed(world)
    before = answers()
    first = row(world, added["id"], "zero", "chain", "passing")["packets"]
    assert laboratory.wait_until(lambda: row(world, added["id"])["packets"] > 3, 5)
    second = row(world, added["id"])["packets"]
    assert second < first, (first, second)
    assert answers() == before, "a denied ping was answered"
    assert traffic.curl(world.lab, "sub1", "100.64.1.7", "/who"), "what the rule does not name passes"
    gone = change(world, "delete", "passing", str(added["position"]), "id", str(added["id"]))
    assert gone["gone"]["packets"] >= second, (gone, second)
    assert world.nat.dropped("denied-by-rule") >= first + gone["gone"]["packets"]
    assert laboratory.wait_until(lambda: answers() > before + 5, 5), client.output()
    client.stop()


@case("counters that are zeroed as they are read lose no packet", workers="2", system="shards: 3", more=RULES)
def zero(world):
    begin_anew(world)
    added = change(world, "insert", "passing", "1", "{protocol: udp, source: 100.64.1.6}")
    sockets = [traffic.udp_socket(world.lab, "sub1", "100.64.1.6") for _ in range(4)]
    read, sent = 0, 0
    for turn in range(30):
        for sock in sockets:
            sock.sendto(b"x" * turn, (town.SERVER, traffic.UDP_PORT))
            sent += 1
        read += row(world, added["id"], "zero")["packets"]
        if turn % 10 == 9:  # the judges that have counted so far go
            change(world, "add", "apart", "{length: %d}" % turn)

    def counted():
        return read + row(world, added["id"])["packets"]

    assert laboratory.wait_until(lambda: counted() == sent, 5), (counted(), sent)
    assert row(world, added["id"])["packets"] < sent


@case("a described packet is told the way that real ones take", workers="2", system="shards: 3", more=RULES)
def check(world):
    begin_anew(world)
    change(world, "create", "departing", "hook", "egress")
    change(world, "insert", "passing", "1", "{protocol: tcp, action: {jump: apart}}")
    change(world, "add", "departing", "{protocol: icmp, icmp: echo-request, ttl: 60, action: deny}")

    def fares(*words):
        return json.loads(world.nat.cli("rules", "check", *words, "--json"))

    udp = ["protocol", "udp", "destination", f"{town.SERVER}:{traffic.UDP_PORT}"]
    closed = fares(*udp, "source", "100.64.1.9:4000")
    assert closed["verdict"] == "deny" and closed["by"]["position"] == 2, closed
    assert [step["chain"] for step in closed["steps"]] == ["passing"], closed
    shut = traffic.udp_socket(world.lab, "sub1", "100.64.1.9")
    shut.sendto(b"x", (town.SERVER, traffic.UDP_PORT))
    assert traffic.hears_nothing(shut)
    opened = fares(*udp, "source", "100.64.1.8:4000")
    assert opened["verdict"] == "accept", opened
    assert opened["steps"][0]["packet"]["in-link"] == "int0", opened
    assert opened["steps"][1]["packet"]["out-link"] == "ext0", opened
    assert traffic.ask(traffic.udp_socket(world.lab, "sub1", "100.64.1.8"))
    web = fares("protocol", "tcp", "source", "100.64.1.8:4000", "destination", f"{town.SERVER}:80", "state", "established")
    path = [(each["chain"], each["position"]) for each in web["steps"][0]["path"]]
    assert path == [("passing", 1), ("apart", 1), ("passing", None)], web
    icmp = ["protocol", "icmp", "source", "100.64.1.8", "destination", town.SERVER, "icmp", "echo-request", "ttl"]
    assert fares(*icmp, "61")["verdict"] == "accept"
    denied = fares(*icmp, "60")
    assert denied["verdict"] == "deny" and not denied["steps"][-1]["for-flow"], denied
    assert traffic.ping(world.lab, "sub1", "100.64.1.8", more=("-t", "60"))[0] != 0
    assert traffic.ping(world.lab, "sub1", "100.64.1.8", more=("-t", "61"))[0] == 0
    assert fares("protocol", "icmp", "source", "100.64.1.8", "destination", "100.64.0.1")["way"] == "local-in"
    text = world.nat.cli("rules", "check", *udp, "source", "100.64.1.9:4000")
    assert "forward: deny by rule 2 of passing" in text, text


@case("what two operators change at once is all there, and a wrong rule changes nothing", workers="2", system="shards: 3", more=RULES)
def at_once(world):
    begin_anew(world)
    numbers = range(1, 25)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda n: change(world, "insert", "passing", "1", "{length: %d}" % n), numbers))
    assert len({each["id"] for each in done}) == len(numbers)
    rules = [each["rule"] for each in listed(world, "chain", "passing") if each["position"]]
    assert sorted(rules[:-1]) == sorted("{length: %d}" % n for n in numbers), rules
    first = listed(world, "chain", "passing")[0]["id"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        tries = list(pool.map(
            lambda _: world.nat.cli_status("rules", "delete", "passing", "1", "id", str(first)), range(4)))
    assert sorted(status for status, _ in tries) == [0, 1, 1, 1], tries
    assert len(listed(world, "chain", "passing")) == len(rules)
    before = listed(world)
    assert "rule:1:7: found \"300\"" in refused(world, "add", "passing", "{ttl: 300}")
    assert "rule:1:17: found \"nowhere\"" in refused(world, "add", "passing", "{action: {jump: nowhere}}")
    assert "chain apart is not empty: it has 1 rules" in refused(world, "remove", "apart")
    assert "the rules have changed" in refused(world, "delete", "passing", "1", "id", "4000000")
    assert "has no rule 99" in refused(world, "delete", "passing", "99")
    assert [each["id"] for each in listed(world)] == [each["id"] for each in before]


@case("what runs differs from the file until a reload, which counts on with what stays", workers="2", system="shards: 3", more=RULES)
def compare_and_reload(world):
    begin_anew(world)
    shut = traffic.udp_socket(world.lab, "sub1", "100.64.1.9")
    shut.sendto(b"x", (town.SERVER, traffic.UDP_PORT))
    kept = listed(world, "chain", "passing")[0]
    assert laboratory.wait_until(lambda: row(world, kept["id"])["packets"] == 1, 5)
    change(world, "policy", "passing", "deny")
    change(world, "replace", "apart", "1", "{action: accept}")
    assert not json.loads(world.nat.cli("compare", "--json"))["after-restart"]
    told = {each["setting"]: (each["from"], each["to"])
            for each in json.loads(world.nat.cli("compare", "--json"))["at-once"]}
    assert told == {"rules.passing.policy": ("deny", "accept"),
                    "rules.apart": ("{action: accept}", "{ttl: 2-255, action: return}")}, told
    assert "policy: deny" in world.nat.cli("show", "config")
    status, _ = traffic.ping(world.lab, "sub1", "100.64.1.8")
    assert status != 0
    done = reload(world)
    assert len(done["changed"]) == 2, done
    assert row(world, kept["id"])["packets"] == 1
    status, output = traffic.ping(world.lab, "sub1", "100.64.1.8")
    assert status == 0, output
    assert json.loads(world.nat.cli("compare", "--json")) == {"at-once": [], "after-restart": []}


MANY = "rules:\n  - name: passing\n    hook: forward\n    rules:\n" + "".join(
    "      - {protocol: udp, source: 10.%d.%d.0/24, destination-port: %d, action: deny}\n" % (n >> 8 & 255, n & 255, n % 60000 + 1)
    for n in range(10000))


@case("of ten thousand rules one is changed at once, and all are listed", more=MANY)
def many(world):
    took = []
    for turn in range(5):
        begin = time.monotonic()
        done = change(world, "insert", "passing", str(turn * 2000 + 1), "{protocol: icmp, length: %d}" % turn)
        took.append(time.monotonic() - begin)
        assert done["changed"], done
    # Beside the client's own start; an instrumented build takes several times as long.
    assert min(took) < 1, took
    begin = time.monotonic()
    rows = listed(world)
    assert len(rows) == 10006 and rows[0]["rule"] == "{protocol: icmp, length: 0}", len(rows)
    assert time.monotonic() - begin < 20
    status, output = traffic.ping(world.lab, "sub1", "100.64.1.8")
    assert status == 0, output
    assert laboratory.wait_until(lambda: listed(world)[-1]["packets"] >= 6, 5), listed(world)[-1]


@case("the terminal's listing rounds, and tells of a residue", more=RULES)
def text(world):
    lines = world.nat.cli("rules").splitlines()
    assert lines[0].split() == ["CHAIN", "HOOK", "RULE", "ID", "PACKETS", "BYTES", "RESIDUE", "SAYS"], lines
    assert [line.split()[6] for line in lines if line.startswith("apart ")][0] == "ttl", lines
    assert "policy" in lines[2], lines
    rewrite(world, ("policy: accept", "policy: deny"))
    reload(world)
    assert world.nat.cli("rules", "chain", "passing", "exact").splitlines()[2].endswith("deny")
