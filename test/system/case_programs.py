"""Programs that people use to look at a network, through the appliance to a server behind a hop of a small MTU."""
import json
import os
import re
import sys

import lab as laboratory
import town
import traffic
from case_fragments import XDP, start
from cases import case, need

SMALL = 1280
FAR = "192.0.2.99"
SUBSCRIBER = "100.64.0.11"
BLOB = 3_000_000  # bytes


def start_far(world):
    """A server behind the provider's router, over a link that takes no more than SMALL bytes."""
    if not world.nat.is_running():
        start(world)
    if "far" in world.lab.names:
        return
    world.lab.add("far")
    world.lab.veth("net", "far0", "far", "eth0", SMALL)
    world.lab.sysctl("net", "ipv4/ip_forward", "1")
    for name in ("net", "far"):  # else who asks again within a second is not answered
        world.lab.sysctl(name, "ipv4/icmp_ratelimit", "0")
    world.lab.ip_batch("net", ["address add 192.0.2.201/30 dev far0", f"route add {FAR}/32 dev far0"])
    world.lab.ip_batch("far", ["address add 192.0.2.202/30 dev eth0", f"address add {FAR}/32 dev lo",
                               "route add default via 192.0.2.201"])
    with open(os.path.join(world.lab.folder, "blob"), "wb") as file:
        file.write(bytes(BLOB))
    server = world.lab.spawn("far", "http", [sys.executable, "-B", "-u", "-m", "http.server", str(traffic.HTTP_PORT),
                                             "--bind", FAR, "--directory", world.lab.folder])
    server.wait_for("Serving HTTP")


def forget_path(world):
    """What sub1 has learnt of the path is its own affair; each program finds it anew."""
    world.lab.ip("sub1", "route flush cache")


@case("tracepath and ping learn the MTU of a hop behind the appliance, and ping -s 5000 passes it", starts=False,
      tags="[rfc5508-req4c]", **XDP)
def path_mtu(world):
    need("tracepath")
    start_far(world)
    forget_path(world)
    _, output = world.lab.attempt("sub1", ["tracepath", "-n", "-m", "6", "-p", "33500", FAR], 40)
    assert re.search(rf"Resume: pmtu {SMALL} hops 3", output), output
    assert re.search(rf"1: +{town.INTERNAL_ADDRESS}", output) and f"pmtu {SMALL}" in output, output
    forget_path(world)
    status, output = traffic.ping(world.lab, "sub1", SUBSCRIBER, FAR, count=1, more=["-M", "do", "-s", "1472"])
    assert status != 0 and re.search(rf"mtu ?= ?{SMALL}", output), output
    status, output = traffic.ping(world.lab, "sub1", SUBSCRIBER, FAR, more=["-M", "do", "-s", str(SMALL - 28)])
    assert status == 0 and "3 received" in output, output
    status, output = traffic.ping(world.lab, "sub1", SUBSCRIBER, FAR, more=["-s", "5000"])
    assert status == 0 and "3 received" in output, output
    traffic.ping(world.lab, "sub1", SUBSCRIBER, FAR)  # with the next burst the driver gives back what the last one was in


@case("curl, and iperf3 both ways, pass a hop of a small MTU, over two workers", tags="[rfc5382-req9]", workers="2",
      system="shards: 3")
def transfers(world):
    need("iperf3")
    start_far(world)
    forget_path(world)
    status, output = world.lab.attempt("sub1", [
        *traffic.curl_arguments("100.64.1.3", "/blob", FAR, 60), "-o", "/dev/null", "-w", "%{size_download}"], 70)
    assert (status, output) == (0, str(BLOB)), f"curl ended with {status}: {output}"
    for more in ([], ["-R"]):
        server = world.lab.spawn("far", "iperf3", ["iperf3", "-s", "-1", "-B", FAR, "--forceflush"])
        server.wait_for("listening")
        status, output = world.lab.attempt("sub1", [
            "iperf3", "-c", FAR, "-B", SUBSCRIBER, "-t", "2", "-J", *more], 60)
        assert status == 0, output[-800:]
        end = json.loads(output[output.index("{"):])["end"]
        assert end["sum_received"]["bytes"] > 1_000_000, end["sum_received"]
        server.process.wait(20)


@case("traceroute finds every hop with UDP, ICMP and TCP", tags="[rfc5508-req10a-time-exceeded]")
def traceroutes(world):
    need("traceroute")
    start_far(world)
    wanted = [town.INTERNAL_ADDRESS, town.ROUTER, FAR]
    for more in ([], ["-I"], ["-T", "-p", str(traffic.HTTP_PORT)], ["-U", "-p", "53"]):
        hops = traffic.traceroute(world.lab, "sub1", SUBSCRIBER, more, FAR)
        assert hops == wanted, f"traceroute {more}: {hops}"


@case("hping3's probes are answered through the appliance, and its floods leave a download alone")
def hping(world):
    need("hping3")
    start_far(world)
    for more, wanted in ((["-S", "-p", "80"], "flags=SA"), (["-S", "-p", "81"], "flags=RA"), (["-1"], "icmp_seq=0"),
                         (["-2", "-p", "9"], "ICMP Port Unreachable")):
        _, output = world.lab.attempt("sub1", ["hping3", "-n", "-c", "2", "-i", "u20000", *more, FAR], 30)
        assert wanted in output, f"{more}: {output}"
    download = traffic.download_sha256(world.lab, "sub1", "100.64.1.4", 20_000_000)
    floods = [
        world.lab.spawn("net", "hping3", ["hping3", "-q", "-n", "-c", "3000", "-i", "u300", *more, "203.0.113.5"])
        for more in (["-S", "--rand-source", "-p", "++1024"], ["-2", "--rand-source", "-p", "++1024"],
                     ["-R", "-s", "80", "-k", "-a", town.SERVER, "-p", "++1024"])]
    download.process.wait(120)
    assert download.process.returncode == 0, download.output()
    for flood in floods:
        flood.process.wait(60)
    assert laboratory.wait_until(lambda: world.nat.dropped("no-mapping") > 2000, 10), world.nat.counters()["dropped"]
