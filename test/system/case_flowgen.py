"""Far ends played from memory: both links of an appliance are flowgen devices, which check all that comes back."""
import os
import re
import time

import lab as laboratory
from appliance import program_path
from case_devices import Named
from cases import case

FLOWS = 2000
MILLION = 1_000_000
MILLIONS = 16 if os.environ.get("SEKISHO_LONG") == "1" else 2  # of sessions in full tables
BUFFERS = 4096 + 512  # that go round at a far end, and those on their way (drivers/flowgen/rotation.h)
PROFILE = f"subscribers=100,sessions=20,flows={FLOWS},"
LIMITS = "{sessions: 65536, mappings: 65536, subscribers: 4096}"
PLAYED = """\
system: {{name: played, workers: {workers}, huge-pages: never}}
links:
  - {{name: int0, device: "flowgen:role=subscribers,{inside}", realm: internal, addresses: [100.64.0.1/10]}}
  - {{name: ext0, device: "flowgen:role=internet,{outside}", realm: external, addresses: [198.51.100.2/24]}}
routes:
  - {{prefix: 0.0.0.0/0, next-hop: 198.51.100.1}}
  - {{prefix: 10.0.0.0/8, next-hop: 100.64.0.2}}
neighbours:
  - {{address: 100.64.0.2, mac: "02:66:67:00:00:01"}}
  - {{address: 198.51.100.1, mac: "02:66:67:00:01:01"}}
pools: [{{name: main, addresses: [203.0.112.0/20]}}]
policies: [{{name: all, source: [10.0.0.0/8], pool: main}}]
limits: {limits}
control: {{socket: {socket}}}
"""


class Played(Named):
    """An appliance between two far ends. Where they never rest, packets pass while counters are read, one after another."""

    def __init__(self, world, inside, outside, rests=False, limits=LIMITS):
        super().__init__(world, "played", PLAYED, inside=inside, outside=outside, limits=limits)
        self.slack = 0 if rests else 4096
        self.kept = 0 if rests else 1024  # of a far end whose buffers are on their way

    def imbalance(self):
        missing = super().imbalance()
        return missing if abs(missing) > self.slack else 0

    def faults(self):
        """What the far ends have found wrong with what came back, by link."""
        return {link["name"]: link["sent-errors"] for link in self.show("links")["links"] if link["sent-errors"]}

    def drops(self):
        return {reason: number for reason, number in self.counters()["dropped"].items() if number}

    def forwards(self, packets):
        """Waits until so many have been forwarded, and finds nothing wrong with them."""
        came = laboratory.wait_until(lambda: self.counters()["forwarded"] >= packets, 30)
        assert came, f"{packets} were to be forwarded: {self.counters()}"
        assert not self.faults(), f"faults: {self.faults()}"
        assert not self.drops(), f"dropped: {self.drops()}"
        sessions = self.show("status")["sessions"]["used"]
        assert sessions == FLOWS, f"{sessions} sessions stand"


@case("two far ends from memory find no fault, both directions, all protocols and sizes", starts=False)
def both_directions(world):
    profile = PROFILE + "protocol=mix,size=imix,fan-out=3"
    world.nat = Played(world, profile, profile).start()
    world.nat.forwards(100 * FLOWS)
    links = {link["name"]: link for link in world.nat.show("links")["links"]}
    assert all(link["driver"] == "flowgen" for link in links.values()), links
    assert min(link["received-packets"] for link in links.values()) > 10 * FLOWS, links


@case("a far end from memory that only receives keeps no buffers", starts=False)
def one_direction(world):
    profile = PROFILE + "direction=outbound,check=sample"
    world.nat = Played(world, profile, profile).start()
    world.nat.forwards(100 * FLOWS)
    in_use = world.nat.buffers_in_use()
    assert in_use <= 2 * BUFFERS + world.nat.kept, f"{in_use} buffers are in use, {BUFFERS} a far end are enough"


