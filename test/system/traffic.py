"""Clients and servers of the system tests: what subscribers and the Internet do."""
import asyncio
import contextlib
import os
import re
import resource
import socket
import struct
import sys

import lab as laboratory
import town

HTTP_PORT = 80
UDP_PORT = 7
IP_RECVTTL = 12  # <linux/in.h>; the socket module has no name for it
PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer.py")


def start_server(lab):
    program = lab.spawn("net", "peer", [sys.executable, "-B", PEER, str(HTTP_PORT), str(UDP_PORT)])
    program.wait_for("ready")
    return program


def curl(lab, name, source, path, server=town.SERVER, seconds=20):
    """The body of an HTTP answer, or an AssertionError."""
    status, output = lab.attempt(name, curl_arguments(source, path, server, seconds), seconds + 5)
    assert status == 0, f"curl from {source} ended with {status}: {output.strip()}"
    return output


def curl_arguments(source, path, server=town.SERVER, seconds=20):
    return ["curl", "-sS", "--interface", source, "--max-time", str(seconds), f"http://{server}{path}"]


def download_sha256(lab, name, source, size, seconds=300):
    """Starts a download; the result is a Program whose output is the sha256 of what came."""
    line = f"set -o pipefail; {' '.join(curl_arguments(source, f'/blob/{size}', seconds=seconds))} | sha256sum"
    return lab.spawn(name, "download", ["bash", "-c", line])


def ping(lab, name, source, target=town.SERVER, count=3, more=()):
    return lab.attempt(name, ["ping", "-n", "-I", source, "-c", str(count), "-i", "0.2", "-W", "2", *more, target])


def traceroute(lab, name, source, more=(), target=town.SERVER):
    """The hops: a list of addresses, '*' where none answered."""
    _, output = lab.attempt(name, ["traceroute", "-n", "-q", "1", "-w", "2", "-m", "5", "-s", source, *more, target])
    return re.findall(r"^ *\d+ +(\S+)", output, re.MULTILINE)


def parse_endpoint(text):
    address, port = text.strip().split(":")
    return address, int(port)


# UDP.

def udp_socket(lab, name, source, port=0, timeout=2):
    made = lab.socket(name, kind=socket.SOCK_DGRAM, source=(source, port), timeout=timeout)
    made.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    return made


def ask(client, server=town.SERVER, payload=b"hello", tries=3):
    """Sends to the UDP echo and returns the external endpoint that it saw."""
    for _ in range(tries):
        client.sendto(payload, (server, UDP_PORT))
        with contextlib.suppress(socket.timeout):
            answer, _ = client.recvfrom(65535)
            seen, _, echoed = answer.partition(b" ")
            assert echoed == payload, f"sent {len(payload)} bytes, {len(echoed)} other ones came back"
            return parse_endpoint(seen.decode())
    raise AssertionError(f"no answer from {server} to {client.getsockname()}")


def receive_with_ttl(client):
    """(payload, sender, TTL) of the next datagram."""
    data, ancillary, _, sender = client.recvmsg(65535, 256)
    for level, kind, value in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, socket.IP_TTL):
            return data, sender, struct.unpack("i", value[:4])[0]
    raise AssertionError("the kernel gave no TTL")


def hears_nothing(client, seconds=0.5):
    client.settimeout(seconds)
    try:
        heard = client.recvfrom(65535)
    except socket.timeout:
        return True
    raise AssertionError(f"{client.getsockname()} heard {heard}")


# Many connections at once.

async def one_connection(made, number, server, barrier):
    loop = asyncio.get_running_loop()
    await loop.sock_connect(made, server)
    await barrier()  # all are open before the first asks
    reader, writer = await asyncio.open_connection(sock=made)
    writer.write(f"GET /who/{number} HTTP/1.1\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"Content-Length: (\d+)", head).group(1))
    body = await reader.readexactly(length)
    writer.close()
    return parse_endpoint(body.decode())


async def all_connections(sockets, server, seconds):
    opened = 0
    everyone = asyncio.Event()

    async def barrier():
        nonlocal opened
        opened += 1
        if opened == len(sockets):
            everyone.set()
        await everyone.wait()

    tasks = [one_connection(made, number, server, barrier) for number, made in enumerate(sockets)]
    return await asyncio.wait_for(asyncio.gather(*tasks), seconds)


def parallel_connections(lab, sources, each, seconds=60):
    """Opens `each` connections from every (namespace, address), all open at once, and asks each for its external
    endpoint: a list of (internal address, (external address, external port))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard) if soft < hard else (soft, hard))
    sockets = [lab.socket(name, source=(address, 0)) for name, address in sources for _ in range(each)]
    owners = [made.getsockname()[0] for made in sockets]
    for made in sockets:
        made.setblocking(False)
    try:
        return list(zip(owners, asyncio.run(all_connections(sockets, (town.SERVER, HTTP_PORT), seconds))))
    except asyncio.TimeoutError:
        raise AssertionError(f"{len(sockets)} connections were not answered within {seconds} s") from None
    finally:
        for made in sockets:
            made.close()


def drain(raw):
    """Throws away what a raw socket has queued."""
    raw.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            raw.recv(65535)


def capture(raw, wanted, seconds=2):
    """The first received frame for which wanted(frame) holds, or None."""
    found = []

    def look():
        raw.settimeout(0.05)
        with contextlib.suppress(socket.timeout):
            frame = raw.recv(65535)
            if wanted(frame):
                found.append(frame)
        return bool(found)

    laboratory.wait_until(look, seconds, 0)
    return found[0] if found else None
