"""Devices, queues, workers, and a far end that goes away and comes back."""
import os
import time

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw
from scapy.utils import rdpcap, wrpcap

import appliance
import lab as laboratory
import peer
import town
import traffic
from cases import Skip, case, need_af_xdp

WORKERS = min(3, len(os.sched_getaffinity(0)))
DOWNLOAD = 20_000_000


def download(world, name="sub1", source="100.64.0.11", size=DOWNLOAD):
    program = traffic.download_sha256(world.lab, name, source, size, seconds=90)
    program.process.wait(100)
    assert program.process.returncode == 0, f"the download failed: {program.output().strip()}"
    assert program.output().split()[0] == peer.blob_sha256(size), "the bytes have changed on the way"


def everything(world):
    """A little of all: connections of many subscribers, a download, ping."""
    sources = town.fifty_subscribers()
    seen = traffic.parallel_connections(world.lab, sources, 4)
    assert len({endpoint for _, endpoint in seen}) == 4 * len(sources)
    download(world)
    status, output = traffic.ping(world.lab, "sub1", "100.64.0.11")
    assert status == 0, output


@case(f"one queue a link serves {WORKERS} workers and three shards", workers=str(WORKERS), system="shards: 3",
      int_link="queues: 1", ext_link="queues: 1")
def one_queue(world):
    everything(world)
    assert world.nat.counters()["handed-off"] > 0, "nothing was handed off, with one queue and three shards"


@case("a hairpin between the shards of several workers arrives", workers=str(WORKERS), system="shards: 3",
      int_link="queues: 1", ext_link="queues: 1")
def hairpin_between_shards(world):
    clients = [traffic.udp_socket(world.lab, *source) for source in town.fifty_subscribers()[::5]]
    mapped = [traffic.ask(client) for client in clients]
    for number, client in enumerate(clients):
        other = (number + 3) % len(clients)
        client.sendto(b"to a neighbour", mapped[other])
        assert clients[other].recvfrom(100) == (b"to a neighbour", mapped[number])


@case("several workers with a queue each carry all traffic", workers=str(WORKERS))
def many_workers(world):
    everything(world)


@case("traffic resumes at once when a new far end announces itself")
def far_end_announces(world):
    replace_far_end(world, "02:00:5e:00:00:11")
    world.lab.run("net", ["ping", "-n", "-c", "1", "-W", "2", town.EXTERNAL_ADDRESS])
    assert resumes(world, 5), "no answer 5 s after the new far end spoke"


@case("traffic resumes when a new far end only answers ARP")
def far_end_is_silent(world):
    replace_far_end(world, "02:00:5e:00:00:22")
    assert resumes(world, 60), "no answer within 60 s"


def replace_far_end(world, mac):
    assert traffic.curl(world.lab, "sub1", "100.64.0.11", "/who")
    world.server.kill()
    world.lab.remove("net")
    laboratory.wait_until(lambda: "p-net" not in world.lab.ip("transit", "-br link"), 5)
    town.add_internet(world.lab, mac)
    world.server = traffic.start_server(world.lab)


def resumes(world, seconds):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.0.11", timeout=0.5)

    def answered():
        try:
            return traffic.ask(client, tries=1) is not None
        except AssertionError:
            return False

    return laboratory.wait_until(answered, seconds, 0.2)


@case("AF_XDP links carry traffic", starts=False, int_device="af_xdp:int0", ext_device="af_xdp:ext0")
def af_xdp(world):
    need_af_xdp()
    world.nat.start()
    everything(world)


@case("a tap link carries traffic of the kernel it hangs on", starts=False, int_device="tap:tap0")
def tap(world):
    if not os.path.exists("/dev/net/tun"):
        raise Skip("this kernel has no /dev/net/tun")
    world.nat.start()
    world.lab.ip("nat", "link set tap0 up")
    world.lab.ip_batch("nat", ["address add 100.64.0.11/10 dev tap0", "route add default via 100.64.0.1"])
    seen = traffic.parse_endpoint(traffic.curl(world.lab, "nat", "100.64.0.11", "/who"))
    assert town.in_pool(seen[0]), seen
    download(world, "nat")
    status, output = traffic.ping(world.lab, "nat", "100.64.0.11")
    assert status == 0, output


class Captures:
    """Files for pcap: links: what comes in is written before, what went out is read afterwards."""

    def __init__(self, folder):
        self.names = {name: os.path.join(folder, f"{name}.pcap") for name in ("int-in", "int-out", "ext-in", "ext-out")}

    def device(self, link):
        return f"pcap:{self.names[link + '-in']},{self.names[link + '-out']}"


@case("pcap links translate what a file holds", starts=False)
def pcap(world):
    files = Captures(world.lab.folder)
    datagrams = [Ether(src="02:00:00:00:00:09", dst="ff:ff:ff:ff:ff:ff") /
                 ARP(op=1, hwsrc="02:00:00:00:00:09", psrc="100.64.0.9", pdst=town.INTERNAL_ADDRESS)]
    wrpcap(files.names["int-in"], datagrams)
    wrpcap(files.names["ext-in"], [
        Ether(src="02:00:00:00:00:08", dst="ff:ff:ff:ff:ff:ff") /
        ARP(op=1, hwsrc="02:00:00:00:00:08", psrc=town.ROUTER, pdst=town.EXTERNAL_ADDRESS)])
    world.nat = appliance.Appliance(world.lab, world.build, int_device=files.device("int"),
                                    ext_device=files.device("ext"))
    mac = own_mac(world, files)
    wrpcap(files.names["int-in"], datagrams + [
        Ether(src="02:00:00:00:00:09", dst=mac) / IP(src="100.64.0.9", dst=town.SERVER, ttl=64, id=number) /
        UDP(sport=3000 + number, dport=53) / Raw(bytes([number]) * 20) for number in range(8)])
    world.nat.start()
    time.sleep(1)
    assert world.nat.stop() == 0
    check_translated([frame for frame in rdpcap(files.names["ext-out"]) if UDP in frame])


def own_mac(world, files):
    """The link's address, from its answer to ARP."""
    world.nat.start()
    time.sleep(0.5)
    assert world.nat.stop() == 0
    answers = [frame for frame in rdpcap(files.names["int-out"]) if ARP in frame and frame[ARP].op == 2]
    assert answers and answers[0][ARP].psrc == town.INTERNAL_ADDRESS, "no answer to ARP is in the capture"
    return answers[0][ARP].hwsrc


def check_translated(frames):
    assert sorted(frame[IP].id for frame in frames) == list(range(8)), f"{len(frames)} of 8 datagrams went out"
    for frame in frames:
        assert town.in_pool(frame[IP].src) and frame[IP].dst == town.SERVER and frame[IP].ttl == 63, frame.summary()
        whole = IP(bytes(frame[IP]))
        given = whole.chksum, whole[UDP].chksum
        del whole.chksum, whole[UDP].chksum
        fresh = IP(bytes(whole))
        assert given == (fresh.chksum, fresh[UDP].chksum), "a checksum is wrong"
    assert len({frame[IP].src for frame in frames}) == 1, "a subscriber has two external addresses"
