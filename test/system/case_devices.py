"""Devices without an interface: memory shared with other processes, looped captures, nothing; and far ends that die."""
import contextlib
import json
import os
import shutil
import signal
import socket
import time

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import wrpcap

import appliance
import lab as laboratory
import town
import traffic
from case_links import WORKERS, download, resumes
from cases import Skip, case, need

# Two appliances in a row: the access network's, whose outside is a link to the provider's, both with a pool of their own.
ACCESS = """\
system: {{name: access, workers: {workers}, huge-pages: never}}
links:
  - {{name: int0, device: "af_packet:int0", realm: internal, addresses: [100.64.0.1/10]}}
  - {{name: up0, device: "{device}", realm: external, addresses: [10.200.0.1/30]{more}}}
routes: [{{prefix: 0.0.0.0/0, next-hop: 10.200.0.2}}]
pools: [{{name: main, addresses: [10.201.0.0/24]}}]
policies: [{{name: all, source: [100.64.0.0/10], pool: main}}]
limits: {{sessions: 65536, mappings: 65536, subscribers: 4096}}
control: {{socket: {socket}}}
"""
PROVIDER = """\
system: {{name: provider, workers: {workers}, huge-pages: never}}
links:
  - {{name: down0, device: "{device}", realm: internal, addresses: [10.200.0.2/30]{more}}}
  - {{name: ext0, device: "af_packet:ext0", realm: external, addresses: [198.51.100.2/24], proxy-arp: true}}
routes:
  - {{prefix: 0.0.0.0/0, next-hop: 198.51.100.1}}
  - {{prefix: 10.201.0.0/24, next-hop: 10.200.0.1}}
pools: [{{name: main, addresses: [203.0.113.0/28]}}]
policies: [{{name: all, source: [10.201.0.0/24], pool: main}}]
limits: {{sessions: 65536, mappings: 65536, subscribers: 4096}}
control: {{socket: {socket}}}
"""
# One link that tests play the far end of, beside two on which others go on.
BESIDE = """\
system: {{name: beside, workers: 1, huge-pages: never}}
links:
  - {{name: int0, device: "af_packet:int0", realm: internal, addresses: [100.64.0.1/10]}}
  - {{name: ext0, device: "af_packet:ext0", realm: external, addresses: [198.51.100.2/24], proxy-arp: true}}
  - {{name: odd0, device: "{device}", realm: internal, addresses: [10.250.0.1/24]}}
routes: [{{prefix: 0.0.0.0/0, next-hop: 198.51.100.1}}]
pools: [{{name: main, addresses: [203.0.113.0/28]}}]
policies: [{{name: all, source: [100.64.0.0/10, 10.254.0.0/16], pool: main}}]
limits: {{sessions: 65536, mappings: 65536, subscribers: 4096}}
control: {{socket: {socket}}}
"""


class Named(appliance.Appliance):
    """An appliance beside another one in the same lab."""

    def __init__(self, world, name, template, **values):
        super().__init__(world.lab, world.build, text="")
        self.socket = os.path.join(world.lab.folder, f"{name}.sock")
        self.config = os.path.join(world.lab.folder, f"{name}.yaml")
        self.text = template.format(socket=self.socket, **{"more": "", "workers": 1, **values})
        # This driver gives sent buffers back only when their descriptors are wanted again.
        self.kept = 1024 * 2 if "virtio_user:" in self.text else 0

    def is_store_whole(self):
        return self.buffers_in_use() - self.counters()["held"] <= self.buffers_at_rest + self.kept

    def link(self, name):
        return next(link for link in self.show("links")["links"] if link["name"] == name)

    def says(self, text, seconds=20):
        self.program.wait_for(text, seconds)


def path_of(world, name):
    return os.path.join(world.lab.folder, name)


def refused(world, text):
    """The last line of an appliance that does not start."""
    world.nat = appliance.Appliance(world.lab, world.build, text=text)
    world.nat.launch()
    laboratory.wait_until(lambda: world.nat.program.process.poll() is not None, 30)
    assert world.nat.program.process.poll() == 1, f"it has not ended with 1: {world.nat.program.output()}"
    return world.nat.program.output().strip().splitlines()[-1]


def join(world, access_device, provider_device, provider_first=False, **values):
    """Starts both; the cases' laws are checked on the first, the second's here by end()."""
    access = Named(world, "access", ACCESS, device=access_device, **values)
    provider = Named(world, "provider", PROVIDER, device=provider_device, **values)
    world.nat = access
    for one in (provider, access) if provider_first else (access, provider):
        one.start()
    assert laboratory.wait_until(lambda: access.link("up0")["up"] and provider.link("down0")["up"], 20), "no link"
    return access, provider


