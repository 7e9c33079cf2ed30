"""Far ends played from memory: both links of an appliance are flowgen devices, which check all that comes back."""
import lab as laboratory
from case_devices import Named
from cases import case

FLOWS = 2000
BUFFERS = 4096 + 512  # that go round at a far end, and those on their way (drivers/flowgen/rotation.h)
PROFILE = f"subscribers=100,sessions=20,flows={FLOWS},"
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
pools: [{{name: main, addresses: [203.0.113.0/24]}}]
policies: [{{name: all, source: [10.0.0.0/8], pool: main}}]
limits: {{sessions: 65536, mappings: 65536, subscribers: 4096}}
control: {{socket: {socket}}}
"""


class Played(Named):
    """An appliance between two far ends. Where they never rest, packets pass while counters are read, one after another."""

    def __init__(self, world, inside, outside, rests=False):
        super().__init__(world, "played", PLAYED, inside=PROFILE + inside, outside=PROFILE + outside)
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
    profile = "protocol=mix,size=imix,fan-out=3"
    world.nat = Played(world, profile, profile).start()
    world.nat.forwards(100 * FLOWS)
    links = {link["name"]: link for link in world.nat.show("links")["links"]}
    assert all(link["driver"] == "flowgen" for link in links.values()), links
    assert min(link["received-packets"] for link in links.values()) > 10 * FLOWS, links


@case("a far end from memory that only receives keeps no buffers", starts=False)
def one_direction(world):
    world.nat = Played(world, "direction=outbound,check=sample", "direction=outbound,check=sample").start()
    world.nat.forwards(100 * FLOWS)
    in_use = world.nat.buffers_in_use()
    assert in_use <= 2 * BUFFERS + world.nat.kept, f"{in_use} buffers are in use, {BUFFERS} a far end are enough"


@case("one pass of every session through the appliance is counted to the packet", starts=False)
def one_pass(world):
    world.nat = Played(world, "direction=inbound", "direction=outbound", rests=True).start()
    world.nat.forwards(FLOWS)
    assert not world.nat.broken_laws(), world.nat.broken_laws()
    counters = world.nat.counters()
    assert counters["received"] == FLOWS, counters
    assert counters["forwarded"] == FLOWS + counters["generated"], counters  # it also tells its own addresses
