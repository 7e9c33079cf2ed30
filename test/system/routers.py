"""Two routers that take the same iptables scripts: the kernel in a namespace, and the appliance; and what comes out of them.

Both have an internal link int0 (100.64.0.1/10) and an external one ext0 (198.51.100.2/24), whose far ends are bare interfaces:
nobody there answers anything, so all that comes back is the router's.
"""
import os
import select
import socket
import subprocess
import time

import lab as laboratory
from oldtools import OldTools
from wire import ICMP, TCP, UDP, Packet, ip, udp

INTERNAL, EXTERNAL = "100.64.0.1", "198.51.100.2"
OUTSIDE = "203.0.113.1"  # behind which flows stand
CLIENTS = [f"100.64.1.{i}" for i in range(1, 9)]
GUARD, GUARDED = "100.64.1.9", "192.0.2.9"  # of packets that every script lets pass: when one is through, those before it are
GUARD_RULE = f"-A FORWARD -s {GUARD}/32 -p udp -j ACCEPT"
KERNEL_TOOLS = {"legacy": "xtables-legacy-multi", "nft": "xtables-nft-multi"}
PATIENCE = 3  # seconds
OUTGOING = 4  # PACKET_OUTGOING; the socket module has no name for it


class Router:
    """`spaces` and `links` of the far ends, the internal one first."""

    def __init__(self, lab, spaces, links, macs):
        self.sockets = [lab.raw(space, link, timeout=0) for space, link in zip(spaces, links)]
        for made in self.sockets:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            made.setblocking(False)
        # Of frames to the router; whom they come from is nobody.
        self.heads = [bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("020000000000") + b"\x08\x00" for mac in macs]

    def close(self):
        for made in self.sockets:
            made.close()

    def send(self, side, packet):
        self.sockets[side].send(self.heads[side] + packet)

    def take(self, seconds):
        """What has come within the time, at least one packet if there is any: (side, packet)."""
        ready, _, _ = select.select(self.sockets, [], [], seconds)
        came = []
        for made in ready:
            while True:
                try:
                    frame, address = made.recvfrom(65535)
                except BlockingIOError:
                    break
                if address[2] != OUTGOING and frame[12:14] == b"\x08\x00":
                    came.append((self.sockets.index(made), Packet(frame[14:])))
        return came

    def guard(self):
        """Sends a packet that passes."""
        self.send(0, ip(GUARD, GUARDED, UDP, udp(GUARD, GUARDED, (9, 9), b"guard")))

    def run(self, lines):
        """Runs the lines as a script; what it has complained about."""
        done = subprocess.run(["sh", "-e"], input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=60,
                              check=False, **self.surroundings())
        said = "\n".join(line for line in done.stderr.splitlines() if not line.startswith("# Warning: iptables-legacy tables"))
        return f"{done.returncode}: {said}" if done.returncode or said else ""

    def counts(self, table="filter"):
        """By the rule's place, (chain, number): its packets and bytes."""
        done = subprocess.run(["iptables-save", "-c", "-t", table], capture_output=True, text=True, timeout=60, check=True,
                              **self.surroundings())
        found, numbers = {}, {}
        for line in done.stdout.splitlines():
            if line.startswith("["):
                words = line.split()
                numbers[words[2]] = numbers.get(words[2], 0) + 1
                found[words[2], numbers[words[2]]] = tuple(map(int, words[0][1:-1].split(":")))
        return found


class Kernel(Router):
    """`translates`: with connection tracking, and flows behind OUTSIDE; without, nothing in it looks at connections."""

    def __init__(self, lab, name, translates):
        self.lab, self.name, self.translates = lab, name, translates
        self.kind = "legacy"
        ends = f"{name}ends"
        for space in (name, ends):
            lab.add(space)
        for link in ("int0", "ext0"):
            lab.veth(name, link, ends, f"to-{link}")
            lab.ip(name, f"link set {link} arp off")
        lab.ip_batch(name, [f"address add {INTERNAL}/10 dev int0", f"address add {EXTERNAL}/24 dev ext0",
                            "route add default via 198.51.100.1"])
        for setting, value in (("ipv4/ip_forward", "1"), ("ipv4/icmp_ratelimit", "0"), ("ipv4/icmp_msgs_per_sec", "100000"),
                               ("ipv4/icmp_msgs_burst", "100000"), ("ipv4/conf/all/send_redirects", "0")):
            lab.sysctl(name, setting, value)
        self.folders = {kind: self.make_folder(kind) for kind in KERNEL_TOOLS}
        super().__init__(lab, [ends] * 2, ["to-int0", "to-ext0"], [lab.mac(name, link) for link in ("int0", "ext0")])

    def make_folder(self, kind):
        folder = os.path.join(self.lab.folder, f"{self.name}-{kind}")
        os.makedirs(folder)
        for tool in ("iptables", "iptables-save"):
            os.symlink(f"/usr/sbin/{KERNEL_TOOLS[kind]}", os.path.join(folder, tool))
        return folder

    def surroundings(self):
        path = f"{self.folders[self.kind]}:{os.environ['PATH']}"
        file = f"/run/netns/{self.lab.full(self.name)}"

        def enter():
            with open(file, "rb") as there:
                laboratory.set_namespace(there)
        return {"env": {**os.environ, "PATH": path}, "preexec_fn": enter}

    def reset(self, kind):
        """All rules away, of both tools; those that come next are of one of them."""
        for self.kind in KERNEL_TOOLS:
            lines = [f"iptables -t {table} {flag}" for table in ("filter", "mangle", "raw", "nat") for flag in ("-F", "-X")
                     if self.translates or table != "nat"]
            complaint = self.run(lines + [f"iptables -P {chain} ACCEPT" for chain in ("INPUT", "FORWARD", "OUTPUT")])
            assert not complaint, complaint
        self.kind = "legacy"
        if self.translates:
            # What nobody has asked for ends here, as with the appliance: this machine has no services.
            complaint = self.run([f"iptables -t nat -A POSTROUTING -o ext0 -j SNAT --to-source {OUTSIDE}",
                                  "iptables -t mangle -A INPUT -i ext0 -j DROP"])
            assert not complaint, complaint
        self.kind = kind


