"""Rules that log, and who reads what they say."""
import contextlib
import os
import re
import socket
import tempfile
import time

import lab as laboratory
import town
import traffic
from case_reload import reload, rewrite
from cases import case
from oldtools import OldTools

RULES = """
rules:
  - name: passing
    hook: forward
    policy: accept
    rules:
      - {protocol: udp, source: 100.64.1.9, action: [{log: {prefix: "shut ", level: warning}}, deny]}
      - {protocol: udp, source: 100.64.1.8, action: {log: {style: ipchains}}}
"""
HEAD = r"<(\d+)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S+ sekishod \d+ rule "


class Reader:
    """A daemon that takes messages at a socket."""

    def __init__(self, path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(5)

    def take(self):
        return self.socket.recv(4096).decode()

    def hears_nothing(self):
        self.socket.settimeout(0.3)
        try:
            raise AssertionError(f"heard {self.take()}")
        except socket.timeout:
            self.socket.settimeout(5)

    def close(self):
        self.socket.close()


def counted(world):
    return world.nat.show("log")["rules"]


@case("rules that log reach the syslog daemon, also one that is started anew, and say what they saw", starts=False,
      workers="2", system="shards: 3", more=RULES)
def to_a_daemon(world):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/log"
        world.nat.text += f"syslog: {{to: '{path}', facility: local3}}\n"
        reader = Reader(path)
        world.nat.start()
        shut = traffic.udp_socket(world.lab, "sub1", "100.64.1.9", port=4000)
        shut.sendto(b"x", (town.SERVER, traffic.UDP_PORT))
        line = reader.take()
        match = re.match(HEAD + r"\[rule@32473 [^\]]*chain=\"passing\"[^\]]*\] shut ", line)
        assert match and int(match.group(1)) == 19 * 8 + 4, line
        assert "100.64.1.9:4000" in line and f"{town.SERVER}:{traffic.UDP_PORT}" in line, line
        old = traffic.udp_socket(world.lab, "sub1", "100.64.1.8", port=4001)
        for _ in range(3):  # an established flow is told of packet by packet
            traffic.ask(old)
            line = reader.take()
            assert re.match(HEAD + r"- Packet log: passing - ext0 ", line), line
            assert f"PROTO=17 100.64.1.8:4001 {town.SERVER}:{traffic.UDP_PORT} L=33" in line, line
        reader.hears_nothing()  # the other direction agrees with no rule
        assert counted(world)["sent"] == 4 and counted(world)["failed"] == 0, counted(world)
        reader.close()
        reader = Reader(path)
        traffic.ask(old)
        assert "Packet log" in reader.take()
        rewrite(world, ("style: ipchains", "style: ipfwadm"))
        reload(world)
        traffic.ask(old)
        assert re.match(HEAD + r"- IP fw-fwd ", reader.take())
        reader.close()
        os.unlink(path)
        traffic.ask(old)
        assert laboratory.wait_until(lambda: counted(world)["failed"] == 1, 5), counted(world)
        assert "do not reach" in world.nat.program.output(), world.nat.program.output()
        assert counted(world)["last-error"] == "No such file or directory", counted(world)


@case("a flood of packets that a rule logs costs lines, told with their number, and nobody's traffic", starts=False,
      workers="2", more=RULES.replace("level: warning", "per-minute: 60"))
def flood(world):
    with tempfile.TemporaryDirectory() as folder:
        world.nat.text += f"syslog: {{to: '{folder}/log'}}\n"
        reader = Reader(f"{folder}/log")
        world.nat.start()
        shut = traffic.udp_socket(world.lab, "sub1", "100.64.1.9")
        for number in range(2000):
            shut.sendto(b"x", (town.SERVER, traffic.UDP_PORT))
            if number % 20 == 0:
                time.sleep(0.002)  # the link's queue is short
        assert laboratory.wait_until(lambda: world.nat.dropped("denied-by-rule") == 2000, 10)
        other = traffic.udp_socket(world.lab, "sub1", "100.64.1.7")
        assert traffic.ask(other)

        def all_told():
            rules = counted(world)
            return rules["sent"] + rules["suppressed"] >= 2000

        assert laboratory.wait_until(all_told, 10), counted(world)
        rules = counted(world)
        assert rules["sent"] <= 60 and rules["lost"] == 0 and rules["failed"] == 0, rules
        assert laboratory.wait_until(lambda: bool(shut.sendto(b"x", (town.SERVER, traffic.UDP_PORT))) and
                                     counted(world)["sent"] > rules["sent"], 5), counted(world)
        heard = [reader.take() for _ in range(rules["sent"] + 1)]
        assert any(re.search(r"\d+ messages of rule passing #1 left out", line) for line in heard), heard


@case("what the old tools' rules log are the lines of their kernels", starts=False, workers="2", system="shards: 3")
def of_their_time(world):
    with tempfile.TemporaryDirectory() as folder:
        world.nat.text += f"syslog: {{to: '{folder}/log', facility: kern}}\n"
        reader = Reader(f"{folder}/log")
        world.nat.start()
        shut = traffic.udp_socket(world.lab, "sub1", "100.64.1.9", port=4000)
        to = town.SERVER
        with OldTools(world) as tools:
            for commands, line in (
                    (["ipfwadm -I -i deny -S 100.64.1.9 -o"],
                     rf"IP fw-in deny int0 UDP 100\.64\.1\.9:4000 {to}:7 L=29 S=0x00 I=\d+ F=0x4000 T=64"),
                    (["ipchains -A input -s 100.64.1.9 -j ACCEPT", "ipchains -A input -s 100.64.1.9 -j DENY -l",
                      "ipchains -D input 1"],
                     rf"Packet log: input DENY int0 PROTO=17 100\.64\.1\.9:4000 {to}:7 L=29 S=0x00 I=\d+ F=0x4000 T=64 \(#1\)"),
                    (["iptables -A FORWARD -s 100.64.1.9 -j LOG --log-prefix gone:", "iptables -A FORWARD -s 100.64.1.9 -j DROP"],
                     rf"gone:IN=int0 OUT=ext0 MAC=[0-9a-f:]{{41}} SRC=100\.64\.1\.9 DST={to} LEN=29 TOS=0x00 PREC=0x00 TTL=64 ID=\d+ DF "
                     r"PROTO=UDP SPT=4000 DPT=7 LEN=9 ")):
                for command in commands:
                    assert tools.say(command) == ""
                shut.sendto(b"x", (to, traffic.UDP_PORT))
                heard = reader.take()
                assert re.fullmatch(HEAD + "- " + line, heard), heard
                tools.say("sekisho-legacy clear")