def carries(world):
    seen = traffic.parse_endpoint(traffic.curl(world.lab, "sub1", "100.64.0.11", "/who"))
    assert town.in_pool(seen[0]), seen
    download(world)
    status, output = traffic.ping(world.lab, "sub1", "100.64.0.11")
    assert status == 0, output


def end(provider):
    laws = provider.broken_laws()
    assert not laws, laws
    assert provider.stop() == 0, provider.program.output()


@case("two appliances joined by memif carry traffic", starts=False)
def memif(world):
    path = path_of(world, "m.sock")
    access, provider = join(world, f"memif:{path},server", f"memif:{path},client")
    carries(world)
    assert access.link("up0")["driver"] == "net_memif"
    end(provider)


@case(f"memif with two queues serves {WORKERS} workers", starts=False)
def memif_queues(world):
    path = path_of(world, "m.sock")
    access, provider = join(world, f"memif:{path},server", f"memif:{path},client", workers=WORKERS, more=", queues: 2")
    carries(world)
    assert access.link("up0")["queues"] == 2
    assert "2 queues, spread as the far end likes" in access.program.output()
    end(provider)


@case("two appliances joined by vhost and virtio_user carry traffic", starts=False)
def vhost(world):
    path = path_of(world, "v.sock")
    access, provider = join(world, f"virtio_user:{path}", f"vhost:{path}", provider_first=True)
    carries(world)
    assert (access.link("up0")["driver"], provider.link("down0")["driver"]) == ("net_virtio_user", "net_vhost")
    end(provider)


@case(f"vhost and virtio_user with two queues serve {WORKERS} workers", starts=False)
def vhost_queues(world):
    path = path_of(world, "v.sock")
    access, provider = join(world, f"virtio_user:{path}", f"vhost:{path}", provider_first=True, workers=WORKERS,
                            more=", queues: 2")
    carries(world)
    assert access.link("up0")["queues"] == provider.link("down0")["queues"] == 2
    end(provider)


def far_end_dies(title, ours, theirs, theirs_first=False):
    """A case that kills the appliance at the other end of a socket, starts it again, and sees traffic resume."""

    @case(title, starts=False)
    def dies(world):
        path = path_of(world, "far.sock")
        access, provider = join(world, ours.format(path), theirs.format(path), theirs_first)
        assert theirs_first or "is down; nothing passes until it is up" in access.program.output()
        before = access.link("up0")
        provider.stop(signal.SIGKILL)
        access.says(f"is down ({before['downs'] + 1} time")
        assert laboratory.wait_until(lambda: access.link("up0")["downs"] == before["downs"] + 1, 5), access.link("up0")
        away = access.link("up0")
        assert not away["up"] and away["sent-packets"] >= before["sent-packets"], "it forgot what it had counted"
        provider.start()
        assert laboratory.wait_until(lambda: access.link("up0")["up"], 20), access.program.output()
        assert resumes(world, 20), "no answer 20 s after the far end had come back"
        assert access.link("up0")["mac"] == before["mac"]
        carries(world)
        end(provider)


far_end_dies("a memif server waits for a far end that has died", "memif:{},server", "memif:{},client")
far_end_dies("a memif client looks for a server that has died, or is not there yet", "memif:{},client", "memif:{},server")
far_end_dies("vhost takes a frontend that has died and come back", "vhost:{}", "virtio_user:{}")
far_end_dies("virtio_user finds a vhost that has died and come back", "virtio_user:{}", "vhost:{}", theirs_first=True)


@case("a tap link that is removed is made anew", starts=False)
def tap_removed(world):
    if not os.path.exists("/dev/net/tun"):
        raise Skip("this kernel has no /dev/net/tun")
    world.nat = Named(world, "tap", BESIDE, device="tap:tap0").start()
    mac = world.nat.link("odd0")["mac"]
    tap_pings(world)
    world.lab.ip("nat", "link del tap0")
    world.nat.says("device tap:tap0 is down (1 time so far)")
    assert traffic.ask(traffic.udp_socket(world.lab, "sub1", "100.64.0.11"))
    assert laboratory.wait_until(lambda: world.nat.link("odd0")["up"], 10), world.nat.program.output()
    assert world.nat.link("odd0")["mac"] == mac and world.nat.link("odd0")["downs"] == 1
    tap_pings(world)


def tap_pings(world):
    world.lab.ip_batch("nat", ["link set tap0 up", "address add 10.250.0.9/24 dev tap0"])
    status, output = world.lab.attempt("nat", ["ping", "-n", "-c", "2", "-W", "5", "10.250.0.1"])
    assert status == 0, output


def odd_pings(world, count):
    """The other end of the odd link, which has its address, is answered."""
    status, output = world.lab.attempt("access", ["ping", "-n", "-c", str(count), "-i", "0.1", "-W", "5", "10.250.0.1"])
    assert status == 0, output


def odd_veth(world):
    world.lab.veth("nat", "odd0", "access", "p-odd")
    world.lab.ip("access", "address add 10.250.0.9/24 dev p-odd")


