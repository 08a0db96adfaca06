"""Known vulnerabilities of the pinned packages: `make audit`, or `python tests/audit.py [--service URL]`.

pip-audit asks OSV about each line of constraints.txt. Ends with 1 where there are advisories. Where they
cannot be had it says so in one sentence and ends with 0: that is not a result. So OSV is asked first about
a release that has advisories, since an answer without any would let everything pass.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import httpx

SERVICE = "https://api.osv.dev/v1/query"
CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
KNOWN = {"package": {"name": "jinja2", "ecosystem": "PyPI"}, "version": "2.10"}
"""A release that has advisories since 2019."""


def missing(service: str) -> str | None:
    """Why advisories cannot be had from this service; None where they can."""
    try:
        response = httpx.post(service, json=KNOWN, timeout=30).raise_for_status()
        advisories = response.json().get("vulns")
    except (httpx.HTTPError, ValueError) as error:
        return f"{service}: {error}".splitlines()[0]
    return None if advisories else f"{service} has none of jinja2 2.10, of which there are some"


def main() -> int:
    """Print what there is; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--service", default=SERVICE)
    service = parser.parse_args().service
    reason = missing(service)
    if reason is not None:
        print(f"advisories could not be had: {reason}")
        return 0
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", "osv"]
    command += ["--osv-url", service, "--requirement", str(CONSTRAINTS)]
    command += ["--no-deps", "--disable-pip", "--progress-spinner", "off"]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
