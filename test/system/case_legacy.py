"""The tools of earlier packet filters, in front of real clients and servers."""
import contextlib
import os

import appliance
import town
import traffic
from cases import case
from oldtools import OldTools

SETTINGS = {"workers": "2", "system": "shards: 3"}
GATEWAY = "100.64.0.1"


def is_pinged(world, source, target=GATEWAY):
    status, output = traffic.ping(world.lab, "sub1", source, target, 3)
    assert (status == 0) == ("3 received" in output), output
    return status == 0


@case("ipchains denies a ping, counts it, and lets it pass again", **SETTINGS)
def ipchains(world):
    with OldTools(world) as tools:
        assert is_pinged(world, "100.64.1.5")
        assert tools.say("ipchains -A input -s 100.64.1.5 -j DENY -l") == ""
        assert not is_pinged(world, "100.64.1.5")
        assert not is_pinged(world, "100.64.1.5", "192.0.2.10")
        assert is_pinged(world, "100.64.1.6")
        listed = tools.say("ipchains -L input -v -n -x")
        assert listed.startswith("Chain input (policy ACCEPT: "), listed
        assert tools.counts("ipchains -L input -v -n -x") == [6], listed
        assert "DENY" in listed and "100.64.1.5" in listed, listed
        # Zeroed as it is read.
        assert tools.counts("ipchains -L -Z -v -n -x") == [6]
        assert tools.counts("ipchains -L input -v -n -x") == [0]
        # The same rule anew counts from nothing.
        assert not is_pinged(world, "100.64.1.5")
        tools.say("ipchains -F input")
        tools.say("ipchains -A input -s 100.64.1.5 -j DENY")
        assert tools.counts("ipchains -L input -v -n -x") == [0]
        tools.say("ipchains -D input 1")
        assert is_pinged(world, "100.64.1.5")
    assert world.nat.dropped("denied-by-rule") >= 9


@case("one packet filter is in force, and the tools of the others say so", **SETTINGS)
def families(world):
    with OldTools(world) as tools:
        tools.say("ipfwadm -I -a deny -S 100.64.1.5")
        assert not is_pinged(world, "100.64.1.5")
        status, _, errors = tools.attempt("ipchains -L")
        assert status == 1 and "ipfwadm" in errors, errors
        tools.say("ipfwadm -I -f")
        tools.say("iptables -P INPUT DROP")
        assert not is_pinged(world, "100.64.1.6") and is_pinged(world, "100.64.1.6", "192.0.2.10")
        tools.say("sekisho-legacy clear")
        assert is_pinged(world, "100.64.1.6")


@case("what the tools are not told rightly changes nothing, and has their words and status", **SETTINGS)
def mistakes(world):
    with OldTools(world) as tools:
        for line, status, words in (
                ("ipchains -A input -p tcp -y -z", 2, "Try `ipchains -h'"),
                ("ipchains -A nobody -j DENY", 1, "No chain by that name"),
                ("ipchains -A input -s no.such.host.invalid -j DENY", 2, "no.such.host.invalid"),
                ("ipfwadm -I -a deny -S 10.0.0.0/33", 2, "ipfwadm: "),
                ("iptables -A INPUT -m nothing", 2, "nothing"),
                ("ipportfw -A -t10.0.0.1/80 -R 10.0.0.2/80", 255, "no pool has"),
                ("modprobe ne2k-pci", 1, "none of this appliance's")):
            given, output, errors = tools.attempt(line)
            assert given == status and words in errors and not output, (line, given, output, errors)
        assert tools.say("ipchains-save") == ":input ACCEPT\n:forward ACCEPT\n:output ACCEPT\n"