@case("an interface that is made anew under an AF_PACKET link carries traffic again", starts=False)
def interface_anew(world):
    odd_veth(world)
    world.nat = Named(world, "anew", BESIDE, device="af_packet:odd0").start()
    mac = world.nat.link("odd0")["mac"]
    world.lab.ip("nat", "link del odd0")
    world.nat.says("device af_packet:odd0 is down")
    time.sleep(2)  # it is looked for meanwhile, in vain
    assert traffic.ask(traffic.udp_socket(world.lab, "sub1", "100.64.0.11"))
    odd_veth(world)
    assert laboratory.wait_until(lambda: world.nat.link("odd0")["up"], 10), world.nat.program.output()
    assert world.nat.link("odd0")["mac"] == mac
    odd_pings(world, 2)


@case("what a link has counted stays when it is made anew, also what nobody had looked at", starts=False)
def counts_stay(world):
    odd_veth(world)
    world.nat = Named(world, "counts", BESIDE, device="af_packet:odd0").start()
    odd_pings(world, 20)
    world.lab.ip("nat", "link del odd0")
    world.nat.says("device af_packet:odd0 is down (1 time so far)")
    odd_veth(world)
    world.nat.says("device af_packet:odd0 is up (was down 1 time so far)")
    link = world.nat.link("odd0")
    assert link["received-packets"] >= 20 and link["sent-packets"] >= 20, link


# testpmd as the far end.

class Testpmd:
    """dpdk-testpmd on one memif link, sending."""

    def __init__(self, world, path, mac, more=()):
        need("dpdk-testpmd")
        self.prefix = f"{world.lab.prefix}-testpmd"
        self.program = world.lab.spawn("nat", "testpmd", [
            "dpdk-testpmd", "--lcores", "0@0,1@0", "--main-lcore", "0", "--no-pci", "--no-telemetry", "--no-huge", "-m",
            "128", "--no-shconf", "--file-prefix", self.prefix,
            f"--vdev=net_memif0,role=client,socket={path},socket-abstract=no", "--", "--forward-mode=txonly",
            "--txonly-multi-flow", "--tx-ip=10.254.0.1,10.254.0.2", f"--eth-peer=0,{mac}", "--total-num-mbufs=4096",
            "--auto-start", "--stats-period=1", *more])

    def kill(self):
        self.program.kill()
        shutil.rmtree(f"/run/dpdk/{self.prefix}", ignore_errors=True)


@case("a memif far end that is killed while it sends, again and again, harms nobody", starts=False)
def memif_killed_under_load(world):
    path = path_of(world, "m.sock")
    world.nat = Named(world, "load", BESIDE, device=f"memif:{path},server").start()
    client = traffic.udp_socket(world.lab, "sub1", "100.64.0.11")
    endpoint = traffic.ask(client)
    for round_number in range(1, 9):
        before = world.nat.link("odd0")["received-packets"]
        far = Testpmd(world, path, world.nat.link("odd0")["mac"])
        came = laboratory.wait_until(lambda: world.nat.link("odd0")["received-packets"] > before + 1000, 20)
        assert came, f"nothing came from the far end: {far.program.output()[-1000:]}"
        far.kill()
        assert laboratory.wait_until(lambda: world.nat.link("odd0")["downs"] == round_number, 10), "not counted"
        assert world.nat.is_running(), world.nat.program.output()
        assert traffic.ask(client) == endpoint, "another link has suffered"
    world.nat.says("is down (8 times so far)")


@case("a far end that sends garbage costs the other links nothing", starts=False)
def garbage(world):
    path = path_of(world, "m.sock")
    world.nat = Named(world, "garbage", BESIDE, device=f"memif:{path},server").start()
    far = Testpmd(world, path, "02:00:00:00:00:77", ["--txpkts=64"])  # to somebody else
    assert laboratory.wait_until(lambda: world.nat.dropped("foreign-mac") > 1000, 20), world.nat.counters()
    client = traffic.udp_socket(world.lab, "sub1", "100.64.0.11")
    answered = sum(traffic.ask(client) is not None for _ in range(50))
    assert answered == 50
    far.kill()
    missed = {link["name"]: link["received-missed"] for link in world.nat.show("links")["links"] if link["name"] != "odd0"}
    assert not any(missed.values()), missed


# Captures over and over, and nothing.

LOOP = """\
system: {{name: loop, workers: 1, huge-pages: never}}
links:
  - {{name: int0, device: "pcap-loop:{capture}", realm: internal, addresses: [100.64.0.1/10]}}
  - {{name: ext0, device: null, realm: external, addresses: [198.51.100.2/24]}}
routes: [{{prefix: 0.0.0.0/0, next-hop: 198.51.100.1}}]
neighbours: [{{address: 198.51.100.1, mac: 02:00:5e:00:00:01}}]
pools: [{{name: main, addresses: [203.0.113.0/28]}}]
policies: [{{name: all, source: [100.64.0.0/10], pool: main}}]
control: {{socket: {socket}}}
"""


