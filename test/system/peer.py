#!/usr/bin/env python3
"""The server of the demonstration and the tests: HTTP, UDP and ICMP need nothing more. Runs inside a namespace.

    peer.py PORT [UDP-PORT]

HTTP  GET /blob/N   N bytes, the same ones each time (sha256 by blob_sha256)
      GET /who      the address and port that the request came from
UDP   answers each datagram with "ADDRESS:PORT " and the datagram itself
Prints one line a request: "http ADDRESS:PORT PATH".
"""
import asyncio
import hashlib
import random
import sys

BLOCK = random.Random(6888).randbytes(1 << 18)


def blob_sha256(size):
    digest = hashlib.sha256()
    while size > 0:
        digest.update(BLOCK[:size])
        size -= len(BLOCK)
    return digest.hexdigest()


async def send_blob(writer, size):
    while size > 0:
        writer.write(BLOCK[:size])
        await writer.drain()
        size -= len(BLOCK)


async def answer(reader, writer):
    try:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            path = request.split()[1].decode()
            address, port = writer.get_extra_info("peername")[:2]
            print(f"http {address}:{port} {path}", flush=True)
            size = int(path.removeprefix("/blob/")) if path.startswith("/blob/") else None
            text = f"{address}:{port}\n".encode()
            length = len(text) if size is None else size
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode())
            if size is None:
                writer.write(text)
                await writer.drain()
            else:
                await send_blob(writer, size)
    except (asyncio.IncompleteReadError, ConnectionError, ValueError, IndexError):
        pass
    finally:
        writer.close()


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(f"{address[0]}:{address[1]} ".encode() + data, address)


async def main(tcp_port, udp_port):
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(answer, "0.0.0.0", tcp_port, backlog=4096)
    # One socket an address, so that an answer comes from the address that was asked.
    for address in ("192.0.2.10", "192.0.2.11", "198.51.100.1"):
        await loop.create_datagram_endpoint(Echo, local_addr=(address, udp_port))
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 7))
