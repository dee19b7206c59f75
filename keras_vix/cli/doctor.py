"""`keras-vix doctor`: is the installation sound?"""

import typer

from .options import AsJson, DataNames, Redownload


def doctor_command(data: DataNames = None, redownload: Redownload = False, as_json: AsJson = False) -> None:
    """Check the installation: packages, backend, data, disks, one training step; and with --data whole data sets."""
    from ..bench import store
    from ..bench.doctor import examine

    if redownload and not data:
        raise ValueError("--redownload is for the sets of --data. Received: --redownload without --data NAME.")
    findings = []
    for finding in examine(data or (), redownload):
        findings.append(finding)
        if not as_json:
            mark = {True: "ok  ", False: "FAIL", None: "note"}[finding.good]
            print(f"{mark} {finding.what}: {finding.words}", flush=True)
    if as_json:
        print(store.to_json([finding._asdict() for finding in findings]), end="")
    raise typer.Exit(1 if any(finding.good is False for finding in findings) else 0)
