"""The configuration's file is changed and read again while traffic passes."""
import json
import os
import threading
import time

import lab as laboratory
import town
import traffic
from case_flowgen import PROFILE, Played
from cases import case


def rewrite(world, *changes):
    """Replaces texts in the configuration's file; each must be there."""
    text = world.nat.text
    for before, after in changes:
        assert before in text, f"{before!r} is not in the configuration"
        text = text.replace(before, after)
    with open(world.nat.config, "w", encoding="utf-8") as file:
        file.write(text)
    world.nat.text = text


def reload(world):
    return json.loads(world.nat.cli("reload", "--json"))


def lifetimes(world, address):
    return [mapping["lifetime"] for mapping in world.nat.mappings("subscriber", address)]


def ends_within(world, address, seconds):
    return laboratory.wait_until(lambda: not lifetimes(world, address), seconds)


@case("a lowered timeout ends what stands, and a raised one keeps it",
      workers="2", more="timeouts: {udp: 300}")
def timeouts(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.3")
    endpoint = traffic.ask(client)
    assert max(lifetimes(world, "100.64.1.3")) > 200
    rewrite(world, ("{udp: 300}", "{udp: 120}"))
    compared = json.loads(world.nat.cli("compare", "--json"))
    assert compared["at-once"] == [{"setting": "timeouts.udp", "from": "300", "to": "120"}], compared
    assert max(lifetimes(world, "100.64.1.3")) > 200, "comparing has changed it"
    done = reload(world)
    assert done["changed"] == compared["at-once"] and done["rested-ns"] < 2_000_000_000, done
    assert max(lifetimes(world, "100.64.1.3")) <= 120
    assert traffic.ask(client) == endpoint, "the session that stands is another now"
    assert "udp: 120" in world.nat.cli("show", "config")
    assert reload(world)["changed"] == []
    rewrite(world, ("{udp: 120}", "{udp: 900}"))
    reload(world)
    assert traffic.ask(client) == endpoint
    assert max(lifetimes(world, "100.64.1.3")) > 800


@case("limits of tables and subscribers change while traffic passes, and say so when they are reached",
      workers="2", system="shards: 3")
def limits(world):
    assert traffic.curl(world.lab, "sub1", "100.64.1.4", "/who")
    rewrite(world, ("pool: main\n", "pool: main\n    limits: {sessions: 3}\n"))
    done = reload(world)
    assert [change["setting"] for change in done["changed"]] == ["policies.subscribers.limits.sessions"], done
    sockets = [traffic.udp_socket(world.lab, "sub1", "100.64.1.5") for _ in range(6)]
    for sock in sockets:
        sock.sendto(b"x", (town.SERVER, 7))
    assert laboratory.wait_until(lambda: world.nat.dropped("subscriber-session-limit") >= 3, 5)
    assert len(world.nat.sessions("subscriber", "100.64.1.5")) == 3
    rewrite(world, ("sessions: 65536", "sessions: 3"))
    reload(world)
    status = world.nat.show("status")
    assert status["sessions"]["capacity"] < 300, status["sessions"]
    rewrite(world, ("limits: {sessions: 3}", "limits: {sessions: 300}"))
    reload(world)
    assert "table is full" not in world.nat.program.output(), world.nat.program.output()
    many = traffic.udp_socket(world.lab, "sub1", "100.64.1.6")
    for port in range(9000, 9100):
        many.sendto(b"x", (town.SERVER, port))
    full = "sekishod: the session table is full: 3 sessions, shared out to 3 shards; "
    assert laboratory.wait_until(lambda: full in world.nat.program.output(), 5), world.nat.program.output()
    assert world.nat.dropped("session-table-full") > 0
    rewrite(world, ("sessions: 3,", "sessions: 70000,"))
    code, output = world.nat.cli_status("reload")
    assert code == 1 and "limits.sessions: 3 -> 70000" in output and "restart" in output, output
    rewrite(world, ("sessions: 70000,", "sessions: 65536,"))
    reload(world)
    one_more = traffic.udp_socket(world.lab, "sub1", "100.64.1.5")  # on which no answer to an "x" waits
    assert traffic.ask(one_more), "a raised limit lets nothing through"


@case("addresses leave a pool and join it: what stands stays, what is new goes to those that are left",
      workers="2", system="shards: 3", pool="port-quarantine: 1\n    block-release-delay: 1",
      addresses="203.0.113.0/30")
def addresses(world):
    clients = [traffic.udp_socket(world.lab, name, address) for name, address in town.fifty_subscribers()[:20]]
    stand = [traffic.ask(client) for client in clients]
    assert len({address for address, _ in stand}) > 1, stand
    rewrite(world, ("addresses: [203.0.113.0/30]", "addresses: [203.0.113.8]"))
    done = reload(world)
    assert [change["setting"] for change in done["changed"]] == ["pools.main.addresses"], done
    assert [traffic.ask(client) for client in clients] == stand, "sessions that stand are others now"
    pool = world.nat.show("pools")["pools"][0]
    assert pool["addresses-draining"] == len({address for address, _ in stand}), pool
    for name, address in town.fifty_subscribers()[:20]:
        assert traffic.ask(traffic.udp_socket(world.lab, name, address))[0] == "203.0.113.8"
    assert traffic.curl(world.lab, "sub1", "100.64.1.3", "/who").startswith("203.0.113.8:")
    world.nat.cli("clear", "sessions", "all")

    def is_drained():
        return world.nat.show("pools")["pools"][0]["addresses-draining"] == 0

    assert laboratory.wait_until(is_drained, 30), world.nat.show("pools")
    for gone in ("203.0.113.0", "203.0.113.1", "203.0.113.2", "203.0.113.3"):
        world.lab.attempt("net", ["ip", "neighbour", "del", gone, "dev", "eth0"])
        traffic.ping(world.lab, "net", town.SERVER, gone)
        _, known = world.lab.attempt("net", ["ip", "neighbour", "show", gone])
        assert "lladdr" not in known, f"somebody answers for {gone}: {known}"
    rewrite(world, ("addresses: [203.0.113.8]", "addresses: [203.0.113.0/30]"))
    reload(world)
    assert traffic.ask(clients[0])[0] in {"203.0.113.0", "203.0.113.1", "203.0.113.2", "203.0.113.3"}


@case("a pool answers pings once it is told to, from outside and from inside", pool="answer-pings: false",
      workers="2", system="shards: 3")
def pings(world):
    asked = [("net", town.SERVER, "203.0.113.7"), ("net", town.OTHER_SERVER, "203.0.113.70"),
             ("sub1", "100.64.1.3", "203.0.113.8")]

    def received():
        return [traffic.ping(world.lab, *who, count=2)[1].count("bytes from") for who in asked]

    assert received() == [0, 0, 0]
    rewrite(world, ("answer-pings: false", "answer-pings: true"))
    assert [change["setting"] for change in reload(world)["changed"]] == ["pools.main.answer-pings"]
    before = world.nat.counters()["pings-answered"]
    assert received() == [2, 2, 2]
    assert world.nat.counters()["pings-answered"] == before + 6
    assert "pings-answered" in world.nat.cli("show", "counters")
    assert traffic.ask(traffic.udp_socket(world.lab, "sub1", "100.64.1.3")), "nothing passes any more"


@case("a worker on a CPU of its own hinders no change of settings",
      workers=f"[{max(os.sched_getaffinity(0))}]", more="timeouts: {udp: 300}")
def own_cpu(world):
    rewrite(world, ("{udp: 300}", "{udp: 120}"))
    assert reload(world)["changed"] == [{"setting": "timeouts.udp", "from": "300", "to": "120"}]


@case("a file with mistakes, or with what wants a restart, changes nothing", workers="1")
def refused(world):
    before = world.nat.cli("show", "config")
    rewrite(world, ("pool: main\n", "pool: man\n"))
    code, output = world.nat.cli_status("reload")
    assert code == 1 and "sekisho.yaml:" in output and "man" in output, output
    rewrite(world, ("pool: man\n", "pool: main\n"), ("port-block-size: 256", "port-block-size: 512"),
            ("blocks-per-subscriber: 8", "blocks-per-subscriber: 4"))
    compared = json.loads(world.nat.cli("compare", "--json"))
    assert [c["setting"] for c in compared["at-once"]] == ["pools.main.blocks-per-subscriber"], compared
    assert [c["setting"] for c in compared["after-restart"]] == ["pools.main.port-block-size"], compared
    code, output = world.nat.cli_status("reload")
    assert code == 1 and "pools.main.port-block-size: 256 -> 512" in output, output
    assert world.nat.cli("show", "config") == before
    assert traffic.curl(world.lab, "sub1", "100.64.1.4", "/who")


@case("a hundred changes under load lose no packet", workers="2", system="shards: 3", more="timeouts: {udp: 300}")
def under_load(world):
    is_over = threading.Event()
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.6")
    endpoints = set()

    def talk():
        while not is_over.is_set():
            endpoints.add(traffic.ask(client, tries=1))

    talker = threading.Thread(target=talk)
    talker.start()
    for number in range(100):
        value = 300 + number % 2
        rewrite(world, (f"{{udp: {601 - value}}}" if number else "{udp: 300}", f"{{udp: {value}}}"))
        reload(world)
    is_over.set()
    talker.join()
    assert len(endpoints) == 1, endpoints
    time.sleep(0.1)
    assert traffic.ask(client) in endpoints


@case("changes between far ends that send all they can lose nothing, and take no longer than the queues hold", starts=False)
def at_full_rate(world):
    profile = PROFILE + "protocol=udp"
    world.nat = Played(world, profile, profile).start()
    world.nat.forwards(100_000)
    world.nat.text += "timeouts: {udp: 1000}\n"
    rested = []
    for number in range(50):
        rewrite(world, (f"{{udp: {1000 + number}}}", f"{{udp: {1001 + number}}}"))
        rested.append(reload(world)["rested-ns"] / 1000)
    rested.sort()
    print(f"     a worker stood still for {rested[0]:.0f} / {rested[len(rested) // 2]:.0f} / {rested[-1]:.0f} us")
    world.nat.forwards(200_000)
