"""Object stores on loopback ports, each a process of its own, and how they are reached."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import re
import secrets
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization import PublicFormat as Public

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE = Path(__file__).parent
AZURITE = HERE / "azurite"
ACCOUNT = "devstoreaccount1"
AZURITE_KEY = (  # of every azurite, from its documentation
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
PREFIXES = ("AWS_", "GOOGLE_", "AZURE_", "GCE_")
"""What the stores' own variables begin with."""


@dataclass(frozen=True)
class ObjectStore:
    """A store with a bucket called `lake`, as somebody reaches it.

    Attributes:
        scheme: What its URIs begin with.
        url: Where it listens.
        environment: The variables with which it is reached.
        secret: The variable that must be nowhere else.
        wrong: A value of that variable that is of the right kind, but another's.
        elsewhere: The variables that name another address, whose `{}` is its URL.
    """

    scheme: str
    url: str
    environment: Mapping[str, str]
    secret: str
    wrong: str
    elsewhere: Mapping[str, str]

    def uri(self, folder: str, bucket: str = "lake") -> str:
        return f"{self.scheme}://{bucket}/{folder}"

    def with_a_wrong_key(self) -> ObjectStore:
        return replace(self, environment={**self.environment, self.secret: self.wrong})

    def at(self, url: str) -> ObjectStore:
        """The same store at an address where it is not."""
        moved = {name: value.replace("{}", url) for name, value in self.elsewhere.items()}
        return replace(self, environment={**self.environment, **moved})

    def traces(self) -> list[bytes]:
        """Pieces of the secret that give it away wherever they are."""
        value = self.environment[self.secret]
        if value.startswith("{"):  # a service account: every line of its key
            return [line.encode() for line in json.loads(value)["private_key"].split("\n")[1:-2]]
        return [value.encode()]

    def meet(self, request: str, fate: str) -> None:
        """Have moto meet `death`, or answer with a status, at requests that match.

        A request is `METHOD /path?query`.
        """
        asked = {"at": request, "with": fate}
        httpx.get(f"{self.url}/-/meet", params=asked, timeout=60).raise_for_status()


@contextmanager
def _listening(*command: str | Path, folder: Path) -> Iterator[str]:
    """Start a server, and read the port from the first line that ends in one."""
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=log)
        try:
            for line in server.stdout:
                if port := re.search(rb"(?:^|http://127\.0\.0\.1:)(\d+)$", line.strip()):
                    yield f"http://127.0.0.1:{int(port[1])}"
                    break
            else:
                raise AssertionError((folder / "server.log").read_text())
        finally:
            server.kill()
            server.wait()
            server.stdout.close()


def _private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@contextmanager
def moto(folder: Path) -> Iterator[dict[str, ObjectStore]]:
    """Start moto; yield S3 and Google Cloud Storage."""
    access, secret = f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
    key, public = _private_key(), folder / "public.pem"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, Public.SubjectPublicKeyInfo))
    command = (sys.executable, HERE / "moto_server.py", access, secret, public)
    with _listening(*command, folder=folder) as url:

        def account(key: rsa.RSAPrivateKey, url: str) -> str:
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
            return json.dumps(
                {
                    "type": "service_account",
                    "client_email": "lake@example.com",
                    "private_key_id": "1",
                    "private_key": pem,
                    "gcs_base_url": url,
                }
            )

        s3 = ObjectStore(
            "s3",
            url,
            {
                "AWS_ACCESS_KEY_ID": access,
                "AWS_SECRET_ACCESS_KEY": secret,
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": url,
                "AWS_ALLOW_HTTP": "true",
            },
            secret="AWS_SECRET_ACCESS_KEY",
            wrong=secrets.token_urlsafe(30),
            elsewhere={"AWS_ENDPOINT_URL": "{}"},
        )
        gs = ObjectStore(
            "gs",
            url,
            {"GOOGLE_SERVICE_ACCOUNT_KEY": account(key, url)},
            secret="GOOGLE_SERVICE_ACCOUNT_KEY",
            wrong=account(_private_key(), url),
            elsewhere={"GOOGLE_SERVICE_ACCOUNT_KEY": account(key, "{}")},
        )
        yield {"s3": s3, "gs": gs}


def why_no_azurite() -> str | None:
    """Say why Azure's emulator cannot be started here."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            return f"az:// was not tested: {program} is not installed"
    version = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True)
    major = int(re.match(r"v(\d+)", version.stdout)[1])
    return f"az:// was not tested: node {major} is older than 20" if major < 20 else None


def _install_azurite() -> Path:
    """Install azurite once for all, whoever comes first; the others wait."""
    program = AZURITE / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    with (AZURITE / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, wanted = AZURITE / "node_modules" / ".installed", lock.read()
        if not stamp.exists() or stamp.read_text() != wanted:
            install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(install, cwd=AZURITE, check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
            stamp.write_text(wanted)
    return program


@contextmanager
def azurite(folder: Path) -> Iterator[ObjectStore]:
    """Start azurite."""
    options = "--blobHost 127.0.0.1 --blobPort 0 --inMemoryPersistence --silent --disableTelemetry"
    command = ("node", _install_azurite(), *options.split(), "--skipApiVersionCheck")
    with _listening(*command, folder=folder) as url:
        _make_container(f"{url}/{ACCOUNT}", "lake")
        yield ObjectStore(
            "az",
            url,
            {
                "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
                "AZURE_STORAGE_ACCOUNT_KEY": AZURITE_KEY,
                "AZURE_STORAGE_ENDPOINT": f"{url}/{ACCOUNT}",
                "AZURE_ALLOW_HTTP": "true",
            },
            secret="AZURE_STORAGE_ACCOUNT_KEY",
            wrong=base64.b64encode(secrets.token_bytes(64)).decode(),
            elsewhere={"AZURE_STORAGE_ENDPOINT": f"{{}}/{ACCOUNT}"},
        )


def _make_container(account: str, name: str) -> None:
    """Make a container, with a request signed as Azure's "Authorize with Shared Key" says."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    text = "PUT" + "\n" * 12
    text += "".join(f"{header}:{value}\n" for header, value in headers.items())
    text += f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    digest = hmac.digest(base64.b64decode(AZURITE_KEY), text.encode(), hashlib.sha256)
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    httpx.put(f"{account}/{name}?restype=container", headers=headers, timeout=60).raise_for_status()
