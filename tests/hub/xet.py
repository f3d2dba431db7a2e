"""Xet by hand: tokens, signed texts, and a server in between that keeps what the real client sends."""
import hashlib
import hmac
import http.client
import http.server
import threading
import time
import urllib.parse


def hash_text(raw):
    """The text of a hash of 32 bytes: groups of eight, each turned."""
    return b"".join(raw[i:i + 8][::-1] for i in range(0, 32, 8)).hex()


def hash_bytes(text):
    raw = bytes.fromhex(text)
    return b"".join(raw[i:i + 8][::-1] for i in range(0, 32, 8))


def sign(data, purpose, fields, expires=None):
    """A signed text as src/serve/hub_sign.h describes it, with the key of a data folder."""
    said = f"{fields}.{int(time.time()) + 60 if expires is None else expires}"
    code = hmac.new((data / "hub.key").read_bytes(), purpose.encode() + b"\0" + said.encode(), hashlib.sha256)
    return f"{said}.{code.hexdigest()}"


def token(hub, user, repo, kind="write", rev="main", **params):
    with hub.http(user) as c:
        r = c.get(f"/api/models/{repo}/xet-{kind}-token/{rev}", params=params)
        assert r.status_code == 200, r.text
        return r.json()["accessToken"]


def cas(hub, text):
    """A client that shows a Xet token."""
    return hub.http(token=text)


class Between:
    """Passes requests on and keeps them: [(method, path, body, status)]."""

    def __init__(self, url):
        self.seen = []
        host, port = urllib.parse.urlsplit(url).netloc.split(":")
        seen = self.seen

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                up = http.client.HTTPConnection(host, int(port), timeout=60)
                up.request(self.command, self.path, body=body, headers=dict(self.headers.items()))
                answer = up.getresponse()
                got = answer.read()
                seen.append((self.command, self.path, body, answer.status))
                self.send_response_only(answer.status)
                for k, v in answer.getheaders():
                    if k.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(k, v)
                self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(got)))
                self.end_headers()
                self.wfile.write(got)
                up.close()

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = pass_on

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def bodies(self, path):
        return [body for _, p, body, _ in self.seen if p.startswith(path)]

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.server.shutdown()
        self.server.server_close()
