"""Runs commands by turns and says of each what it took: wall clock, processor time, and in one more round peak memory.

Reads {"rounds": N, "memory": BOOL, "entries": [{"name": ..., "together": [[argv...], ...], "most": N}]} from standard input, writes one
JSON line a run. With `memory` the most open files of a command's first process are counted too. The commands of `together` run at once and count as one. Those with a `most` are slow: they take part in so many rounds,
and their memory is read in the same run. A command that fails ends it, with its output.
"""
import json
import os
import sys
import tempfile
import threading
import time

# GNU time starts the command from a process of its own: the peak that it reads is not this program's.
TIME = ["/usr/bin/time", "--quiet", "--format=%M", "--output"]


def open_files(pids, ended, most):
    """Counts, every 20 ms, the open files of what GNU time has started."""
    while not ended.wait(0.02):
        for pid in pids:
            try:
                for child in open(f"/proc/{pid}/task/{pid}/children").read().split():
                    most[0] = max(most[0], len(os.listdir(f"/proc/{child}/fd")))
            except OSError:
                pass  # It has just ended.


def run(entry, memory, timed, scratch):
    log = open(os.path.join(scratch, "output"), "w+b")
    notes = [os.path.join(scratch, f"peak-{number}") for number in range(len(entry["together"]))]
    commands = entry["together"]
    if memory:
        commands = [TIME + [note, "--"] + argv for note, argv in zip(notes, commands)]
    actions = [(os.POSIX_SPAWN_DUP2, log.fileno(), 1), (os.POSIX_SPAWN_DUP2, log.fileno(), 2)]
    processor, failed = 0.0, []
    begin = time.perf_counter()
    children = {os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions): argv for argv in commands}
    most, ended = [0], threading.Event()
    watching = threading.Thread(target=open_files, args=(list(children), ended, most))
    if memory:
        watching.start()
    while children:
        pid, status, usage = os.wait4(-1, 0)
        argv = children.pop(pid)
        processor += usage.ru_utime + usage.ru_stime
        if status:
            failed.append((os.waitstatus_to_exitcode(status), argv))
    wall = time.perf_counter() - begin
    ended.set()
    if memory:
        watching.join()
    if failed:
        log.seek(0)
        tail = log.read()[-4000:].decode("utf-8", "replace")
        sys.exit(f"{entry['name']}: {failed[0]}\n{tail}")
    peak = sum(int(open(note).read().split()[-1]) for note in notes) if memory else None
    log.seek(0)
    said = log.read()[-400:].decode("utf-8", "replace")
    result = {"name": entry["name"], "ms": wall * 1000 if timed else None, "cpu": processor, "said": said}
    return result | {"peak_kb": peak, "files": most[0] or None}


def main():
    job = json.load(sys.stdin)
    os.close(0)
    os.open("/dev/null", os.O_RDONLY)
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(job["rounds"]):
            for entry in job["entries"]:
                slow = "most" in entry
                if number < entry.get("most", job["rounds"]):
                    print(json.dumps(run(entry, slow and job["memory"], True, scratch)), flush=True)
        for entry in job["entries"] if job["memory"] else []:
            if "most" not in entry:
                print(json.dumps(run(entry, True, False, scratch)), flush=True)


main()
