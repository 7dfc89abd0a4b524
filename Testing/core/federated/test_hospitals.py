"""Between hospitals: kits, mutual TLS, sites that are killed and come back."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from FedSimCore.errors import InputError
from FedSimCore.federated.demonstration import free_port
from FedSimCore.federated.engine import kits
from FedSimCore.federated.engine.kits import make_kits, settle_server, settle_site
from FedSimCore.federated.engine.processes import EngineProcess, end_tree
from FedSimCore.federated.in_process import run_in_process
from FedSimCore.federated.ledger import read_ledger
from FedSimCore.federated.status import read_rounds
from FedSimCore.files import read_json, write_json
from FedSimCore.runs.folder import RunFolder
from FedSimCore.runs.history import status
from Testing.core.federated.small_studies import SITES, assert_same, newest_state, shapes_study

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def made(ct_cohort, tmp_path_factory):
    """Kits of a study, made once."""
    folder = tmp_path_factory.mktemp("kits") / "kits"
    make_kits(shapes_study(ct_cohort), folder, "localhost", free_port())
    return folder


def test_a_kit_lets_run_nothing_but_fedsim_and_sends_no_logs(made):
    for site in SITES:
        resources = read_json(made / site / "local" / "resources.json")
        assert resources["class_allow_list"] == ["FedSimCore.federated.engine"]
        assert resources["class_list_enforcement_mode"] == "enforce"
        assert resources["allow_log_streaming"] is False
        assert "logging" not in json.dumps(resources["components"])
        rules = read_json(made / site / "local" / "privacy.json")
        assert rules["default_scope"] == rules["scopes"][0]["name"]
        assert rules["scopes"][0]["task_result_filters"][0]["path"].endswith("LedgerGuard")


def test_private_keys_are_their_owners_and_no_kit_has_anothers(made):
    keys = {path.relative_to(made).as_posix(): path for path in made.rglob("*.key")}
    assert set(keys) == {
        "a/startup/client.key",
        "b/startup/client.key",
        "server/startup/server.key",
        "server/operator/startup/client.key",
    }
    assert len({path.read_bytes() for path in keys.values()}) == 4
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys.values())
    assert made.stat().st_mode & 0o077 == 0


def test_the_study_in_the_servers_kit_names_no_sites_folder(made, ct_cohort):
    text = (made / "server" / "local" / "study.json").read_text()
    assert str(ct_cohort / "cohort.csv") not in text
    assert json.loads(text)["sites"][0]["cohort"] is None


def test_a_site_that_has_not_said_where_its_data_is_does_not_begin(made, tmp_path):
    with pytest.raises(InputError, match="does not say yet where this site's cohort is; give --cohort"):
        settle_site(made / "a", None, tmp_path)
    with pytest.raises(InputError, match="is no site's kit"):
        settle_site(made / "server", tmp_path, tmp_path)
    with pytest.raises(InputError, match="is no server's kit"):
        settle_server(made / "a")


def test_kits_are_never_written_over_others(made, ct_cohort):
    with pytest.raises(InputError, match="kits hold private keys"):
        make_kits(shapes_study(ct_cohort), made, "localhost", 9000)


def expired(folder: Path, authority_key: bytes, authority: x509.Certificate) -> tuple[Path, Path]:
    """Write a key and a certificate of site a that ended yesterday, signed by the study's authority."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    root = serialization.load_pem_private_key(authority_key, None)
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now - datetime.timedelta(days=1))
        .sign(root, hashes.SHA256())
    )
    paths = folder / "client.key", folder / "client.crt"
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    paths[0].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain))
    paths[1].write_bytes(certificate.public_bytes(pem))
    return paths


