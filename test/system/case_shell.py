"""The interactive client at a terminal, and what it says when its output or the appliance fails."""
import os
import signal
import stat
import time

import appliance
import traffic
from cases import case, need
from terminal import CTRL_D, ENTER, TAB, UP, Terminal

PROMPT = "sekisho> "
PATIENCE = 10  # seconds without an answer after which the client gives up (lib/control/client.h)


def shell(world, rows=50, **environment):
    home = os.path.join(world.lab.folder, "home")
    os.makedirs(home, exist_ok=True)
    path = appliance.program_path(world.build, "sekisho")
    return Terminal([path, "--socket", world.nat.socket], rows, environment={"HOME": home, **environment})


def history_file(world):
    return os.path.join(world.lab.folder, "home", ".sekisho_history")


@case("the shell prompts, carries commands out, and Ctrl-D ends it")
def shell_begins_and_ends(world):
    with shell(world) as terminal:
        terminal.expect("Tab completes")
        terminal.expect(PROMPT)
        terminal.type("show counters" + ENTER)
        terminal.expect("forwarded")
        terminal.expect(PROMPT)
        terminal.type(ENTER)
        terminal.expect(PROMPT)
        terminal.type(CTRL_D)
        assert terminal.exit_status() == 0
    for word in ("exit", "quit"):
        with shell(world) as terminal:
            terminal.expect(PROMPT)
            terminal.type(word + ENTER)
            assert terminal.exit_status() == 0, word


@case("Tab completes what is unique, word by word")
def tab_completes(world):
    with shell(world) as terminal:
        terminal.expect(PROMPT)
        terminal.type("sh" + TAB)
        terminal.expect("show ")
        terminal.type("cou" + TAB)
        terminal.expect("counters ")
        terminal.shows_nothing_more("forwarded")
        terminal.type("--j" + TAB + ENTER)
        terminal.expect('"forwarded":')
        terminal.expect(PROMPT)


@case("Tab lists several words that fit, and completes what they share")
def tab_lists(world):
    with shell(world) as terminal:
        terminal.expect(PROMPT)
        terminal.type("show s" + TAB)
        listed = terminal.expect(PROMPT + "show s")
        for word in ("status", "subscribers", "sessions"):
            assert word in listed, f"{word} is not listed: {listed!r}"
        assert "links" not in listed, f"a word that does not fit is listed: {listed!r}"
        terminal.type("t" + TAB + ENTER)
        terminal.expect("uptime")
        terminal.expect(PROMPT)
        terminal.type("show nonsense x" + TAB)
        terminal.shows_nothing_more("\n")


@case("a question mark shows what may follow and carries nothing out")
def question_mark(world):
    with shell(world) as terminal:
        terminal.expect(PROMPT)
        terminal.type("?")
        listed = terminal.expect(PROMPT)
        for word in ("show", "clear", "help", "exit"):
            assert word in listed, f"{word} is not shown: {listed!r}"
        terminal.type("clear sessions ?")
        listed = terminal.expect(PROMPT + "clear sessions ")
        for word in ("subscriber", "external", "remote", "protocol", "all"):
            assert word in listed, f"{word} is not shown: {listed!r}"
        terminal.type("all ?")
        assert "<enter>" in terminal.expect(PROMPT + "clear sessions all ")
        terminal.interrupt()
        terminal.expect(PROMPT)
        terminal.type("show nonsense ?")
        terminal.expect("nothing can follow")