CONFIG = """\
system: {{name: {name}, workers: 1, shards: {shards}}}
links:
  - {{name: int0, device: "{device}:int0", realm: internal, addresses: [{internal}/10]}}
  - {{name: ext0, device: "{device}:ext0", realm: external, addresses: [{external}/24]}}
routes: [{{prefix: 0.0.0.0/0, next-hop: 198.51.100.1}}]
neighbours: [{neighbours}]
pools: [{{name: main, addresses: [{outside}], port-block-size: 256, blocks-per-subscriber: 16}}]
policies: [{{name: all, realm: internal, source: [100.64.0.0/10], pool: main, filtering: address-and-port-dependent}}]
limits: {{sessions: 65536, mappings: 65536, subscribers: 4096}}
control: {{socket: {socket}}}
"""


class Sekisho(Router):
    """The world's appliance, between two bare ends. It does not start by itself: `starts=False`."""

    def __init__(self, world, device="af_packet", shards=2):
        self.world = world
        lab = world.lab
        for space in ("access", "transit"):
            lab.ip(space, "link set p-nat nomaster")
        neighbours = ", ".join(f"{{address: {address}, mac: '02:00:00:00:00:00'}}"
                               for address in [*CLIENTS, GUARD, "198.51.100.1"])
        world.nat.text = CONFIG.format(
            name=lab.prefix, shards=shards, device=device, internal=INTERNAL, external=EXTERNAL, neighbours=neighbours,
            outside=OUTSIDE, socket=world.nat.socket)
        world.nat.start()
        self.tools = OldTools(world)
        super().__init__(lab, ["access", "transit"], ["p-nat"] * 2, [lab.mac("nat", link) for link in ("int0", "ext0")])

    def surroundings(self):
        path = f"{self.tools.folder}:{os.environ['PATH']}"
        return {"env": {**self.tools.environment, "PATH": path}}

    def reset(self, _=""):
        self.tools.say("sekisho-legacy clear")

    def close(self):
        super().close()
        self.reset()
        self.world.nat.stop()


class Sent:
    """A packet that was sent to a router: what became of it."""

    def __init__(self, side, packet):
        self.side = side
        self.packet = Packet(packet)
        self.came = None  # as it has passed
        self.fate = "dropped"

    def is_answered_by(self, other):
        """How the router itself has answered it, if that is such an answer."""
        mine = self.packet
        if other.kind and other.quoted and other.quoted.ident == mine.ident and other.quoted.protocol == mine.protocol:
            return "rejected with {}/{}".format(*other.kind)
        is_reset = other.flags is not None and other.flags & 4 and mine.ports and mine.protocol == TCP
        if is_reset and other.ports == mine.ports[::-1] and other.destination == mine.source:
            return "reset"
        is_echo = mine.protocol == ICMP and mine.kind and mine.kind[0] == 8 and other.kind == (0, 0)
        return "answered" if is_echo and other.echo == mine.echo and other.destination == mine.source else None

    def take(self, side, other):
        """Whether the packet is what has become of it."""
        if side != self.side and other.ident == self.packet.ident and other.protocol == self.packet.protocol and (
                other.offset == self.packet.offset):
            self.came, fate = other, "passed"
        else:
            fate = self.is_answered_by(other) if side == self.side else None
        if fate is None:
            return False
        self.fate = fate if self.fate == "dropped" else f"{self.fate} and {fate}"
        return True


def listen(router, sent, surplus, seconds):
    """Notes what comes within the time: whether anything has, and whether the guard's packet has."""
    came = router.take(seconds)
    is_guard_through = False
    for side, packet in came:
        is_guard = side == 1 and packet.protocol == UDP and packet.load[8:] == b"guard"
        is_guard_through |= is_guard
        if not is_guard and not any(each.take(side, packet) for each in sent):
            surplus.append((side, packet))
    return bool(came), is_guard_through


def exchange(router, packets, expected=()):
    """Sends all (side, bytes), and says what became of each (Sent), and what else came. `expected`: fates that are waited for."""
    sent = [Sent(side, data) for side, data in packets]
    surplus = []
    for side, data in packets:
        router.send(side, data)
    router.guard()
    is_through = False
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        is_done = is_through and all(each.fate == wanted for each, wanted in zip(sent, expected))
        has_come, is_guard_through = listen(router, sent, surplus, 0.02 if is_done else 0.1)
        is_through |= is_guard_through
        if is_done and not has_come:
            break
    assert is_through, f"the packet that every script lets pass did not within {PATIENCE} s"
    return sent, surplus


def listen_longer(router, sent, surplus):
    """For what a busy machine brings late."""
    while listen(router, sent, surplus, 0.5)[0]:
        pass
