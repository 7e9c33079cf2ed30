"""The tools of earlier packet filters, called by their names as scripts do."""
import os
import subprocess

import appliance

NAMES = ("ipfwadm", "ipchains", "ipchains-save", "ipchains-restore", "iptables", "iptables-save", "iptables-restore",
         "ipautofw", "ipportfw", "ipmasqadm", "redir", "modprobe", "insmod", "rmmod", "depmod", "lsmod")


class OldTools:
    """Of the appliance of a world. Nothing is left in force behind `with`."""

    def __init__(self, world):
        self.program = appliance.program_path(world.build, "sekisho-legacy")
        self.folder = os.path.join(world.lab.folder, "tools")
        self.environment = {**os.environ, "SEKISHO_SOCKET": world.nat.socket}
        os.makedirs(self.folder, exist_ok=True)
        for name in NAMES:
            path = os.path.join(self.folder, name)
            if not os.path.lexists(path):
                os.symlink(self.program, path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.attempt("sekisho-legacy clear")

    def attempt(self, line, text=""):
        """A line of a script: its status, output and errors."""
        words = line.split()
        path = self.program if words[0] == "sekisho-legacy" else os.path.join(self.folder, words[0])
        done = subprocess.run([path, *words[1:]], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=self.environment, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def say(self, line, text=""):
        status, output, errors = self.attempt(line, text)
        assert status == 0, f"{line}: {status}: {errors}"
        return output

    def counts(self, line):
        """Packets by the line of a listing with -v -x: its first number, where there is one."""
        rows = [row.split() for row in self.say(line).splitlines()]
        return [int(row[0]) for row in rows if row and row[0].isdigit()]