@case("a question mark before clear leaves the sessions alone")
def question_mark_clears_nothing(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.3")
    first = traffic.ask(client)
    with shell(world) as terminal:
        terminal.expect(PROMPT)
        terminal.type("clear sessions all ?")
        terminal.expect(PROMPT + "clear sessions all ")
        terminal.interrupt()
        terminal.expect(PROMPT)
        terminal.type(CTRL_D)
        assert terminal.exit_status() == 0
    assert world.nat.sessions("subscriber", "100.64.1.3"), "the sessions are gone"
    assert traffic.ask(client) == first


@case("the arrow up recalls lines, also of an earlier shell, and the history is its user's alone")
def history(world):
    with shell(world) as terminal:
        terminal.expect(PROMPT)
        for line in ("show counters", "show links"):
            terminal.type(line + ENTER)
            terminal.expect(PROMPT)
        terminal.type(UP + UP + ENTER)
        terminal.expect("show counters")
        terminal.expect("forwarded")
        terminal.expect(PROMPT)
    assert stat.S_IMODE(os.stat(history_file(world)).st_mode) == 0o600
    with shell(world) as terminal:  # the first one was killed: its lines were kept at once
        terminal.expect(PROMPT)
        terminal.type(UP)
        terminal.expect("show counters")
        terminal.type(UP + ENTER)
        terminal.expect("ext0")
        terminal.expect(PROMPT)


@case("what is longer than the screen goes through less, and q leaves it")
def pager(world):
    need("less")
    with shell(world, rows=10, PAGER="", LESS="") as terminal:
        terminal.expect(PROMPT)
        terminal.type("show drops" + ENTER)
        terminal.expect(":")
        terminal.shows_nothing_more("internal-error")
        terminal.type("q")
        terminal.expect(PROMPT)
        terminal.type("show counters | cat" + ENTER)
        terminal.expect("found '|'")
        terminal.expect(PROMPT)


@case("without less the client pages itself, and q stops it")
def built_in_pager(world):
    with shell(world, rows=10, PAGER="", PATH="/nonexistent") as terminal:
        terminal.expect(PROMPT)
        terminal.type("show drops" + ENTER)
        terminal.expect("COUNT")
        first = terminal.expect("-- more")
        assert first.count("\n") == 9, f"not what fits the screen: {first!r}"
        terminal.type(ENTER)
        assert terminal.expect("-- more").count("\n") == 1, "enter shows more than a line"
        terminal.type(" ")
        assert terminal.expect("-- more").count("\n") > 4, "space shows no screen"
        terminal.type("q")
        terminal.expect(PROMPT)
        assert "internal-error" not in terminal.text(), "it went on after q"
        terminal.type("show drops" + ENTER)
        terminal.expect("COUNT")  # the line may be drawn anew as it is typed, its prompt too
        while PROMPT not in terminal.news():
            if "-- more" in terminal.news():
                terminal.expect("-- more")
                terminal.type(" ")
            assert terminal.pump(5), f"neither more nor the end comes: {terminal.news()!r}"
        assert "dropped in all" in terminal.news(), f"the end is missing: {terminal.news()!r}"


@case("what fits the screen is not paged")
def no_pager(world):
    with shell(world, rows=200, PAGER="", PATH="/nonexistent") as terminal:
        terminal.expect(PROMPT)
        terminal.type("show drops" + ENTER)
        assert "-- more" not in terminal.expect(PROMPT)


@case("Ctrl-C drops a half line")
def interrupt_line(world):
    with shell(world) as terminal:
        terminal.expect(PROMPT)
        terminal.type("clear sess")
        terminal.expect("clear sess")
        terminal.interrupt()
        terminal.expect(PROMPT)
        terminal.type("show counters" + ENTER)
        assert "found" not in terminal.expect("forwarded"), "the half line was still there"
        terminal.expect(PROMPT)
        terminal.type(CTRL_D)
        assert terminal.exit_status() == 0


@case("an unknown or ambiguous command is named, and what could stand there")
def unknown_command(world):
    with shell(world) as terminal:
        terminal.expect(PROMPT)
        for line, *wanted in (("frobnicate", "found 'frobnicate'", "show", "clear"),
                              ("show nonsense", "found 'nonsense' after 'show'", "status", "drops"),
                              ("show s", "'s' after 'show' can be any of", "status", "subscribers", "sessions"),
                              ("show sessions subscriber 100.64.0", "found '100.64.0' after 'subscriber'"),
                              ("clear sessions", "wants a filter or the word 'all'")):
            terminal.type(line + ENTER)
            said = terminal.expect(PROMPT)
            for text in wanted:
                assert text in said, f"{line}: {text!r} is missing in {said!r}"
        terminal.type("show counters" + ENTER)
        terminal.expect("forwarded")


# Output that cannot be written.

def outcome(world, *arguments, redirect):
    """(exit status, standard error) of the client behind a redirection of its standard output."""
    client = [appliance.program_path(world.build, "sekisho"), "--socket", world.nat.socket, *arguments]
    errors = os.path.join(world.lab.folder, "errors")
    status, _ = world.lab.attempt(None, ["bash", "-c", f'"$@" {redirect} 2>{errors}', "bash", *client])
    with open(errors, encoding="utf-8") as file:
        return status, file.read()


@case("output that cannot be written is one line and an error status, never lost in silence")
def unwritable_output(world):
    traffic.curl(world.lab, "sub1", "100.64.0.11", "/who")
    for redirect in (">/dev/full", ">&-"):
        for arguments in (["show", "status"], ["show", "sessions"], ["show", "sessions", "--json"],
                          ["show", "counters", "--json"], ["help"], ["--help"], ["--version"]):
            status, errors = outcome(world, *arguments, redirect=redirect)
            where = f"sekisho {' '.join(arguments)} {redirect}: status {status}, {errors!r}"
            assert status == 1, where
            assert errors.count("\n") == 1 and "output could not be written" in errors, where
    status, errors = outcome(world, "show", "status", redirect="| true")
    assert errors == "", f"a reader that leaves is no error: {errors!r}"
    assert world.nat.cli("show", "status"), "the appliance has suffered"


@case("closed standard streams never become the control socket")
def closed_streams(world):
    for redirect in ("<&- >&-", "<&-"):
        status, errors = outcome(world, "show", "counters", redirect=redirect)
        assert status == (1 if ">&-" in redirect else 0), f"{redirect}: {status}: {errors}"
    status, _ = world.lab.attempt(None, ["bash", "-c", '"$@" <&- >&- 2>&-', "bash",
                                         appliance.program_path(world.build, "sekisho"), "--socket", world.nat.socket,
                                         "show", "counters"])
    assert status == 1, status
    assert world.nat.show("counters")


# An appliance that does not answer.

class Stopped:
    """sekishod does not run meanwhile."""

    def __init__(self, world):
        self.process = world.nat.program.process

    def __enter__(self):
        self.process.send_signal(signal.SIGSTOP)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGCONT)


