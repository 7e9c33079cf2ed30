"""What nic-lab shows on every kind of NIC, and on two queues besides."""
import lab as laboratory
import peer
import town
import traffic
from cases import drops
from guest import CONFIG, SOCKET

DOWNLOAD = 4_000_000
SWITCH_SECONDS = 30  # a change of a link is looked for once a second, on a machine that may be slow


class Case:
    def __init__(self, title, body, only):
        self.title = title
        self.body = body
        self.only = only


REGISTER = []


def case(title, only=None):
    """Registers a case, for the set-up of the name `only` or for all."""

    def register(body):
        REGISTER.append(Case(title, body, only))
        return body

    return register


def links(world):
    return {link["name"]: link for link in world.nat.show("links")["links"]}


def are_up(world):
    return all(link["up"] for link in links(world).values())


@case("both links are up and driven by DPDK's driver of the NIC")
def drivers(world):
    assert laboratory.wait_until(lambda: are_up(world), SWITCH_SECONDS), links(world)
    for nic in world.machine.nics:
        link = links(world)[nic.name]
        assert (link["driver"], link["mac"]) == (nic.model.driver, nic.mac), link
        said = world.nat.log_lines(f"link {nic.name}: pci:{nic.address()} ({nic.model.driver})")
        assert said, f"the log does not tell of {nic.name}: {world.nat.program.output()}"


@case("all memory lies in huge pages when they are required", only="one-queue")
def huge_pages(world):
    assert world.nat.show("status")["huge-pages"] is True, world.nat.show("status")
    assert world.machine.run("ls /dev/hugepages").startswith("sekisho-"), "the state is not in huge pages"


@case("4 MB over HTTP arrive whole, between peers with all their offloads")
def transfer(world):
    download = traffic.download_sha256(world.lab, "sub1", "100.64.0.11", DOWNLOAD, seconds=60)
    download.process.wait(70)
    assert download.process.returncode == 0, f"the download failed: {download.output().strip()}"
    assert download.output().split()[0] == peer.blob_sha256(DOWNLOAD), "the bytes have changed on the way"