def write_loop(world, flows):
    capture = path_of(world, "loop.pcap")
    wrpcap(capture, [Ether(src="02:00:00:00:00:09", dst="02:70:63:61:70:00") / IP(src="100.64.0.9", dst=town.SERVER) /
                     UDP(sport=2000 + number, dport=53) / Raw(bytes(18)) for number in range(flows)])
    return capture


@case("a looped capture is translated over and over, and sent into nothing", starts=False)
def loop_to_null(world):
    capture = write_loop(world, 2000)
    world.nat = Named(world, "loop", LOOP, capture=capture).start()
    assert laboratory.wait_until(lambda: world.nat.counters()["forwarded"] > 30000, 20), world.nat.counters()
    assert world.nat.show("status")["sessions"]["used"] == 2000
    reasons = {reason for reason, number in world.nat.counters()["dropped"].items() if number}
    assert not reasons, reasons
    hop = world.nat.show("neighbours")["neighbours"]
    assert [(row["address"], row["state"]) for row in hop] == [("198.51.100.1", "static")], hop
    assert world.nat.link("ext0")["driver"] == "net_null" and world.nat.link("ext0")["sent-packets"] > 30000
    assert "1 queue, which receive nothing" in world.nat.program.output()
    assert world.nat.stop() == 0


@case("the bench of links measures a loop beside testpmd, and loses nothing", starts=False)
def bench_links(world):
    need("dpdk-testpmd")
    tool = os.path.join(town.root_folder(), "tools", "bench-links")
    status, output = world.lab.attempt(None, [tool, "--build", world.build, "--short", "--json"], 240)
    assert status == 0, output
    results = [json.loads(line) for line in output.splitlines()]
    assert [(r["benchmark"], r["program"]) for r in results] == [
        ("loop", "sekishod"), ("loop", "testpmd"), ("memif", "sekishod"), ("vhost", "sekishod")], output
    for result in results:
        assert result["mpps"]["median"] > 0 and set(result["mpps"]) == {"min", "median", "max"}, result
    loop, _, *between = results
    assert loop["lost"] == 0 and loop["held_sessions"] == loop["sessions"] == 1000, loop
    ring = 1024  # frames that may be under way when the sender ends
    for result in between:
        assert result["received"] + 2 * ring > result["sent"] > 0 and result["arrived"] > 0, result
        assert abs(result["received"] - result["forwarded"] - result["dropped"]) < 1000, result


@case("the bench of links leaves nothing behind when its terminal is closed", starts=False)
def bench_links_ended(world):
    need("dpdk-testpmd")
    folder = path_of(world, "temporary")
    os.mkdir(folder)
    tool = os.path.join(town.root_folder(), "tools", "bench-links")
    program = world.lab.spawn(None, "bench-links", ["env", f"TMPDIR={folder}", tool, "--build", world.build, "--no-huge",
                                                    "--only", "loop", "--sessions", "1000", "--intervals", "1000"])

    def daemon_log():
        return [os.path.join(path, name) for path, _, names in os.walk(folder) for name in names if name == "loop-1000.log"]

    def is_ready():
        with contextlib.suppress(IndexError), open(daemon_log()[0], encoding="utf-8") as file:
            return "ready, control on" in file.read()
        return False

    assert laboratory.wait_until(is_ready, 60), program.output()
    assert program.stop(signal.SIGHUP, 30) == 129, program.output()
    assert not os.listdir(folder), os.listdir(folder)


@case("what a device lacks is said in one sentence before anything runs", starts=False)
def refusals(world):
    alive = path_of(world, "alive.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(alive)
        listener.listen()
        assert f"another process listens on {alive}" in refused(world, beside(world, f"vhost:{alive}"))
    missing = path_of(world, "missing")
    assert f"no vhost listens on {missing}" in refused(world, beside(world, f"virtio_user:{missing}"))
    assert "existing, writable folder" in refused(world, beside(world, f"memif:{missing}/m.sock,server"))
    assert f"{missing} cannot be read" in refused(world, beside(world, f"pcap-loop:{missing}"))
    with open(path_of(world, "next.pcapng"), "wb") as file:
        file.write(bytes.fromhex("0a0d0d0a") + bytes(60))
    assert "editcap -F pcap" in refused(world, beside(world, f"pcap-loop:{file.name}"))
    world.nat = Named(world, "stale", BESIDE, device=f"vhost:{alive}").start()  # its listener has left it behind
    assert world.nat.stop() == 0


def beside(world, device):
    return BESIDE.format(socket=path_of(world, "sekisho.sock"), device=device)
