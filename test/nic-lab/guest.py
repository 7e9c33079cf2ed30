"""sekishod in nic-lab's machine, with the same questions and laws as one beside the tests (appliance.py)."""
import base64
import shlex

import appliance
import lab as laboratory

CONFIG = "/etc/sekisho.yaml"
SOCKET = "/run/sekisho.sock"
LOG = "/tmp/sekishod.log"
STATUS = "/tmp/sekishod.status"
LINE_BYTES = 600  # a terminal takes no longer line at once


class GuestProgram:
    """The part of lab.Program that the laws ask for."""

    def __init__(self, machine):
        self.machine = machine
        self.process = self
        self.returncode = None

    def poll(self):
        """Its exit status once it has ended; a shell says 128 and the number of the signal that killed it."""
        if self.returncode is None:
            status, output = self.machine.execute(f"cat {STATUS}")
            self.returncode = int(output) if status == 0 and output.strip() else None
        return self.returncode

    def output(self):
        return self.machine.run(f"cat {LOG}")


class GuestAppliance(appliance.Appliance):
    def __init__(self, lab, machine, **settings):
        super().__init__(lab, None, **settings)
        self.machine = machine
        values = {**appliance.DEFAULTS, "name": lab.prefix, **settings, "socket": SOCKET}
        self.text = appliance.TEMPLATE.format(**values)

    def write_config(self):
        encoded = base64.b64encode(self.text.encode()).decode()
        self.machine.run(f": >{CONFIG}.base64")
        for start in range(0, len(encoded), LINE_BYTES):
            self.machine.run(f"echo {encoded[start:start + LINE_BYTES]} >>{CONFIG}.base64")
        self.machine.run(f"base64 -d {CONFIG}.base64 >{CONFIG}")

    def launch(self):
        self.write_config()
        self.machine.run(f"rm -f {STATUS} {LOG}")
        run = f"sekishod --config {CONFIG} 2>&1; echo $? >{STATUS}"
        self.machine.run(f"{{ {{ {run}; }} | tee {LOG} >/dev/console; }} &")
        self.program = GuestProgram(self.machine)

    def is_running(self):
        return self.program is not None and self.program.poll() is None

    def answers(self):
        return self.cli_status("show", "status", "--json")[0] == 0

    def stop(self, number="TERM"):  # pylint: disable=arguments-differ
        """Its exit status, None if it does not end."""
        self.machine.run(f"kill -{number} $(pidof sekishod)")
        laboratory.wait_until(lambda: not self.is_running(), 15)
        return self.program.returncode

    def cli_status(self, *arguments, seconds=30):
        return self.machine.execute(f"sekisho --socket {SOCKET} {shlex.join(arguments)}", seconds)

    def is_store_whole(self):
        """A NIC's driver takes a sent frame's buffer back only when it wants the place in the ring for another."""
        kept = sum(nic.model.ring * nic.model.queues for nic in self.machine.nics)
        return self.buffers_in_use() - self.counters()["held"] <= self.buffers_at_rest + kept

    def log_lines(self, text):
        """The lines of its log that contain the text."""
        return [line for line in self.program.output().splitlines() if text in line]
