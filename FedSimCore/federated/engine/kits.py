"""Start-up kits: what server and sites need to find and to trust each other."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

from FedSimCore.errors import InputError
from FedSimCore.federated.engine.site_rules import ALLOWED_CLASSES, privacy_rules
from FedSimCore.federated.local_sites import SITE_FILE
from FedSimCore.federated.policy import SitePolicy
from FedSimCore.federated.study import Study
from FedSimCore.files import read_json, write_json

ADMIN = "operator@fedsim.org"
"""Who starts and ends the study's jobs, from the server's machine; a name in a certificate, no address."""
ADMIN_FOLDER = "operator"
SERVER_KIT = "server"
STUDY_FILE = "study.json"
_ORGANISATION = "fedsim"
_UNKNOWN = "/change/me"


def make_kits(study: Study, folder: Path, host: str, port: int = 8002, days: int = 365) -> list[Path]:
    """Make the kits of a study, with keys and certificates of an authority of its own.

    Args:
        study: whose sites get a kit each.
        folder: made; one kit in each subfolder.
        host: name under which all sites find the server; in its certificate.
        port: on which the server listens; the operator's is the next.
        days: until the certificates end.

    Returns:
        The kits: the server's, then the sites'.

    Raises:
        InputError: the folder is not empty.
        DiskError: it can't be written.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty; kits hold private keys, so choose a new folder for them.")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    with tempfile.TemporaryDirectory(prefix="fedsim-") as temporary:
        made = _provisioned(study, Path(temporary), host, port, days)
        shutil.copytree(made / host, folder / SERVER_KIT)
        shutil.copytree(made / ADMIN, folder / SERVER_KIT / ADMIN_FOLDER)
        for name in study.site_names:
            shutil.copytree(made / name, folder / name)
    _finish_server(study, folder / SERVER_KIT)
    for site in study.sites:
        _finish_site(folder / site.name, site.name, site.policy or SitePolicy())
    kits = [folder / SERVER_KIT, *(folder / name for name in study.site_names)]
    for key in folder.rglob("*.key"):
        key.chmod(0o600)
    return kits


def _provisioned(study: Study, folder: Path, host: str, port: int, days: int) -> Path:
    """Let NVFlare make keys, certificates and start-up files; returns the folder with one for each participant."""
    from nvflare.lighter.impl.cert import CertBuilder
    from nvflare.lighter.impl.signature import SignatureBuilder
    from nvflare.lighter.impl.static_file import StaticFileBuilder
    from nvflare.lighter.impl.workspace import WorkspaceBuilder
    from nvflare.lighter.provision import prepare_project
    from nvflare.lighter.provisioner import Provisioner

    server = {"name": host, "type": "server", "fed_learn_port": port, "admin_port": port + 1}
    operator = {"name": ADMIN, "type": "admin", "role": "project_admin"}
    sites = [{"name": name, "type": "client"} for name in study.site_names]
    everybody: list[dict[str, Any]] = [server, operator, *sites]
    participants = [{**one, "org": _ORGANISATION} for one in everybody]
    project = {"api_version": 3, "name": study.name, "description": "FedSim", "participants": participants}
    builders = [
        WorkspaceBuilder(["master_template.yml"]),
        # Over gRPC a round takes half as long again.
        StaticFileBuilder(config_folder="config", scheme="tcp", require_signed_jobs=True),
        CertBuilder(root_valid_days=days),
        SignatureBuilder(),
    ]
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        context = Provisioner(str(folder), builders).provision(prepare_project(project))
    if context.get("build_error"):
        raise InputError(f"NVFlare could not make the kits: {told.getvalue().strip()[-500:]}")
    return Path(context.get_result_location())


def _finish_server(study: Study, kit: Path) -> None:
    write_json(kit / "local" / STUDY_FILE, study.for_sites().model_dump(mode="json"))
    _write_resources(kit)


def _finish_site(kit: Path, name: str, policy: SitePolicy) -> None:
    """Give a site's kit its own rules, for the site to fill in and to change."""
    _write_resources(kit)
    write_json(kit / "local" / "privacy.json", privacy_rules())
    own: dict[str, Any] = {
        "name": name,
        "cohort": _UNKNOWN,
        "cohort_site": None,
        "runs": _UNKNOWN,
        "model": None,
        "paths": {},
    }
    write_json(kit / "local" / SITE_FILE, {**own, "policy": policy.model_dump(mode="json")})


def _write_resources(kit: Path) -> None:
    """Write ``local/resources.json``: nothing may be run that is not FedSim's, and no log is sent to anywhere.

    NVFlare's defaults would let a site send its error log to the server: words that no ledger has seen, such as the
    names of files and cases.
    """
    resources = read_json(kit / "local" / "resources.json.default")
    resources["class_allow_list"] = list(ALLOWED_CLASSES)
    resources["class_list_enforcement_mode"] = "enforce"
    resources["allow_log_streaming"] = False
    resources["components"] = [one for one in resources["components"] if ".logging." not in one["path"]]
    write_json(kit / "local" / "resources.json", resources)


def settle_server(kit: Path) -> None:
    """Give a server's kit folders of its own for jobs: NVFlare's default is the machine's temporary folder.

    Raises:
        InputError: it is no server's kit.
    """
    if not (kit / "startup" / "fed_server.json").is_file():
        raise InputError(f"{kit} is no server's kit; `fedsim federate provision` makes one.")
    path = kit / "local" / "resources.json"
    resources = read_json(path)
    resources["snapshot_persistor"]["args"]["storage"]["args"]["root_dir"] = str(kit / "snapshots")
    for component in resources["components"]:
        if component["id"] == "job_manager":
            component["args"]["uri_root"] = str(kit / "jobs")
    write_json(path, resources)


def settle_site(kit: Path, cohort: Path | None, runs: Path | None) -> None:
    """Write into a site's kit where its data is and where its runs go, if that is given.

    Raises:
        InputError: it is no site's kit, or it does not say yet where the data is.
    """
    path = kit / "local" / SITE_FILE
    if not (kit / "startup" / "fed_client.json").is_file() or not path.is_file():
        raise InputError(f"{kit} is no site's kit; `fedsim federate provision` makes one for each site.")
    own = read_json(path)
    own["cohort"] = str(cohort.expanduser().absolute()) if cohort is not None else own["cohort"]
    own["runs"] = str(runs.expanduser().absolute()) if runs is not None else own["runs"]
    missing = [name for name in ("cohort", "runs") if own[name] == _UNKNOWN]
    if missing:
        raise InputError(f"{path} does not say yet where this site's {missing[0]} is; give --{missing[0]} FOLDER.")
    write_json(path, own)
