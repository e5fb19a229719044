"""Measure the proxy: `python tests/bench/run.py`. Prints a table of ratios to a direct call and to nginx.

Everything happens on 127.0.0.1 and in one temporary folder; it is bounded in time, ends by itself, and takes its
processes and its folder with it, also after Ctrl-C or SIGTERM. README.md beside this file says how to read the numbers.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure
import report
from children import HERE, BenchError, Children, Cpus, NotStarted, Proxy, Yardstick, nginx_path, start_upstreams

PARTS = {
    "start": measure.measure_start,
    "rate": measure.measure_rates,
    "streams": measure.measure_streams,
    "translated": measure.measure_translated,
    "memory": measure.measure_memory,
}
QUICK_RATE_LEVELS = (16, 64)
QUICK_STREAM_LEVELS = (1000,)
DESCRIPTORS = 8192  # 1 000 streams are 2 000 sockets in a proxy


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run, of {','.join(PARTS)}")
    parser.add_argument("--rounds", type=int, help="how often each part is repeated; medians are shown (3; quick: 1)")
    parser.add_argument("--seconds", type=float, help="length of one measurement (1.2; quick: 0.6)")
    parser.add_argument("--quick", action="store_true", help="one short round, and fewer levels")
    parser.add_argument("--python", default=sys.executable, metavar="PATH", help="the Python that runs the proxy")
    parser.add_argument("--server", type=Path, default=HERE.parent.parent / "server.py", help="the proxy's server.py")
    parser.add_argument(
        "--affinity", action="store_true", help="give the server under test one CPU, the others the rest"
    )
    parser.add_argument("--no-wrk", action="store_true", help="make the request load in Python even if wrk is there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every number and sample to FILE")
    args = parser.parse_args()
    args.parts = args.only.split(",")
    if wrong := set(args.parts) - set(PARTS):
        parser.error(f"--only knows {', '.join(PARTS)}; not {', '.join(sorted(wrong))}")
    if not args.server.is_file():
        parser.error(f"there is no {args.server}")
    args.rounds = args.rounds or (1 if args.quick else 3)
    args.seconds = args.seconds or (0.6 if args.quick else 1.2)
    return args


def bare_python(path: str) -> str:
    """What the interpreter alone costs here, since no program it runs can start sooner or be smaller."""
    show = "import sys; rss = open('/proc/self/smaps_rollup').read().split('Rss:')[1].split()[0]; "
    show += "print('%d.%d.%d' % sys.version_info[:3], rss)"
    took: list[float] = []
    try:
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run([path, "-c", "pass"], check=True)
            took.append(time.perf_counter() - start)
        said = subprocess.run([path, "-c", show], check=True, capture_output=True, text=True).stdout
        version, rss_kb = said.split()
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"{path} is not a Python that runs: {error}") from error
    return f"{version}; alone it takes {min(took) * 1000:.0f} ms and {int(rss_kb) / 1024:.1f} MB"


def environment(args: argparse.Namespace) -> dict[str, str]:
    """What the numbers depend on besides the code."""
    return {
        "python": bare_python(args.python),
        "nginx": nginx_path() or "not installed: no yardstick, and the upstream is plain Python",
        "load": "wrk" if shutil.which("wrk") and not args.no_wrk else "plain Python, which is slower than nginx",
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} CPUs, load {os.getloadavg()[0]:.2f} at start",
        "affinity": "server apart" if args.affinity else "shared",
        "rounds": f"{args.rounds} of {args.seconds:g} s",
    }


def run(args: argparse.Namespace, results: report.Results, folder: Path) -> None:
    """Run the parts asked for; a part that cannot go on leaves a note, and the next one begins."""
    cpus = Cpus.choose(args.affinity)
    os.sched_setaffinity(0, cpus.others)
    with contextlib.closing(Children(folder, cpus)) as children:
        direct = start_upstreams(children)
        bench = measure.Bench(
            children=children,
            direct=direct,
            proxy=Proxy(children, args.python, args.server.resolve(), direct),
            yardstick=Yardstick(children, direct) if nginx_path() else None,
            use_wrk=bool(shutil.which("wrk")) and not args.no_wrk,
            rounds=args.rounds,
            seconds=args.seconds,
            rate_levels=QUICK_RATE_LEVELS if args.quick else report.RATE_LEVELS,
            stream_levels=QUICK_STREAM_LEVELS if args.quick else report.STREAM_LEVELS,
            results=results,
        )
        for part in args.parts:
            print(f"{part} ...", file=sys.stderr, flush=True)
            try:
                PARTS[part](bench)
            except NotStarted:
                raise
            except BenchError as error:
                results.troubles.append(f"{part}: {error}")


def main() -> int:
    args = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, most) if most > 0 else DESCRIPTORS, most))
    results = report.Results()
    facts = environment(args)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ipin-bench-") as folder:
        try:
            run(args, results, Path(folder))
        except BenchError as error:
            results.troubles.append(str(error))
        except KeyboardInterrupt:
            results.troubles.append("interrupted")
    facts["took"] = f"{time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.2f} at the end"
    print("\n".join(f"{name}: {fact}" for name, fact in facts.items()), "", report.table(results), sep="\n")
    if args.json:
        document = {"environment": facts, "rows": results.rows(), "samples": results.samples}
        args.json.write_text(json.dumps(document | {"troubles": results.troubles}, indent=1) + "\n")
    return 1 if results.troubles else 0


if __name__ == "__main__":
    sys.exit(main())
