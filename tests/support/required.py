"""A pytest plugin: suites that must not skip. `IPIN_REQUIRE=sdk,node,properties` turns their skips into failures.

On somebody's laptop a suite whose tools are missing skips politely; where everything is meant to run, a skip is a hole nobody sees.
A required suite without a single test that ran fails too. Loaded with `PYTEST_PLUGINS=support.required`.
"""

from __future__ import annotations

import os
import re

import pytest

# What the node id of a test in the suite looks like.
SUITES = {
    "sdk": re.compile(r"(^|/)sdk/(?!.*(node|agents))"),
    "node": re.compile(r"(^|/)sdk/.*node"),
    "agents": re.compile(r"(^|/)sdk/.*agents"),
    "properties": re.compile(r"_properties\.py"),
    "browser": re.compile(r"(^|/)browser/"),
    "audio": re.compile(r"real_audio"),
}


class Required:
    """Watches the reports of a run; `complaints` is what has to be said at its end."""

    def __init__(self, names: list[str]) -> None:
        unknown = [name for name in names if name not in SUITES]
        if unknown:
            raise pytest.UsageError(f"IPIN_REQUIRE names {unknown}; there are {list(SUITES)}.")
        self.passed = dict.fromkeys(names, 0)
        self.skipped: list[str] = []

    def look(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        for name in self.passed:
            if SUITES[name].search(report.nodeid):
                if report.skipped and not hasattr(report, "wasxfail"):
                    self.skipped.append(f"{report.nodeid} was skipped, but {name} is required.")
                elif isinstance(report, pytest.TestReport) and report.when == "call":
                    self.passed[name] += 1

    @property
    def complaints(self) -> list[str]:
        return self.skipped + [
            f"{name} is required, but none of its tests ran." for name, ran in self.passed.items() if not ran
        ]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.look(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.look(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.complaints and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for complaint in self.complaints:
            terminalreporter.write_line(f"FAILED {complaint}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    names = [name.strip() for name in os.environ.get("IPIN_REQUIRE", "").split(",") if name.strip()]
    if names and not hasattr(config, "workerinput"):  # one of several processes runs a part, and the first hears of all
        config.pluginmanager.register(Required(names), "ipin-required")