@case("a stopped appliance is waited for, then told of in one line; when it goes on all works")
def stopped_appliance(world):
    client = traffic.udp_socket(world.lab, "sub1", "100.64.1.4")
    bound = traffic.ask(client)
    with Stopped(world):
        start = time.monotonic()
        status, output = world.nat.cli_status("show", "status", seconds=PATIENCE * 3)
        took = time.monotonic() - start
        assert status == 2 and output.count("\n") == 1 and "silent for 10 s" in output, f"{status}: {output!r}"
        assert took >= PATIENCE - 1, f"it gave up after {took:.1f} s"
    assert world.nat.show("status")
    assert traffic.ask(client) == bound, "the mapping is lost"


@case("the shell says that it waits, lets Ctrl-C through, and works again when the appliance does")
def stopped_appliance_in_the_shell(world):
    with shell(world) as terminal:
        terminal.expect(PROMPT)
        with Stopped(world):
            terminal.type("show counters" + ENTER)
            terminal.expect("has not answered yet", PATIENCE)
            terminal.interrupt()
            terminal.expect("interrupted", PATIENCE)
            terminal.expect(PROMPT)
            terminal.type("show counters" + ENTER)
            terminal.expect("has not answered yet", PATIENCE)
            terminal.expect("silent for 10 s", PATIENCE * 2)
            terminal.expect(PROMPT)
        terminal.type("show counters" + ENTER)
        terminal.expect("forwarded")
        terminal.expect(PROMPT)