@case("one pass of every session through the appliance is counted to the packet", starts=False)
def one_pass(world):
    world.nat = Played(world, PROFILE + "direction=inbound", PROFILE + "direction=outbound", rests=True).start()
    world.nat.forwards(FLOWS)
    assert not world.nat.broken_laws(), world.nat.broken_laws()
    counters = world.nat.counters()
    assert counters["received"] == FLOWS, counters
    assert counters["forwarded"] == FLOWS + counters["generated"], counters  # it also tells its own addresses


def rates_until(nat, is_over):
    """Packets forwarded a second, from one look at the counters to the next."""
    rates = []
    then, before = time.monotonic(), nat.counters()["forwarded"]
    while not is_over():
        time.sleep(0.1)
        now, forwarded = time.monotonic(), nat.counters()["forwarded"]
        rates.append((forwarded - before) / (now - then))
        then, before = now, forwarded
    return rates


def with_millions(world, millions):
    """An appliance in whose tables so many sessions stand, all of them in use, all at their bounds."""
    sessions, subscribers = millions * MILLION, millions * MILLION // 64
    profile = f"subscribers={subscribers},sessions=64,check=sample"
    limits = f"{{sessions: {sessions}, mappings: {sessions}, subscribers: {subscribers}}}"
    world.nat = nat = Played(world, profile, profile, limits=limits).start()
    stand = laboratory.wait_until(lambda: nat.show("status")["sessions"]["used"] == sessions, 120)
    assert stand, nat.show("status")
    return nat


@case("a million sessions are listed, each once, while their packets go on", starts=False)
def listing(world):
    nat = with_millions(world, 1)
    end = time.monotonic() + 2
    alone = sorted(rates_until(nat, lambda: time.monotonic() > end))
    client = [program_path(nat.build, "sekisho"), "--socket", nat.socket, "show", "sessions", "--json"]
    lister = world.lab.spawn(None, "lister", client)
    beside = sorted(rates_until(nat, lambda: lister.process.poll() is not None))
    assert lister.process.returncode == 0, lister.output()[-500:]
    internal = re.findall(r'"internal-src-address": ?"([0-9.]+)",\s*"internal-src-port": ?([0-9]+)', lister.output())
    assert len(internal) == len(set(internal)) == MILLION, f"{len(internal)} rows, {len(set(internal))} sessions"
    # The client and this test want a share of the processors, too.
    assert beside[0] > 0 and beside[len(beside) // 2] > alone[len(alone) // 2] / 4, (alone, beside)
    assert not nat.faults(), nat.faults()
    assert not nat.drops(), nat.drops()


@case("with millions of sessions in full tables, every question and a clear are answered under traffic", starts=False,
      tags="[pitfall-15]")
def full_size(world):
    nat = with_millions(world, MILLIONS)
    for what in ("status", "workers", "links", "pools", "counters", "drops"):
        assert nat.show(what), what
    subscriber = "10.0.100.7"
    assert len(nat.sessions("subscriber", subscriber)) == len(nat.mappings("subscriber", subscriber)) == 64
    one = nat.mappings("subscriber", subscriber)[0]
    found = nat.mappings("external", f"{one['external-src-address']}:{one['external-src-port']}")
    assert [(row["internal-src-address"], row["internal-src-port"]) for row in found] == [
        (one["internal-src-address"], one["internal-src-port"])], found
    assert not nat.faults() and not nat.drops(), (nat.faults(), nat.drops())
    nat.cli("clear", "sessions", "subscriber", subscriber)  # from here on, its endpoints are others than the far end knows
    before = nat.counters()["forwarded"]
    nat.cli("clear", "mappings", "all", seconds=400)
    back = laboratory.wait_until(
        lambda: nat.counters()["forwarded"] > before + 2 * MILLIONS * MILLION
        and nat.show("status")["sessions"]["used"] == MILLIONS * MILLION, 120)
    assert back, (before, nat.counters(), nat.show("status"))
    assert not nat.broken_laws(), nat.broken_laws()
