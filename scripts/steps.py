#!/usr/bin/env python3
"""Runs the steps of a make target in parallel, and prints how long each took, whether they passed or not.

    steps.py all TARGET [VARIABLE=VALUE...]     makes the target, then prints the table
    steps.py one NAME COMMAND [ARGUMENT...]     runs a step; without `all`, it just runs the command

The table shows the elapsed seconds, which depend on other load of the machine, and the processor's seconds (user,
system). A step's output is printed when the step ends, so that the output of two steps does not mix.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

# The number of steps that run at once. Some only wait for the network, a browser or a pause.
AT_ONCE = 4
FOLDER = Path("target/steps")


def all_of(target: str, *variables: str) -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    started = time.monotonic()
    # After a failed step, the others still run.
    command = ["make", f"--jobs={AT_ONCE}", "--keep-going", "--no-print-directory", target, *variables]
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    code = subprocess.run(command, env=environment | {"STEPS": str(FOLDER)}, check=False).returncode
    print(table(time.monotonic() - started), flush=True)
    return code


def one(name: str, *command: str) -> int:
    if "STEPS" not in os.environ:
        os.execvp(command[0], command)
    print(f"{name}: begins", flush=True)
    started = time.monotonic()
    log = Path(os.environ["STEPS"]) / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    row = {
        "step": name,
        "seconds": time.monotonic() - started,
        "user": usage.ru_utime,
        "system": usage.ru_stime,
        "passed": code == 0,
    }
    log.with_suffix(".json").write_text(json.dumps(row))
    said = log.read_bytes().decode(errors="replace").rstrip()
    end = f"{name}: {'passed' if code == 0 else 'FAILED'} after {row['seconds']:.0f} s"
    # In one piece, because other steps print too.
    sys.stdout.write(f"{said}\n{end}\n" if said else f"{end}\n")
    sys.stdout.flush()
    return code if code >= 0 else 1


def table(seconds: float) -> str:
    rows = [json.loads(file.read_text()) for file in FOLDER.glob("*.json")]
    rows.sort(key=lambda row: -row["seconds"])
    total = {
        "step": "all, side by side",
        "seconds": seconds,
        "user": sum(row["user"] for row in rows),
        "system": sum(row["system"] for row in rows),
        "passed": all(row["passed"] for row in rows),
    }
    lines = [f"{'step':20} {'seconds':>8} {'user':>8} {'system':>8}"]
    for row in [*rows, total]:
        line = f"{row['step']:20} {row['seconds']:8.0f} {row['user']:8.0f} {row['system']:8.0f}"
        lines.append(line if row["passed"] else f"{line}  FAILED")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit({"all": all_of, "one": one}[sys.argv[1]](*sys.argv[2:]))