@case("UDP passes both ways, small and large")
def udp(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.4")
    first = traffic.ask(client, payload=b"x")
    assert traffic.ask(client, payload=b"y" * 1400) == first
    assert town.in_pool(first[0]), first
    client.close()


@case("ping is answered by a server and by the appliance's own addresses")
def ping(world):
    for name, source, target in (("sub1", "100.64.0.11", town.SERVER),
                                 ("sub1", "100.64.0.11", town.INTERNAL_ADDRESS),
                                 ("net", town.ROUTER, town.EXTERNAL_ADDRESS)):
        status, output = traffic.ping(world.lab, name, source, target)
        assert status == 0 and "3 received" in output, output


@case("unsolicited inbound is dropped and counted by reason")
def unsolicited(world):
    client = traffic.udp_socket(world.lab, "sub2", "100.64.2.5")
    address, port = traffic.ask(client)
    stranger = traffic.udp_socket(world.lab, "net", town.OTHER_SERVER)
    unmapped = next(other for other in town.POOL[0].hosts() if str(other) != address)
    with drops(world.nat, filtered=3, no_mapping=2):
        for _ in range(3):
            stranger.sendto(b"who are you", (address, port))
        for _ in range(2):
            stranger.sendto(b"is anybody there", (str(unmapped), 9))
    assert traffic.hears_nothing(client)
    client.close()
    stranger.close()


def switch(world, nic, up):
    """Plugs the cable in or out, and waits until the log and `show links` tell of it."""
    state = "up" if up else "down"
    told = len(world.nat.log_lines(f"{nic.address()} is {state}"))
    world.machine.set_link(nic, up)
    assert laboratory.wait_until(lambda: links(world)[nic.name]["up"] is up, SWITCH_SECONDS, 0.2), links(world)
    assert laboratory.wait_until(
        lambda: len(world.nat.log_lines(f"{nic.address()} is {state}")) == told + 1, SWITCH_SECONDS, 0.2
    ), f"the log does not tell that {nic.name} is {state}: {world.nat.program.output()}"


@case("a cable that is drawn is logged and shown, and traffic goes on when it is back")
def cable(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.8")
    other = traffic.udp_socket(world.lab, "sub2", "100.64.2.8")
    before = traffic.ask(client)
    for nic in world.machine.nics:
        switch(world, nic, False)
        for _ in range(5):  # some of it is lost on the way, and must be counted all the same
            other.sendto(b"is anybody there", (town.SERVER, traffic.UDP_PORT))
        switch(world, nic, True)
        assert traffic.ask(client, tries=5) == before, "the mapping has not outlived the link's absence"
    client.close()
    other.close()


def refusal(world, device):
    """What a second sekishod says, with this device in place of the first link's; it must end with status 1."""
    own = world.nat.text.split("device: pci:")[1].split()[0]
    other = "/etc/other.yaml"
    world.machine.run(f"sed 's|pci:{own}|pci:{device}|; s|{SOCKET}|/run/other.sock|' {CONFIG} >{other}")
    status, output = world.machine.execute(f"sekishod --config {other}")
    assert status == 1, f"sekishod with {device} ended with {status}: {output}"
    return output


@case("a NIC that is not there, not bound, or in use already is refused with a sentence", only="one-queue")
def refused_nics(world):
    taken = world.machine.nics[0].address()
    for device, sentence in (("0000:00:1e.0", "there is no PCI device 0000:00:1e.0"),
                             ("0000:00:00.0", "0000:00:00.0 is bound to no driver; bind it with"),
                             (taken, f"device pci:{taken} was left out by DPDK: EAL: ")):
        output = refusal(world, device)
        assert sentence in output, output
    assert are_up(world), links(world)
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.9")
    traffic.ask(client)
    client.close()


@case("the NICs of a sekishod that was killed are taken up by the next one", only="one-queue")
def killed(world):
    world.nat.stop("KILL")
    assert not world.nat.is_running()
    world.nat.start()
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.10", timeout=5)
    traffic.ask(client)
    client.close()


# Two queues.

@case("the log and `show links` tell how each link steers", only="two-queues")
def steering(world):
    for nic in world.machine.nics:
        link = links(world)[nic.name]
        assert link["queues"] == 2, link
        # Virtio's RSS hashes both addresses or none, so software has to put right what it spreads.
        assert link["steering"].startswith("2 queues, RSS on both addresses"), link
        line, = world.nat.log_lines(f"link {nic.name}: pci:")
        assert link["steering"] in line and "software steering hands packets to their shards" in line, line


@case("RSS brings packets to both workers, and all of 50 subscribers are answered", only="two-queues")
def both_workers(world):
    def packets():
        return {row["worker"]: row["packets"] for row in world.nat.show("workers")["workers"]}

    before, handed = packets(), world.nat.counters()["handed-off"]
    seen = set()
    for name, address in town.fifty_subscribers():
        client = traffic.udp_socket(world.lab, name, address)
        seen.add(traffic.ask(client))
        client.close()
    assert len(seen) == 50, "two subscribers share an external endpoint"
    for worker, count in packets().items():
        assert count - before[worker] >= 10, f"worker {worker} has received {count - before[worker]} packets of 100"
    assert world.nat.counters()["handed-off"] > handed, "nothing was put right, though RSS does not know the shards"


@case("downloads of eight subscribers at once arrive whole on two workers", only="two-queues")
def together(world):
    downloads = [traffic.download_sha256(world.lab, name, address, DOWNLOAD // 4, seconds=60)
                 for name, address in town.fifty_subscribers()[21:29]]
    wanted = peer.blob_sha256(DOWNLOAD // 4)
    for download in downloads:
        download.process.wait(70)
        assert download.output().split()[0] == wanted, f"a download failed: {download.output().strip()}"
