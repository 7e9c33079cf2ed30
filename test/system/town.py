"""The network around an appliance: two subscribers' namespaces, the Internet, and the appliance between them.

    sub1 (eth0) ─┐                                            ┌─ (eth0) net
                 ├─ access (bridge) ─ (int0) nat (ext0) ─ transit (bridge)
    sub2 (eth0) ─┘

- sub1 is 100.64.0.11 and 100.64.1.1 to .25, sub2 is 100.64.0.12 and 100.64.2.1 to .25; both are on the link's /10.
  sub2 is a router besides: 10.1.0.1 and 10.1.0.2 lie behind it, as the configuration's route says.
- net is the provider's router 198.51.100.1 and the servers 192.0.2.10 and 192.0.2.11. It reaches the pool's first
  half, 203.0.113.0/28, on the link itself (proxy ARP) and the second, 203.0.113.64/28, over the appliance.
- nat has no addresses: the kernel there answers nothing, sekishod everything.
"""
import ipaddress
import os

SUBSCRIBERS_EACH = 25
ROUTED = ("10.1.0.1", "10.1.0.2")
SERVER = "192.0.2.10"
OTHER_SERVER = "192.0.2.11"
ROUTER = "198.51.100.1"
INTERNAL_ADDRESS = "100.64.0.1"
EXTERNAL_ADDRESS = "198.51.100.2"
POOL = [ipaddress.ip_network("203.0.113.0/28"), ipaddress.ip_network("203.0.113.64/28")]


def in_pool(address):
    return any(ipaddress.ip_address(address) in network for network in POOL)


def addresses_of(number):
    """The addresses of a subscriber namespace, the one on its interface first."""
    return [f"100.64.0.{10 + number}"] + [f"100.64.{number}.{i}" for i in range(1, SUBSCRIBERS_EACH + 1)]


def fifty_subscribers():
    """50 pairs (namespace, address)."""
    return [(f"sub{number}", address) for number in (1, 2) for address in addresses_of(number)[1:]]


def build(lab, int_mtu=1500, ext_mtu=1500):
    for name in ("nat", "access", "transit", "sub1", "sub2"):
        lab.add(name)
    lab.bridge("access", "br0")
    lab.bridge("transit", "br0")
    lab.veth("nat", "int0", "access", "p-nat", int_mtu)
    lab.veth("nat", "ext0", "transit", "p-nat", ext_mtu)
    for name in ("access", "transit"):
        lab.ip(name, "link set p-nat master br0")
    for link in ("int0", "ext0"):
        lab.ip("nat", f"link set {link} arp off")
    for number in (1, 2):
        add_subscriber(lab, number, int_mtu)
    add_internet(lab, mtu=ext_mtu)


def add_subscriber(lab, number, mtu=1500):
    name = f"sub{number}"
    lab.veth(name, "eth0", "access", f"p-{name}", mtu)
    lab.ip("access", f"link set p-{name} master br0")
    first, *others = addresses_of(number)
    lines = [f"address add {first}/10 dev eth0"] + [f"address add {a}/32 dev eth0" for a in others]
    if number == 2:
        lines += [f"address add {a}/32 dev lo" for a in ROUTED]
    lab.ip_batch(name, lines + [f"route add default via {INTERNAL_ADDRESS}"])


def add_internet(lab, mac=None, mtu=1500):
    """The Internet's namespace; may be called again after lab.remove('net')."""
    lab.add("net")
    lab.veth("net", "eth0", "transit", "p-net", mtu)
    lab.ip("transit", "link set p-net master br0")
    if mac is not None:
        lab.ip("net", f"link set eth0 address {mac}")
    lab.ip_batch("net", [
        f"address add {ROUTER}/24 dev eth0",
        f"address add {SERVER}/32 dev lo",
        f"address add {OTHER_SERVER}/32 dev lo",
        f"route add {POOL[0]} dev eth0",
        f"route add {POOL[1]} via {EXTERNAL_ADDRESS}",
    ])


def root_folder():
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
