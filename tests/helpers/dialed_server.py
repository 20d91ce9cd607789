"""The alpha dial's own routes around a small server: an engine of two workers that answers with the alpha it has."""

import asyncio
import json
import threading
from argparse import Namespace
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI, Request

from hindsight.merging.dial import EXTENSION, AlphaEndpoint, WorkerDial
from hindsight.servers.vllm_process import hold_port

MERGE = {"base": "B", "alpha": 0.7}
FLAGS = {"load_format": "hindsight", "worker_extension_cls": EXTENSION, "model": "F", "api_server_count": 1}


class Worker(WorkerDial):
    """A worker whose weights are the alpha that it loaded last; loading takes a moment, or fails where told to."""

    def __init__(self):
        config = Namespace(model_loader_extra_config=dict(MERGE))
        self.vllm_config, self.weights, self.fails = Namespace(load_config=config), 0.7, False

    def hindsight_reason_against(self, alpha):
        """It has no norms."""
        return "it has no norms" if "norms" in alpha else ""

    def reload_weights(self):
        self.weights = None
        if self.fails:
            raise OSError("the disk is gone")
        self.weights = self.vllm_config.load_config.model_loader_extra_config["alpha"]

    def hindsight_pack_heads(self):
        """It has none."""


class Engine:
    """vLLM's engine client, as far as the dial uses it."""

    def __init__(self):
        self.workers, self.paused, self.calls = [Worker(), Worker()], False, []

    async def collective_rpc(self, method, args=()):
        await asyncio.sleep(0.02)
        return [getattr(worker, method)(*args) for worker in self.workers]

    async def pause_generation(self, mode, clear_cache):
        self.paused, self.calls = True, [*self.calls, f"pause {mode} {clear_cache}"]

    async def reset_prefix_cache(self):
        self.calls.append("reset")

    async def resume_generation(self):
        self.paused, self.calls = False, [*self.calls, "resume"]


class DialedServer:
    """The server's address, its engine, and how long an answer takes in seconds.

    text: the text of an answer to a request, from the alphas before and after the time that it takes.
    """

    def __init__(self, flags):
        self.engine, self.endpoint, self.seconds, self.answered = Engine(), AlphaEndpoint(), 0.0, 0
        self.after_an_answer = lambda: None
        self.text = lambda request, before, after: json.dumps([before, after])
        self.app = FastAPI()
        self.app.add_api_route("/v1/models", self.models, methods=["GET"])
        self.app.add_api_route("/v1/chat/completions", self.answer, methods=["POST"])
        self.endpoint.attach_router(self.app)
        asyncio.run(self.endpoint.init_state(self.engine, self.app.state, Namespace(**{**FLAGS, **flags})))

    async def models(self):
        return {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 9000}]}

    async def answer(self, request: Request):
        """The alpha before and after the time that an answer takes."""
        asked = await request.json() if await request.body() else {}
        before = self.engine.workers[0].weights
        await asyncio.sleep(self.seconds)
        assert not self.engine.paused
        self.answered += 1
        after = self.engine.workers[1].weights
        self.after_an_answer()
        message = {"role": "assistant", "content": self.text(asked, before, after)}
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}


@contextmanager
def dialed_server(**flags):
    """A server of which some of vLLM's flags are other ones."""
    toy = DialedServer(flags)
    held = hold_port()
    toy.url = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
    server = uvicorn.Server(uvicorn.Config(toy.app, port=held.getsockname()[1], log_level="error"))
    server.install_signal_handlers = lambda: None
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    try:
        yield toy
    finally:
        server.should_exit = True
        thread.join()
        held.close()
