"""The log of bindings as a reader of its file sees it, and what the appliance does when the file cannot be written."""
import contextlib
import json
import os
import signal

import lab as laboratory
import town
import traffic
from cases import case, drops

SMALL_RING = 2048


def start(world, path, more=""):
    """Starts the appliance with a log at this path."""
    world.nat.text += f"log: {{file: '{path}'{more}}}\n"
    world.nat.start()
    return path


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def endpoint(event, side):
    return event[f"{side}-src-address"], event[f"{side}-src-port"]


def replay(events):
    """Who has which external endpoint in the end: (protocol, endpoint) -> internal endpoint. Checks the numbers."""
    live, numbers = {}, {}
    for event in events:
        if "sequence" not in event:
            continue
        number = numbers.get(event["shard"], 0) + 1
        assert event["sequence"] == number, f"{event} should have the number {number}"
        numbers[event["shard"]] = number
        if event["event"] == "mapping-created":
            key = event["transport-protocol"], endpoint(event, "external")
            assert key not in live, f"{event}: it is {live[key]}'s"
            live[key] = endpoint(event, "internal")
        elif event["event"] == "mapping-ended":
            key = event["transport-protocol"], endpoint(event, "external")
            assert live.pop(key, None) == endpoint(event, "internal"), f"{event}: that was never so"
    return live


def shown(nat):
    return {(m["transport-protocol"], endpoint(m, "external")): endpoint(m, "internal") for m in nat.mappings()}


def is_written(nat):
    log = nat.show("log")
    return log["events"] == log["written"] and log["pending"] == 0


def wait_until_written(nat):
    assert laboratory.wait_until(lambda: is_written(nat), 10, 0.1), nat.show("log")


def flood(world, count, first=1):
    """One packet each from `count` internal endpoints; not all may pass."""
    with contextlib.ExitStack() as stack:
        for number in range(first, first + count):
            source = f"100.64.1.{5 + number // 200}"
            made = stack.enter_context(traffic.udp_socket(world.lab, "sub1", source, 20000 + number % 200))
            made.sendto(b"x", (town.SERVER, 9))


@case("the log names the subscriber whom a server has seen, and all mappings that there are", starts=False,
      workers="2", system="shards: 3")
def names_the_subscriber(world):
    path = start(world, os.path.join(world.lab.folder, "log"))
    seen = {}
    for name, source in (("sub1", "100.64.1.5"), ("sub1", "100.64.1.6"), ("sub2", "100.64.2.5")):
        client = traffic.udp_socket(world.lab, name, source)
        seen["udp", traffic.ask(client)] = client.getsockname()
    for owner, external in traffic.parallel_connections(world.lab, [("sub1", "100.64.1.7"), ("sub2", "100.64.2.7")], 40):
        seen["tcp", external] = owner
    wait_until_written(world.nat)
    events = lines(path)
    assert events[0]["event"] == "anchor" and events[0]["cause"] == "start", events[0]
    logged = replay(events)
    for key, who in seen.items():
        assert logged[key] == who or logged[key][0] == who, f"{key} is {who}'s, the log says {logged[key]}"
    assert logged == shown(world.nat)
    assert not any("remote-address" in event for event in events), "it tells where subscribers go"
    world.nat.cli("clear", "mappings", "all")
    wait_until_written(world.nat)
    assert replay(lines(path)) == {}
    assert world.nat.stop() == 0
    assert lines(path)[-1]["event"] == "stopped"


@case("sessions are logged with their remote endpoints where the configuration says so", starts=False)
def logs_sessions(world):
    path = start(world, os.path.join(world.lab.folder, "log"), ", events: [sessions]")
    external = traffic.ask(traffic.udp_socket(world.lab, "sub1", "100.64.1.5"))
    wait_until_written(world.nat)
    found = [event for event in lines(path) if event["event"] == "session-created"]
    assert [(endpoint(e, "external"), e["remote-address"], e["remote-port"]) for e in found] == \
        [(external, town.SERVER, traffic.UDP_PORT)], found


@case("limits that are reached are told by name, once a minute", starts=False, policy="limits: {sessions: 3}")
def limits_reached(world):
    world.nat.text = world.nat.text.replace("mappings: 65536", "mappings: 2")
    path = start(world, os.path.join(world.lab.folder, "log"))
    for source in ("100.64.1.5", "100.64.1.6"):
        sock = traffic.udp_socket(world.lab, "sub1", source)
        for port in range(9000, 9008):
            sock.sendto(b"x", (town.SERVER, port))
    for source in ("100.64.1.7", "100.64.1.8"):
        traffic.udp_socket(world.lab, "sub1", source).sendto(b"x", (town.SERVER, 9000))
    assert laboratory.wait_until(lambda: world.nat.dropped("mapping-table-full") == 2, 5), world.nat.show("drops")
    assert world.nat.dropped("subscriber-session-limit") == 10
    wait_until_written(world.nat)
    told = sorted((e["limit"], e["internal-src-address"]) for e in lines(path) if e["event"] == "limit-reached")
    assert told[1:] == [("subscriber-session-limit", f"100.64.1.{host}") for host in (5, 6)], told
    assert told[0] in [("mapping-table-full", f"100.64.1.{host}") for host in (7, 8)], told
    full = "the mapping table is full: 2 mappings; "
    assert laboratory.wait_until(lambda: full in world.nat.program.output(), 5), world.nat.program.output()
    assert world.nat.program.output().count(full) == 1, "it is said over and over"


