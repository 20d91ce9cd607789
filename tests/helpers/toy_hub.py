"""A small real HTTP server that speaks the Hub's API as far as its client asks: repositories, branches, LFS, commits.

    with ToyHub() as hub:
        ...                                             # the client with HF_ENDPOINT=hub.url and HF_TOKEN=right
        hub.repositories["model", "me/name"].branches["main"].files["README.md"]

`hub.uploads` has each LFS file that was sent whole, by its digest; `hub.drop = 2` drops the connection in the middle of
the second. With a folder as `hub.store`, hf_xet, where it is not disabled, puts large files there.
"""

import base64
import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import yaml

LARGE = (".safetensors", ".parquet")  # files that go by Git LFS


class Stored(bytes):
    """A file that went by Xet: the Hub knows its digest."""

    oid: str


@dataclass
class Branch:
    """A branch's files by name, and the messages of its commits."""

    files: dict[str, bytes]
    commits: list[str]

    @property
    def sha(self):
        return hashlib.sha1(json.dumps(self.commits).encode()).hexdigest()


@dataclass
class Repository:
    """A repository as the Hub makes it: with one commit, of .gitattributes."""

    visibility: str | None
    branches: dict[str, Branch] = field(default_factory=lambda: {"main": Branch({".gitattributes": b""}, ["initial"])})

    def branch(self, revision):
        """The branch of a name or of a commit."""
        by_commit = {branch.sha: branch for branch in self.branches.values()}
        return self.branches.get(revision) or by_commit.get(revision)


