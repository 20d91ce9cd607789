"""The server's settings that are chosen by the machine."""

import sys
from pathlib import Path

from hindsight.servers import vllm_process
from hindsight.servers.vllm_process import ServeOptions, serve


def test_float32_is_served_where_the_processor_has_no_bfloat16(monkeypatch):
    monkeypatch.setattr(vllm_process, "_has_gpu", lambda: False)
    monkeypatch.setattr(vllm_process, "BFLOAT16", set())
    assert vllm_process.quickest_dtype() == "float32"
    monkeypatch.setattr(vllm_process, "BFLOAT16", set(Path("/proc/cpuinfo").read_text().split()[:1]))
    assert vllm_process.quickest_dtype() == "auto"
    monkeypatch.setattr(vllm_process, "BFLOAT16", set())
    monkeypatch.setattr(vllm_process, "_has_gpu", lambda: True)
    assert vllm_process.quickest_dtype() == "auto"


def test_another_command_serves_where_one_is_given_and_its_log_is_kept(tmp_path):
    """Here the command serves files: one of them answers as /v1/models does."""
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "models").write_text("{}")
    command = f"{sys.executable} -m http.server {{port}} --bind 127.0.0.1 --directory {{model}}"
    with serve(tmp_path, "files", 60, ServeOptions(command=command, log=tmp_path / "server.log")) as server:
        assert server.process.poll() is None and server.name == "files"
    assert server.process.poll() is not None
    assert "GET /v1/models" in (tmp_path / "server.log").read_text()
