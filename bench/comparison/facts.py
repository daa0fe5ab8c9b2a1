"""Where and with what figures were measured."""

import datetime
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return done.stdout.strip()


def machine(systems):
    with open("/proc/cpuinfo") as lines:
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
    with open("/proc/meminfo") as lines:
        memory = int(next(lines).split()[1]) / 2**20
    with open("/etc/os-release") as lines:
        system = next((line.split("=")[1].strip().strip('"') for line in lines if line.startswith("PRETTY_NAME")), "")
    facts = {"processors": os.cpu_count(), "model": model, "memory_gib": round(memory), "system": system,
             "kernel": os.uname().release, "load_before": os.getloadavg()[0],
             "commit": output("git", "rev-parse", "--short=12", "HEAD"),
             "changed": bool(output("git", "status", "--porcelain", "--untracked-files=no")),
             "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")}
    for name, program in systems.items():
        facts[name] = output(program, "--version").splitlines()[0] if name == "etcd" else facts["commit"]
    return facts
