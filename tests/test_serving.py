"""The server's settings that are chosen by the machine."""

from pathlib import Path

from hindsight import serving


def test_float32_is_served_where_the_processor_has_no_bfloat16(monkeypatch):
    monkeypatch.setattr(serving, "_has_gpu", lambda: False)
    monkeypatch.setattr(serving, "BFLOAT16", set())
    assert serving.quickest_dtype() == "float32"
    monkeypatch.setattr(serving, "BFLOAT16", set(Path("/proc/cpuinfo").read_text().split()[:1]))
    assert serving.quickest_dtype() == "auto"
    monkeypatch.setattr(serving, "BFLOAT16", set())
    monkeypatch.setattr(serving, "_has_gpu", lambda: True)
    assert serving.quickest_dtype() == "auto"
