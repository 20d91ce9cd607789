"""The server's settings that are chosen by the machine."""

from pathlib import Path

from hindsight.servers import vllm_process


def test_float32_is_served_where_the_processor_has_no_bfloat16(monkeypatch):
    monkeypatch.setattr(vllm_process, "_has_gpu", lambda: False)
    monkeypatch.setattr(vllm_process, "BFLOAT16", set())
    assert vllm_process.quickest_dtype() == "float32"
    monkeypatch.setattr(vllm_process, "BFLOAT16", set(Path("/proc/cpuinfo").read_text().split()[:1]))
    assert vllm_process.quickest_dtype() == "auto"
    monkeypatch.setattr(vllm_process, "BFLOAT16", set())
    monkeypatch.setattr(vllm_process, "_has_gpu", lambda: True)
    assert vllm_process.quickest_dtype() == "auto"