@case("a text is restored whole or not at all, and names of hosts are looked up", **SETTINGS)
def restore(world):
    text = ":input ACCEPT\n:forward ACCEPT\n:output ACCEPT\n:closed -\n" \
        "-A input -s 100.64.1.5/255.255.255.255 -d 0.0.0.0/0.0.0.0 -j closed\n" \
        "-A closed -s 0.0.0.0/0.0.0.0 -d 0.0.0.0/0.0.0.0 -p 1 -j DENY\n"
    with OldTools(world) as tools:
        tools.say("ipchains-restore", text)
        assert tools.say("ipchains-save") == text
        assert not is_pinged(world, "100.64.1.5") and is_pinged(world, "100.64.1.6")
        status, _, errors = tools.attempt("ipchains-restore -f", text + "-A input -j nobody\n")
        assert status == 1 and "line 7" in errors, errors
        assert tools.say("ipchains-save") == text
        assert tools.counts("ipchains -L closed -v -n -x") == [3]
        tools.say("ipchains -I input -s localhost -j ACCEPT")
        assert "127.0.0.1" in tools.say("ipchains -L input -n")


def run_script(tools, name, *arguments):
    """A script of a seed, run as it is; its status, output and errors."""
    path = os.path.join(town.root_folder(), "test/system/legacy", name)
    return tools.attempt(" ".join(["sekisho-legacy run", path, *arguments]))


# The links of the machine on which seed 000's firewall stands, and seed 003's.
NAMED = """
system: {name: named, workers: 2, shards: 3}
links:
  - {name: eth0, device: "af_packet:int0", realm: internal, addresses: [100.64.0.1/10, 192.168.255.1/16]}
  - {name: %s, device: "af_packet:ext0", realm: external, addresses: [198.51.100.2/24], proxy-arp: true}
routes: [{prefix: 0.0.0.0/0, next-hop: 198.51.100.1}]
pools: [{name: main, addresses: [link: %s]}]
policies: [{name: all, realm: internal, source: [100.64.0.0/10, 192.168.0.0/16], pool: main}]
limits: {sessions: 65536, mappings: 65536, subscribers: 4096}
control: {socket: %s}
"""


@contextlib.contextmanager
def named_links(world, external):
    """The appliance with the links of the seed; sub1 is 192.168.3.4 and 192.168.0.4 too."""
    world.nat.text = NAMED.replace("link: %s", f"link: {external}") % (external, world.nat.socket)
    world.lab.ip_batch("sub1", [f"address add {a}/16 dev eth0" for a in ("192.168.3.4", "192.168.0.4")])
    world.nat.start()
    with OldTools(world) as tools:
        yield tools
    world.nat.stop()


@case("seed 002's commands run unchanged, and the chain logdrop drops", **SETTINGS)
def faq(world):
    with OldTools(world) as tools:
        kernel = open("/proc/sys/net/ipv4/ip_forward", encoding="ascii").read()
        assert is_pinged(world, "100.64.1.7", "192.0.2.10")
        status, output, errors = run_script(tools, "faq")
        assert status == 0, (status, output, errors)
        assert "icmp     1 " in output and "src=100.64.1.7 dst=192.0.2.10 type=8 code=0 id=" in output, output
        assert output.endswith("raw\nmangle\nnat\nfilter\n"), output
        assert errors == "", errors
        settings = tools.say("sekisho-legacy settings").splitlines()
        assert "ip_conntrack_max\t8192" in settings and "netfilter/ip_conntrack_max\t8192" in settings, settings
        assert "sessions: 8192" in world.nat.cli("show", "config")
        tools.say("iptables -A FORWARD -s 100.64.1.7 -j logdrop")
        assert not is_pinged(world, "100.64.1.7", "192.0.2.10") and is_pinged(world, "100.64.1.6", "192.0.2.10")
        assert tools.counts("iptables -L logdrop -v -n -x") == [3, 3]
        assert open("/proc/sys/net/ipv4/ip_forward", encoding="ascii").read() == kernel
        saved = tools.say("iptables-save")
        assert "-A PREROUTING -d 224.0.0.0/8 -j DROP" in saved, saved
        tools.say("sekisho-legacy set ip_conntrack_max 65536")
        status, _, errors = tools.attempt("sekisho-legacy set ip_conntrack_max 65537")
        assert status == 1 and "there is room for 65536" in errors, errors


