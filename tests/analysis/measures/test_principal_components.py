"""Principal components of points on a line."""

import numpy as np
import pytest

from analysis.measures.principal_components import joint_components


def test_points_on_a_line_have_one_component():
    groups = {"a": np.array([[0.0, 0.0], [3.0, 4.0]]), "b": np.array([[6.0, 8.0]])}
    points, shares = joint_components(groups)
    assert shares == pytest.approx([1, 0])
    assert abs(points["a"][0, 0]) == pytest.approx(5)
    assert points["a"][1] == pytest.approx([0, 0], abs=1e-9)
    assert points["b"][0, 0] == pytest.approx(-points["a"][0, 0])
