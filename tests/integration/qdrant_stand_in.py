"""A stand-in for a Qdrant server: the REST calls that we use, with TLS and an API key, on the client's local mode.

    python -m tests.integration.qdrant_stand_in PORT DIRECTORY      one that keeps what it is told, and can be killed

No Qdrant server can be had by pip or apt, so what is tested with it is our side of the connection: address, key,
certificate, separate processes. Where `THROUGHBEAT_TEST_QDRANT_URL` names a real one, the contract suite runs on that.
"""

from __future__ import annotations

import json
import re
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from qdrant_client import QdrantClient, models
from qdrant_client.http.models import (
    CountRequest,
    CreateCollection,
    PointIdsList,
    PointRequest,
    QueryRequest,
    ScrollRequest,
    UpdateOperations,
)

from tests.integration.secure import Certificates

COLLECTION = re.compile(r"/collections/([^/?]+)(/[a-z/]+)?(\?.*)?")


class StandIn:
    """Collections in memory, or in a directory, one call at a time."""

    def __init__(self, directory: Path | None = None) -> None:
        kept = {"path": str(directory), "force_disable_check_same_thread": True}
        self._client = QdrantClient(":memory:") if directory is None else QdrantClient(**kept)
        self._lock = threading.Lock()
        self._calls: dict[tuple[str, str], Callable[[str, bytes], Any]] = {
            ("GET", "/exists"): lambda name, _: {"exists": self._client.collection_exists(name)},
            ("GET", ""): lambda name, _: self._client.get_collection(name),
            ("PUT", ""): self._create,
            ("DELETE", ""): lambda name, _: self._client.delete_collection(name),
            ("PUT", "/index"): lambda name, _: {"operation_id": 0, "status": "completed"},
            ("POST", "/points"): self._retrieve,
            ("POST", "/points/batch"): self._write,
            ("POST", "/points/delete"): self._delete,
            ("POST", "/points/query"): self._query,
            ("POST", "/points/scroll"): self._scroll,
            ("POST", "/points/count"): self._count,
        }

    def answer(self, method: str, path: str, body: bytes) -> Any:
        """The `result` of a call. Raises LookupError for one that is not known."""
        with self._lock:
            if path == "/collections":
                return self._client.get_collections()
            found = COLLECTION.fullmatch(path)
            if found is None:
                raise LookupError(path)
            return self._calls[method, found[2] or ""](found[1], body)

    def _create(self, name: str, body: bytes) -> bool:
        asked = CreateCollection.model_validate_json(body)
        return self._client.create_collection(name, asked.vectors, hnsw_config=asked.hnsw_config)

    def _write(self, name: str, body: bytes) -> Any:
        self._client.batch_update_points(name, UpdateOperations.model_validate_json(body).operations)
        return [{"operation_id": 0, "status": "completed"}]

    def _delete(self, name: str, body: bytes) -> Any:
        return self._client.delete(name, PointIdsList.model_validate_json(body))

    def _retrieve(self, name: str, body: bytes) -> Any:
        asked = PointRequest.model_validate_json(body)
        return self._client.retrieve(name, asked.ids, asked.with_payload or False, asked.with_vector or False)

    def _query(self, name: str, body: bytes) -> Any:
        asked = QueryRequest.model_validate_json(body)
        return self._client.query_points(
            name,
            query=getattr(asked.query, "nearest", asked.query),
            using=asked.using,
            query_filter=asked.filter,
            limit=asked.limit or 10,
            with_payload=asked.with_payload or False,
        )

    def _scroll(self, name: str, body: bytes) -> Any:
        asked = ScrollRequest.model_validate_json(body)
        points, after = self._client.scroll(
            name,
            asked.filter,
            asked.limit or 10,
            asked.order_by,
            asked.offset,
            asked.with_payload or False,
            asked.with_vector or False,
        )
        return models.ScrollResult(points=points, next_page_offset=after)

    def _count(self, name: str, body: bytes) -> Any:
        asked = CountRequest.model_validate_json(body)
        return self._client.count(name, asked.filter)


def _as_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_json(one) for one in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


@contextmanager
def qdrant_stand_in(
    certificates: Certificates | None = None, api_key: str = "", port: int = 0, directory: Path | None = None
) -> Iterator[str]:
    """Its URL; https with certificates."""
    collections = StandIn(directory)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply()

        do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - the library's names

        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if api_key and self.headers.get("api-key") != api_key:
                return self._send(401, "Must provide an API key or an Authorization bearer token")
            try:
                result = _as_json(collections.answer(self.command, self.path, body))
            except (LookupError, ValueError) as error:
                return self._send(404, {"status": {"error": str(error)}, "time": 0.0})
            return self._send(200, {"result": result, "status": "ok", "time": 0.0})

        def _send(self, status: int, answer: object) -> None:
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate_file, certificates.key_file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if certificates else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    with qdrant_stand_in(port=int(sys.argv[1]), directory=Path(sys.argv[2])):
        threading.Event().wait()
