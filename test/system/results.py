"""What became of the cases: a line each, and the sum."""
import traceback

from lab import LabError


class Results:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0

    def passes(self, title, seconds):
        self.passed += 1
        print(f"ok   {title} ({seconds:.1f} s)", flush=True)

    def fails(self, title, why):
        self.failed += 1
        print(f"FAIL {title}\n" + "\n".join("     " + line for line in why.strip().splitlines()), flush=True)

    def skips(self, title, why):
        self.skipped += 1
        print(f"skip {title}: {why}", flush=True)


def describe(error):
    if isinstance(error, AssertionError) and str(error) or isinstance(error, LabError):
        return str(error)
    return traceback.format_exc()