def accepted(port: int, root: Path, key: Path | None, certificate: Path | None) -> bool:
    """Tell whether the server lets a client with such papers in; it closes the connection on others."""
    context = ssl.create_default_context(cafile=str(root))
    if key is not None and certificate is not None:
        context.load_cert_chain(certificate, key)
    try:
        with (
            socket.create_connection(("localhost", port), 10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            secure.settimeout(3)
            try:
                return secure.recv(1) != b""  # TLS 1.3 tells of a refused certificate only now.
            except TimeoutError:
                return True  # It waits for our first words.
    except (ssl.SSLError, ConnectionError):
        return False


@pytest.mark.slow
def test_wrong_expired_and_missing_certificates_do_not_get_in(ct_cohort, tmp_path, monkeypatch):
    authority: dict[str, bytes] = {}
    provisioned = kits._provisioned

    def keep(study, folder, *rest):
        found = provisioned(study, folder, *rest)
        state = json.loads(next(folder.rglob("state/cert.json")).read_text())
        authority["key"] = state["root_pri_key"].encode()
        return found

    monkeypatch.setattr(kits, "_provisioned", keep)
    port = free_port()
    make_kits(shapes_study(ct_cohort), tmp_path / "kits", "localhost", port)
    monkeypatch.undo()
    make_kits(shapes_study(ct_cohort), tmp_path / "others", "localhost", port)
    startup = tmp_path / "kits" / "a" / "startup"
    other = tmp_path / "others" / "a" / "startup"
    root = x509.load_pem_x509_certificate((startup / "rootCA.pem").read_bytes())
    old = expired(tmp_path, authority["key"], root)
    settle_server(tmp_path / "kits" / "server")
    server = EngineProcess.of_server(tmp_path / "kits" / "server")
    server.start()
    try:
        deadline = time.monotonic() + 120
        while not accepted(port, startup / "rootCA.pem", startup / "client.key", startup / "client.crt"):
            assert time.monotonic() < deadline, server.log_tail()
            time.sleep(1)
        assert not accepted(port, startup / "rootCA.pem", other / "client.key", other / "client.crt")
        assert not accepted(port, startup / "rootCA.pem", *old)
        assert not accepted(port, startup / "rootCA.pem", None, None)
        assert not accepted(port, other / "rootCA.pem", startup / "client.key", startup / "client.crt")
    finally:
        server.end()


class Federation:
    """The server's and the sites' commands as processes."""

    def __init__(self, folder, study, cohort):
        self.folder, self.cohort, self.processes, self.earlier = folder, cohort, {}, []
        make_kits(study, folder / "kits", "localhost", free_port())
        for site in SITES:
            path = folder / "kits" / site / "local" / "site.json"
            write_json(path, {**read_json(path), "cohort_site": site})

    def start(self, name, *arguments):
        command = [sys.executable, "-m", "FedSimCore.cli.main", "federate", *map(str, arguments)]
        self.earlier += [self.processes[name]] if name in self.processes else []
        with (self.folder / f"{name}.txt").open("ab") as log:
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def start_site(self, name):
        own = ("--cohort", self.cohort, "--runs", self.folder / "sites" / name)
        self.start(name, "site", self.folder / "kits" / name, *own)

    def start_server(self, *arguments):
        self.start("server", "server", self.folder / "kits" / "server", "-o", self.folder, *arguments)

    def kill(self, name):
        """End everything of a site or the server at once, as a power failure does."""
        import psutil

        kit = str(self.folder / "kits" / name)
        for process in psutil.process_iter(["cmdline"]):
            if any(kit in part for part in process.info["cmdline"] or []):
                process.kill()
        self.processes[name].wait(30)

    def rounds(self):
        return len(read_rounds(self.folder / "server" / "rounds.jsonl"))

    def wait_for_round(self, number, seconds=400):
        deadline = time.monotonic() + seconds
        while self.rounds() < number:
            assert time.monotonic() < deadline, (self.folder / "server.txt").read_text()[-2000:]
            time.sleep(0.2)

    def end(self):
        for process in (*self.earlier, *self.processes.values()):
            end_tree(process.pid)
            process.wait(30)


@pytest.fixture
def federation(ct_cohort, tmp_path):
    study = shapes_study(ct_cohort, rounds=60, checkpoint_every=5, evaluate_every=1000)
    run_in_process(study, tmp_path / "one")
    found = Federation(tmp_path, study, ct_cohort)
    yield found
    found.end()


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("--push",)])
def test_hospitals_learn_under_mutual_tls_what_one_process_learns_though_all_die_on_the_way(
    federation, arguments, tmp_path
):
    """Site b loses its power in round 10 and the server in round 30; both are started again."""
    for site in SITES:
        federation.start_site(site)
    federation.start_server(*arguments)
    federation.wait_for_round(10)
    federation.kill("b")
    federation.start_site("b")
    federation.wait_for_round(30)
    federation.kill("server")
    federation.start_server(*arguments)
    assert federation.processes["server"].wait(500) == 0, (tmp_path / "server.txt").read_text()[-2000:]
    assert status(RunFolder(tmp_path / "server")).state == "finished"
    assert federation.rounds() == 60
    assert_same(newest_state(tmp_path / "server"), newest_state(tmp_path / "one" / "server"))
    for site in SITES:
        assert federation.processes[site].wait(60) == 0
        own = tmp_path / "sites" / site
        assert_same(newest_state(own / "small"), newest_state(tmp_path / "one" / "sites" / site / "small"))
        messages = [entry.message for entry in read_ledger(own / "ledger.jsonl")]
        assert messages.count("update") >= 60
        assert messages[-1] == "done"
