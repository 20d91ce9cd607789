"""The alpha dial, inside a vLLM server that merges while it loads: changes the alpha without a restart.

    vllm serve FINETUNED --load-format hindsight --model-loader-extra-config '{"base": "BASE", "alpha": 0.7}' \\
        --worker-extension-cls hindsight.merging.dial.WorkerDial      # with VLLM_PLUGINS=hindsight

`GET /v1/alpha` reports what is merged, and `POST /v1/alpha` with {"alpha": 0.4} changes it; `hindsight.dial` is the
client. It uses two of vLLM's interfaces: an endpoint plug-in, which adds the route, and a worker extension, by which
each worker loads the weights again through the same loader as at the start. After any sequence of changes the weights
therefore equal those of a fresh start, bit for bit.

No answer is made with two alphas, and each names its alpha in a header: a change waits for the requests in flight and
holds back those that arrive. A request that names another alpha is refused.
"""

import asyncio
import copy
import json
from argparse import Namespace
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import State
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hindsight.errors import UserError, require
from hindsight.merging.alphas import AlphaRule
from hindsight.servers.alpha_dial import HEADER, LOAD_FORMAT, PATH, header_of

if TYPE_CHECKING:  # vLLM is slow to import
    from vllm.engine.protocol import EngineClient

ROUTE = f"/v1{PATH}"
EXTENSION = "hindsight.merging.dial.WorkerDial"
BUSY = "another client is changing the alpha"
BROKEN = "a change of alpha failed, and the weights may be of two alphas: set an alpha again, or restart the server"


class WorkerDial:
    """What each worker of vLLM gets besides its own methods; vLLM calls them by name in all workers at once."""

    vllm_config: Any
    model_runner: Any
    reload_weights: Callable[[], None]

    def hindsight_merge(self) -> dict[str, Any]:
        """The extra config of the loader: both parents, method and alpha; alpha is None after a change that failed."""
        return dict(self.vllm_config.load_config.model_loader_extra_config)

    def hindsight_reason_against(self, alpha: str) -> str:
        """Why this alpha (JSON) cannot be merged, by the headers of the files; empty if it can."""
        from hindsight.merging.loader import MergedModelLoader  # vLLM is slow to import

        config = copy.copy(self.vllm_config.load_config)
        config.model_loader_extra_config = {**self.hindsight_merge(), "alpha": json.loads(alpha)}
        try:
            MergedModelLoader(config).plan(self.vllm_config.model_config)
        except UserError as error:
            return str(error)
        return ""

    def hindsight_set_alpha(self, alpha: str) -> dict[str, Any]:
        """Loads the weights again, merged at this alpha (JSON); the new extra config."""
        config = self.vllm_config.load_config
        before = config.model_loader_extra_config
        config.model_loader_extra_config = {**before, "alpha": json.loads(alpha)}
        try:
            self.reload_weights()
            self.hindsight_pack_heads()
        except BaseException:
            config.model_loader_extra_config = {**before, "alpha": None}
            raise
        return self.hindsight_merge()

    def hindsight_pack_heads(self) -> None:
        """Packs the heads' weights again.

        On a CPU a head computes with a packed copy of its weights. vLLM 0.32 does not renew it for a head that is tied
        to the embedding, because no weight of its own is loaded.
        """
        from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead  # vLLM is slow to import

        for module in self.model_runner.get_model().modules():
            if isinstance(module, ParallelLMHead):
                module.quant_method.process_weights_after_loading(module)


class Gate:
    """Which requests may run: any number with one alpha, or one change of it."""

    def __init__(self) -> None:
        self.in_flight, self.changing = 0, False
        self._moved = asyncio.Condition()

    async def enter(self) -> None:
        """Waits until no change runs, then counts a request as running."""
        async with self._moved:
            await self._moved.wait_for(lambda: not self.changing)
            self.in_flight += 1

    async def leave(self) -> None:
        """A request has ended."""
        async with self._moved:
            self.in_flight -= 1
            self._moved.notify_all()

    async def close(self) -> bool:
        """Holds back new requests, and waits until those that run have ended; False: another change has done so."""
        if self.changing:
            return False
        self.changing = True  # before anything is awaited, so that only one change gets here
        async with self._moved:
            try:
                await self._moved.wait_for(lambda: self.in_flight == 0)
            except BaseException:  # the client that wanted the change is gone
                self.changing = False
                self._moved.notify_all()
                raise
        return True

    async def open(self) -> None:
        """Lets requests run again."""
        async with self._moved:
            self.changing = False
            self._moved.notify_all()


