"""Fixtures: a hub of one's own, with people, an organisation and tokens.

  alice   a user; admin of the organisation lab
  wendy   a member of lab who may write
  rita    a member of lab who may read
  bob     a user who belongs to nothing
  root    an admin of the whole hub

CLOCHE_BIN names the program."""
import os
import pathlib
import re
import sys

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_UPDATE_CHECK"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ.pop("HF_TOKEN", None)

import json  # noqa: E402
import subprocess  # noqa: E402

import httpx2 as httpx  # noqa: E402
import pytest  # noqa: E402

sys.modules.setdefault("httpx", httpx)  # which serving.py asks for; huggingface_hub 2 brings the newer one

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))
from serving import BIN, Server  # noqa: E402

PASSWORD = "correct horse\n"
USERS = {"alice": ["--fullname", "Alice A", "--email", "alice@hub.test"], "wendy": [], "rita": [], "bob": [], "root": ["--admin"]}
MEMBERS = {"alice": "admin", "wendy": "write", "rita": "read"}


class Hub:
    """A server on a data folder with the people above. `tokens` has a writing token of each, `read_tokens` a reading one."""

    def __init__(self, data, home):
        self.data, self.home = data, home
        for name, args in USERS.items():
            self.cli("user", "add", name, "--password-stdin", *args, given=PASSWORD)
        self.cli("org", "create", "lab", "--fullname", "The Lab")
        for name, role in MEMBERS.items():
            self.cli("org", "add-member", "lab", name, "--role", role)
        self.tokens = {name: self.token(name, "--write", "--name", "laptop") for name in USERS}
        self.read_tokens = {name: self.token(name, "--read", "--name", "reading") for name in USERS}
        self.server = Server(data)
        self.url = self.server.url

    def cli(self, *args, given=""):
        done = subprocess.run([BIN, *args, "--data", str(self.data)], input=given, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (args, done.stderr)
        return done.stdout

    def token(self, user, *args):
        return json.loads(self.cli("token", "create", "--user", user, *args, "--json"))["token"]

    def api(self, user=None):
        """The real client, as this user; None: as nobody."""
        from huggingface_hub import HfApi
        return HfApi(endpoint=self.url, token=self.tokens[user] if user else False)

    def http(self, user=None, token=None, **kw):
        token = token or (self.tokens[user] if user else None)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, **kw)

    def git_url(self, repo, user=None):
        """An address for git, with the user's token as password."""
        scheme, rest = self.url.split("://")
        return f"{scheme}://{user}:{self.tokens[user]}@{rest}/{repo}" if user else f"{self.url}/{repo}"


def repo_name(request):
    """A repository of alice's that is named by the test which has it."""
    return "alice/" + re.sub(r"[^a-z0-9]+", "-", request.node.name).strip("-")[:80]


def start(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    os.environ["HF_HOME"] = str(home)
    return Hub(tmp_path_factory.mktemp("data"), home)


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    """One for all tests of a run: each makes repositories of names that are its own."""
    h = start(tmp_path_factory)
    yield h
    assert h.server.stop() == 0, h.server.errors


@pytest.fixture(scope="module")
def own_hub(tmp_path_factory):
    """One for a file of tests alone: for lists and counts, which others' repositories would disturb."""
    h = start(tmp_path_factory)
    yield h
    assert h.server.stop() == 0, h.server.errors
