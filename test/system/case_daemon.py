"""sekishod as a process: second starts, signals, what a killed one leaves, wrong files, links that go down."""
import os
import re
import signal
import time

from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

import appliance
import lab as laboratory
import town
import traffic
from cases import case, leftovers, need_af_xdp
from case_control import errors_of, is_one_line, sekishod, write
from case_links import Captures


def refused(world, text, *words):
    """A start with this configuration ends with status 1 and one sentence that holds the words."""
    status, output = sekishod(world, "--config", write(world, text))
    said = errors_of(output)
    assert status == 1, f"status {status}: {output}"
    assert is_one_line(said, *words), f"wanted one line with {words}: {output}"
    assert said.startswith("sekishod: "), said


def same_devices(world, **settings):
    """The configuration of the running one, save the socket."""
    other = os.path.join(world.lab.folder, "other.sock")
    return appliance.TEMPLATE.format(**{**appliance.DEFAULTS, "name": world.lab.prefix, **settings, "socket": other})


def still_works(world, bound, client):
    assert world.nat.answers(), "the first one does not answer any more"
    assert traffic.ask(client) == bound, "the first one has lost a mapping"
    assert traffic.curl(world.lab, "sub1", "100.64.0.11", "/who")


# Second starts.

@case("a second start on the same socket is refused in one sentence and the first one goes on")
def second_on_socket(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.7")
    bound = traffic.ask(client)
    inode = os.stat(world.nat.socket).st_ino
    for _ in range(3):
        refused(world, world.nat.text, "another sekishod holds the control socket", world.nat.socket)
    assert os.stat(world.nat.socket).st_ino == inode, "the socket is another one"
    still_works(world, bound, client)


@case("a second start on the same AF_XDP interface is refused and the first one goes on", starts=False,
      int_device="af_xdp:int0", ext_device="af_xdp:ext0")
def second_on_af_xdp(world):
    need_af_xdp()
    world.nat.start()
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.7")
    bound = traffic.ask(client)
    refused(world, same_devices(world, int_device="af_xdp:int0", ext_device="af_xdp:ext0"), "int0")
    still_works(world, bound, client)


@case("a second start on the same AF_PACKET interface is refused and the first one goes on")
def second_on_af_packet(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.7")
    bound = traffic.ask(client)
    refused(world, same_devices(world), "link int0", "af_packet:int0")
    refused(world, same_devices(world, int_device="af_packet:lo", int_mtu="1500"), "link ext0", "af_packet:ext0")
    refused(world, same_devices(world, int_device="af_xdp:int0"), "link int0", "af_xdp:int0")
    still_works(world, bound, client)


@case("a second start on the same tap interface is refused and the first one goes on", starts=False,
      int_device="tap:tap0")
def second_on_tap(world):
    world.nat.start()
    world.lab.ip("nat", "link set tap0 up")
    world.lab.ip_batch("nat", ["address add 100.64.0.11/10 dev tap0", "route add default via 100.64.0.1"])
    client = traffic.udp_socket(world.lab, "nat", "100.64.0.11")
    bound = traffic.ask(client)
    refused(world, same_devices(world, int_device="tap:tap0"), "tap0")
    assert world.nat.answers()
    assert traffic.ask(client) == bound, "the first one has lost a mapping"


@case("a second start on the same capture files is refused and the first one goes on", starts=False)
def second_on_pcap(world):
    files = Captures(world.lab.folder)
    for name in ("int-in", "ext-in"):
        wrpcap(files.names[name], [Ether(b"\0" * 60)])
    devices = {"int_device": files.device("int"), "ext_device": files.device("ext")}
    world.nat = appliance.Appliance(world.lab, world.build, **devices)
    world.nat.start()
    refused(world, same_devices(world, **devices), "int-out")
    assert world.nat.answers()
    assert world.nat.stop() == 0


# Signals and leftovers.

@case("SIGHUP ends it like SIGTERM: status 0 and nothing is left", starts=False)
def hang_up(world):
    world.nat.start()
    traffic.curl(world.lab, "sub1", "100.64.0.11", "/who")
    assert world.nat.stop(signal.SIGHUP) == 0, world.nat.program.output()[-2000:]
    assert "SIGHUP received" in world.nat.program.output()
    assert not leftovers(world.lab), leftovers(world.lab)


@case("the next start removes what a killed one has left, and only that", starts=False)
def killed_leftovers(world):
    world.nat.start()
    world.nat.program.kill()
    left = world.lab.traces()
    folders = {os.path.dirname(path) for path in left}
    assert "/dev/shm" in folders or "/dev/hugepages" in folders, f"a killed one leaves no state: {left}"
    assert os.path.exists(world.nat.socket), "a killed one leaves no socket"
    stranger = f"/dev/shm/sekisho-{os.getpid()}-0"  # of a process that lives
    with open(stranger, "w", encoding="ascii") as file:
        file.write("not yours")
    try:
        world.nat.start()
        said = world.nat.program.output()
        still = [path for path in left if os.path.exists(path)]
        assert not still, f"{still} are still there"
        removed = re.search(r"removed (\d+) files? and folders of processes that were killed", said)
        assert removed and int(removed.group(1)) >= len(left), said
        assert os.path.exists(stranger), "what belongs to a living process was removed"
    finally:
        os.unlink(stranger)
    assert traffic.curl(world.lab, "sub1", "100.64.0.11", "/who")
    assert world.nat.stop() == 0
    assert not leftovers(world.lab), leftovers(world.lab)


# Files that are no configuration.

@case("--check and --config of what cannot be read are one line and exit 1", starts=False)
def unreadable_files(world):
    locked = write(world, "system: {workers: 1}\n")
    os.chown(locked, 65534, 65534)
    os.chmod(locked, 0o600)
    powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    for option in ("--check", "--config"):
        for path, word, prefix in (("", "", ()), ("/nonexistent/x.yaml", "/nonexistent/x.yaml", ()),
                                   (world.lab.folder, world.lab.folder, ()), (locked, locked, powerless)):
            status, output = sekishod(world, option, path, prefix=prefix)
            assert status == 1 and is_one_line(output, word), f"{option} '{path}': {status}: {output}"
    assert not leftovers(world.lab)


# Sizes and links.

@case("64 shards run without huge pages", system="shards: 64\n  huge-pages: never")
def many_shards(world):
    sources = town.fifty_subscribers()
    seen = traffic.parallel_connections(world.lab, sources, 2)
    assert len({endpoint for _, endpoint in seen}) == 2 * len(sources)
    assert len({owner for owner, _ in seen}) == len(sources)
    assert "without huge pages" in world.nat.program.output()
    assert "64 shards" in world.nat.program.output()
    assert world.nat.counters()["handed-off"] > 0


def link_state(world, name):
    return {link["name"]: link["up"] for link in world.nat.show("links")["links"]}[name]


def said_once_more(world, sentence, action):
    before = world.nat.program.output().count(sentence)
    action()
    assert laboratory.wait_until(lambda: world.nat.program.output().count(sentence) == before + 1, 5), (
        f"the log does not say '{sentence}': {world.nat.program.output()[-1000:]}")


def goes_down_and_up(world, device, down, up):
    """Whatever takes the internal link down and up again: it is logged, shown, and traffic goes on as it was."""
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.8", timeout=0.5)
    bound = traffic.ask(client)
    assert link_state(world, "int0") is True
    for _ in range(2):
        said_once_more(world, f"device {device} is down", down)
        assert link_state(world, "int0") is False and link_state(world, "ext0") is True
        shown = {line.split()[0]: line.split()[1:] for line in world.nat.cli("show", "links").splitlines() if line}
        assert "no" in shown["int0"] and "no" not in shown["ext0"], shown
        said_once_more(world, f"device {device} is up", up)
        assert link_state(world, "int0") is True
        assert traffic.ask(client, tries=10) == bound, "the mapping is lost"


def peer_goes(world, state):
    return lambda: world.lab.ip("access", f"link set p-nat {state}")


@case("a link that loses its peer is logged and shown, and traffic goes on when it is back")
def carrier_lost(world):
    goes_down_and_up(world, "af_packet:int0", peer_goes(world, "down"), peer_goes(world, "up"))


@case("an interface that is switched off and on again carries traffic again")
def interface_off(world):
    goes_down_and_up(world, "af_packet:int0", lambda: world.lab.ip("nat", "link set int0 down"),
                     lambda: world.lab.ip("nat", "link set int0 up"))


@case("an AF_XDP link that loses its peer is logged and shown, and traffic goes on when it is back", starts=False,
      int_device="af_xdp:int0", ext_device="af_xdp:ext0")
def carrier_lost_af_xdp(world):
    need_af_xdp()
    world.nat.start()
    goes_down_and_up(world, "af_xdp:int0", peer_goes(world, "down"), peer_goes(world, "up"))


# Workers without work.

def loops_and_pauses(world, seconds=1.0):
    """How often the worker has gone round and has paused within a while without packets."""
    def look():
        worker, = world.nat.show("workers")["workers"]
        return worker["heartbeat"], worker["pauses"]

    before = look()
    time.sleep(seconds)
    return tuple(now - then for now, then in zip(look(), before))


@case("a worker without work pauses, a tenth of a millisecond at most, and answers at once")
def adaptive(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.7")
    loops, pauses = loops_and_pauses(world)
    assert 500 < pauses <= loops, f"{pauses} pauses in {loops} rounds"
    bound = traffic.ask(client)
    _, pauses = loops_and_pauses(world)
    assert pauses > 500, f"after a packet {pauses} pauses"
    assert traffic.ask(client) == bound


@case("with idle: busy a worker never pauses", system="idle: busy")
def busy(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.7")
    bound = traffic.ask(client)
    loops, _ = loops_and_pauses(world)
    worker, = world.nat.show("workers")["workers"]
    assert worker["pauses"] == 0 and loops > 20_000, f"{worker}, {loops} rounds in a second"
    assert traffic.ask(client) == bound
