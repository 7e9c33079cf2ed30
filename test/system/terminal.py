"""A program at a terminal: keys go in, what the screen shows comes out."""
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import lab as laboratory

PIECES = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z@])|\x1b[()][A-Z0-9]|\x1b[=>78]|(.)", re.DOTALL)
ENTER, TAB, UP, CTRL_D = "\r", "\t", "\x1b[A", "\x04"


class Terminal:
    """Runs a program at a pseudo-terminal of its own. Use it in a `with`: its end kills the program."""

    def __init__(self, arguments, rows=50, columns=120, environment=None):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(arguments, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        preexec_fn=own_terminal,
                                        env={**os.environ, "TERM": "vt100", **(environment or {})})
        os.close(slave)
        self.bytes = b""
        self.found = ""  # the sheet up to the end of what expect() has found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)

    def type(self, keys):
        os.write(self.master, keys.encode())

    def interrupt(self):
        """Ctrl-C, which throws away what was typed and not read yet."""
        self.pump(0.1)
        self.type("\x03")

    def text(self):
        """All lines that were shown, each as it was left."""
        return transcript(self.bytes.decode(errors="replace"))

    def pump(self, seconds):
        """Takes what is shown within that time; False when nothing was or the program has let go of the terminal."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        try:
            more = os.read(self.master, 65536)
        except OSError:  # EIO: nobody has the other end any more
            return False
        self.bytes += more
        return bool(more)

    def news(self):
        """What has been written since, or over, what expect() has found."""
        shown = self.text()
        self.found = os.path.commonprefix([shown, self.found])
        return shown[len(self.found):]

    def expect(self, wanted, seconds=10):
        """Waits until it shows the text, after what was expected before, and returns all up to its end."""
        end = time.monotonic() + seconds
        while True:
            news = self.news()
            at = news.find(wanted)
            if at >= 0:
                self.found += news[:at + len(wanted)]
                return news[:at + len(wanted)]
            assert time.monotonic() < end, f"wanted {wanted!r} on the screen, there is {news!r}"
            if not self.pump(0.2) and self.process.poll() is not None and not self.pump(0):
                raise AssertionError(f"it ended with {self.process.returncode}, {wanted!r} was wanted after {news!r}")

    def shows_nothing_more(self, unwanted, seconds=0.5):
        """Waits, and asserts that the text does not come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.pump(0.1)
        assert unwanted not in self.news(), f"{unwanted!r} is shown: {self.news()!r}"

    def exit_status(self, seconds=10):
        assert laboratory.wait_until(lambda: not self.pump(0.05) and self.process.poll() is not None, seconds, 0), (
            f"it has not ended; it shows {self.news()!r}")
        return self.process.returncode


def transcript(output):
    """What stands on an endless sheet after the output: the line that is written on may be overwritten."""
    lines = []
    line = []
    column = 0
    for piece in PIECES.finditer(output):
        count, move, sign = piece.groups()
        number = int(count) if count and count.isdigit() else 1
        if sign == "\n":
            lines.append("".join(line))
            line, column = [], 0
        elif sign == "\r" or move in ("G", "H"):
            column = 0
        elif sign == "\b" or move == "D":
            column = max(0, column - number)
        elif move == "C":
            column += number
        elif move == "K":
            del line[column:]
        elif move == "P":
            del line[column:column + number]
        elif move == "@":
            line[column:column] = " " * number
        elif sign is not None and sign.isprintable():
            line += " " * (column + 1 - len(line))
            line[column] = sign
            column += 1
    return "\n".join([*lines, "".join(line)])


def own_terminal():
    laboratory.die_with_parent()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