@case("seed 003's chain lets in what it says, and denies the rest", starts=False, **SETTINGS)
def inet_in(world):
    with named_links(world, "eth2") as tools:
        status, _, errors = run_script(tools, "inet-in")
        assert status == 0, errors
        client = traffic.udp_socket(world.lab, "sub1", "100.64.1.3")
        assert traffic.ask(client)  # "1024:65535 ... ACCEPT"
        # An answer comes to a port from 1024 on; a ping has no such port.
        assert not is_pinged(world, "100.64.1.3", "192.0.2.10")
        assert traffic.curl(world.lab, "sub1", "100.64.1.3", "/who")
        counts = tools.counts("ipchains -L inet-in -v -n -x")
        assert len(counts) == 6 and counts[0] > 0 and counts[1] == 1 and counts[5] == 3, counts


@case("seed 001's router masquerades its subnet and forwards nothing else", starts=False, **SETTINGS)
def router(world):
    with named_links(world, "eth1") as tools:
        assert is_pinged(world, "100.64.1.3", "192.0.2.10")
        status, _, errors = run_script(tools, "rc.router")
        assert status == 0 and "no helper for FTP" in errors, (status, errors)
        assert is_pinged(world, "192.168.0.4", "192.0.2.10")
        assert not is_pinged(world, "192.168.3.4", "192.0.2.10")
        assert not is_pinged(world, "100.64.1.3", "192.0.2.10")
        assert traffic.curl(world.lab, "sub1", "192.168.0.4", "/who")
        listed = tools.say("ipchains -L forward -n")
        assert "policy DENY" in listed and "MASQ       all  ------  192.168.0.0/24" in listed, listed
        assert tools.counts("ipchains -L forward -v -n -x")[0] > 3
        # The same, typed in anew: the seed's echo names no file that ever was.
        tools.say("sekisho-legacy clear")
        assert is_pinged(world, "192.168.3.4", "192.0.2.10")
        status, _, errors = run_script(tools, "rc.ipmasq")
        assert status == 0 and "/proc/sys/ipv4/ip_forward" in errors, (status, errors)
        assert is_pinged(world, "192.168.0.4", "192.0.2.10") and not is_pinged(world, "192.168.3.4", "192.0.2.10")


@case("seed 000's firewall lets out its own net and denies what it does not name", starts=False, **SETTINGS)
def firewall(world):
    with named_links(world, "ppp0") as tools:
        with open(os.path.join(town.root_folder(), "test/system/legacy/rc.firewall"), encoding="utf-8") as file:
            text = file.read().replace("your.static.PPP.address", "198.51.100.2")
        script = os.path.join(world.lab.folder, "rc.firewall")
        with open(script, "w", encoding="utf-8") as file:
            file.write(text)
        status, _, errors = tools.attempt(f"sekisho-legacy run {script}")
        assert status == 0, errors
        assert errors == "", errors
        assert is_pinged(world, "192.168.3.4", "192.0.2.10")
        assert traffic.curl(world.lab, "sub1", "192.168.3.4", "/who")
        assert not is_pinged(world, "100.64.1.3", "192.0.2.10")
        counts = tools.counts("ipfwadm -I -l -n -e -x")
        assert counts[0] > 3 and counts[2] > 3 and counts[-1] >= 3, counts
        assert tools.counts("ipfwadm -F -l -n -e -x")[0] > 3


