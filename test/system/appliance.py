"""sekishod in a lab: configuration, start, the command line client, and the laws that every test checks."""
import json
import os
import signal

import lab as laboratory
import town

READY_SECONDS = 30
SETTLE_SECONDS = 8

DEFAULTS = {
    "name": "lab", "workers": "1", "system": "", "int_device": "af_packet:int0", "ext_device": "af_packet:ext0",
    "int_mtu": "1500", "ext_mtu": "1500", "int_link": "", "ext_link": "", "policy": "", "pool": "",
    "filtering": "endpoint-independent", "addresses": "203.0.113.0/28, 203.0.113.64-203.0.113.79",
    "ports": "1024-65535", "more": "",
    "sources": "100.64.0.0/10, 10.0.0.0/8",
}

TEMPLATE = """\
system:
  name: {name}
  workers: {workers}
  {system}
links:
  - name: int0
    device: {int_device}
    realm: internal
    addresses: [100.64.0.1/10]
    mtu: {int_mtu}
    {int_link}
  - name: ext0
    device: {ext_device}
    realm: external
    addresses: [198.51.100.2/24]
    mtu: {ext_mtu}
    proxy-arp: true
    {ext_link}
routes:
  - {{prefix: 0.0.0.0/0, next-hop: 198.51.100.1}}
  - {{prefix: 10.0.0.0/8, next-hop: 100.64.0.12}}
pools:
  - name: main
    addresses: [{addresses}]
    ports: {ports}
    port-block-size: 256
    blocks-per-subscriber: 8
    {pool}
policies:
  - name: subscribers
    realm: internal
    source: [{sources}]
    pool: main
    filtering: {filtering}
    {policy}
limits: {{sessions: 65536, mappings: 65536, subscribers: 4096}}
control: {{socket: {socket}}}
{more}
"""


def program_path(build, name):
    return os.path.join(build, "apps", name, name)


class Appliance:
    """One sekishod in the namespace 'nat' of a lab."""

    def __init__(self, lab, build, text=None, **settings):
        self.lab = lab
        self.build = build
        self.socket = os.path.join(lab.folder, "sekisho.sock")
        self.config = os.path.join(lab.folder, "sekisho.yaml")
        values = {**DEFAULTS, "name": lab.prefix, "socket": self.socket, **settings}
        self.text = text if text is not None else TEMPLATE.format(**values)
        self.program = None
        self.buffers_at_rest = None

    def write_config(self):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(self.text)

    def launch(self):
        self.write_config()
        self.program = self.lab.spawn("nat", "sekishod", [program_path(self.build, "sekishod"), "--config", self.config])

    def start(self):
        """Starts it and waits until it answers; the error holds what it has said."""
        self.launch()
        laboratory.wait_until(lambda: self.answers() or self.program.process.poll() is not None, READY_SECONDS)
        if not self.answers():
            raise laboratory.LabError(f"sekishod does not answer: {self.program.output().strip()[-3000:]}")
        self.buffers_at_rest = self.buffers_in_use()
        return self

    def answers(self):
        return os.path.exists(self.socket) and self.cli_status("show", "status", "--json")[0] == 0

    def stop(self, number=signal.SIGTERM):
        status = self.program.stop(number)
        return status

    def is_running(self):
        return self.program is not None and self.program.process.poll() is None

    # The command line client.

    def cli_status(self, *arguments, seconds=30):
        client = [program_path(self.build, "sekisho"), "--socket", self.socket, *arguments]
        return self.lab.attempt(None, client, seconds)

    def cli(self, *arguments, seconds=30):
        status, output = self.cli_status(*arguments, seconds=seconds)
        if status != 0:
            raise AssertionError(f"sekisho {' '.join(arguments)} ended with {status}: {output.strip()[-500:]}")
        return output

    def show(self, *what, seconds=30):
        return json.loads(self.cli("show", *what, "--json", seconds=seconds))

    def counters(self):
        return self.show("counters")

    def dropped(self, *reasons):
        table = self.counters()["dropped"]
        return sum(table.get(reason, 0) for reason in reasons)

    def mappings(self, *filters):
        return self.show("mappings", *filters)["mappings"]

    def sessions(self, *filters):
        return self.show("sessions", *filters)["sessions"]

    def buffers_in_use(self):
        return self.show("status")["buffers"]["in-use"]

    # The laws.

    def imbalance(self):
        """received + generated - (forwarded + consumed + held + dropped), ARCHITECTURE 1; 0 when nothing is on its way."""
        c = self.counters()
        return c["received"] + c["generated"] - c["forwarded"] - c["consumed"] - c["held"] - sum(c["dropped"].values())

    def broken_laws(self):
        """What is wrong once traffic has come to rest: a list of sentences."""
        laws = []
        if not self.is_running():
            return [f"sekishod has ended with {self.program.process.returncode}: {self.program.output().strip()[-2000:]}"]
        if not laboratory.wait_until(lambda: self.imbalance() == 0, SETTLE_SECONDS, 0.1):
            laws.append(f"packets are not conserved: {self.imbalance()} are missing of {self.counters()}")
        if not laboratory.wait_until(self.is_store_whole, SETTLE_SECONDS, 0.1):
            laws.append(f"buffers have leaked: {self.buffers_in_use()} in use, {self.buffers_at_rest} at start")
        bugs = self.dropped("internal-error", "too-many-hops")
        if bugs:
            laws.append(f"{bugs} packets met a bug (internal-error, too-many-hops)")
        return laws

    def is_store_whole(self):
        """Held packets still own a buffer each; all others are back."""
        return self.buffers_in_use() - self.counters()["held"] <= self.buffers_at_rest


def shipped_config(name):
    return os.path.join(town.root_folder(), "conf", name)