class AlphaEndpoint:
    """vLLM's endpoint plug-in, named in VLLM_PLUGINS: the route ROUTE, and the header HEADER of every reply."""

    name = "hindsight"
    required_tasks = ("generate",)

    def __init__(self) -> None:
        self.gate = Gate()
        self.engine: EngineClient | None = None
        self.merge: dict[str, Any] = {}
        self.finetuned = ""
        self.changes = 0
        self.missing = "the server has no engine"

    def attach_router(self, app: FastAPI) -> None:
        """Adds the route, and a middleware around all routes."""
        app.add_api_route(ROUTE, self.get, methods=["GET"])
        app.add_api_route(ROUTE, self.post, methods=["POST"])
        app.add_middleware(AlphaLayer, endpoint=self)

    async def init_state(self, engine_client: "EngineClient | None", state: State, args: Namespace) -> None:
        """Finds out what the server merges."""
        if args.load_format != LOAD_FORMAT:
            self.missing = f"the server was started without --load-format {LOAD_FORMAT}"
        elif args.worker_extension_cls != EXTENSION:
            self.missing = f"the server was started without --worker-extension-cls {EXTENSION}"
        elif getattr(args, "api_server_count", 1) not in (None, 1):
            self.missing = "the server has several front ends (--api-server-count), and only one may change its alpha"
        elif engine_client is not None:
            self.engine, self.missing = engine_client, ""
            self._take(await engine_client.collective_rpc("hindsight_merge"))
            self.finetuned = self.merge.get("adapter") or args.model

    @property
    def alpha(self) -> str | None:
        """The alpha as replies name it; None while the weights may be of two alphas."""
        alpha = self.merge.get("alpha")
        return None if alpha is None else header_of(alpha)

    async def get(self) -> JSONResponse:
        """What is merged."""
        if self.missing:
            return _refusal(HTTPStatus.NOT_FOUND, self.missing)
        return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, BROKEN) if self.alpha is None else self._described()

    async def post(self, request: Request) -> JSONResponse:
        """Changes the alpha, and reports what is merged afterwards."""
        if self.missing:
            return _refusal(HTTPStatus.NOT_FOUND, self.missing)
        try:
            body = await request.json()
            require(isinstance(body, dict) and body.keys() == {"alpha"}, 'the body is {"alpha": ...}')
            alpha = AlphaRule.from_json(body["alpha"], bool(self.merge.get("extrapolate"))).to_json()
        except (ValueError, UserError) as error:
            return _refusal(HTTPStatus.BAD_REQUEST, str(error))
        if self.gate.changing:
            return _refusal(HTTPStatus.CONFLICT, BUSY)
        if reason := await self._reason_against(json.dumps(alpha)):
            return _refusal(HTTPStatus.BAD_REQUEST, reason)
        if not await self.gate.close():
            return _refusal(HTTPStatus.CONFLICT, BUSY)
        try:
            await self._change(json.dumps(alpha))
        except Exception as error:  # anything that a worker raised
            self.merge["alpha"] = None
            return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"{error}; {BROKEN}")
        finally:
            await self.gate.open()
        return self._described()

    async def _reason_against(self, alpha: str) -> str:
        """The reason of the first worker that cannot merge at this alpha; empty if all can."""
        assert self.engine is not None  # else `missing` says why
        reasons = await self.engine.collective_rpc("hindsight_reason_against", args=(alpha,))
        return next(filter(None, reasons), "")

    async def _change(self, alpha: str) -> None:
        engine = self.engine
        assert engine is not None  # else `missing` says why
        await engine.pause_generation(mode="wait", clear_cache=True)
        try:
            self._take(await engine.collective_rpc("hindsight_set_alpha", args=(alpha,)))
            await engine.reset_prefix_cache()
        finally:
            await engine.resume_generation()
        self.changes += 1

    def _take(self, merges: list[dict[str, Any]]) -> None:
        """Keeps what the workers report. Raises RuntimeError if their reports differ."""
        if any(each != merges[0] for each in merges):
            raise RuntimeError(f"the workers have different merges: {merges}")
        self.merge = merges[0]

    def _described(self) -> JSONResponse:
        merge = {"alpha": self.merge["alpha"], "method": self.merge.get("method", "lerp"), "base": self.merge["base"]}
        return JSONResponse({**merge, "finetuned": self.finetuned, "changes": self.changes})


class AlphaLayer:
    """Around vLLM's routes: holds requests back during a change, refuses other alphas, names the alpha in replies."""

    def __init__(self, app: ASGIApp, endpoint: AlphaEndpoint):
        self.app, self.endpoint = app, endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self.endpoint
        if endpoint.missing or scope["type"] != "http" or scope["method"] != "POST" or scope["path"] == ROUTE:
            return await self.app(scope, receive, send)
        await endpoint.gate.enter()
        try:
            wanted = dict(scope["headers"]).get(HEADER.lower().encode(), b"").decode("latin-1")
            if endpoint.alpha is None:
                return await _refusal(HTTPStatus.SERVICE_UNAVAILABLE, BROKEN)(scope, receive, send)
            if wanted and wanted != endpoint.alpha:
                refusal = _refusal(HTTPStatus.CONFLICT, f"the alpha is {endpoint.alpha} here, not {wanted}")
                return await refusal(scope, receive, _naming(endpoint.alpha, send))
            return await self.app(scope, receive, _naming(endpoint.alpha, send))
        finally:
            await endpoint.gate.leave()


def _naming(alpha: str, send: Send) -> Callable[[Message], Awaitable[None]]:
    """Sends a reply with the header that names the alpha."""

    async def send_with_alpha(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (HEADER.lower().encode(), alpha.encode())]}
        await send(message)

    return send_with_alpha


def _refusal(status: HTTPStatus, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": status.phrase, "code": status.value}}, status)