@case("a log that is renamed goes on in a new file after SIGHUP, and none of its lines is lost", starts=False)
def rotation(world):
    path = start(world, os.path.join(world.lab.folder, "log"))
    traffic.ask(traffic.udp_socket(world.lab, "sub1", "100.64.1.5"))
    wait_until_written(world.nat)
    os.rename(path, path + ".1")
    world.nat.program.process.send_signal(signal.SIGHUP)
    assert laboratory.wait_until(lambda: os.path.exists(path), 5)
    traffic.ask(traffic.udp_socket(world.lab, "sub1", "100.64.1.6"))
    wait_until_written(world.nat)
    assert lines(path)[0]["cause"] == "file", lines(path)[0]
    assert replay(lines(path + ".1") + lines(path)) == shown(world.nat)
    assert world.nat.is_running()
    # A file that is removed is made anew, without being told.
    os.remove(path)
    assert laboratory.wait_until(lambda: os.path.exists(path), 5)


@case("a log on a full disk stops new mappings once its ring is full; what runs goes on, and nothing is lost",
      starts=False)
def full_disk(world):
    path = os.path.join(world.lab.folder, "log")
    os.symlink("/dev/full", path)
    start(world, path, f", ring: {SMALL_RING}, events: [mappings]")
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.24", 4000)
    external = traffic.ask(client)
    assert laboratory.wait_until(lambda: "No space left" in world.nat.program.output(), 5), world.nat.program.output()
    assert world.nat.show("log")["state"] == "failing"
    flood(world, SMALL_RING - 20)
    assert world.nat.dropped("log-full") == 0
    flood(world, 200, SMALL_RING)
    assert laboratory.wait_until(lambda: world.nat.dropped("log-full") > 0, 5), world.nat.show("log")
    assert traffic.ask(client) == external, "a known session does not go on"
    world.nat.cli("clear", "mappings", "subscriber", "100.64.1.5")
    assert world.nat.show("log")["pending"] > 100, world.nat.show("log")
    assert not world.nat.mappings("subscriber", "100.64.1.5")
    assert world.nat.program.output().count("No space left") == 1, "it is said over and over"
    os.remove(path)
    wait_until_written(world.nat)
    assert replay(lines(path)) == shown(world.nat)
    assert laboratory.wait_until(lambda: "is written again" in world.nat.program.output(), 5)
    assert traffic.ask(traffic.udp_socket(world.lab, "sub1", "100.64.1.25"))
    assert world.nat.show("log")["lost"] == 0


@case("with on-log-loss: count a reader who stands still stops nobody, and is told how much was lost", starts=False)
def slow_reader(world):
    path = os.path.join(world.lab.folder, "log")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    start(world, path, f", ring: {SMALL_RING}, events: [mappings], on-log-loss: count")
    with drops(world.nat, log_full=0):
        flood(world, SMALL_RING + 1500)
        assert traffic.ask(traffic.udp_socket(world.lab, "sub1", "100.64.1.24"))
        assert laboratory.wait_until(lambda: world.nat.show("log")["lost"] > 0, 10), world.nat.show("log")
    assert world.nat.show("log")["state"] == "stalled"
    text = b""

    def read():
        nonlocal text
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(reader, 65536):
                text += piece
        return is_written(world.nat)

    assert laboratory.wait_until(read, 10, 0.05), world.nat.show("log")
    read()
    os.close(reader)
    events = [json.loads(line) for line in text.splitlines()]
    lost = sum(event["count"] for event in events if event["event"] == "lost")
    created = sum(event["event"] == "mapping-created" for event in events)
    assert lost == world.nat.show("log")["lost"]
    assert created + lost == len(world.nat.mappings()), (created, lost)


@case("an appliance whose log cannot be opened does not start and says why in one sentence", starts=False)
def no_folder(world):
    world.nat.text += "log: {file: /nowhere/at/all/log}\n"
    world.nat.launch()
    assert world.nat.program.process.wait(20) == 1
    said = [line for line in world.nat.program.output().splitlines() if "/nowhere" in line]
    assert said == ["sekishod: cannot open /nowhere/at/all/log: No such file or directory"], said