class Handler(BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

    def do_GET(self):
        self.answer("GET")

    def do_HEAD(self):
        self.answer("HEAD")

    def do_POST(self):
        self.answer("POST")

    def do_PUT(self):
        hub, oid, length = self.server.hub, self.path.rsplit("/", 1)[1], int(self.headers["Content-Length"])
        with hub.lock:
            hub.puts += 1
            dropped = hub.drop and hub.puts >= hub.drop  # and so is every attempt after it
        content = self.rfile.read(length // 2 if dropped else length)
        if dropped:
            self.close_connection = True
            self.connection.shutdown(2)
            return
        assert hashlib.sha256(content).hexdigest() == oid
        hub.uploads[oid] = content
        self.reply({})

    def answer(self, method):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        hub, parts = self.server.hub, [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        hub.asked.append(f"{method} {self.path}")
        if self.headers.get("Authorization") != "Bearer right":
            self.refuse(401, "Invalid username or password.")
        elif parts == ["api", "whoami-v2"]:
            self.reply({"name": "me"})
        elif parts == ["api", "validate-yaml"]:
            self.validate(json.loads(body)["content"])
        elif parts == ["api", "repos", "create"]:
            self.create(json.loads(body))
        elif parts[4:5] == ["xet-write-token"]:
            self.reply({"casUrl": f"local://{hub.store}", "exp": int(time.time()) + 3600, "accessToken": "any"})
        elif parts[0] == "api":
            self.of_repository(parts[1].removesuffix("s"), "/".join(parts[2:4]), parts[4:], body)
        else:
            kind = "dataset" if parts[0] == "datasets" else "model"
            parts = parts[kind == "dataset" :]
            self.of_files(kind, "/".join(parts[:2]).removesuffix(".git"), parts[2:], body)

    def validate(self, card):
        metadata = yaml.safe_load(card.split("---\n")[1])
        names = metadata.get("base_model", [])
        wrong = [name for name in ([names] if isinstance(names, str) else names) if name.count("/") != 1]
        errors = [{"message": f'"base_model" with value "{name}" is not valid.'} for name in wrong]
        self.reply({"errors": errors, "warnings": []}, 400 if errors else 200)

    def create(self, asked):
        hub, name = self.server.hub, f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != "me":
            return self.refuse(403, f'You don\'t have the rights to create a model under the namespace "{name}"')
        key, url = (asked.get("type", "model"), name), f"{hub.url}/{name}"
        if key in hub.repositories:
            return self.refuse(409, "You already created this model repo", url=url)
        hub.repositories[key] = Repository(asked.get("visibility"))
        return self.reply({"url": url, "name": name})

    def of_repository(self, kind, name, what, body):
        """/api/models/OWNER/NAME/..."""
        repository = self.server.hub.repositories.get((kind, name))
        if repository is None:
            return self.refuse(404, "Repository not found", "RepoNotFound")
        if what[:1] == ["refs"]:
            refs = [{"name": name, "ref": name, "targetCommit": b.sha} for name, b in repository.branches.items()]
            return self.reply({"branches": refs, "converts": [], "tags": []})
        if what[:1] == ["branch"]:
            if what[1] in repository.branches:
                return self.refuse(409, "Reference already exists")
            main = repository.branches["main"]
            repository.branches[what[1]] = Branch(dict(main.files), list(main.commits))
            return self.reply({})
        branch = repository.branch(what[1] if what else "main")
        if branch is None:
            return self.refuse(404, "Invalid rev id", "RevisionNotFound")
        if what and what[0] in ("preupload", "commit"):
            return getattr(self, what[0])(f"{'datasets/' * (kind == 'dataset')}{name}", branch, body)
        if what and what[0] == "tree":
            return self.reply([self.entry(path, content) for path, content in sorted(branch.files.items())])
        return self.reply({"id": name, "sha": branch.sha, "siblings": [{"rfilename": path} for path in branch.files]})

    def preupload(self, path, branch, body):
        files = []
        for file in json.loads(body)["files"]:
            large, there = file["path"].endswith(LARGE), branch.files.get(file["path"])
            oid = None if there is None else digest_of(there) if large else git_hash(there)
            mode = "lfs" if large else "regular"
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.reply({"files": files})

    def commit(self, path, branch, body):
        lines = [json.loads(line) for line in body.splitlines()]
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                branch.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                branch.files[value["path"]] = self.large(value["oid"])
            elif line["key"] == "deletedFile":
                del branch.files[value["path"]]
        branch.commits.append(lines[0]["value"]["summary"])
        self.reply({"commitUrl": f"{self.server.hub.url}/{path}/commit/{branch.sha}", "commitOid": branch.sha})

    def large(self, oid):
        """A large file that was sent before its commit."""
        hub = self.server.hub
        if hub.store is None:
            return hub.uploads[oid]
        stored = Stored()
        stored.oid = oid
        return stored

    def of_files(self, kind, name, what, body):
        """OWNER/NAME.git/info/lfs/objects/batch, and OWNER/NAME/resolve/REVISION/FILE."""
        hub = self.server.hub
        if what[:1] == ["info"]:
            objects = json.loads(body)["objects"]
            for each in objects:
                if each["oid"] not in hub.uploads:
                    each["actions"] = {"upload": {"href": f"{hub.url}/lfs/{each['oid']}"}}
            return self.reply({"transfer": "basic", "objects": objects})
        branch = hub.repositories[kind, name].branch(what[1])
        content = branch.files.get("/".join(what[2:]))
        if content is None:
            return self.refuse(404, "Entry not found", "EntryNotFound")
        return self.send(200, content, {"ETag": f'"{git_hash(content)}"', "X-Repo-Commit": branch.sha})

    def entry(self, path, content):
        return {"type": "file", "path": path, "size": len(content), "oid": git_hash(content)}

    def refuse(self, status, message, code=None, **more):
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        self.send(status, json.dumps({"error": message, **more}).encode(), headers)

    def reply(self, content, status=200):
        self.send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def send(self, status, body, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def digest_of(content):
    return content.oid if isinstance(content, Stored) else hashlib.sha256(content).hexdigest()


def git_hash(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class ToyHub:
    """The server, by `with`."""

    def __init__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.hub, self.url = self, f"http://127.0.0.1:{self.server.server_port}"
        self.repositories, self.uploads, self.asked, self.puts, self.drop = {}, {}, [], 0, 0
        self.store, self.lock = None, threading.Lock()

    def files(self, name, kind="model", revision="main"):
        return self.repositories[kind, name].branches[revision].files

    def commits(self):
        """The messages of all commits by repository and branch."""
        return {
            (*key, name): list(branch.commits)
            for key, repository in self.repositories.items()
            for name, branch in repository.branches.items()
        }

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.server.shutdown()
        self.server.server_close()


def connect(hub, monkeypatch, folder):
    """Lets the Hub's client of this process speak to the stand-in, without pauses between its attempts."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    monkeypatch.setenv("HF_TOKEN", "right")
    values = {"ENDPOINT": hub.url, "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}"}
    values |= {"HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True, "HF_HUB_CACHE": str(folder / "cache")}
    values |= {"HF_TOKEN_PATH": str(folder / "token"), "HF_URL_HOSTS": frozenset({"127.0.0.1"})}
    for name, value in values.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(_http, "time", SimpleNamespace(**{**vars(time), "sleep": lambda seconds: None}))
