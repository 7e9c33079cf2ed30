"""What is done to TCP besides translation, with the kernel's own TCP at both ends."""
import errno
import socket
import struct
import time

import lab as laboratory
import peer
import town
import traffic
from cases import case, drops

HELD_SECONDS = 6


def connect(world, name, source, target, timeout=20):
    """Errno of a connection attempt (0: it was accepted), and how long it took."""
    client = world.lab.socket(name, source=(source, 0), timeout=timeout)
    begin = time.monotonic()
    try:
        result = client.connect_ex(target)
    finally:
        client.close()
    return result, time.monotonic() - begin


def who(client):
    client.sendall(b"GET /who HTTP/1.1\r\n\r\n")
    answer = b""
    while answer.count(b"\n") < 4:  # status, length, an empty line, the endpoint
        part = client.recv(1000)
        assert part, f"the connection has ended after {answer}"
        answer += part
    return traffic.parse_endpoint(answer.decode().split("\r\n\r\n")[1])


@case("a connection to an external endpoint that nobody has is refused, but not before six seconds",
      tags="[rfc5382-req4-error]")
def unsolicited_syn(world):
    result, seconds = connect(world, "net", town.OTHER_SERVER, ("203.0.113.70", 40404))
    assert result == errno.ECONNREFUSED, errno.errorcode.get(result, result)
    assert seconds >= HELD_SECONDS, f"answered after {seconds:.2f} s"
    laboratory.wait_until(lambda: world.nat.counters()["syns-waiting"] == 0, 2 * HELD_SECONDS)
    counters = world.nat.counters()
    assert counters["syns-answered"] >= 1 and counters["syns-waiting"] == 0, counters


@case("a pool that is silent lets such a connection attempt run into its own timeout", tags="[rfc5382-req4a]",
      pool="unsolicited-syn: silent")
def silent_pool(world):
    result, _ = connect(world, "net", town.OTHER_SERVER, ("203.0.113.70", 40404), timeout=HELD_SECONDS + 3)
    assert result in (errno.EAGAIN, errno.ETIMEDOUT), errno.errorcode.get(result, result)
    assert world.nat.counters()["syns-answered"] == 0


@case("both ends of a connection learn the clamped segment size", policy="mss-clamp: 1200")
def mss_clamp(world):
    listener = world.lab.socket("net", source=(town.OTHER_SERVER, 8181))
    listener.listen()
    client = world.lab.socket("sub1", source=("100.64.1.9", 0))
    client.connect((town.OTHER_SERVER, 8181))
    accepted, _ = listener.accept()
    for side in (client, accepted):
        size = side.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        assert 1100 < size <= 1200, f"a segment size of {size}"  # timestamps take 12
    client.sendall(b"x" * 100000)
    received = 0
    while received < 100000:
        received += len(accepted.recv(65536))
    for made in (client, accepted, listener):
        made.close()


@case("an established connection goes on after a restart of the appliance", policy="tcp-pickup: true",
      pool="port-selection: sequential")
def pickup(world):
    client = world.lab.socket("sub1", source=("100.64.1.9", 0), timeout=20)
    client.connect((town.SERVER, traffic.HTTP_PORT))
    before = who(client)
    world.nat.stop()
    world.nat.start()
    assert not world.nat.sessions()
    assert who(client) == before  # the first port after the start, again
    states = {s["state"] for s in world.nat.sessions("protocol", "tcp")}
    assert states == {"tcp-established"}, states
    client.close()


@case("what the kernel's TCP sends lies in its window, and a forged reset does not", policy="tcp-window: drop",
      system="shards: 3", tags="[pitfall-13]")
def window(world):
    size = 20_000_000
    for name, source in (("sub1", "100.64.1.3"), ("sub2", "100.64.2.3")):
        download = traffic.download_sha256(world.lab, name, source, size, seconds=60)
        download.process.wait(70)
        assert download.output().split()[0] == peer.blob_sha256(size), download.output()
    client = world.lab.socket("sub1", source=("100.64.1.9", 0), timeout=20)
    client.connect((town.SERVER, traffic.HTTP_PORT))
    mapped = who(client)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    time.sleep(2.5)
    assert world.nat.dropped("tcp-out-of-window") == 0, world.nat.counters()
    with drops(world.nat, tcp_out_of_window=4):
        for sequence in (0, 1 << 30, 2 << 30, 3 << 30):
            forge_reset(world, (town.SERVER, traffic.HTTP_PORT), mapped, sequence)
    assert who(client) == mapped
    client.close()


def forge_reset(world, source, target, sequence):
    """A RST from outside in the server's name; at most one of four such numbers can lie in a window."""
    header = struct.pack("!HHLLBBHHH", source[1], target[1], sequence, 0, 5 << 4, 4, 0, 0, 0)
    pseudo = socket.inet_aton(source[0]) + socket.inet_aton(target[0]) + struct.pack("!BBH", 0, 6, len(header))
    total = sum(struct.unpack(f"!{len(pseudo + header) // 2}H", pseudo + header))
    total = (total & 0xffff) + (total >> 16)
    header = header[:16] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + header[18:]
    raw = world.lab.socket("net", kind=socket.SOCK_RAW, protocol=socket.IPPROTO_TCP, source=(source[0], 0))
    raw.sendto(header, (target[0], 0))
    raw.close()
