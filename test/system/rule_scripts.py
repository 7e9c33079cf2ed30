"""Random scripts of iptables, of what the kernel's tool and ours both take."""
from flows import SERVERS, SERVICES
from routers import CLIENTS, GUARD_RULE

FLAGS = ["SYN", "ACK", "FIN", "RST", "URG", "PSH"]
ICMP_TYPES = ["echo-request", "echo-reply", "destination-unreachable", "port-unreachable", "time-exceeded", "8", "0", "3/1", "13",
              "network-unreachable", "any", "parameter-problem", "11/0"]
STATES = ["NEW", "ESTABLISHED", "RELATED", "INVALID"]
REFUSALS = ["icmp-net-unreachable", "icmp-host-unreachable", "icmp-proto-unreachable", "icmp-port-unreachable",
            "icmp-net-prohibited", "icmp-host-prohibited", "icmp-admin-prohibited"]
INVALID_RULE = "-A FORWARD -m state --state INVALID -j DROP"


class Scripts:
    """`tracked`: with rules that ask for states; without, with rules that ask for fragments."""

    def __init__(self, chance, tracked):
        self.chance = chance
        self.tracked = tracked

    def maybe(self, share, *texts):
        return list(texts) if self.chance.random() < share else []

    def turned(self, share=0.2):
        return self.maybe(share, "!")

    def address(self, hosts):
        host = self.chance.choice(hosts)
        start = host.rsplit(".", 1)[0]
        last = int(host.rsplit(".", 1)[1])
        return self.chance.choice([host, f"{host}/32", f"{start}.0/24", f"{start}.{last & ~3}/30", f"{start}.{last & 1}/255.255.255.1",
                                   f"{host.split('.')[0]}.0.0.{last}/255.0.0.255"])

    def addresses(self):
        inside, outside = self.chance.choice([(CLIENTS, SERVERS), (CLIENTS, SERVERS), (SERVERS, CLIENTS)])
        return [*self.maybe(0.4, *self.turned(), "-s", self.address(inside)),
                *self.maybe(0.4, *self.turned(), "-d", self.address(outside))]

    def port(self):
        low = self.chance.randrange(1, 40000)
        return self.chance.choice([str(self.chance.choice(SERVICES)), str(self.chance.choice(SERVICES)), f"{low}:", f":{low}",
                                   f"{low}:{low + self.chance.randrange(20000)}", "50:500"])

    def ports(self):
        kind = self.chance.choice(["--dport", "--dport", "--sport", "multiport", ""])
        if kind != "multiport":
            return [*self.turned(), kind, self.port()] if kind else []
        listed = [str(self.chance.choice(SERVICES)), "1024:3000", str(self.chance.choice(SERVICES))]
        return ["-m", "multiport", *self.turned(), self.chance.choice(["--dports", "--sports", "--ports"]), ",".join(listed)]

    def flags(self):
        looked_at = self.chance.sample(FLAGS, self.chance.randint(1, 6))
        are_set = [flag for flag in looked_at if self.chance.random() < 0.3]
        return self.chance.choice([[*self.turned(0.5), "--syn"],
                                   [*self.turned(), "--tcp-flags", ",".join(looked_at), ",".join(are_set) or "NONE"],
                                   [*self.turned(), "--tcp-flags", "ALL", self.chance.choice(["SYN", "ACK", "PSH,ACK"])]])

    def transport(self):
        """What names a protocol, and what that allows: (words, whether it is TCP)."""
        kind = self.chance.choice(["", "", "tcp", "tcp", "tcp", "udp", "udp", "icmp", "icmp", "turned", "47"])
        if kind == "turned":
            return ["!", "-p", self.chance.choice(["tcp", "udp", "icmp", "6"])], False
        more = []
        if kind in ("tcp", "udp"):
            more = self.ports()
        if kind == "tcp" and self.chance.random() < 0.4:
            more += self.flags()
        if kind == "icmp" and self.chance.random() < 0.8:
            more = [*self.turned(), "--icmp-type", self.chance.choice(ICMP_TYPES)]
        return (["-p", kind] if kind else []) + more, kind == "tcp"

    def links(self, chain):
        words = self.maybe(0.25, *self.turned(), "-i", self.chance.choice(["int0", "ext0", "int+", "nosuch9", "e+"]))
        return words if chain == "INPUT" else words + self.maybe(0.2, *self.turned(), "-o", self.chance.choice(["int0", "ext0", "ext+"]))

    def state(self):
        listed = ",".join(self.chance.sample(STATES, self.chance.randint(1, 3)))
        return self.chance.choice([["-m", "state", *self.turned(), "--state", listed],
                                   ["-m", "conntrack", *self.turned(), "--ctstate", listed]])

    def fields(self):
        """Of what the packet shows besides."""
        low = self.chance.choice([20, 28, 40, 60, 200])
        kind = self.chance.choice(["length", "tos", "iprange", "iprange"])
        if kind == "length":
            return ["-m", "length", *self.turned(), "--length", self.chance.choice([f"{low}", f"{low}:", f":{low}", f"{low}:{low + 100}"])]
        if kind == "tos":
            return ["-m", "tos", *self.turned(), "--tos", self.chance.choice(["0x10", "0x08/0x3f", "Normal-Service", "0xb8/0xfc"])]
        side, hosts = self.chance.choice([("--src-range", CLIENTS), ("--dst-range", SERVERS), ("--dst-range", CLIENTS)])
        first, last = sorted((self.chance.choice(hosts), self.chance.choice(hosts)))
        return ["-m", "iprange", *self.turned(), side, f"{first}-{last}"]

    def target(self, chains, is_tcp):
        kind = self.chance.choice(["ACCEPT"] * 4 + ["DROP"] * 2 + ["REJECT"] * 2 + ["chain"] * 3 + ["goto", "RETURN", ""])
        if kind in ("chain", "goto") and chains:
            return ["-j" if kind == "chain" else "-g", self.chance.choice(chains)]
        if kind == "REJECT":
            refusals = REFUSALS + (["tcp-reset"] * 4 if is_tcp else [])
            return ["-j", "REJECT"] + self.maybe(0.8, "--reject-with", self.chance.choice(refusals))
        return ["-j", kind] if kind not in ("chain", "goto", "") else []

    def rule(self, chain, chains):
        transport, is_tcp = self.transport()
        words = [*self.links(chain), *self.addresses(), *transport]
        if self.tracked and self.chance.random() < 0.4:
            words += self.state()
        if self.chance.random() < 0.2:
            words += self.fields()
        if not self.tracked and self.chance.random() < 0.2:
            words = [*self.turned(0.4), "-f", *words]
        return " ".join(["iptables -A", chain, *words, *self.target(chains, is_tcp)])

    def chain_rules(self, chain, chains, least, most):
        return [self.rule(chain, chains) for _ in range(self.chance.randint(least, most))]

    def script(self, drops_invalid=False):
        users = [f"user{i}" for i in range(self.chance.randint(0, 3))]
        lines = [f"iptables -N {name}" for name in users]
        lines += [f"iptables -P FORWARD {self.chance.choice(['ACCEPT', 'DROP'])}", f"iptables {GUARD_RULE}"]
        lines += [f"iptables {INVALID_RULE}"] if drops_invalid else []
        if self.tracked and self.chance.random() < 0.4:
            lines += ["iptables -A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT"]
        for i, name in enumerate(users):
            lines += self.chain_rules(name, users[i + 1:], 1, 4)
        lines += self.chain_rules("FORWARD", users, 3, 8)
        return lines + (self.chain_rules("INPUT", [], 0, 3) if self.tracked else [])
