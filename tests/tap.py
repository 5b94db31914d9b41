"""How a check script says what came out: one line a test in the Test Anything Protocol, as tests/run.py counts them.

    sys.path.insert(0, os.path.dirname(HERE))
    import tap
    ...
    return tap.run([tap.test(check, house) for check in CHECKS])     # the exit code

A test is a name and a call. What the call raises is its failure, tap.Skip("why") leaves it out; a list that it
returns are its faults (none: it passed), a text is shown after its name."""
import sys


class Skip(Exception):
    """Raised by a test that can't be tried here; its words say why."""


def named(check):
    """a_key_is_made: "a key is made"."""
    return check.__name__.replace("_", " ")


def test(check, *args, name=None):
    return name or named(check), lambda: check(*args)


def numbered(names, letter, around):
    """The checks called a1_…, a2_… (by `letter`) of a script's globals, in that order; the script's arguments
    choose among them by a part of their names. `around(check)` runs one."""
    checks = [f for name, f in sorted(names.items()) if name[:1] == letter and name[1:3].isdigit()]
    return [test(around, check, name=named(check)) for check in checks
            if not sys.argv[1:] or any(part in check.__name__ for part in sys.argv[1:])]


def plan(count):
    print(f"1..{count}", flush=True)


def line(number, name, faults=(), skip=None, note=""):
    """One test's line, and its faults below. Gives 1 for a failure, so that sums count them."""
    end = f" # SKIP {skip}" if skip else f": {note}" if note else ""
    text = f"{'not ok' if faults else 'ok'} {number} - {name}{end}"
    for fault in list(faults)[:20]:
        text += "\n    # " + str(fault)[:1500].replace("\n", "\n    # ")
    print(text, flush=True)
    return bool(faults)


def one(number, name, call):
    try:
        said = call()
    except Skip as why:
        return line(number, name, skip=str(why))
    except Exception as error:  # noqa: BLE001: a test that breaks is a test that failed
        return line(number, name, [f"{type(error).__name__}: {error}"])
    return line(number, name, said if isinstance(said, list) else (), note=said if isinstance(said, str) else "")


def run(tests, skip=None):
    """Every test in turn, or none of them when `skip` says why. Gives the exit code."""
    plan(len(tests))
    failed = 0
    for number, (name, call) in enumerate(tests, 1):
        failed += line(number, name, skip=skip) if skip else one(number, name, call)
    return 1 if failed else 0