@case("a script's end is that of its run, and what it may not see stays", **SETTINGS)
def ends(world):
    script = os.path.join(world.lab.folder, "script")
    inner = os.path.join(world.lab.folder, "inner")
    with open(inner, "w", encoding="utf-8") as file:
        file.write("echo inner && cat /proc/sys/net/ipv4/conf/int0/rp_filter >&2 && ipchains -X two\n")
    with OldTools(world) as tools:
        for text, status, output in (
                ("exit 7", 7, ""),
                ("kill -TERM $$", 143, ""),
                ("/sbin/ipchains -N one && /usr/sbin/ipchains -L one", 0, "Chain one (0 references):\n"),
                ("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/int0/rp_filter", 0, "1\n0\n"),
                ("echo $1 $0 | sed s,/.*/,,", 0, "two script\n"),
                ("test -e /proc/net/dev && test -x /sbin/ip && echo both", 0, "both\n"),
                (f"ipchains -N two && {tools.program} run {inner}; ipchains -L two", 1, "inner\n"),
                ("ipchains -A nobody", 1, "")):
            with open(script, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            given, said, errors = tools.attempt(f"sekisho-legacy run {script} two")
            assert (given, said) == (status, output), (text, given, said, errors)
        assert tools.attempt("sekisho-legacy run /no/such/script")[0] == 127
        assert not os.path.exists("/sbin/ipchains") and not os.listdir("/run/sekisho/legacy")


@case("a script is translated, and what it comes to is a configuration", starts=False, **SETTINGS)
def translate(world):
    config = os.path.join(world.lab.folder, "named.yaml")
    text = NAMED.replace("link: %s", "link: ppp0") % ("ppp0", world.nat.socket)
    with open(config, "w", encoding="utf-8") as file:
        file.write(text)
    tools = OldTools(world)
    script = os.path.join(town.root_folder(), "test/system/legacy/")
    status, output, errors = tools.attempt(f"sekisho-legacy translate --config {config} {script}inet-in")
    assert status == 0, errors
    assert "{protocol: tcp, destination-port: 25, action: accept}" in output, output
    assert "ipchains-inet-in.input" in output and "ipchains-inet-in.output" not in output, output
    status, output, errors = tools.attempt(f"sekisho-legacy translate --config {config} {script}rc.router")
    assert status == 0 and "# rc.router:9: modprobe ip_masq_ftp\n" in output, (output, errors)
    assert "{source: 192.168.0.0/24, action: masquerade}" in output, output
    status, output, errors = tools.attempt(f"sekisho-legacy translate --config {config} {script}faq")
    assert status == 0 and "limits: {sessions: 8192}" in output, (output, errors)
    # What is not known is told at its line, and the status tells it too.
    status, output, errors = tools.attempt(f"sekisho-legacy translate --config {config} {script}rc.firewall")
    assert status == 1 and '# rc.firewall:28: ipfwadm -I -a deny -V your.static.PPP.address' in output, output
    made = os.path.join(world.lab.folder, "script")
    with open(made, "w", encoding="utf-8") as file:
        file.write("ipchains -A input -p tcp -s 10.0.0.0/8 -d any/0 80 -j DENY\nipportfw -A -t198.51.100.2/8080 -R 100.64.0.11/80\n"
                   "ipfwadm -I -l\necho 2 > /proc/sys/net/ipv4/conf/all/rp_filter\n")
    status, output, errors = tools.attempt(f"sekisho-legacy translate --config {config} {made}")
    assert status == 1 and "# script:3: ipfwadm -I -l\n# ipfwadm: setsockopt failed" in output, (output, errors)
    assert "conf/all/rp_filter: warning: 2 has no effect: rules say" in output, output
    assert "static-mappings:" in output and "100.64.0.11" in output, output
    sections = "".join(line for line in output.splitlines(True) if not line.startswith("#"))
    with open(config, "a", encoding="utf-8") as file:
        file.write(sections[sections.index("rules:"):sections.index("static-mappings:")])
    check(world, config)
    with open(made, "w", encoding="utf-8") as file:
        file.write("iptables -A FORWARD -m string --string cmd.exe --algo bm -j DROP\n"
                   "iptables -A INPUT -m string --string 'a\\ \"b' --algo bm --icase -j DROP\n")
    strings = os.path.join(world.lab.folder, "strings.yaml")
    with open(strings, "w", encoding="utf-8") as file:
        file.write(text)
    status, output, errors = tools.attempt(f"sekisho-legacy translate --config {strings} {made}")
    assert status == 0, errors
    assert "- {name: iptables-string-1, literal: cmd.exe}" in output and "payload: iptables-string-2" in output, output
    with open(strings, "a", encoding="utf-8") as file:
        file.write(output)
    check(world, strings)


def check(world, config):
    daemon = appliance.program_path(world.build, "sekishod")
    status, said = world.lab.attempt(None, [daemon, "--check", config])
    assert status == 0, said
